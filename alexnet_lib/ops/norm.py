"""Response normalization: across feature maps (paper, 3.3) or over pixels (2012 source only).

    b = a / (k + alpha * sum of a**2 over a window)**beta
"""

import contextlib
import functools
import math
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet_lib.errors import UserError
from alexnet_lib.ops import build
from alexnet_lib.ops.registry import operator

HALF = (torch.float16, torch.bfloat16)
SETTINGS = "int size, float alpha, float beta, float k, int columns, bool spatial"  # their types


def normalize(x: Tensor, size: int, alpha: float, beta: float, k: float, columns: int = 1,
              spatial: bool = False) -> Tensor:
    """Response normalization by the way that suits x: see `response_norm` for the arguments."""
    settings = size, alpha, beta, k, columns, spatial
    if not build.spelled_out(x):
        return response_norm(x, *settings)
    check(x, *settings)
    if x.is_mkldnn:
        return formula(x.to_dense(), *settings).to_mkldnn()
    return formula(x, *settings)


def formula(x: Tensor, size: int, alpha: float, beta: float, k: float, columns: int = 1,
            spatial: bool = False) -> Tensor:
    """The plain formula, of differentiable PyTorch operators; same arguments as `response_norm`."""
    with _own_precision(x):
        a = x.float() if x.dtype in HALF else x
        denominator = k + alpha * _window_sum(a.square(), size, columns, spatial)
        return (a * denominator.pow(-beta)).to(x.dtype)


def gradient_formula(grad: Tensor, x: Tensor, size: int, alpha: float, beta: float, k: float,
                     columns: int = 1, spatial: bool = False) -> Tensor:
    """The gradient of `formula` with respect to x, written out; can itself be differentiated."""
    with _own_precision(x):
        a, g = (t.float() if t.dtype in HALF else t for t in (x, grad))
        denominator = k + alpha * _window_sum(a.square(), size, columns, spatial)
        direct = g * denominator.pow(-beta)
        # What each number does to its neighbors, through their denominators.
        others = _window_sum(direct * a / denominator, size, columns, spatial, transposed=True)
        return (direct - 2 * alpha * beta * a * others).to(x.dtype)


def _window_sum(t: Tensor, size: int, columns: int, spatial: bool,
                transposed: bool = False) -> Tensor:
    """The sum over each window, with zeros outside. A NaN stays within the windows that hold it."""
    before, after = _reach(t, size, columns, spatial)
    if spatial:  # a sum by its mean: some exporters ignore avg_pool2d's divisor
        side = 2 * before + 1
        # Its derivative is wrong on a GPU in channels-last memory (pytorch issue 188344).
        t = t.contiguous() if t.is_cuda else t
        return F.avg_pool2d(t, side, 1, before) * side**2
    if transposed:
        before, after = after, before
    sums = []
    for part in t.chunk(columns, 1):
        maps = part.shape[1]
        padded = F.pad(part, (0, 0, 0, 0, before, after))
        sums.append(sum((padded.narrow(1, j, maps) for j in range(1, before + after + 1)),
                        padded.narrow(1, 0, maps)))
    return sums[0] if columns == 1 else torch.cat(sums, 1)


def _reach(x: Tensor, size: int, columns: int, spatial: bool) -> tuple[int, int]:
    """How far a window reaches on both sides; what lies wholly outside is left out."""
    last = max(x.shape[2:]) if spatial else x.shape[1] // columns
    return max(0, min(size // 2, last - 1)), max(0, min((size - 1) // 2, last - 1))


def _own_precision(x: Tensor) -> contextlib.AbstractContextManager:
    """Keeps autocast out: sums of squares need float32. "meta" has no autocast."""
    if x.is_meta or not torch.is_autocast_enabled(x.device.type):
        return contextlib.nullcontext()
    return torch.autocast(x.device.type, enabled=False)


@operator(f"(Tensor x, {SETTINGS}) -> Tensor")
def response_norm(x: Tensor, size: int, alpha: float, beta: float, k: float, columns: int,
                  spatial: bool) -> Tensor:
    """Response normalization of x.

    Args:
        x: (batch, channels, height, width), floating point. Sums are made in float32, or in
            float64 for that.
        size: channels, or pixels on a side, that share a window; odd if `spatial`.
        alpha: multiplies the plain sum, as the paper prints it; 0 or more. beta: the exponent.
            k: the constant, above 0.
        columns: the channels are split into this many equal parts that do not see each other.
        spatial: sum over size x size pixels of a channel instead of over channels.

    Returns: a tensor of the shape and type of x, in its memory format. Raises UserError.
    """
    return _computed(x, None, size, alpha, beta, k, columns, spatial)


@operator(f"(Tensor grad, Tensor x, {SETTINGS}) -> Tensor")
def response_norm_backward(grad: Tensor, x: Tensor, size: int, alpha: float, beta: float, k: float,
                           columns: int, spatial: bool) -> Tensor:
    """The gradient of `response_norm` with respect to x; a tensor like x."""
    return _computed(x, grad, size, alpha, beta, k, columns, spatial)


def _computed(x: Tensor, grad: Tensor | None, *settings) -> Tensor:
    check(x, *settings)
    if x.dtype == torch.float16 and x.device.type == "cpu":
        return _computed(x.float(), grad, *settings).half()
    x = packed(x)
    out = torch.empty_like(x)
    if not x.numel():
        return out
    grad = None if grad is None else grad.to(x.dtype).contiguous(memory_format=memory_format(x))
    if build.usable(x):
        return _on_cpu(out, x, grad, *settings)
    if x.is_cuda and not build.switched_off():
        kernels, _ = gpu_kernels(x.dtype)
        if kernels:
            size, *others, columns, spatial = settings
            reach = _reach(x, size, columns, spatial)
            return kernels.response_norm(x, grad, *reach, *others, columns, spatial)
    return out.copy_(formula(x, *settings) if grad is None else
                     gradient_formula(grad, x, *settings))


def _on_cpu(out: Tensor, x: Tensor, grad: Tensor | None, size: int, alpha: float, beta: float,
            k: float, columns: int, spatial: bool) -> Tensor:
    before, after = _reach(x, size, columns, spatial)
    settings = build.NormSettings(
        *x.shape, channels_last=memory_format(x) == torch.channels_last, columns=columns,
        before=before, after=after, spatial=spatial, alpha=alpha, beta=beta, k=k)
    build.call("response_norm", settings, x.element_size(), x, grad, out)
    return out


def check(x: Tensor, size: int, alpha: float, beta: float, k: float, columns: int,
          spatial: bool) -> None:
    """UserError for arguments that make no sense, before any native code sees them."""
    if x.dim() != 4 or not x.is_floating_point():
        raise UserError("the norm takes (batch, channels, height, width) of floating point, but "
                        f"got {tuple(x.shape)} of {x.dtype}: reshape or convert it")
    build.check_dense(x)
    if size < 1 or columns < 1 or x.shape[1] % columns:
        raise UserError(f"size must be at least 1, and {columns} columns must divide "
                        f"{x.shape[1]} channels (size is {size})")
    if spatial and size % 2 == 0:
        raise UserError(f"a spatial norm needs an odd size, not {size}")
    if not (0 <= alpha < math.inf and 0 < k < math.inf and math.isfinite(beta)):
        raise UserError(f"alpha must be 0 or more, k above 0, and beta finite, not {alpha}, {k} "
                        f"and {beta}")


def packed(x: Tensor) -> Tensor:
    """x without gaps: as it is, or copied in the order of its memory."""
    if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last):
        return x
    return x.contiguous(memory_format=memory_format(x))


def memory_format(x: Tensor) -> torch.memory_format:
    """Whether the channels of x lie side by side in memory."""
    last = x.dim() == 4 and not x.is_contiguous() and x.stride(1) == 1
    return torch.channels_last if last else torch.contiguous_format


@response_norm.register_fake
def _(x, size, alpha, beta, k, columns, spatial):
    check(x, size, alpha, beta, k, columns, spatial)
    return torch.empty_like(packed(x))


@response_norm_backward.register_fake
def _(grad, x, size, alpha, beta, k, columns, spatial):
    return torch.empty_like(packed(x))


def _save(ctx, inputs, output):
    x, *ctx.settings = inputs
    ctx.save_for_backward(x)


def _backward(ctx, grad):
    x, = ctx.saved_tensors
    # With grad mode on, somebody wants second derivatives: the kernel has none.
    gradient = gradient_formula if torch.is_grad_enabled() else response_norm_backward
    return gradient(grad, x, *ctx.settings), *[None] * len(ctx.settings)


response_norm.register_autograd(_backward, setup_context=_save)


@response_norm.register_vmap
def _(info, in_dims, x, *settings):
    return _batched(info.batch_size, response_norm, [(x, in_dims[0])], settings)


@response_norm_backward.register_vmap
def _(info, in_dims, grad, x, *settings):
    return _batched(info.batch_size, response_norm_backward,
                    [(grad, in_dims[0]), (x, in_dims[1])], settings)


def _batched(count: int, operator, tensors: list, settings) -> tuple[Tensor, int]:
    """`operator` once, on all examples of a `torch.vmap` as one batch."""
    merged = [(t.movedim(dim, 0) if dim is not None else t.expand(count, *t.shape)).flatten(0, 1)
              for t, dim in tensors]
    return operator(*merged, *settings).unflatten(0, (count, -1)), 0


@functools.cache
def gpu_kernels(dtype: torch.dtype) -> tuple[ModuleType | None, str]:
    """The module of Triton kernels if they run on this GPU in this type, or None; and what to say.

    Tried on a small tensor, forward and backward: a GPU may have no instructions for one type.
    """
    if not build.wanted():
        return None, build.UNWANTED
    try:
        from alexnet_lib.ops import triton_norm
        if dtype not in triton_norm.DTYPES:
            return None, f"plain PyTorch ({dtype})"
        x = torch.ones(1, 2, 3, 3, dtype=dtype, device="cuda")
        for grad in (None, x):
            triton_norm.response_norm(x, grad, 2, 2, 1e-4, 0.75, 2.0)
    except Exception as error:  # whatever a driver or a compiler may say: it is not needed
        return None, f"plain PyTorch (no Triton: {type(error).__name__})"
    return triton_norm, "Triton"
