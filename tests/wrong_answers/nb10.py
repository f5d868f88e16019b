"""Common mistakes in the exercises of notebook 10."""

import math

import torch

from alexnet_lib.course import doctor


def _rms(x):
    return x.square().mean().sqrt()


def _entropy(counts, log=math.log):
    total = sum(counts)
    return -sum(n / total * log(n / total) for n in counts if n)


def _diagnosis(order=("two softmaxes", "dead", "faded"), off=0.95, evaluate=True, images=0,
               softmax=lambda out: torch.allclose(out.sum(1), torch.ones(len(out)), atol=1e-3),
               share=None):
    """What 10-5 asks for, with a mistake."""
    def diagnose(net, x, y):
        rows = doctor.layers(net, x, y)
        with torch.no_grad():
            out = net.train(not evaluate)(x)
        seen = out.std(images).square().mean().sqrt() / _rms(out) if share is None else share(rows)
        signs = {"two softmaxes": softmax(out), "faded": seen < 0.01,
                 "dead": max(row["off"] for row in rows[:-1]) > off}
        return next((name for name in order if signs[name]), "not the net")
    return diagnose


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
        lambda layers: math.prod(layers[0][0] * math.sqrt(n) for _, n in layers),  # the first std
    ],
    "10-5": [
        lambda net, x, y: "faded",  # by the loss alone
        _diagnosis(order=("faded", "dead", "two softmaxes")),  # dead and softmaxed look faded
        _diagnosis(order=("two softmaxes", "faded", "dead")),  # a dead net has no share, either
        _diagnosis(evaluate=False),  # dropout's noise taken for the image
        _diagnosis(images=1),  # from class to class
        _diagnosis(off=0.4),  # a healthy net loses half of a layer
        _diagnosis(softmax=lambda out: (out.exp().sum(1) < 1.001).all()),  # a log-softmax
        _diagnosis(softmax=lambda out: (out >= 0).all()),
        _diagnosis(order=("two softmaxes", "dead")),  # never faded
        _diagnosis(order=("two softmaxes", "faded")),  # never dead
        _diagnosis(share=lambda rows: rows[1]["share"]),  # the second layer, not the last
        lambda net, x, y: doctor.layers(net, x, y)[-1]["share"],  # a number, no name
    ],
}
