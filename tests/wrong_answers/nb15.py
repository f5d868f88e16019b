"""Common mistakes when AlexNet is built from memory."""

import torch
import torch.nn.functional as F
from torch import nn


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


def _net(groups=(2, 1, 2, 2), norm=_Norm, padding=2, dropout=0.5, last=(), maps=256, late=nn.ReLU,
         pool=lambda: nn.MaxPool2d(3, 2), drops=(0, 1, 1, 0),
         early=lambda norm: (nn.ReLU(), norm())):
    """my_alexnet with one choice wrong."""
    def made(classes):
        g2, g3, g4, g5 = groups
        side = 6 if padding == 2 else 5
        drop6, drop7, drop8, drop9 = (nn.Dropout(dropout) if there else nn.Identity()
                                      for there in drops)
        return nn.Sequential(
            nn.Conv2d(3, 96, 11, stride=4), *early(norm), pool(),
            nn.Conv2d(96, 256, 5, padding=padding, groups=g2), nn.ReLU(), norm(),
            pool(),
            nn.Conv2d(256, 384, 3, padding=1, groups=g3), late(),
            nn.Conv2d(384, 384, 3, padding=1, groups=g4), late(),
            nn.Conv2d(384, maps, 3, padding=1, groups=g5), late(), pool(),
            nn.Flatten(), drop6, nn.Linear(maps * side * side, 4096), nn.ReLU(), drop7,
            nn.Linear(4096, 4096), nn.ReLU(), drop8, nn.Linear(4096, classes), drop9, *last)
    return made


def _weights(std=0.01, biases=(0, 1, 0, 1, 1, 1, 1, 0), skip=0):
    def draw(net):
        layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        for layer, bias in list(zip(layers, biases, strict=True))[skip:]:
            nn.init.normal_(layer.weight, std=std)
            nn.init.constant_(layer.bias, bias)
        return net
    return draw


def _outside(w, v, g, rate):  # the rate outside of the velocity, as in torch's SGD
    v = 0.9 * v + g + 0.0005 * w
    return w - rate * v, v


def _no_decay(w, v, g, rate):
    v = 0.9 * v - rate * g
    return w + v, v


def _uphill(w, v, g, rate):
    v = 0.9 * v - 0.0005 * rate * w + rate * g
    return w + v, v


def _old_velocity(w, v, g, rate):
    return w + v, 0.9 * v - 0.0005 * rate * w - rate * g


def _strong_decay(w, v, g, rate):  # the decay without the rate
    v = 0.9 * v - 0.0005 * w - rate * g
    return w + v, v


def _sgd(**settings):
    def training(net, x, y, steps):
        optimizer, losses = torch.optim.SGD(net.parameters(), **settings), []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses
    return training


def _train(steps_lost=0, sign=1, change=True, shared=False, late=False):
    def training(net, x, y, steps, rate=0.01):
        weights, losses = list(net.parameters()), []
        velocities = [torch.zeros_like(w) for w in weights]
        for _ in range(steps - steps_lost):
            loss = F.cross_entropy(net(x), y)
            gradients = torch.autograd.grad(loss, weights)
            if change:
                with torch.no_grad():
                    for w, v, g in zip(weights, velocities, gradients, strict=True):
                        v.mul_(0.9).add_(-0.0005 * rate * w - sign * rate * g)
                        w.add_(v)
            losses.append(loss.item())
        return losses[-1] if late else losses
    return training


def _views(mirrored=True, center=True, logits=False, rounds=1):
    def ten(ask, images, size):
        far = images.shape[-1] - size
        places = [(0, 0), (0, far), (far, 0), (far, far)] + [(far // 2, far // 2)] * center
        shown = [view for top, left in places
                 for view in [images[:, :, top:top + size, left:left + size]]
                 for view in ((view, view.flip(3)) if mirrored else (view,))]
        if logits:
            return (sum(ask(view) for view in shown) / len(shown)).softmax(1)
        return sum(ask(view).softmax(1) for view in shown) / (len(shown) * rounds)
    return ten


WRONG = {
    "15-1": [
        _net(groups=(1, 1, 1, 1)),  # one column
        _net(groups=(2, 2, 2, 2)),  # the columns never meet in conv3
        _net(norm=nn.Identity),  # no normalization
        _net(norm=lambda: _Norm(whole=True)),  # over the border between the columns
        _net(padding=1),  # conv2 without its two pixels
        _net(norm=lambda: _Norm(alpha=1e-4)),  # a fifth of the printed formula's
        _net(early=lambda norm: (norm(), nn.ReLU())),  # as in the source
        _net(pool=lambda: nn.AvgPool2d(3, 2)),
        _net(pool=lambda: nn.MaxPool2d(2, 2)),  # no overlap, and the same sizes
        _net(late=nn.Identity),  # no ReLU behind conv3
        _net(dropout=0.0),
        _net(dropout=0.1),
        _net(drops=(1, 1, 0, 0)),  # before fc6 and fc7, as in torchvision
        _net(drops=(0, 1, 0, 0)),
        _net(drops=(0, 0, 0, 1)),  # on the logits
        _net(drops=(1, 0, 0, 0)),  # on the maps
        _net(maps=384),  # 384 kernels in conv5
        _net(last=(nn.Softmax(1),)),  # probabilities
        _net(norm=_Cut),  # right, but it cannot learn
    ],
    "15-2": [
        _weights(std=0.1),
        _weights(biases=(1, 1, 1, 1, 1, 1, 1, 1)),
        _weights(biases=(0, 1, 0, 1, 1, 0, 0, 0)),  # the full layers forgotten
        _weights(skip=1),  # conv1 left as it was
    ],
    "15-3": [_outside, _no_decay, _uphill, _old_velocity, _strong_decay],
    "15-4": [
        _train(steps_lost=1),
        _train(sign=-1),  # uphill
        _train(change=False),
        _train(late=True),  # the last loss alone
        _sgd(lr=0.05),  # without momentum
        _sgd(lr=0.001, momentum=0.99),
    ],
    "15-5": [
        _views(mirrored=False),
        _views(center=False),
        _views(logits=True),
        _views(rounds=2),  # divided by twice as many
    ],
    "15-6": [
        lambda x, y: _net()(10),  # without the losses
        lambda x, y: (_net()(10), [1.0] * 10),
        lambda x, y: (_net()(1000), [1.0] * 50),
        lambda x, y: (_net()(10), [2.0] * 30 + [float("nan")] * 20),
        lambda x, y: (_net()(10), [2.3 / (1 + step) for step in range(50)]),  # made up
    ],
}
