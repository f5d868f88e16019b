"""Common mistakes in the exercises of notebook 10."""

import math


def _rms(x):
    return x.square().mean().sqrt()


def _entropy(counts, log=math.log):
    total = sum(counts)
    return -sum(n / total * log(n / total) for n in counts if n)


WRONG = {
    "10-1": [
        lambda counts: math.log(len(counts)),  # as if all classes were alike
        lambda counts: -math.log(max(counts) / sum(counts)),  # only the largest
        lambda counts: math.log(max(1, sum(n > 0 for n in counts))),
        lambda counts: _entropy(counts, math.log2),  # bits
        lambda counts: -_entropy(counts),  # the sign
        lambda counts: 1 - max(counts) / sum(counts),  # the error
    ],
    "10-2": [
        lambda k: 0.0,  # as with one softmax
        lambda k: math.log(k),
        lambda k: math.log(math.e + k) - 1,  # the right class counted twice
        lambda k: math.e / (math.e + k - 1),  # the probability, not the loss
        lambda k: 1 - math.log(math.e + k - 1),  # the sign
        lambda k: math.log(k) - 1,
    ],
    "10-3": [
        lambda x: x.std() / _rms(x),  # over everything
        lambda x: x.std(1).mean() / _rms(x),  # over the units
        lambda x: x.var(0, unbiased=False).mean().sqrt(),  # not divided
        lambda x: x.var(0, unbiased=False).mean().sqrt() / x.std(),  # the mean left out
        lambda x: x.std(0).mean() / x.abs().mean(),  # means of sizes, not of squares
        lambda x: x.var(0).mean() / x.square().mean(),  # squares
    ],
    "10-4": [
        lambda layers: math.prod(std * n for std, n in layers),  # no root
        lambda layers: sum(std * math.sqrt(n) for std, n in layers),  # added
        lambda layers: math.prod(std for std, _ in layers),
        lambda layers: math.prod(std * math.sqrt(n / 2) for std, n in layers),  # half of them off
        lambda layers: math.prod(std * std * n for std, n in layers),  # variances
        lambda layers: layers[-1][0] * math.sqrt(layers[-1][1]),  # only the last
    ],
}
