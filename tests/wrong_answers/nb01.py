"""Common mistakes in the exercises of notebook 01."""

import numpy as np


def _among(scores, labels, k, order):
    return np.mean([label in row for row, label in zip(order(scores)[:, :k], labels, strict=True)])


def _pca(pixels, center=True, mean=True, order=slice(None, None, -1), rows=False, root=False):
    x = pixels - pixels.mean(0) if center else pixels
    values, vectors = np.linalg.eigh(x.T @ x / (len(x) if mean else 1))
    values, vectors = values[order], vectors[:, order]
    return np.sqrt(values) if root else values, vectors.T if rows else vectors


WRONG = {
    "01-1": [
        lambda w, h: 1 - min(w, h) / max(w, h),  # what is lost
        lambda w, h: h / w,  # for wide pictures only
        lambda w, h: 256 * 256 / (w * h),  # pixels before and after scaling
        lambda w, h: (min(w, h) / max(w, h)) ** 2,  # both sides shortened
    ],
    "01-2": [
        lambda n, s, b: n * s * s * b / 1e9,  # three colors forgotten
        lambda n, s, b: n * s * s * 3 * b / 2**30,  # gibibytes
        lambda n, s, b: n * s * s * 3 / 1e9,  # bytes per value ignored
        lambda n, s, b: n * s * 3 * b / 1e9,  # one side only
        lambda n, s, b: n * s * s * 3 * b / 8e9,  # bits taken for bytes
    ],
    "01-3": [
        lambda s, y, k: _among(s, y, k, lambda s: (-s).argsort(1)),  # accuracy, not error
        lambda s, y, k: 1 - _among(s, y, k, lambda s: s.argsort(1)),  # the worst k
        lambda s, y, k: float((s.argmax(1) != y).mean()),  # k ignored
        lambda s, y, k: 100 * (1 - _among(s, y, k, lambda s: (-s).argsort(1))),  # per cent
        lambda s, y, k: 1 - _among(s, y, k, lambda s: (-np.abs(s)).argsort(1)),  # by size
        lambda s, y, k: 1 - _among(s, y, k + (k > 1), lambda s: (-s).argsort(1)),  # one too many
    ],
    "01-4": [
        lambda p: _pca(p, center=False),  # mean not removed
        lambda p: _pca(p, mean=False),  # sum instead of mean
        lambda p: _pca(p, order=slice(None)),  # smallest first
        lambda p: _pca(p, rows=True),  # vectors in rows
        lambda p: _pca(p, root=True),  # standard deviations
    ],
}
