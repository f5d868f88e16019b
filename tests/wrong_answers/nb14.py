"""Common mistakes in the exercises of notebook 14."""

import numpy as np

from alexnet_lib.course.exercises import nb14

LAYERS = ("pool1", "pool2", "act4", "pool3")


def _errors(*values):
    return dict(zip(LAYERS, values, strict=True))


def _changed(by, dtype=np.uint8):
    """The cat, changed by so much at every place, but not on purpose."""
    _, cat = nb14._cat()
    noise = np.random.default_rng(0).integers(0, 2, cat.shape) * 2 * by - by
    return (cat.astype(int) + noise).clip(0, 255).astype(dtype)


def _every_fifth(groups, share, seed):
    return [i % 5 == 0 for i in range(len(groups))]


def _whole_groups(groups, share, seed, count=None, repeat=True):
    names = sorted(set(groups))
    order = np.random.default_rng(seed if repeat else None).permutation(names)
    held = set(order[:count or int(share * len(names))].tolist())
    return [name in held for name in groups]


WRONG = {
    "14-1": [
        (0.103, 178),  # a fraction
        (10.3, 711),  # for 1.5 points
        (10.3, 44),  # for six
        (20.0, 178),  # the error itself
        (10.3, 15),
    ],
    "14-2": [
        (10, 5000),  # not a factor of the error
        (0.1, 5000),  # ten times as many are not a tenth of the error
        (0.95, 5000),  # hardly anything
        (0.7, 400),  # fewer than are there
    ],
    "14-3": [
        (_errors(0.6, 0.5, 0.4, 0.3), "pool3"),  # fractions
        (_errors(0, 0, 0, 0), "pool1"),  # on the pictures of the training
        (_errors(60, 40, 35, 30), "pool1"),  # not the lowest
        (_errors(90, 90, 90, 90), "pool3"),  # features of two different layers
        (_errors(30, 30, 30, 30), "pool3"),  # not cut off
    ],
    "14-4": [
        _every_fifth,  # bursts torn apart
        lambda groups, share, seed: np.random.default_rng(seed).random(len(groups)) < share,
        lambda groups, share, seed: _whole_groups(groups, share, 0, 16),  # too many
        lambda groups, share, seed: _whole_groups(groups, share, seed, 3),  # too few
        lambda groups, share, seed: [name in ("burst 1", "burst 2") for name in groups],
    ],
    "14-5": [
        _changed(0),  # untouched
        _changed(6),  # noise
        _changed(6, np.float32),  # not whole numbers
        _changed(40),  # too far away
        np.zeros((227, 227, 3), np.uint8),
    ],
}
