"""Common mistakes in the exercises of notebook 02."""

from torch import nn


def _features(groups=(1, 2, 1, 2, 2), kernel=3, channels=96, last_relu=True, padding=0,
              ceil=False):
    def pool():
        return nn.MaxPool2d(kernel, 2, ceil_mode=ceil)
    layers = [
        nn.Conv2d(3, channels, 11, stride=4, padding=padding, groups=groups[0]), nn.ReLU(), pool(),
        nn.Conv2d(channels, 256, 5, padding=2, groups=groups[1]), nn.ReLU(), pool(),
        nn.Conv2d(256, 384, 3, padding=1, groups=groups[2]), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=groups[3]), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=groups[4]),
        *([nn.ReLU()] if last_relu else []), pool()]
    return nn.Sequential(*layers)


def _moved(order):
    """The right layers, in another order."""
    layers = list(_features())
    return nn.Sequential(*[layers[i] for i in order])


GROWTH = {"conv parameters": 1, "conv work": 4.2, "fc6 parameters": 4.69}
WHO = {"A": "AlexNet", "B": "VGG-16", "C": "ResNet-18"}
TWO, ONE = ["conv3", "conv4"], ["conv3", "conv4", "conv5"]

WRONG = {
    "02-1": [
        [55, 27, 27, 13, 13, 13, 13, 6],  # the rule of 2012
        [54, 27, 27, 13, 13, 13, 13, 6],  # poolings rounded up
        [54, 26, 22, 10, 8, 6, 4, 1],  # padding forgotten
        [53, 25, 25, 11, 11, 11, 11, 4],  # the first position forgotten
    ],
    "02-2": [
        {"two columns": [], "one column": []},  # the paper is believed
        {"two columns": TWO, "one column": TWO},  # the columns ignored
        {"two columns": ["conv3"], "one column": ONE},
        {"two columns": TWO, "one column": [*ONE, "conv2"]},  # 614,656 of the smaller total
        {"two columns": ["conv3", "conv4", "fc6", "fc7", "fc8"], "one column": ONE},
    ],
    "02-3": [
        (GROWTH | {"conv work": 2}, 1_052_672),  # twice as wide, and that is all
        (GROWTH | {"conv parameters": 4}, 1_052_672),
        (GROWTH | {"fc6 parameters": 4}, 1_052_672),  # what a guess gives
        (GROWTH, 1_048_576),  # no biases
        (GROWTH, 37_752_832),  # as before
    ],
    "02-4": [
        ({"A": "VGG-16", "B": "AlexNet", "C": "ResNet-18"}, "A"),
        ({"A": "AlexNet", "B": "ResNet-18", "C": "VGG-16"}, "A"),
        (WHO, "B"),  # the tallest bar
        (WHO, "C"),
    ],
    "02-5": [
        (_features(groups=(1, 1, 1, 1, 1)), 5),  # one column
        (_features(groups=(1, 2, 2, 2, 2)), 5),  # conv3 sees one column only
        (_features(kernel=2), 5),  # pooling does not overlap
        (_features(channels=64), 5),  # torchvision's conv1
        (_features(last_relu=False), 5),
        (_features(padding=2, ceil=True), 5),  # rounds up
        (_moved([0, 1, 3, 4, 2, 5, 6, 7, 8, 9, 10, 11, 12]), 5),  # pool1 behind conv2
        (_moved([0, 2, 3, 5, 6, 8, 10, 1, 4, 7, 9, 11, 12]), 5),  # all ReLUs at the end
        (_features(), 1),  # conv1 alone
        (_features(), 0),
        (_features(), 3),  # what the rule of 2012 adds
    ],
}
