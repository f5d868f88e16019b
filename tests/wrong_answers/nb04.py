"""Common mistakes in the exercises of notebook 04."""

from torch import nn


def _columns(x, alpha=1e-4, size=5, k=2.0, beta=0.75):
    apart = x.reshape(2 * len(x), -1, *x.shape[2:])
    return nn.LocalResponseNorm(size, alpha=alpha, beta=beta, k=k)(apart).reshape(x.shape)


def _mixed(x):
    """Every other channel, instead of the first half and the second."""
    apart = x.reshape(len(x), -1, 2, *x.shape[2:]).transpose(1, 2).flatten(0, 1)
    out = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2)(apart)
    return out.reshape(len(x), 2, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)


def _rms(size, alpha, beta=0.5, k=1e-7):
    return lambda channels: nn.LocalResponseNorm(size(channels), alpha=alpha(channels), beta=beta,
                                                 k=k)


CURVES = {"A": "alpha", "B": "beta", "C": "nothing", "D": "k"}
WRONG = {
    "04-1": [
        ((5, 1e-4), (11, 1e-4)),  # PyTorch's alpha taken as it is
        ((5, 2e-5), (5, 1e-4)),  # the radius taken for the window
        ((5, 2e-5), (10, 1e-4)),  # the map itself forgotten
        ((5, 2e-5), (11, 1e-4 / 11)),  # TensorFlow made to divide
        ((5, 5e-4), (11, 1e-4)),  # the wrong way round
        ((11, 2e-5), (11, 1e-4)),
    ],
    "04-2": [
        ({**CURVES, "B": "nothing", "C": "beta"}, 200),  # the two that start alike
        ({**CURVES, "C": "k", "D": "nothing"}, 400),  # the lowest taken for the paper's
        (CURVES, 52),  # read from the other axis
        (CURVES, 400),  # another curve's top
        (CURVES, ...),
        ({"A": "beta", "B": "alpha", "C": "nothing", "D": "k"}, 200),
        (dict.fromkeys("ABCD", "nothing"), 200),
    ],
    "04-3": [
        (52, 0.3364),  # the share of x
        (0, 2e-5 * 58 ** 2),  # PyTorch divides
        (0, 2e-5 * 58 * 5),  # not squared
        (0, 1e-4 * 58 ** 2 * 5),  # divided by 5 one time too few
        (0, 1e-4 / 58 ** 2),  # smaller pixels, smaller alpha
        (0, ...),
    ],
    "04-4": [
        nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2),  # one column
        lambda x: _columns(x, alpha=5e-4),  # the printed strength
        lambda x: _columns(x, alpha=2e-5),  # divided twice
        lambda x: _columns(x, k=1.0),  # PyTorch's default
        lambda x: _columns(x, size=3),
        _mixed,
        lambda x: _columns(x)[0],
    ],
    "04-5": [
        _rms(lambda c: c, lambda c: 1.0),  # the ends don't hear each other
        _rms(lambda c: 2 * c - 1, lambda c: 1.0),  # PyTorch divides by the window
        _rms(lambda c: 2 * c - 1, lambda c: 1 / c),
        _rms(lambda c: 2 * c - 1, lambda c: (2 * c - 1) / c, beta=0.75),
        _rms(lambda c: 2 * c - 1, lambda c: (2 * c - 1) / c, k=2.0),
        lambda c: nn.RMSNorm(c),
    ],
}
