"""Exercises of notebook 08, dropout."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, filled, number, tensor


@exercise("08-1", "Which of the two ways rescales the outputs in training, which at test time, "
                  "and by what factor?")
def three_sums(answer):
    names = ("2012_test", "today_training", "today_test")
    test, training, today = (number(filled(answer, names)[name]) for name in names)
    expect(test != 10, "You halved. Here p is 0.2, not 0.5.")
    expect(test != 4, "p is the probability of being dropped; the rest stays.")
    expect(test != 20, "The 2012 way also does something at test time.")
    expect(abs(test - 16) < 1e-3, "2012_test: sum up without a mask, then scale.")
    expect(training != 10, "nn.Dropout also rescales what is left.")
    expect(training != 8, "nn.Dropout makes what is left larger, not smaller.")
    expect(training != 50, "Divide by the probability of staying, not of being dropped.")
    expect(abs(training - 12.5) < 1e-3, "today_training: only one unit is left, and it is scaled.")
    expect(abs(today - 20) < 1e-3, "What does nn.Dropout do at test time?")
    return "16, 12.5, and 20. With p = 0.2 the two ways differ by a factor of 1.25, not 2."


@exercise("08-2", "Dropout smooths, more of it smooths more, and a mask that is still on at test "
                  "time leaves noise.")
def whose_border(answer):
    answer = filled(answer, "ABCD", ("p = 0", "p = 0.5", "p = 0.9", "p = 0.5, no eval()"))
    expect(len(set(answer.values())) == 4, "Use each of the four names once.")
    expect(answer["C"] == "p = 0.5, no eval()", "One map looks like sand. Each of its pixels was "
           "answered by another thinned network.")
    expect(answer["B"] == "p = 0", "One border goes out of its way for single points. Which one?")
    expect((answer["A"], answer["D"]) == ("p = 0.9", "p = 0.5"),
           "Of the two smooth ones, which is paler, because hardly any units are left to be sure?")
    return ("When a network's answers change from call to call, look for a missing eval(). It's "
            "the most common bug with dropout.")


@exercise("08-3", "new_error(learn_crescents(p, count=1000)) gives one of the four numbers.")
def more_data(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (errors, conclusion).")
    errors, why = answer
    wanted = ((100, 0.0), (100, 0.5), (1000, 0.0), (1000, 0.5))
    found = {key: number(filled(errors, wanted)[key]) for key in wanted}
    expect(all(1 <= value <= 50 for value in found.values()), "Give the errors in percent.")
    few, many = (found[count, 0.0] - found[count, 0.5] for count in (100, 1000))
    expect(few > 3, "With 100 points, dropout gained several points of error in the text above.")
    expect(many < few, "With 1000 points, dropout gained more than with 100? Check p and count.")
    expect(why in ("more", "the same", "less"), 'Answer "more", "the same" or "less".')
    expect(why == "less", f"Dropout gained {few:.1f} points with 100 and {many:.1f} with 1000. So?")
    return ("Less. Data is the better regularizer: with ten times the points, memorizing the wrong "
            "ones hardly bends the border.")


class _Norm(nn.Sequential):
    """A network with dropout and batch normalization: only the first may go to training mode."""

    def __init__(self, p: float):
        super().__init__(nn.Linear(4, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(p),
                         nn.Linear(32, 3))


@exercise("08-4", "Put the network in eval mode, then each nn.Dropout in net.modules() in training "
                  "mode; call it `times` times; stack; mean and std; eval() again.")
def monte_carlo(answer):
    torch.manual_seed(3)
    net, x = _Norm(0.5).eval(), torch.randn(6, 4)
    net[1].running_mean += 0.3
    before, state = copy.deepcopy(net), copy.deepcopy(net.state_dict())
    given = answer(net, x, 2000)
    expect(isinstance(given, (tuple, list)) and len(given) == 2, "Return two things: mean, spread.")
    mean, spread = (tensor(one, (6, 3)).detach() for one in given)
    expect(torch.allclose(mean.sum(1), torch.ones(6), atol=1e-3),
           "The mean of probabilities sums to 1 in each row: softmax first, then average.")
    expect(all(torch.equal(state[key], value) for key, value in net.state_dict().items()),
           "Your call changed the network's running statistics: only the dropout layers belong in "
           "training mode.")
    expect(not any(part.training for part in net.modules()), "Leave the network in eval mode.")
    with torch.no_grad():
        whole = before(x).softmax(1)
        before[3].train()
        asked = torch.stack([before(x).softmax(1) for _ in range(2000)])
    expect(float(spread.max()) > 0, "All answers were the same: are the masks on?")
    expect(not torch.allclose(mean, whole, atol=1e-6), "That's the whole network, without masks.")
    expect(torch.allclose(mean, asked.mean(0), atol=0.03),
           "The mean isn't that of the thinned networks.")
    expect(torch.allclose(spread, asked.std(0), atol=0.03),
           "The spread is the standard deviation over the calls, for each image and class.")
    return "That's Monte Carlo dropout. A large spread says: don't trust this answer too much."


class _Coins(nn.Dropout):
    """Dropout whose masks are drawn outside, so that two networks can share them."""

    def __init__(self, p: float):
        super().__init__(p)
        self.scale, self.mask = 1.0, None

    def forward(self, x):
        return x * self.mask * self.scale


def _twins(p: float):
    """A network of 2012, and today's network that is the same function under every mask."""
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
        return ("The biases of 2012 have no weight decay." if kind == "bias" else
                f"Without weight decay your steps are right; with it, net[{k}].weight moves "
                "wrongly. Decay pulls by rate times decay times weight: what happened to the rate?")
    hint = (f"With p = {p:g} and no decay, net[{k}].{kind} goes {times:.3g} times as far as it "
            "should. ")
    if kind == "bias":
        return hint + "A bias reads no unit, so its gradient is the same as in 2012."
    if k == 0:
        return hint + "The first layer reads the picture, and none of that is dropped."
    return hint + ("Its inputs are 1 / (1 - p) times those of 2012, and so is its gradient. The "
                   "weight is 1 - p times as large, and its step should be, too.")


@exercise("08-5", "Follow one weight that reads dropped units, in both networks: how many times "
                  "as large as in 2012 are its value, its input, and its gradient?")
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
               "Some weights or biases are in none of your groups, so they never move.")
        for step in range(3):
            for k, kind, did, should in _moves((old, new), (theirs, mine), p):
                right = torch.allclose(did, should, rtol=1e-4, atol=1e-9)
                expect(right or not step, "Your first step is right, the next one isn't: what "
                       "is the momentum?")
                expect(right, _step_hint(k, kind, p, decay, float(did.norm() / should.norm())))
    return ("A quarter of the rate and four times the decay, only for weights that read dropped "
            "units. Now you can follow a 2012 recipe with today's layer.")
