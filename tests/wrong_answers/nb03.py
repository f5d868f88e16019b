"""Common mistakes in the exercises of notebook 03."""

import math

import torch
from torch import nn


def _net(first, hidden_bias, second, bias, activation=nn.ReLU):
    net = nn.Sequential(nn.Linear(2, 2), activation(), nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(first))
        net[0].bias.copy_(torch.tensor(hidden_bias))
        net[2].weight.copy_(torch.tensor([second]))
        net[2].bias.fill_(bias)
    return net


WRONG = {
    "03-1": [
        lambda xs: math.prod(math.tanh(x) for x in xs),  # the value, not the slope
        lambda xs: sum(1 - math.tanh(x) ** 2 for x in xs),  # added up
        lambda xs: math.prod(1 - math.tanh(x) for x in xs),  # not squared
        lambda xs: (1 - math.tanh(xs[0]) ** 2) ** len(xs),  # all like the first
        lambda xs: min(1 - math.tanh(x) ** 2 for x in xs),  # the worst alone
    ],
    "03-2": [
        lambda w1, b1, w2, b2: (w2 @ w1, b2),  # the first biases forgotten
        lambda w1, b1, w2, b2: (w1.T @ w2.T, w2 @ b1 + b2),  # the other way round
        lambda w1, b1, w2, b2: (w2 @ w1, b1.sum() + b2),  # biases not weighted
        lambda w1, b1, w2, b2: w2 @ w1,  # the biases left out
    ],
    "03-3": [
        lambda relu, tanh: tanh[min(relu, key=relu.get)] / min(relu.values()),  # at ReLU's rate
        lambda relu, tanh: min(relu.values()) / min(tanh.values()),  # upside down
        lambda relu, tanh: tanh[min(tanh)] / relu[min(relu)],  # at the lowest rate
        lambda relu, tanh: max(tanh[r] / relu[r] for r in relu),  # the most flattering rate
    ],
    "03-4": [
        lambda maps: (maps == 0).sum(),  # zeros, not units
        lambda maps: (maps.amax((0, 2, 3)) > 0).sum(),  # the living
        lambda maps: (maps.amax((2, 3)) == 0).sum(),  # for each image anew
        lambda maps: (maps.amin((0, 2, 3)) == 0).sum(),  # silent once is not dead
        lambda maps: (maps[0].amax((1, 2)) == 0).sum(),  # the first image only
    ],
    "03-5": [
        _net([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0], [1.0, -1.0], 0.0),  # a - b
        _net([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], [1.0, 1.0], 0.0),  # a + b
        _net([[1.0, 1.0], [1.0, 1.0]], [0.0, 0.0], [1.0, -1.0], 0.0),  # always 0
        _net([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0], [1.0, 1.0], 0.0, nn.Tanh),
    ],
}
