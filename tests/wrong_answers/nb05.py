"""Common mistakes in the exercises of notebook 05."""

import torch.nn.functional as F
from torch import nn


def _sparse_then_smooth(x):
    return F.avg_pool2d(F.max_pool2d(x, 3, 2, padding=1), 3, 1, padding=1)


WRONG = {
    "05-1": [
        [1, 2, 3, 4, 5, 6, 7, 8, 9],  # the order of counting
        [1, 9, 2, 3, 8, 4, 5, 7, 6],  # the largest inside of a window
        [9, 1, 2, 3, 8, 4, 5, 6, 7],  # at the ends
        [1, 1, 9, 1, 1, 1, 9, 1, 1],  # not the numbers 1 to 9
    ],
    "05-2": [
        {"A": (3, 4), "B": (2, 3), "C": (5, 2)},  # z and s the wrong way round
        {"A": (4, 3), "B": (3, 3), "C": (5, 2)},  # the gap overlooked
        {"A": (4, 3), "B": (2, 3), "C": (3, 2)},  # the overlap counted too small
        {"A": (3, 3), "B": (2, 3), "C": (5, 2)},
        {"A": (4, 3), "B": (2, 3), "C": (9, 4)},  # numbers of the map
    ],
    "05-3": [
        {"change": 28.3, "no gradient": 0, "steadier": "maximum"},  # the maximum measured again
        {"change": 30.5, "no gradient": 0, "steadier": "mean"},  # by feeling
        {"change": 30.5, "no gradient": 79.7, "steadier": "maximum"},  # the maximum's share
        {"change": 56.2, "no gradient": 0, "steadier": "maximum"},  # a shift of two
        {"change": 35.2, "no gradient": 0, "steadier": "maximum"},  # windows of two
    ],
    "05-4": [
        5,  # ours
        9,  # with 1.96 for t
        10,  # one too few
        30,  # a guess
        (1.96 * 0.59 / 0.4) ** 2,  # no whole number
    ],
    "05-5": [
        nn.MaxPool2d(3, 2, ceil_mode=True),  # the paper's
        nn.AvgPool2d(3, 2),  # loses a lone pixel
        nn.MaxPool2d(5, 2),  # melts two lines
        nn.MaxPool2d(3, 1),  # not half the size
        lambda x: x[..., ::2, ::2],  # every second pixel
        lambda x: F.max_pool2d(F.avg_pool2d(x, 3, 1, padding=1), 3, 2),  # smoothed too early
        _sparse_then_smooth,  # smoothed too late
    ],
}
