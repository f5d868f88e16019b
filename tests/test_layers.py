"""Layers against torch's own, plain formulas and the facts of the 2012 source."""

import pytest
import torch
from torch import nn

from alexnet_lib.layers import (
    Dropout,
    LocalResponseNorm,
    Pad,
    SpatialResponseNorm,
    local_response_norm,
    window_matrix,
)


def by_loops(x, size, alpha, beta, k, columns):
    """The printed formula, one number at a time."""
    out = torch.empty_like(x)
    per = x.shape[1] // columns
    for i in range(x.shape[1]):
        first = i // per * per
        low, high = max(first, i - size // 2), min(first + per - 1, i + (size - 1) // 2)
        total = sum(x[:, j] ** 2 for j in range(low, high + 1))
        out[:, i] = x[:, i] / (k + alpha * total) ** beta
    return out


@pytest.mark.parametrize("channels, columns", [(1, 1), (4, 2), (12, 1), (12, 2)])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 31])
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_lrn_is_the_printed_formula(channels, columns, size, beta):
    x = torch.randn(2, channels, 3, 5, dtype=torch.double) * 20
    expected = by_loops(x, size, 0.03, beta, 1.5, columns)
    torch.testing.assert_close(local_response_norm(x, size, 0.03, beta, 1.5, columns), expected)
    layer = LocalResponseNorm(channels, size, 0.03, beta, 1.5, columns).double()
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("size", [3, 5])
def test_lrn_matches_torch(size):
    x = torch.randn(2, 10, 6, 6) * 50
    # torch divides alpha by the size.
    torch.testing.assert_close(LocalResponseNorm(10, size, 2e-5, 0.75, 2.0)(x),
                               nn.LocalResponseNorm(size, 2e-5 * size, 0.75, 2.0)(x))


def test_torch_lrn_with_its_own_constants_is_the_code_not_the_paper():
    x = torch.randn(1, 9, 1, 1) * 100
    window = nn.functional.pad(x ** 2, (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)
    torch.testing.assert_close(nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)(x),
                               x / (2 + 2e-5 * window) ** 0.75)


@pytest.mark.parametrize("size, columns", [(5, 2), (4, 1), (30, 2)])
def test_lrn_gradient(size, columns):
    layer = LocalResponseNorm(8, size, 0.3, columns=columns).double()
    assert torch.autograd.gradcheck(layer, torch.randn(1, 8, 2, 3, dtype=torch.double,
                                                       requires_grad=True))


@pytest.mark.parametrize("size", [3, 5])
def test_spatial_norm_gradient(size):
    layer = SpatialResponseNorm(size, alpha=0.05).double()
    assert torch.autograd.gradcheck(layer, torch.randn(1, 2, 4, 6, dtype=torch.double,
                                                       requires_grad=True))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_lrn_in_every_precision_and_layout(dtype, tolerance, layout):
    x = torch.randn(2, 16, 7, 9, dtype=torch.double) * 60
    given = x.to(dtype).to(memory_format=layout).requires_grad_()
    exact = given.detach().double().requires_grad_()
    out = LocalResponseNorm(16, columns=2)(given)
    expected = local_response_norm(exact, columns=2)
    grad = torch.randn_like(expected)
    out.backward(grad.to(dtype))
    expected.backward(grad.to(dtype).double())
    assert out.dtype == dtype and out.is_contiguous(memory_format=layout)
    for ours, theirs in ((out, expected), (given.grad, exact.grad)):
        assert (ours.double() - theirs).norm() / theirs.norm() < tolerance


def test_columns_do_not_see_each_other():
    x = torch.randn(1, 96, 4, 4) * 100
    changed = x.clone()
    changed[:, 48:] *= 10
    apart, joined = LocalResponseNorm(96, columns=2), LocalResponseNorm(96, columns=1)
    assert torch.equal(apart(x)[:, :48], apart(changed)[:, :48])
    assert not torch.equal(joined(x)[:, :48], joined(changed)[:, :48])


def test_lrn_is_a_constant_at_unit_variance_but_not_at_pixel_scale():
    """Facts sheet, section 3: with unit-variance input the sum is about 4e-6 against k = 2."""
    conv = nn.Conv2d(3, 96, 11, 4)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.zeros_(conv.bias)
    pixels = torch.randn(4, 3, 67, 67)
    layer = LocalResponseNorm(96, alpha=2e-5, columns=2)
    small, large = conv(pixels), conv(pixels * 70) * 20
    torch.testing.assert_close(layer(small), small / 2 ** 0.75, rtol=1e-4, atol=1e-6)
    assert (layer(large) / (large / 2 ** 0.75)).min() < 0.7


def test_dividing_the_pixels_asks_for_another_alpha():
    """Facts sheet, section 3: after a division by s, alpha must grow by s squared."""
    x = torch.randn(1, 12, 3, 3, dtype=torch.double) * 100
    pixels, scaled = LocalResponseNorm(12).double(), LocalResponseNorm(12, alpha=1e-4 * 58 ** 2)
    torch.testing.assert_close(scaled.double()(x / 58), pixels(x) / 58)


def test_spatial_norm_by_loops():
    x = torch.randn(1, 2, 6, 7, dtype=torch.double) * 40
    out = SpatialResponseNorm().double()(x)
    for c in range(2):
        for i in range(6):
            for j in range(7):
                square = x[0, c, max(0, i - 2):i + 3, max(0, j - 2):j + 3]
                expected = x[0, c, i, j] / (1 + 1e-3 * (square ** 2).sum() / 25) ** 0.75
                torch.testing.assert_close(out[0, c, i, j], expected)


def test_dropout_is_zero_or_the_value_in_training_and_half_in_evaluation():
    torch.manual_seed(0)
    x = torch.rand(200, 500) + 1
    layer = Dropout(0.5)
    trained = layer(x)
    assert ((trained == 0) | (trained == x)).all()  # no rescaling
    assert abs((trained != 0).float().mean() - 0.5) < 0.01
    assert torch.equal(layer.eval()(x), x * 0.5)
    # The same function as torch's, less a factor of two.
    torch.testing.assert_close(layer(x), nn.Dropout(0.5).eval()(x) / 2)


@pytest.mark.parametrize("size", [224, 225, 226, 227, 115])
def test_pad_is_the_ceil_rule(size):
    x = torch.randn(1, 3, size, size)
    padded = Pad(size, 11, 4)(x)
    positions = 1 + -(-(size - 11) // 4)
    assert nn.Conv2d(3, 1, 11, 4)(padded).shape[-1] == positions
    assert torch.equal(padded[..., :size, :size], x)
    assert not padded[..., size:, :].any() and not padded[..., size:].any()
    assert size != 224 or padded.shape[-1] == 227


def test_window_matrix_is_a_band_in_each_column():
    assert window_matrix(8, 3, 2).tolist() == [[1, 1, 0, 0], [1, 1, 1, 0],
                                               [0, 1, 1, 1], [0, 0, 1, 1]] * 2


@pytest.mark.parametrize("make", [
    lambda: LocalResponseNorm(9, columns=2), lambda: LocalResponseNorm(8, size=0),
    lambda: SpatialResponseNorm(4), lambda: Dropout(1.0), lambda: Dropout(-0.1),
])
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError):
        make()
