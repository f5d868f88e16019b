"""Layers against torch's own, plain formulas and the facts of the 2012 source."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib import ops
from alexnet_lib.errors import UserError
from alexnet_lib.layers import (
    Dropout,
    GroupedLinear,
    LocalResponseNorm,
    MaxPool,
    Pad,
    SpatialResponseNorm,
    local_response_norm,
    window_matrix,
)

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(params=["kernels", "plain"], autouse=True)
def path(request):
    """Every test runs on the compiled kernels and on plain PyTorch."""
    if request.param == "plain":
        with ops.plain():
            yield
    elif not ops.usable():
        pytest.skip(ops.describe())
    else:
        yield


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
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("beta", [0.75, 0.6])
def test_lrn_gradient(size, columns, layout, beta):
    layer = LocalResponseNorm(8, size, 0.3, beta, columns=columns).double()
    x = torch.randn(1, 8, 2, 3, dtype=torch.double).to(memory_format=layout)
    assert torch.autograd.gradcheck(layer, x.requires_grad_())


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_spatial_norm_gradient(size, layout):
    layer = SpatialResponseNorm(size, alpha=0.05).double()
    x = torch.randn(1, 2, 4, 6, dtype=torch.double).to(memory_format=layout)
    assert torch.autograd.gradcheck(layer, x.requires_grad_())


# float32's rounding is 6e-8 and bfloat16's 4e-3, both relative.
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape, columns", [((2, 16, 7, 9), 2), ((3, 96, 13, 11), 2),
                                            ((1, 300, 3, 3), 1), ((2, 2, 17, 1), 2)])
def test_lrn_in_every_precision_and_layout(dtype, tolerance, layout, shape, columns):
    x = torch.randn(shape, dtype=torch.double) * 60
    given = x.to(dtype).to(memory_format=layout).requires_grad_()
    exact = given.detach().double().requires_grad_()
    out = LocalResponseNorm(shape[1], columns=columns)(given)
    expected = local_response_norm(exact, columns=columns)
    grad = torch.randn_like(expected)
    out.backward(grad.to(dtype))
    expected.backward(grad.to(dtype).double())
    assert out.dtype == dtype and out.is_contiguous(memory_format=layout)
    for ours, theirs in ((out, expected), (given.grad, exact.grad)):
        assert (ours.double() - theirs).norm() / theirs.norm() < tolerance


@pytest.mark.parametrize("make", [lambda: LocalResponseNorm(6), lambda: SpatialResponseNorm(),
                                  lambda: MaxPool(3, 2)])
def test_odd_tensors(make):
    """Views, no images at all, what is not a number, and what autograd keeps."""
    whole = torch.randn(4, 12, 7, 14) * 40
    view = whole[::2, 3:9, :, ::2]  # neither layout
    torch.testing.assert_close(make()(view), make()(view.contiguous()))
    assert make()(whole[:0, :6]).shape[0] == 0
    spoilt = whole[:, :6].clone()
    spoilt[0, 0, 3, 3] = torch.nan
    out = make()(spoilt)
    assert out[0].isnan().any() and not out[1:].isnan().any()


@pytest.mark.parametrize("make", [lambda: LocalResponseNorm(6), lambda: SpatialResponseNorm()])
def test_a_norm_saves_one_tensor(make):
    saved = []
    x = torch.randn(2, 6, 8, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        make()(x)
    assert [t.data_ptr() for t in saved] == [x.data_ptr()]


@pytest.mark.parametrize("make", [lambda: LocalResponseNorm(6), lambda: MaxPool(3, 2),
                                  lambda: SpatialResponseNorm()])
def test_torch_compile_takes_the_layers(make):
    x = torch.randn(2, 6, 9, 9) * 40
    compiled = torch.compile(make(), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), make()(x))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("window, stride", [(3, 2), (2, 2), (3, 3), (5, 2), (2, 3), (1, 1), (4, 3)])
def test_max_pool_is_torchs(window, stride, layout, dtype):
    for shape in ((2, 5, 13, 11), (1, 20, 7, 8), (1, 1, 6, 5)):
        # Whole numbers from a few: many ties, of which the first must win.
        x = torch.randint(-4, 5, shape).to(dtype).to(memory_format=layout).requires_grad_()
        same = x.detach().clone().requires_grad_()
        ours = MaxPool(window, stride)(x)
        theirs = nn.MaxPool2d(window, stride, ceil_mode=True)(same)
        assert torch.equal(ours, theirs)
        grad = torch.randint(-3, 4, ours.shape).to(dtype)
        ours.backward(grad)
        theirs.backward(grad)
        assert torch.equal(x.grad, same.grad)


def test_max_pool_of_nothing_says_so():
    with pytest.raises(RuntimeError):
        MaxPool(3, 2)(torch.zeros(1, 1, 0, 4))


@pytest.mark.parametrize("norm", [LocalResponseNorm(6), SpatialResponseNorm()])
def test_norms_of_tensors_without_data(norm):
    x = torch.empty(2, 6, 5, 5, device="meta", requires_grad=True)
    out = norm.to("meta")(x)
    out.sum().backward()
    assert out.shape == x.grad.shape == x.shape and out.is_meta


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
    lambda: LocalResponseNorm(8, k=0.0), lambda: SpatialResponseNorm(k=-1.0),
    lambda: SpatialResponseNorm(4), lambda: Dropout(1.0), lambda: Dropout(-0.1),
    lambda: GroupedLinear(12, 8, 0), lambda: MaxPool(2**40, 1), lambda: MaxPool((2, 0), 1),
    lambda: MaxPool((3, 3, 3), 2), lambda: Pad(224, 11, 0),
])
def test_impossible_settings_are_refused(make):
    with pytest.raises(UserError):
        make()


@pytest.mark.parametrize("value", [2.5, "a", None, [1], True, float("nan"), 2**70], ids=str)
@pytest.mark.parametrize("layer, settings, whole", [
    (LocalResponseNorm, {"channels": 8}, ("channels", "size", "columns")),
    (SpatialResponseNorm, {}, ("size",)),
    (MaxPool, {"window": 3, "stride": 2}, ("window", "stride")),
    (GroupedLinear, {"inputs": 8, "outputs": 8, "groups": 2}, ("inputs", "outputs", "groups")),
    (Pad, {"size": 9, "kernel": 3, "stride": 2}, ("size", "kernel", "stride")),
])
def test_sizes_are_whole_numbers(layer, settings, whole, value):
    for name in whole:
        with pytest.raises(UserError, match=name):
            layer(**settings | {name: value})


@pytest.mark.parametrize("value", ["a", None, [1], float("nan")], ids=str)
def test_factors_are_numbers(value):
    for name in ("alpha", "beta", "k"):
        for layer in (lambda **given: LocalResponseNorm(8, **given), SpatialResponseNorm):
            with pytest.raises(UserError, match=name):
                layer(**{name: value})
    with pytest.raises(UserError, match="p must be"):
        Dropout(value)


def test_numbers_of_numpy_are_numbers():
    x = torch.randn(2, 6, 7, 7)
    norm = LocalResponseNorm(np.int64(6), size=np.int32(3), alpha=np.float32(0.5), k=2)
    torch.testing.assert_close(norm(x), local_response_norm(x, 3, 0.5, k=2))
    assert torch.equal(MaxPool(np.int64(3), np.int64(2))(x), F.max_pool2d(x, 3, 2, ceil_mode=True))


@pytest.mark.parametrize("layer", [LocalResponseNorm(6), SpatialResponseNorm(), MaxPool(3, 2)])
def test_sparse_tensors_are_refused(layer):
    with pytest.raises(UserError, match="to_dense"):
        layer(torch.eye(6).expand(2, 6, 6, 6).to_sparse())


@pytest.mark.parametrize("norm, shape", [
    (LocalResponseNorm(96, columns=2), (2, 65, 4, 4)), (LocalResponseNorm(6), (2, 12, 4, 4)),
    (LocalResponseNorm(6), (6, 4, 4)), (SpatialResponseNorm(), (6, 4, 4))])
def test_norms_refuse_another_shape(norm, shape):
    with pytest.raises(UserError, match="the norm takes"):
        norm(torch.randn(shape))


def test_a_grouped_full_layer_is_a_grouped_convolution():
    layer = GroupedLinear(12, 8, 4)
    x = torch.randn(5, 12)
    expected = F.conv2d(x[:, :, None, None], layer.weight[:, :, None, None], layer.bias, groups=4)
    torch.testing.assert_close(layer(x), expected[:, :, 0, 0])
    for wrong in ((12, 8, 5), (10, 8, 4)):
        with pytest.raises(UserError, match="must divide"):
            GroupedLinear(*wrong)
