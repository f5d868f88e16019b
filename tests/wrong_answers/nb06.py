"""Common mistakes in the exercises of notebook 06."""

import torch
import torch.nn.functional as F

from alexnet_lib.course.scaling import step_time


def _halves(x, weight, bias, padding, cut=lambda t, d: t.chunk(2, d), order=(0, 1), use_bias=True):
    xs, ws, bs = cut(x, 1), cut(weight, 0), cut(bias, 0)
    return torch.cat([F.conv2d(xs[i], ws[k], bs[k] if use_bias else None, padding=padding)
                      for k, i in enumerate(order)], 1)


def _every_other(t, dim):
    picks = torch.arange(t.shape[dim])
    return t.index_select(dim, picks[::2]), t.index_select(dim, picks[1::2])


def _first(of, machine, way, images, longer, start=2):
    for n in range(start, images + 1):
        if longer(*step_time(of, machine, way, n, images)):
            return n
    return images


def _fastest(of, machine, way, images):
    return min(range(2, images + 1),
               key=lambda n: sum(step_time(of, machine, way, n, images)))


WRONG = {
    "06-1": [
        {"conv2", "conv4", "conv5"},  # the paper's net
        {"conv1", "conv2", "conv3", "conv5"},  # conv1 reads no maps
        {"conv2", "conv5"},
        {"conv2", "conv3"},
        {"conv4", "fc6", "fc7", "fc8"},  # those that talk
        {"conv2", "conv3", "conv5", "fc8"},
        "conv2",
        3,
    ],
    "06-2": [
        lambda maps, side, images: maps * side * side * images,  # numbers
        lambda maps, side, images: 4 * maps * side * side * images,  # one way
        lambda maps, side, images: 8 * maps * side * side,  # one image
        lambda maps, side, images: 16 * maps * side * side * images,  # all maps to both
        lambda maps, side, images: 2 * maps * side * side * images,  # a byte for a number
        lambda maps, side, images: 8 * maps * side * images,  # a row of pixels
    ],
    "06-3": [
        lambda x, w, b, p: _halves(x, w, b, p, order=(1, 0)),  # crossed
        lambda x, w, b, p: _halves(x, w, b, p, order=(0, 0)),  # both see the first half
        lambda x, w, b, p: _halves(x, w, b, p, cut=_every_other),
        lambda x, w, b, p: _halves(x, w, b, p, use_bias=False),
        lambda x, w, b, p: F.conv2d(x, torch.cat((w, w), 1), b, padding=p),  # sees both
        lambda x, w, b, p: F.conv2d(x[:, :x.shape[1] // 2], w[:len(w) // 2], b[:len(b) // 2],
                                    padding=p),  # one column alone
    ],
    "06-4": [
        lambda gradients, counts: sum(gradients) / len(gradients),  # shares count alike
        lambda gradients, counts: sum(gradients),
        lambda gradients, counts: sum(g * n for g, n in zip(gradients, counts)),  # noqa: B905
        lambda gradients, counts: sum(g / n for g, n in zip(gradients, counts)),  # noqa: B905
        lambda gradients, counts: gradients[0],
    ],
    "06-5": [
        _fastest,  # the fastest number is another
        lambda of, m, w, n: _first(of, m, w, n, lambda compute, exchange: exchange >= compute) - 1,
        lambda of, m, w, n: _first(of, m, w, n, lambda compute, exchange: exchange >= 2 * compute),
        lambda of, m, w, n: _first(of, m, w, n, lambda compute, exchange: exchange < compute),
        lambda of, m, w, n: 1,
        lambda of, m, w, n: n,
    ],
}
