"""Common mistakes in the exercises of notebook 11."""

import math

import torch
import torch.nn.functional as F


def _right(probs, labels):
    return probs.gather(1, labels[:, None])


def _top(probs, labels, k):
    return (probs.topk(min(k, probs.shape[1])).indices == labels[:, None]).any(1).float()


def _counts(matrix, k):
    return matrix[k][k], sum(row[k] for row in matrix), sum(matrix[k])


def _measures(matrix, k, mean=lambda p, r: 2 * p * r / (p + r) if p + r else 0.0, swap=False,
              none=0.0):
    found, named, there = _counts(matrix, k)
    p, r = found / named if named else none, found / there
    return (r, p, mean(p, r)) if swap else (p, r, mean(p, r))


def _bins(sure, right, bins):
    for k in range(bins):
        inside = [i for i, s in enumerate(sure) if math.ceil(s * bins) - 1 == k]
        if inside:
            n = len(inside)
            yield n, sum(sure[i] for i in inside) / n - sum(right[i] for i in inside) / n


def _unpaired(a, b, n, both=100):
    p, q = (a + both) / n, (b + both) / n
    return (a - b) / n, math.sqrt((p * (1 - p) + q * (1 - q)) / n)


def _mended(low=0.005, high=200.0, count=300, loss=lambda z, y: F.cross_entropy(z, y),
            first=1, use=lambda new, t: (new / t).softmax(1), log=True):
    """What 11-6 asks for, with a mistake."""
    def mend(logits, labels, new):
        tried = (torch.logspace(math.log10(low), math.log10(high), count) if log else
                 torch.linspace(low, high, count)).tolist()
        part = slice(0, len(logits) // first)
        return use(new, min(tried, key=lambda t: float(loss(logits[part] / t, labels[part]))))
    return mend


WRONG = {
    "11-1": [
        lambda p, d: p * (1 - p) / d ** 2,  # one standard error
        lambda p, d: 4 * p * (1 - p) / d,  # the square forgotten
        lambda p, d: 4 * p / d ** 2,
        lambda p, d: 2 * p * (1 - p) / d ** 2,
        lambda p, d: 1 / d ** 2,  # as for p = 1/2
    ],
    "11-2": [
        lambda matrix, k: _measures(matrix, k, swap=True),  # exchanged
        lambda matrix, k: _measures(matrix, k, lambda p, r: (p + r) / 2),  # plain mean
        lambda matrix, k: _measures(matrix, k, lambda p, r: p * r / (p + r) if p + r else 0.0),
        lambda matrix, k: _measures(matrix, k, none=math.nan),  # 0 of 0
        lambda matrix, k: (matrix[k][k] / _counts(matrix, k)[1],) * 3,
        lambda matrix, k: _measures(matrix, k)[2],  # F1 alone
        lambda matrix, k: (_counts(matrix, k)[0] / _counts(matrix, k)[1],
                           _counts(matrix, k)[0] / _counts(matrix, k)[2], 6 / 11),  # 0 by 0
    ],
    "11-3": [
        lambda a, b, n: ((b - a) / n, math.sqrt(a + b) / n),  # the sign
        lambda a, b, n: ((a - b) / n, math.sqrt(a + b) / (a + b)),  # divided by the wrong number
        _unpaired,
        lambda a, b, n: (a - b, math.sqrt(a + b)),  # counts
        lambda a, b, n: ((a - b) / n, math.sqrt(a + b) / 2 / n),  # of one count
        lambda a, b, n: (a - b) / n,
    ],
    "11-4": [
        lambda probs, labels, k: _top(probs, labels, k).mean(),  # the right ones
        lambda probs, labels, k: 1 - _top(probs, labels, k).mean(),  # ties by the order of classes
        lambda probs, labels, k: ((probs > _right(probs, labels)).sum(1) >= k).float().mean(),
        lambda probs, labels, k: ((probs >= _right(probs, labels)).sum(1) >= k).float().mean(),
        lambda probs, labels, k: ((probs >= _right(probs, labels)).sum(1) > k).sum(),  # no share
        lambda probs, labels, k: ((probs >= _right(probs, labels)).sum(1) > k).float().mean(),
        lambda probs, labels, k: (probs.argmax(1) != labels).float().mean(),  # k forgotten
    ],
    "11-5": [
        lambda sure, right, bins: (lambda g: sum(abs(d) for _, d in g) / len(g))(
            list(_bins(sure, right, bins))),  # bins not weighted
        lambda sure, right, bins: sum(n * d for n, d in _bins(sure, right, bins)) / len(sure),
        lambda sure, right, bins: max(abs(d) for _, d in _bins(sure, right, bins)),
        lambda sure, right, bins: sum(n * abs(d) for n, d in _bins(sure, right, bins)),
        lambda sure, right, bins: abs(sum(sure) - sum(right)) / len(sure),  # without bins
        lambda sure, right, bins: sum(
            abs(sum(s - r for s, r in zip(sure, right) if int(s * bins) == b))  # noqa: B905
            for b in range(bins)) / len(sure),  # 100 % lies in no bin
        lambda sure, right, bins: sum(abs(s - r) for s, r in zip(sure, right)) / len(sure),  # noqa: B905
    ],
    "11-6": [
        lambda logits, labels, new: new.softmax(1),  # nothing mended
        _mended(1.0, 10.0, 500),  # a net may be not sure enough, too
        _mended(0.4, 3.0, 130),  # the range of the notebook
        _mended(count=20),  # too coarse
        _mended(0.01, 100.0, 600, log=False),  # in equal steps: too coarse below
        _mended(use=lambda new, t: (new * t).softmax(1)),  # multiplied
        _mended(use=lambda new, t: new / t),  # no probabilities
        _mended(use=lambda new, t: t),  # the temperature itself
        _mended(loss=lambda z, y: (z.argmax(1) != y).float().mean()),  # the error chooses
        _mended(loss=lambda z, y: -z.softmax(1).gather(1, y[:, None]).mean()),  # no logarithm
        _mended(first=10),  # on the first images alone
        lambda logits, labels, new: (new / logits.std()).softmax(1),  # standardized
    ],
}
