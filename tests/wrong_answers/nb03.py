"""Common mistakes in the exercises of notebook 03."""

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
        0.881,  # half at a single unit
        0.067,  # tanh squared, not x
        0.3,  # not small enough
        2.0,  # a guess
        -0.265,  # the other side
    ],
    "03-2": [
        {"A": "too small", "B": "too large", "C": "right"},  # taken for each other
        {"A": "right", "B": "too small", "C": "too large"},  # the steepest is no fault
        {"A": "too large", "B": "too large", "C": "right"},
    ],
    "03-3": [
        lambda x: 2 * x,  # a straight line
        torch.relu,  # dies
        torch.tanh,  # saturates
        nn.functional.gelu,  # flat far to the left
        torch.exp,  # too large to the right
        lambda x: x**2,  # flat in the middle
        lambda x: torch.where(x > 0, x, -0.1 * x),  # turns round at zero
        lambda x: torch.where(x > 0, -x, -0.1 * x),  # falls everywhere
    ],
    "03-4": [
        ({"pixels": 330, "initialization": 400}, "pixels"),  # one of them is not enough
        ({"pixels": 330, "initialization": 400}, "initialization"),
        ({"pixels": 76, "initialization": 400}, "both"),  # that is the run with both
    ],
    "03-5": [
        _net([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0], [1.0, -1.0], 0.0),  # a - b
        _net([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0], [1.0, 1.0], 0.0),  # a + b
        _net([[1.0, 1.0], [1.0, 1.0]], [0.0, 0.0], [1.0, -1.0], 0.0),  # always 0
        _net([[1.0, -1.0], [-1.0, 1.0]], [0.0, 0.0], [1.0, 1.0], 0.0, nn.Tanh),
    ],
}
