"""Common mistakes in the exercises of notebook 13."""

import torch
import torch.nn.functional as F

from alexnet_lib.layers import local_response_norm


def _fits(error, tolerance):
    for n in (50_000, 150_000):
        wrong = round(error * n)
        if abs(wrong / n - error) <= tolerance:
            return n, wrong
    return 0, 0


def _rate(layer, kind, epoch, biases_fall=False, conv1_last=67, frozen=72, bias_frozen=True,
          late=0):
    if layer == "conv1" and epoch >= frozen and (kind == "weight" or bias_frozen):
        return 0.0
    if kind == "bias" and not biases_fall:
        return 0.02
    last = conv1_last if layer == "conv1" else 79
    falls = sum(epoch >= at + late for at in (25, 51, last))
    return (0.02 if kind == "bias" else 0.01) * 0.1 ** falls


def _missing(x, weight, stride):
    return [(weight.shape[2] - n) % stride for n in x.shape[2:]]


def _padded(x, weight, stride, pad):
    return F.conv2d(F.pad(x, pad), weight, stride=stride)


def _ceil(x, weight, stride, order):
    below, right = _missing(x, weight, stride)
    pads = {"above": (right, 0, below, 0), "swapped": (0, below, 0, right)}
    return _padded(x, weight, stride, pads[order])


def _credit(probs, labels, give):
    right = probs.gather(1, labels[:, None])
    return 1 - give((probs > right).sum(1), (probs == right).sum(1)).float().mean()


WRONG = {
    "13-1": [
        lambda error: (50_000, round(error * 50_000)),  # never asks whether it fits
        lambda error: (150_000, round(error * 150_000)),
        lambda error: _fits(error, 0),  # no room for the rounding
        lambda error: _fits(error, 1e-5),  # so much that everything fits
        lambda error: (_fits(error, 6e-7)[0], int(error * _fits(error, 6e-7)[0])),  # cut off
        lambda error: round(error * 50_000),
    ],
    "13-2": [
        lambda layer, kind, epoch: _rate(layer, kind, epoch, biases_fall=True),
        lambda layer, kind, epoch: _rate(layer, kind, epoch, conv1_last=79),
        lambda layer, kind, epoch: _rate(layer, kind, epoch, frozen=67),
        lambda layer, kind, epoch: _rate(layer, kind, epoch, frozen=999),
        lambda layer, kind, epoch: _rate(layer, kind, epoch, bias_frozen=False),
        lambda layer, kind, epoch: _rate(layer, kind, epoch, late=1),  # an epoch too late
    ],
    "13-3": [
        lambda x, weight, stride: F.conv2d(x, weight, stride=stride),  # rounded down
        lambda x, weight, stride: _padded(x, weight, stride, (0, 3, 0, 3)),  # always three
        lambda x, weight, stride: F.conv2d(x, weight, stride=stride, padding=2),
        lambda x, weight, stride: _ceil(x, weight, stride, "above"),  # at the left and the top
        lambda x, weight, stride: _ceil(x, weight, stride, "swapped"),  # height for width
        lambda x, weight, stride: F.conv2d(x, weight, stride=1)[..., ::stride, ::stride],
    ],
    "13-4": [
        lambda probs, labels: (probs.argmax(1) != labels).float().mean(),
        lambda probs, labels: _credit(probs, labels, lambda above, equal: above == 0),
        lambda probs, labels: _credit(probs, labels, lambda above, equal: (above == 0)
                                      & (equal == 1)),
        lambda probs, labels: _credit(probs, labels, lambda above, equal: 1 / equal),
        lambda probs, labels: 1 - _credit(probs, labels, lambda above, equal: (above == 0) / equal),
        lambda probs, labels: _credit(probs, labels, lambda above, equal: 1 / (above + equal)),
        lambda probs, labels: "90 %",
    ],
    "13-5": [
        lambda a: local_response_norm(a, columns=2).relu(),  # as printed
        lambda a: local_response_norm(a.relu(), alpha=2e-5, columns=2),  # the paper's order
        lambda a: local_response_norm(a, alpha=2e-5).relu(),  # one column
        lambda a: local_response_norm(a, alpha=2e-5, columns=2),  # no ReLU
        lambda a: torch.nn.LocalResponseNorm(5, 2e-5, k=2)(a).relu(),  # divided twice
        lambda a: local_response_norm(a, alpha=2e-5, k=1, columns=2).relu(),
        lambda a: torch.nn.LocalResponseNorm(5, 4e-6, k=2)(a.unflatten(1, (2, 48)).flatten(0, 1))
        .view_as(a).relu(),
    ],
}
