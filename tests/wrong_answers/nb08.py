"""Common mistakes in the exercises of notebook 08."""

import torch
from torch import nn


def _sums(test, training, today):
    return {"2012_test": test, "today_training": training, "today_test": today}


def _letters(*kinds):
    return dict(zip("ABCD", kinds, strict=True))


def _errors(few, few_dropout, many, many_dropout):
    return {(100, 0.0): few, (100, 0.5): few_dropout, (1000, 0.0): many, (1000, 0.5): many_dropout}


def _asked(logits=False, off=False, all_on=False, left_on=False, variance=False, which=nn.Dropout):
    """Monte Carlo dropout with a slip (08-4)."""
    @torch.no_grad()
    def ask(net, x, times):
        net.eval()
        for part in net.modules():
            if all_on or (isinstance(part, which) and not off):
                part.training = True
        said = torch.stack([net(x) if logits else net(x).softmax(1) for _ in range(times)])
        if not left_on:
            net.eval()
        return said.mean(0), said.var(0) if variance else said.std(0)
    return ask


def _steps(behind=lambda p: (1 - p) ** 2, decayed=lambda p: (1 - p) ** -2, reads=(3, 6),
           biases=False, pulled=False, momentum=0.9):
    """An optimizer: factors of rate and decay for the weights of the layers `reads` (08-5)."""
    def make(net, rate, decay, p):
        groups = []
        for k in (0, 3, 6):
            r, d = (behind(p), decayed(p)) if k in reads else (1, 1)
            groups += [{"params": [net[k].weight], "lr": rate * r, "weight_decay": decay * d},
                       {"params": [net[k].bias], "lr": rate * (r if biases else 1),
                        "weight_decay": decay * pulled}]
        return torch.optim.SGD(groups, lr=rate, momentum=momentum)
    return make


def _all_alike(net, rate, decay, p):
    kept = (1 - p) ** 2
    return torch.optim.SGD(net.parameters(), rate * kept, 0.9, weight_decay=decay / kept)


WRONG = {
    "08-1": [
        _sums(10, 12.5, 20),  # halved, whatever p
        _sums(4, 12.5, 20),  # p taken for the probability of staying
        _sums(20, 12.5, 20),  # nothing at test time
        _sums(16, 10, 20),  # no rescaling
        _sums(16, 8, 20),  # times 1 - p
        _sums(16, 50, 20),  # divided by p
        _sums(16, 12.5, 16),  # scaled twice
    ],
    "08-2": [
        _letters("p = 0", "p = 0.5", "p = 0.9", "p = 0.5, no eval()"),
        _letters("p = 0.5", "p = 0", "p = 0.5, no eval()", "p = 0.9"),  # the smooth ones swapped
        _letters("p = 0.9", "p = 0.5, no eval()", "p = 0", "p = 0.5"),  # noise for overfitting
        _letters("p = 0.9", "p = 0.5", "p = 0.5, no eval()", "p = 0"),
    ],
    "08-3": [
        (_errors(16.3, 7.2, 7.2, 3.2), "more"),
        (_errors(16.3, 7.2, 7.2, 3.2), "the same"),
        (_errors(0.163, 0.072, 0.05, 0.03), "less"),  # fractions
        (_errors(7.2, 16.3, 3.2, 7.2), "less"),  # with and without swapped
        (_errors(16.3, 7.2, 20.0, 3.2), "less"),
    ],
    "08-4": [
        _asked(logits=True),  # no softmax
        _asked(off=True),  # the masks are off
        _asked(all_on=True),  # batch normalization in training mode, too
        _asked(left_on=True),
        _asked(variance=True),
        lambda net, x, times: net(x).softmax(1),  # one answer
    ],
    "08-5": [
        _steps(lambda p: 1, lambda p: 1),  # nothing changed
        _steps(lambda p: 1 - p),  # the larger gradient, not the smaller weight
        _steps(lambda p: (1 - p) ** -2),  # the other way round
        _steps(lambda p: 0.25, lambda p: 4),  # whatever p
        _steps(lambda p: p ** 2, lambda p: p ** -2),  # p for 1 - p
        _steps(decayed=lambda p: 1),  # the decay as it was
        _steps(decayed=lambda p: (1 - p) ** 2),  # the decay lowered, too
        _steps(reads=(0, 3, 6)),  # the first layer, too
        _steps(reads=(6,)),  # only the last
        _steps(biases=True),  # the biases' rate, too
        _steps(pulled=True),  # biases decayed
        _steps(momentum=0),
        _all_alike,
        lambda net, rate, decay, p: (rate * (1 - p) ** 2, decay / (1 - p) ** 2),  # no optimizer
        lambda net, rate, decay, p: torch.optim.SGD([net[3].weight, net[6].weight], rate / 4, 0.9),
    ],
}
