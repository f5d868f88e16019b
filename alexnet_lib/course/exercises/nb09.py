"""Exercises of notebook 09, training the full network."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, number
from alexnet_lib.layers import Dropout
from alexnet_lib.optim import PaperSGD


def _close(a, b) -> bool:
    return abs(number(a) - b) < 1e-9


@exercise("09-1", "Two lines: the velocity from the old weight, then the weight.")
def paper_step(answer):
    given = answer(1.0, 0.0, 0.5, 0.01)
    expect(np.size(given) == 2, "Return two numbers: (w, v).")
    expect(not _close(given[0], -0.005005), "The other way round: first the weight.")
    expect(not _close(given[0], 1.005), "Downhill is against the gradient: mind the signs.")
    expect(_close(given[1], -0.005005), "From w = 1, v = 0, gradient 0.5, rate 0.01: v is "
           "-0.000005 - 0.005.")
    expect(_close(given[0], 0.994995), "The weight takes the new velocity: 1 - 0.005005.")
    w, v = answer(2.0, 0.1, -1.0, 0.1, 0.5, 0.01)
    expect(_close(v, 0.148) and _close(w, 2.148), "With w = 2, v = 0.1, gradient -1, rate 0.1, "
           "momentum 0.5 and decay 0.01, v is 0.05 - 0.002 + 0.1.")
    return "So does every weight of the net, 60 million of them, 843,000 times."


@exercise("09-2", "The first step is 1, the second 1 + m, the third 1 + m + m * m, ...")
def gain(answer):
    expect(not _close(answer(0.9), 1.9), "That is the second step; there are many more.")
    expect(_close(answer(0.9), 10) or not 9.9 < number(answer(0.9)) < 10, "Nearly: so many steps "
           "come close to where the sum ends. What is 1 + m + m * m + ... without end?")
    expect(_close(answer(0.9), 10), "With 0.9 it is 10: 1 + 0.9 + 0.81 + ...")
    expect(_close(answer(0.0), 1), "Without momentum every step is the first.")
    expect(_close(answer(0.5), 2), "With 0.5 it is 2.")
    return "Momentum 0.99 would be 100: who raises the momentum must lower the rate."


@exercise("09-3", "All images there are to look at, divided by those of a second, then of a day.")
def days(answer):
    got = number(answer(1_281_167, 90, 243))
    expect(abs(got - 1_281_167 / 243 / 86400) > 1e-6, "That is one cycle.")
    expect(abs(got - 131.8) > 0.2, "That is in hours.")
    expect(abs(got - 5.492) < 0.01, "ImageNet, 90 cycles, 243 images a second: 5.49 days.")
    expect(abs(number(answer(86_400, 2, 4)) - 0.5) < 1e-9, "86,400 images twice, 4 a second: half "
           "a day.")
    return "This is claim C17, from the other side."


@exercise("09-4", "Go through the errors; remember the best and how long it has been the best.")
def drops_after(answer):
    def got(*given):
        found = answer(*given)
        expect(np.ndim(found) == 1, "A list of epochs is asked for.")
        return [int(epoch) for epoch in found]

    errors = [60, 50, 45, 44, 45, 46, 44, 45, 45]
    expect(got(errors, 3) != [6], "Epochs count from 1.")
    expect(got(errors, 3) == [7], "60 50 45 44 45 46 44 45 45 with patience 3: epochs 5, 6 and 7 "
           "are no better than the 44 of epoch 4.")
    expect(got([9, 8, 7, 6], 1) == [], "An error that always falls needs no drop.")
    expect(got([5, 5, 5, 5, 5], 2) == [3, 5], "5 5 5 5 5 with patience 2: after a drop the waiting "
           "begins anew.")
    expect(got([5] * 20, 2) == [3, 5, 7], "At most three drops.")
    expect(got([5, 6, 4, 6, 6], 2) == [5], "5 6 4 6 6 with patience 2: a new best ends "
           "the waiting.")
    return "The authors did it by looking. A program has more patience."


@exercise("09-5", "The paper's velocity is minus the rate times PyTorch's. What stays at the drop?")
def factor(answer):
    expect(not _close(answer(0.01, 0.001), 0.1), "The other way round: the new rate is smaller, so "
           "the velocity has to be larger for the same step.")
    expect(_close(answer(0.01, 0.001), 10), "From 0.01 to 0.001 PyTorch's velocity must be "
           "multiplied by 10.")
    expect(_close(answer(0.02, 0.005), 4), "From 0.02 to 0.005: by 4.")
    return "One multiplication, and the two rules walk together again."


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


@exercise("09-6", "First the loop alone, without `saved`. Then ask of everything that the next "
                  "step reads: would a fresh net and a fresh rule have it?")
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
    expect(_same(w, weights), "After `saved` is put back, the weights are not those of the stop.")
    expect(_same(v, velocities), "The weights are back, the velocities are not: nine tenths of "
           "the next step are in them. The rule has a state_dict, too.")
    expect(r == rate, f"The rate had been lowered to {rate:g} before the stop; after it, it is "
           f"{r:g} again.")
    torch.manual_seed(99)
    answer(back, rule, x, y, 5, saved)
    expect(_same(_now(back, rule)[0], _now(whole, rule)[0]), "Weights, velocities and rate are "
           "back, and the next five steps are still not those of the undisturbed run. What else "
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
        expect(torch.allclose(mine, right, atol=1e-6), "Without `saved`: three steps do not lead "
               "where three steps of the rule lead. In each of them: gradients to zero, "
               "F.cross_entropy of net(x) and y, backward, rule.step().")
