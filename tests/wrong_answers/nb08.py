"""Common mistakes in the exercises of notebook 08."""

import torch


def _mask(x, p):
    return torch.empty_like(x).bernoulli_(1 - p)


def _steps(behind=lambda p: (1 - p) ** 2, decayed=lambda p: (1 - p) ** -2, reads=(3, 6),
           biases=False, pulled=False, momentum=0.9):
    """An optimizer: factors of rate and decay for the weights of the layers `reads` (08-6)."""
    def make(net, rate, decay, p):
        groups = []
        for k in (0, 3, 6):
            r, d = (behind(p), decayed(p)) if k in reads else (1, 1)
            groups += [{"params": [net[k].weight], "lr": rate * r, "weight_decay": decay * d},
                       {"params": [net[k].bias], "lr": rate * (r if biases else 1),
                        "weight_decay": decay * pulled}]
        return torch.optim.SGD(groups, lr=rate, momentum=momentum)
    return make


def _all_alike(net, rate, decay, p):
    kept = (1 - p) ** 2
    return torch.optim.SGD(net.parameters(), rate * kept, 0.9, weight_decay=decay / kept)


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
        lambda p: p.log().mean(0).exp(),  # not normalized
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
    "08-6": [
        _steps(lambda p: 1, lambda p: 1),  # nothing changed
        _steps(lambda p: 1 - p),  # the larger gradient, not the smaller weight
        _steps(lambda p: (1 - p) ** -2),  # the other way round
        _steps(lambda p: 0.25, lambda p: 4),  # whatever p
        _steps(lambda p: p ** 2, lambda p: p ** -2),  # p for 1 - p
        _steps(decayed=lambda p: 1),  # the decay as it was
        _steps(decayed=lambda p: (1 - p) ** 2),  # the decay lowered, too
        _steps(reads=(0, 3, 6)),  # the first layer, too
        _steps(reads=(6,)),  # only the last
        _steps(biases=True),  # the biases' rate, too
        _steps(pulled=True),  # biases decayed
        _steps(momentum=0),
        _all_alike,
        lambda net, rate, decay, p: (rate * (1 - p) ** 2, decay / (1 - p) ** 2),  # no optimizer
        lambda net, rate, decay, p: torch.optim.SGD([net[3].weight, net[6].weight], rate / 4, 0.9),
    ],
}
