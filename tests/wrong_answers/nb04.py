"""Common mistakes in the exercises of notebook 04."""

import torch
import torch.nn.functional as F


def _normalize(a, i, n=5, alpha=1e-4, beta=0.75, k=2.0, window=None):
    total = sum(v * v for v in (window or _clipped)(a, i, n))
    return a[i] / (k + alpha * total) ** beta


def _clipped(a, i, n):
    return a[max(0, i - n // 2):i + n // 2 + 1]


def _lrn(x, columns=2, alpha=1e-4, before=2, after=2, root=0.75):
    maps = x.reshape(len(x) * columns, -1, *x.shape[2:])
    squares = F.pad(maps ** 2, (0, 0, 0, 0, before, after))
    window = sum(squares[:, j:j + maps.shape[1]] for j in range(before + after + 1))
    return (maps / (2 + alpha * window) ** root).reshape(x.shape)


WRONG = {
    "04-1": [
        lambda a, i, n=5: _normalize(a, i, alpha=1e-4 / n),  # divided by n
        # its own square left out
        lambda a, i, n=5: a[i] / (2 + 1e-4 * (sum(v * v for v in _clipped(a, i, n))
                                              - a[i] ** 2)) ** 0.75,
        # goes round at the start
        lambda a, i, n=5: _normalize(a, i, window=lambda a, i, n: [
            a[j] for j in range(i - n // 2, min(len(a), i + n // 2 + 1))]),
        # the last neighbor forgotten
        lambda a, i, n=5: _normalize(a, i, window=lambda a, i, n: a[max(0, i - 2):i + 2]),
        lambda a, i, n=5: _normalize(a, i),  # n without effect
        lambda a, i, n=5: a[i] / (2 + 1e-4 * sum(_clipped(a, i, n))) ** 0.75,  # not squared
    ],
    "04-2": [
        lambda alpha, n, s: alpha,  # not divided by n
        lambda alpha, n, s: alpha / n * s ** 2,  # the wrong way round
        lambda alpha, n, s: alpha * n * s,  # not squared
        lambda alpha, n, s: alpha * n / s ** 2,  # smaller inputs, smaller alpha
        lambda alpha, n, s: alpha * 5 * s ** 2,  # only for n = 5
    ],
    "04-3": [
        lambda x: _lrn(x, columns=1),  # one column
        lambda x: _lrn(x, alpha=2e-5),  # the source's strength
        lambda x: _lrn(x, before=4, after=0),  # only those before
        lambda x: _lrn(x, before=1, after=1),  # three maps
        lambda x: _lrn(x, root=0.5),
        lambda x: torch.cat([_lrn(x[:, ::2], 1), _lrn(x[:, 1::2], 1)], 1),  # every other map
        lambda x: _lrn(x)[0],
    ],
    "04-4": [
        lambda y, s: y * (1.25 - 0.25 * s * y ** 4),  # the step of the fourth root
        lambda y, s: y * (0.5 + 0.5 * s * y * y),  # the wrong sign
        lambda y, s: 0.5 * (y + s / y),  # the step of the root itself
        lambda y, s: y * (1.5 - s * y * y),  # a half forgotten
    ],
}
