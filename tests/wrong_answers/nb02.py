"""Common mistakes in the exercises of notebook 02."""

import math

from torch import nn


def _features(groups=(1, 2, 1, 2, 2), kernel=3, maps=96, last_relu=True):
    layers = [
        nn.Conv2d(3, maps, 11, stride=4, groups=groups[0]), nn.ReLU(), nn.MaxPool2d(kernel, 2),
        nn.Conv2d(maps, 256, 5, padding=2, groups=groups[1]), nn.ReLU(), nn.MaxPool2d(kernel, 2),
        nn.Conv2d(256, 384, 3, padding=1, groups=groups[2]), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=groups[3]), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=groups[4]),
        *([nn.ReLU()] if last_relu else []), nn.MaxPool2d(kernel, 2)]
    return nn.Sequential(*layers)


def _moved(order):
    """The right layers, in another order."""
    layers = list(_features())
    return nn.Sequential(*[layers[i] for i in order])


WRONG = {
    "02-1": [
        lambda n, k, s, p=0: (n + 2 * p - k) // s + 1,  # rounded down
        lambda n, k, s, p=0: math.ceil((n + 2 * p - k) / s),  # the first place forgotten
        lambda n, k, s, p=0: math.ceil((n + p - k) / s) + 1,  # padding at one end only
        lambda n, k, s, p=0: (n + 2 * p - k) / s + 1,  # not rounded
    ],
    "02-2": [
        lambda i, o, k, c=1: o * k * k * i // c,  # no biases
        lambda i, o, k, c=1: o * (k * k * i + 1),  # columns ignored
        lambda i, o, k, c=1: o * (k * k * i + 1) // c,  # biases halved, too
        lambda i, o, k, c=1: o * (k * k * (i // c)) + 1,  # a single bias
    ],
    "02-3": [(2, 1), (2, 0), (1, 1), 1],
    "02-4": [
        _features(groups=(1, 1, 1, 1, 1)),  # one column
        _features(groups=(1, 2, 2, 2, 2)),  # conv3 hears one column only
        _features(kernel=2),  # pooling does not overlap
        _features(maps=64),  # torchvision's conv1
        _features(last_relu=False),
        _moved([0, 1, 2, 3, 4, 6, 7, 5, 8, 9, 10, 11, 12]),  # pool2 behind conv3
        _moved([0, 1, 3, 4, 2, 5, 6, 7, 8, 9, 10, 11, 12]),  # pool1 behind conv2
        _moved([0, 2, 3, 5, 6, 8, 10, 1, 4, 7, 9, 11, 12]),  # all ReLUs at the end
    ],
}
