"""Common mistakes in the exercises of notebook 05."""

import math

import torch.nn.functional as F
from torch import nn


def _starts(row, z, s):
    return range(0, max(1, math.ceil((len(row) - z) / s) + 1) * s, s)


def _backward(row, z, s, grads, put, rank=lambda part: part.index(max(part))):
    out = [0.0] * len(row)
    for start, grad in zip(_starts(row, z, s), grads):  # noqa: B905
        part = row[start:start + z]
        put(out, start + rank(part), grad)
    return out


def _add(out, place, grad):
    out[place] += grad


def _set(out, place, grad):
    out[place] = grad


def _spread(row, z, s, grads):
    out = [0.0] * len(row)
    for start, grad in zip(_starts(row, z, s), grads):  # noqa: B905
        for i in range(start, min(start + z, len(row))):
            out[i] += grad / z
    return out


def _last(part):
    return len(part) - 1 - part[::-1].index(max(part))


def _pool(x, border, size=3):
    x = F.pad(x, (0, 1 - x.shape[3] % 2, 0, 1 - x.shape[2] % 2), value=border)
    return nn.MaxPool2d(size, 2)(x)


WRONG = {
    "05-1": [
        # rounded down
        lambda row, z, s: [max(row[i:i + z]) for i in range(0, len(row) - z + 1, s)],
        # zeros at the end
        lambda row, z, s: [max((row + [0.0] * z)[i:i + z]) for i in _starts(row, z, s)],
        lambda row, z, s: [max(row[i:i + s]) for i in _starts(row, z, s)],  # windows of s
        lambda row, z, s: [max(row[i:i + z]) for i in range(0, len(row), s)],  # one too many
        lambda row, z, s: [sum(row[i:i + z]) / z for i in _starts(row, z, s)],  # the mean
        lambda row, z, s: max(row),
    ],
    "05-2": [
        lambda row, z, s, g: _backward(row, z, s, g, _set),  # overwritten
        _spread,  # shared among all
        lambda row, z, s, g: _backward(row, z, s, g, _add, _last),  # the last of equals
        lambda row, z, s, g: _backward(row, z, z, g, _add),  # the stride forgotten
        # what hangs over, left out
        lambda row, z, s, g: _backward(row, z, s, g[:(len(row) - z) // s + 1], _add),
        lambda row, z, s, g: list(g),
    ],
    "05-3": [
        lambda x: nn.MaxPool2d(3, 2)(x),  # rounded down
        lambda x: _pool(x, 0.0),  # zeros win
        lambda x: nn.MaxPool2d(2, 2, ceil_mode=True)(x),  # no overlap
        lambda x: nn.MaxPool2d(3, 2, padding=1)(x),  # widened at all four sides
        lambda x: nn.AvgPool2d(3, 2, ceil_mode=True)(x),  # the mean
        lambda x: x[..., 2::2, 2::2],  # one copy of nine
    ],
}
