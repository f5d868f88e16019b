"""Common mistakes when AlexNet is built from an empty cell, trained, tested and written about."""

import functools
import math

import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.course import capstone


class _Norm(nn.Module):
    def __init__(self, whole=False, alpha=5e-4):
        super().__init__()
        self.whole, self.alpha = whole, alpha

    def forward(self, x):
        return torch.cat([F.local_response_norm(part, 5, self.alpha, 0.75, 2.0)
                          for part in x.chunk(1 if self.whole else 2, 1)], 1)


class _Cut(_Norm):
    def forward(self, x):
        with torch.no_grad():
            return super().forward(x)


def _net(groups=(2, 1, 2, 2), norm=_Norm, padding=2, dropout=0.5, last=(), late=nn.ReLU,
         pool=lambda: nn.MaxPool2d(3, 2), drops=(0, 1, 1, 0), std=None, size=None, always=False,
         side_of_small=2, fixed=False,
         early=lambda norm: (nn.ReLU(), norm())):
    """MyAlexNet with one choice wrong."""
    def made(classes, small=False, dropout=dropout):
        small = small and not always
        a, b, c, d, e, hidden = ((32, 64, 96, 96, 64, 256) if small else
                                 (96, 256, 384, 384, 256, 4096))
        g2, g3, g4, g5 = groups
        side = (side_of_small if padding == 2 else 1) if small else (6 if padding == 2 else 5)
        p = 0.5 if fixed else dropout
        drop6, drop7, drop8, drop9 = (nn.Dropout(p) if there else nn.Identity() for there in drops)
        net = nn.Sequential(
            nn.Conv2d(3, a, 5, padding=2) if small else nn.Conv2d(3, a, 11, stride=4),
            *early(norm), pool(),
            nn.Conv2d(a, b, 5, padding=padding, groups=g2), nn.ReLU(), norm(), pool(),
            nn.Conv2d(b, c, 3, padding=1, groups=g3), late(),
            nn.Conv2d(c, d, 3, padding=1, groups=g4), late(),
            nn.Conv2d(d, e, 3, padding=1, groups=g5), late(), pool(),
            nn.Flatten(), drop6, nn.Linear(e * side * side, hidden), nn.ReLU(), drop7,
            nn.Linear(hidden, hidden), nn.ReLU(), drop8, nn.Linear(hidden, classes), drop9, *last)
        for layer in net:
            if std and isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.normal_(layer.weight, std=std)
                nn.init.zeros_(layer.bias)
        net.size = size or (24 if small else 227)
        return net
    return made


class _Rule(torch.optim.Optimizer):
    """The paper's rule, or one with `update`, a function of w, v, gradient and learning rate that
    returns the new two."""

    def __init__(self, params, lr, update=None):
        super().__init__(params, {"lr": lr})
        self.first, self.update = lr, update

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    v = self.state[w].setdefault("v", torch.zeros_like(w))
                    new, velocity = self.update(w, v, w.grad, self.rate(group))
                    w.copy_(new)
                    v.copy_(velocity)

    def rate(self, group):
        return group["lr"]


class _Fixed(_Rule):
    def rate(self, group):  # as it was made with
        return self.first


def _rule(update, kind=_Rule):
    return functools.partial(kind, update=update)


def _outside(w, v, g, lr):  # as in torch's SGD
    v = 0.9 * v + g + 0.0005 * w
    return w - lr * v, v


def _right(w, v, g, lr):
    v = 0.9 * v - lr * (g + 0.0005 * w)
    return w + v, v


def _uphill(w, v, g, lr):
    v = 0.9 * v + lr * g - 0.0005 * lr * w
    return w + v, v


def _untrained(net, images, labels, epochs):
    return [2.3] * 470


def _strangers(net, images, labels, epochs):  # images and labels shuffled each in their own way
    return capstone.train(net, images, labels[torch.randperm(len(labels))], 1)


def _once(net, images, labels, epochs):  # the optimizer made anew, and one batch for ever
    losses = []
    for _ in range(200):
        losses += capstone.train(net, images[:4], labels[:4], 1)
    return losses


def _late(net, images, labels, epochs):
    return capstone.train(net, images[:64], labels[:64], 1)[-1:] * 470


def _infinite(net, images, labels, epochs):
    return capstone.train(net, images[:64], labels[:64], 2, lr=1e4)


def _tested(views="all", logits=False, mode="eval", factor=1.96, count=None, percent=100):
    def report(net, images, labels):
        with torch.no_grad():
            net.train(mode == "train")
            far = images.shape[-1] - net.size
            places = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
            if views == "center":
                places = places[-1:]
            total = 0
            for top, left in places:
                crop = images[:, :, top:top + net.size, left:left + net.size]
                for shown in ((crop, crop.flip(3)) if views == "all" else (crop,)):
                    out = net(capstone.prepare(shown))
                    total = total + (out if logits else out.softmax(1))
            p = float((total.argmax(1).cpu() != labels).float().mean())
        half = factor * math.sqrt(p * (1 - p) / (count or len(labels)))
        return percent * p, percent * (p - half), percent * (p + half)
    return report


def _claim(**changed):
    right = {"claim": "Dropout lowers the test error.",
             "arms": {"with": lambda seed: 40.0, "without": lambda seed: 42.0},
             "errors": {"with": [40.0, 41.0, 42.0], "without": [42.0, 43.5, 44.0]},
             "effect": 2.1667, "interval": (1.45, 2.88), "verdict": "yes"}
    return right | changed


WRONG = {
    "15-1": [
        _net(groups=(1, 1, 1, 1)),  # one column
        _net(groups=(2, 2, 2, 2)),  # the columns never meet in conv3
        _net(norm=nn.Identity),  # no normalization
        _net(norm=lambda: _Norm(whole=True)),  # over the border between the columns
        _net(norm=lambda: _Norm(alpha=1e-4)),  # a fifth of the printed formula's
        _net(early=lambda norm: (norm(), nn.ReLU())),  # as in the source
        _net(padding=1),  # conv2 without its two pixels
        _net(pool=lambda: nn.MaxPool2d(2, 2), side_of_small=3),  # no overlap
        _net(pool=lambda: nn.AvgPool2d(3, 2)),
        _net(late=nn.Identity),  # no ReLU after conv3
        _net(dropout=0.0),
        _net(dropout=0.1),
        _net(drops=(1, 1, 0, 0)),  # before fc6 and fc7, as in torchvision
        _net(drops=(0, 0, 0, 1)),  # on the logits
        _net(last=(nn.Softmax(1),)),  # probabilities
        _net(norm=_Cut),  # right, but it cannot learn
        _net(std=0.001),  # too small to learn from
        _net(size=32),
        _net(fixed=True),  # dropout=0.0 is ignored
        _net(always=True),  # `small` is ignored
    ],
    "15-2": [
        _rule(_outside),
        _rule(lambda w, v, g, lr: (w + 0.9 * v - lr * g, 0.9 * v - lr * g)),  # no decay
        _rule(_uphill),
        _rule(lambda w, v, g, lr: (w + v, _right(w, v, g, lr)[1])),  # the old velocity
        _rule(lambda w, v, g, lr: (w + 0.9 * v - lr * g - 0.0005 * w,
                                   0.9 * v - lr * g - 0.0005 * w)),  # the decay without the rate
        _rule(_right, _Fixed),  # a schedule has no effect
        _rule(lambda w, v, g, lr: (w - lr * (g + 0.0005 * w), v)),  # no momentum
        _rule(lambda w, v, g, lr: (w, v)),
        lambda params, lr: [params, lr],
    ],
    "15-3": [_untrained, _strangers, _once, _late, _infinite],
    "15-4": [
        _tested(views="center"),
        _tested(views="unmirrored"),
        _tested(logits=True),
        _tested(mode="train"),
        _tested(percent=1),
        _tested(factor=1),  # one standard error
        _tested(count=3000),  # crops are no images
    ],
    "15-5": [
        {"A": "initial", "B": "trained", "C": "trained - initial",
         "D": "trained - another seed's initial"},
        {"A": "trained - another seed's initial", "B": "trained", "C": "initial",
         "D": "trained - initial"},
        {"A": "initial", "B": "trained", "C": "trained - another seed's initial",
         "D": "trained - initial"},
        {"A": "trained", "B": "trained", "C": "initial", "D": "trained - initial"},
    ],
    "15-6": [
        _claim(effect=-2.1667),  # the wrong way around
        _claim(interval=(1.70, 2.64)),  # one standard error
        _claim(interval=(1.60, 2.73)),  # 1.96 instead of t
        _claim(interval=(-0.2, 4.5)),  # as if the seeds were not the same
        _claim(verdict="can't tell"),
        _claim(errors={"with": [40.0, 41.0], "without": [42.0, 43.5]}),
        _claim(errors={"with": [0.40, 0.41, 0.42], "without": [0.42, 0.435, 0.44]}),
        _claim(errors={"with": [40.0, 41.0, 42.0], "without": [40.0, 41.0, 42.0]}),
        _claim(arms={"with": lambda seed: 40.0, "without": lambda seed: 60.0}),  # made up
        _claim(claim="dropout"),
    ],
}
