"""Exercises of notebook 08, dropout."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, number, tensor


def _mean_and_kinds(answer, p: float):
    """(mean of many outputs of ones in training, the values that occur)."""
    torch.manual_seed(8)
    out = tensor(answer(torch.ones(200, 100), p, True), (200, 100))
    return float(out.mean()), sorted({round(float(v), 4) for v in out.unique()[:5]}), out


def _own_coins(out) -> None:
    rows = [tuple(row.tolist()) for row in out[:20]]
    expect(len(set(rows)) > 1, "Each image gets its own mask.")
    expect(all(len(set(row)) > 1 for row in rows),
           "Every unit tosses its own coin, not every image one for all of its units.")


@exercise("08-1", "At training, a mask of zeros and ones; at test, every output times 1 - p.")
def dropout(answer):
    x = torch.tensor([[2.0, 4.0, 6.0]])
    test = tensor(answer(x, 0.5, False), (1, 3))
    expect(not torch.allclose(test, x), "At test the outputs are multiplied: by half, if p is 0.5.")
    expect(torch.allclose(test, x / 2), "At test no unit is dropped; each output is halved.")
    expect(torch.allclose(tensor(answer(x, 0.2, False)), 0.8 * x),
           "p is the probability of being dropped: with p = 0.2 the test multiplies by 0.8.")
    mean, kinds, out = _mean_and_kinds(answer, 0.2)
    expect(len(kinds) == 2 and kinds[0] == 0, "At training some outputs are 0, the others stay.")
    expect(kinds[1] == 1, "In the paper's way, what is not dropped at training stays as it is.")
    expect(abs(mean - 0.8) < 0.02, "With p = 0.2, four fifths stay at training.")
    _own_coins(out)
    return "So did the program of 2012 (src/layer.cu:1121-1135)."


@exercise("08-2", "At test nothing is done; so training has to make up for the missing ones.")
def inverted(answer):
    x = torch.tensor([[2.0, 4.0, 6.0]])
    expect(torch.allclose(tensor(answer(x, 0.5, False), (1, 3)), x),
           "At test the inverted dropout leaves everything as it is.")
    mean, kinds, out = _mean_and_kinds(answer, 0.2)
    expect(len(kinds) == 2 and kinds[0] == 0, "At training some outputs are 0.")
    expect(abs(kinds[1] - 1.25) < 1e-3, "What stays is divided by the chance of staying, 1 - p: "
           "with p = 0.2, a 1 becomes 1.25.")
    _own_coins(out)
    expect(abs(mean - 1) < 0.02, "The mean over many masks should be the output without dropout.")
    return "This is torch's nn.Dropout. A net that is only used need not know that it exists."


@exercise("08-3", "Each of the units of fc6 and fc7 is in or out; 2 for each of them, multiplied.")
def power_of_two(answer):
    expect(not (isinstance(answer, int) and answer > 10**6),
           "That is the number of nets; n is the exponent.")
    got = number(answer)
    expect(got != 4096, "That is one layer; the paper drops units in the first two full layers.")
    expect(got != 9192, "fc8 is the last layer: its 1000 outputs are the answer; none is dropped.")
    expect(got != 9216, "9216 are the inputs of fc6; they are not dropped.")
    expect(got == 8192, "Count the units of fc6 and fc7; each doubles the number of nets.")
    return "2 to the 8192 is a number of 2467 digits: most nets are never trained at all."


@exercise("08-4", "The mean of the logarithms, then exp, then divide by the sum over classes.")
def geometric_mean(answer):
    p = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    got = tensor(answer(p), (2,))
    expect(not torch.allclose(got, p.mean(0), atol=1e-4), "That is the plain (arithmetic) mean.")
    expect(abs(float(got.sum()) - 1) < 1e-4, "Geometric means of probabilities do not sum to 1: "
           f"yours sum to {float(got.sum()):.3f}. Divide by the sum.")
    expect(torch.allclose(got, torch.tensor([0.75, 0.25]), atol=1e-4),
           "For (0.9, 0.1) and (0.5, 0.5): the roots of 0.45 and 0.05 are as 3 to 1.")
    many = torch.softmax(torch.linspace(-3, 4, 24).reshape(8, 3).sin() * 4, 1)
    want = torch.softmax(many.log().mean(0), 0)
    expect(torch.allclose(tensor(answer(many), (3,)), want, atol=1e-4),
           "Of n nets the n-th root is taken: divide the sum of the logarithms by n.")
    return "One net that is sure of a No outweighs many that are unsure: it is a mean with vetoes."


@exercise("08-5", "torch's activations are twice as large in both modes: which weights read them?")
def converted(answer):
    torch.manual_seed(5)
    weight, bias = torch.randn(3, 4), torch.randn(3)
    given = answer(weight.clone(), bias.clone(), 0.5)
    expect(isinstance(given, (tuple, list)) and len(given) == 2, "Return two things: weight, bias.")
    new, same = tensor(given[0], (3, 4)), tensor(given[1], (3,))
    expect(not torch.allclose(new, 2 * weight), "The other way round: torch's activations "
           "are twice as large, so its weights must be smaller.")
    expect(not torch.allclose(same, bias / 2), "The bias does not pass through the dropout.")
    expect(torch.allclose(new, weight / 2) and torch.allclose(same, bias),
           "For p = 0.5 the next layer's weights are halved and its biases stay.")
    new, same = map(tensor, answer(weight.clone(), bias.clone(), 0.2))
    expect(torch.allclose(new, 0.8 * weight), "For p = 0.2 torch divides by 0.8.")
    return "Weights that were trained in 2012's way work in a net of today."


class _Coins(nn.Dropout):
    """Dropout whose coins are tossed outside, for two nets alike."""

    def __init__(self, p: float):
        super().__init__(p)
        self.scale, self.mask = 1.0, None

    def forward(self, x):
        return x * self.mask * self.scale


def _twins(p: float):
    """A net of 2012, and the one of today that is the same function under every mask."""
    torch.manual_seed(6)
    old = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), _Coins(p), nn.Linear(12, 12), nn.ReLU(),
                        _Coins(p), nn.Linear(12, 3)).double()
    new = copy.deepcopy(old)
    for k in (2, 5):
        new[k].scale = 1 / (1 - p)
        new[k + 1].weight.data *= 1 - p
    return old, new


def _moves(nets, rules, p: float) -> list[tuple]:
    """One step of both: (layer, weight or bias, how far it moved, how far it should have)."""
    x, y = torch.randn(16, 5, dtype=torch.float64), torch.randint(3, (16,))
    for k in (2, 5):
        nets[0][k].mask = nets[1][k].mask = torch.empty(16, 12).bernoulli_(1 - p).double()
    before = copy.deepcopy(nets)
    for net, rule in zip(nets, rules, strict=True):
        rule.zero_grad()
        F.cross_entropy(net(x), y).backward()
        rule.step()
    found = []
    for k in (0, 3, 6):
        for kind in ("weight", "bias"):
            should, did = ((getattr(net[k], kind) - getattr(was[k], kind)).detach()
                           for net, was in zip(nets, before, strict=True))
            smaller = 1 - p if k and kind == "weight" else 1
            found.append((k, kind, did, should * smaller))
    return found


def _step_hint(k: int, kind: str, p: float, decay: float, times: float) -> str:
    if decay:
        return ("The biases of 2012 are not decayed." if kind == "bias" else
                f"Without decay the steps are right, with decay those of net[{k}].weight are not. "
                "The pull is rate times decay times weight: what has become of the rate?")
    told = (f"With p = {p:g} and no decay, net[{k}].{kind} goes {times:.3g} times as far as it "
            "should. ")
    if kind == "bias":
        return told + "A bias reads no unit: its gradient is that of 2012."
    if k == 0:
        return told + "The first layer reads the picture, of which nothing is dropped."
    return told + ("Its inputs are 1 / (1 - p) times those of 2012, and so is its gradient; it is "
                   "itself 1 - p times as large, and so should be its step.")


@exercise("08-6", "Take a weight behind dropout, in both nets: how many times as large as in 2012 "
                  "is it itself, its input, its gradient?")
def same_steps(answer):
    for p, decay in ((0.5, 0.0), (0.2, 0.0), (0.5, 0.2), (0.2, 0.2)):
        old, new = _twins(p)
        weights, biases = ([getattr(old[k], kind) for k in (0, 3, 6)]
                           for kind in ("weight", "bias"))
        theirs = torch.optim.SGD([{"params": weights, "weight_decay": decay}, {"params": biases}],
                                 lr=0.1, momentum=0.9)
        mine = answer(new, 0.1, decay, p)
        expect(isinstance(mine, torch.optim.Optimizer),
               "Return an optimizer: torch.optim.SGD(groups, lr=rate, momentum=0.9).")
        held = {id(q) for group in mine.param_groups for q in group["params"]}
        expect(all(id(q) in held for q in new.parameters()),
               "Some of the net's weights or biases are in none of the groups: they stand still.")
        for step in range(3):
            for k, kind, did, should in _moves((old, new), (theirs, mine), p):
                right = torch.allclose(did, should, rtol=1e-4, atol=1e-9)
                expect(right or not step, "The first step is that of 2012, the next one is not: "
                       "what is the momentum?")
                expect(right, _step_hint(k, kind, p, decay, float(did.norm() / should.norm())))
    return ("A quarter of the rate and four times the decay, for the weights behind dropout alone: "
            "so a recipe of 2012 can be followed with a layer of today.")
