"""Exercises of notebook 09, training the full network."""

import shlex

import click
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.cli import train
from alexnet_lib.course.exercises import Hint, exercise, expect, filled, number
from alexnet_lib.layers import Dropout
from alexnet_lib.optim import PaperSGD

LOG = 66 * 128 / 92  # seconds of an epoch in the log of exercise 09-4


@exercise("09-1", "Write down the next three steps by each rule. What are they multiplied by?")
def coasting(answer):
    answer = filled(answer, ("paper", "PyTorch"))
    paper, torchs = (abs(number(answer[name])) for name in ("paper", "PyTorch"))
    expect(paper > 0.0181, "By the paper's rule, the next step alone is 0.018 long, and more "
           "follow.")
    expect(abs(paper - 0.2) > 1e-3, "That includes a step of 0.02, before the drop. The next one "
           "is nine tenths of it.")
    expect(abs(paper - 0.18) < 1e-3, "By the paper's rule the steps are 0.018, 0.0162, ...: add "
           "them all up.")
    expect(abs(torchs - 0.18) > 1e-3, "PyTorch multiplies its velocity by the learning rate, and "
           "that's a tenth now.")
    expect(abs(torchs - 0.018) < 1e-4, "PyTorch's steps are 0.0018, 0.00162, ...")
    return "Nine steps' worth of coasting. PyTorch coasts, too, but at a tenth of the speed."


@exercise("09-2", "Look at two things: where the cliff is, and how far the loss falls before it.")
def cliffs(answer):
    answer = filled(answer, "ABC")
    found = {name: number(answer[name]) for name in "ABC"}
    expect(sorted(found.values()) == [0, 0.9, 0.99], "Each of 0, 0.9, and 0.99 belongs to "
           "one curve.")
    expect(found["C"] != 0, "C comes to its cliff first. Without momentum, no old step could add "
           "to a new one.")
    expect(found["C"] == 0.99, "One curve comes to its cliff long before the others. Which "
           "momentum remembers old steps the longest?")
    expect(found["B"] == 0, "The cliffs of A and B are close together. Which of the two has fallen "
           "less before it?")
    return ("Without momentum the cliff is only about twice as far away, and the loss hardly falls "
            "before it. So 0.9 is a bargain, and 0.99 asks too much.")


@exercise("09-3", "Write a function that counts the steps for one steepness and one momentum.")
def best_momentum(answer):
    answer = filled(answer, (10, 100, 1000))
    found = {steep: number(answer[steep]) for steep in (10, 100, 1000)}
    expect(all(value in (0, 0.5, 0.75, 0.9, 0.95, 0.99) for value in found.values()),
           "Take the momenta from the list.")
    expect(len(set(found.values())) > 1, "The best momentum isn't the same in each ravine.")
    expect(found[10] < found[1000], "The steeper ravine should have the larger momentum.")
    right = {10: 0.5, 100: 0.75, 1000: 0.9}
    wrong = [steep for steep in right if found[steep] != right[steep]]
    expect(not wrong, f"Another momentum takes fewer steps in the ravine of {wrong[:1]}. Does the "
           "loss stay below 0.01 from where you stopped counting?")
    return ("The steep side limits the learning rate, so a narrow ravine has a slow floor: the "
            "more there is to add up, the better. 0.9 suits very narrow ones.")


@exercise("09-4", "Work out the seconds of one epoch first. Then see `alexnet train --help`.")
def planned(answer):
    expect(isinstance(answer, str), "The answer should be a command, as a string.")
    words = shlex.split(answer.strip().removeprefix("!"))
    expect("train" in words, "The command begins with: alexnet train")
    try:
        chosen = train.make_context("train", words[words.index("train") + 1:]).params
    except click.ClickException as error:
        raise Hint(f"alexnet would say: {error.format_message()}") from None
    expect(chosen["data"] == "imagenette", "Which data set? See --data.")
    expect(chosen["variant"] in (None, "paper"), "It's the network of the text: --variant paper.")
    minutes = (chosen["epochs"] or 90) * LOG / 60
    expect(minutes <= 111, f"{minutes:.0f} minutes of training: too many epochs.")
    expect(minutes >= 100, f"{minutes:.0f} minutes of training: there's time for more epochs.")
    expect(chosen["lr_scheduler"] in (None, "plateau"), "Which schedule watches the validation "
           "error? See --lr-scheduler.")
    expect(chosen["out"].startswith("/content/drive/MyDrive/mine"), "The checkpoint should go to "
           "/content/drive/MyDrive/mine: see --out.")
    expect(chosen["resume"] == "auto", "Typed again after a disconnect, this command doesn't go "
           "on, or it doesn't start the first time. See --resume.")
    return "One command that starts, survives, and goes on. Now you can go to bed."


def _begun(seed: int, p: float = 0.5):
    """A small net and the paper's rule for it."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), Dropout(p), nn.Linear(24, 4))
    return net, PaperSGD(net.parameters(), lr=0.05)


def _now(net, rule):
    """Copies of weights and velocities, and the rate."""
    return ([q.detach().clone() for q in net.parameters()],
            [rule.state[q]["velocity"].clone() if "velocity" in rule.state[q] else None
             for q in net.parameters()], rule.param_groups[0]["lr"])


def _same(a, b) -> bool:
    return all(q is not None and r is not None and torch.equal(q, r)
               for q, r in zip(a, b, strict=True))


def _half_a_run(answer, x, y):
    """Six steps, of which two at a lower rate: net, rule, and what the answer has saved."""
    net, rule = _begun(0)
    torch.manual_seed(1)
    answer(net, rule, x, y, 4)
    rule.param_groups[0]["lr"] = 0.005
    return net, rule, answer(net, rule, x, y, 2)


@exercise("09-5", "Write the loop first, without `saved`. Then go through everything that the "
                  "next step reads: would a fresh net and a fresh rule have it?")
def go_on(answer):
    generator = torch.Generator().manual_seed(9)
    x, y = torch.randn(12, 6, generator=generator), torch.arange(12) % 4
    _steps_are_taken(answer, x, y)
    whole, rule, _ = _half_a_run(answer, x, y)
    answer(whole, rule, x, y, 5)

    net, rule, saved = _half_a_run(answer, x, y)
    weights, velocities, rate = _now(net, rule)
    answer(net, rule, x, y, 3)                        # some steps more, before it is killed
    moved, sped, _ = _now(net, rule)
    torch.manual_seed(99)
    back, rule = _begun(5)
    answer(back, rule, x, y, 0, saved)
    w, v, r = _now(back, rule)
    expect(not _same(w, moved) and not _same(v, sped), "What you saved went on with the run: "
           "`state_dict()` holds the tensors themselves, not copies of them. See copy.deepcopy.")
    expect(_same(w, weights), "After `saved` is put back, the weights aren't those of the stop.")
    expect(_same(v, velocities), "The weights are back, but the velocities aren't: nine tenths of "
           "the next step are in them. The rule has a state_dict, too.")
    expect(r == rate, f"The rate had been lowered to {rate:g} before the stop; after it, it is "
           f"{r:g} again.")
    torch.manual_seed(99)
    answer(back, rule, x, y, 5, saved)
    expect(_same(_now(back, rule)[0], _now(whole, rule)[0]), "Weights, velocities, and rate are "
           "back, but the next five steps still aren't those of the undisturbed run. What else "
           "is drawn in a step? Where do the coins of dropout come from?")
    return "Six days may be interrupted as often as it pleases the power company."


def _steps_are_taken(answer, x, y) -> None:
    """Without dropout, three steps are three steps of the rule."""
    (net, rule), (known, plain) = _begun(3, 0.0), _begun(3, 0.0)
    answer(net, rule, x, y, 3)
    for _ in range(3):
        plain.zero_grad()
        F.cross_entropy(known(x), y).backward()
        plain.step()
    for mine, right in zip(net.parameters(), known.parameters(), strict=True):
        expect(torch.allclose(mine, right, atol=1e-6), "Without `saved`: three steps don't lead "
               "where three steps of the rule lead. In each step, set the gradients to zero, take "
               "F.cross_entropy of net(x) and y, call backward(), and then call rule.step().")
