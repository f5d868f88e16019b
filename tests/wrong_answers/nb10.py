"""Common mistakes in the exercises of notebook 10."""

import math
from types import SimpleNamespace

import torch
from torch import nn

from alexnet_lib.course import doctor
from alexnet_lib.course.exercises.nb10 import STUCK


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


RIGHT = {"A": "two softmaxes", "B": "learning rate too high", "C": "learning rate too low",
         "D": "labels shuffled"}


def _run(steps=400, leaves=False, **choices):
    """A run of so many steps with the stuck run's settings, but for `choices`."""
    return SimpleNamespace(config=SimpleNamespace(**STUCK | choices),
                           losses=[2.3] * (steps - 20) + [2.0 if leaves else 2.3] * 20)


@torch.no_grad()
def _calibrate(net, x, biases=True, onward=True, of=torch.std):
    """What 10-4 asks for, with a mistake."""
    for layer in net:
        out = x
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            if biases and layer.bias is not None:
                layer.bias.zero_()
            out = layer(x)
            layer.weight /= of(out)
        x = layer(x) if onward or out is x else out
    return net


@torch.no_grad()
def _he(net):
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                layer.bias.zero_()
    return net


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
        dict(RIGHT, A="labels shuffled", D="two softmaxes"),
        dict(RIGHT, B="learning rate too low", C="learning rate too high"),
        dict(RIGHT, C="labels shuffled", D="learning rate too low"),
        dict(RIGHT, D="learning rate too low"),
        dict(RIGHT, A="dead"),
        dict(RIGHT, A=...),
        "two softmaxes",
    ],
    "10-3": [
        _run(),  # nothing changed
        _run(lr=0.03),  # still stuck
        _run(12, init="he", lr=0.03),  # two changes
        _run(12, variant="paper"),  # too few steps to say
        _run(500, True, init="he"),  # too many steps
        _run(100, True, init="2012", input_divisor=1),  # the healthy run
        [2.3] * 400,
    ],
    "10-4": [
        lambda net, x: net,
        lambda net, x: _calibrate(net, x, biases=False),
        lambda net, x: _calibrate(net, x, onward=False),  # the output before the rescaling
        lambda net, x: _calibrate(net, x, of=lambda out: out.var()),
        lambda net, x: _calibrate(net, x, of=lambda out: out.abs().mean()),
        lambda net, x: _calibrate(net, x / x.std()),  # the pixels instead of the weights
        lambda net, x: _he(net),  # a rule that does not see the pixels
        lambda net, x: _calibrate(net, x).requires_grad_(False),
        lambda net, x: _calibrate(_he(net), x),  # new weights
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
