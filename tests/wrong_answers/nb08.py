"""Common mistakes in the exercises of notebook 08."""

import torch


def _mask(x, p):
    return torch.empty_like(x).bernoulli_(1 - p)


WRONG = {
    "08-1": [
        lambda x, p, training: x * _mask(x, p) if training else x,  # nothing at test
        lambda x, p, training: x * _mask(x, p) / (1 - p) if training else x,  # torch's
        lambda x, p, training: x * _mask(x, p) / (1 - p) if training else x * (1 - p),  # both
        lambda x, p, training: x * _mask(x, 1 - p) if training else x * p,  # p taken for keeping
        lambda x, p, training: x * _mask(x, p),  # at test, too
        lambda x, p, training: x * _mask(x[:1], p) if training else x * (1 - p),  # one mask for all
        lambda x, p, training: x * _mask(x[:, :1], p) if training else x * (1 - p),  # whole images
        lambda x, p, training: x * (1 - p),  # no mask at all
    ],
    "08-2": [
        lambda x, p, training: x * _mask(x, p) if training else x * (1 - p),  # 2012's
        lambda x, p, training: x * _mask(x, p) if training else x,  # no rescaling
        lambda x, p, training: x * _mask(x, p) * (1 - p) if training else x,  # times, not divided
        lambda x, p, training: x * _mask(x, p) / p if training else x,  # the wrong probability
        lambda x, p, training: x * _mask(x, 1 - p) / p if training else x,  # p taken for keeping
        lambda x, p, training: x * _mask(x[:1], p) / (1 - p) if training else x,  # one for all
        lambda x, p, training: x * _mask(x[:, :1], p) / (1 - p) if training else x,  # whole images
    ],
    "08-3": [4096, 2048, 9192, 9216, 2, 2 ** 8192],
    "08-4": [
        lambda p: p.mean(0),  # the plain mean
        lambda p: p.log().mean(0).exp(),  # not normalised
        lambda p: p.prod(0) / p.prod(0).sum(),  # a product without the root
        lambda p: p.prod(0).sqrt() / p.prod(0).sqrt().sum(),  # the square root, whatever n
        lambda p: torch.softmax(p.mean(0), 0),  # of probabilities, not of logarithms
    ],
    "08-5": [
        lambda weight, bias, p: (weight * 2, bias),  # the other way round
        lambda weight, bias, p: (weight / 2, bias / 2),  # the bias, too
        lambda weight, bias, p: (weight / 2, bias),  # whatever p
        lambda weight, bias, p: (weight * p, bias),  # p for 1 - p
        lambda weight, bias, p: (weight, bias),  # unchanged
    ],
}
