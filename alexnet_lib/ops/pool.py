"""Max pooling by the ceil rule (paper, 3.4), remembering one byte for each output.

PyTorch keeps an 8-byte index for each output and the whole input for the backward pass.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet_lib.errors import UserError
from alexnet_lib.ops import build
from alexnet_lib.ops.norm import memory_format
from alexnet_lib.ops.registry import operator

LARGEST = 15  # window, whose places one byte can count


def pools(x: Tensor, window: int) -> bool:
    """Whether `max_pool` is the way for x; else PyTorch's own operator is."""
    if isinstance(x, torch.fx.Proxy) or build.spelled_out(x):
        return False
    build.check_dense(x)
    fits = (x.device.type == "cpu" and x.dim() == 4 and x.dtype in build.DTYPES
            and window <= LARGEST and min(x.shape[2:]) > 0)
    # The compiler cannot follow how kernels are built; the operator does without, if it must.
    return fits and (torch.compiler.is_compiling() or build.usable(x))


def side(size: int, window: int, stride: int) -> int:
    """Outputs along a side of `size` pixels. As in PyTorch, no window begins outside."""
    return min(-(-(size - window) // stride), (size - 1) // stride) + 1


@operator("(Tensor x, int window, int stride) -> (Tensor, Tensor)", "CPU")
def max_pool(x: Tensor, window: int, stride: int) -> tuple[Tensor, Tensor]:
    """Max pooling without padding, on a CPU.

    Args:
        x: (batch, channels, height, width), floating point.
        window: side of the square windows, 1 to 15 pixels. stride: 1 or more pixels.

    Returns: the output, (batch, channels, height, width) in the memory format of x, and which
    pixel of its window each output comes from, counted in rows: uint8, channels last. The first
    of equal pixels wins; a NaN wins over all. Raises UserError.
    """
    check(x, window, stride)
    out, winner = _outputs(x, window, stride)
    if build.usable(x) and out.numel():
        pool = build.PoolSettings(*x.shape, *out.shape[2:], window, stride)
        packed = out.contiguous(memory_format=torch.channels_last)
        build.call("max_pool", pool, x.element_size(),
                   x.contiguous(memory_format=torch.channels_last), packed, winner)
        return out if packed is out else out.copy_(packed), winner
    found, index = F.max_pool2d(x, window, stride, ceil_mode=True, return_indices=True)
    rows, columns = index // x.shape[3], index % x.shape[3]
    top, left = (torch.arange(n, device=x.device) * stride for n in index.shape[2:])
    winner.copy_((rows - top[:, None]) * window + columns - left)
    return out.copy_(found), winner


@operator("(Tensor grad, Tensor winner, int height, int width, int window, int stride) -> Tensor",
          "CPU")
def max_pool_backward(grad: Tensor, winner: Tensor, height: int, width: int, window: int,
                      stride: int) -> Tensor:
    """The gradient with respect to the input of `max_pool`, which was `height` by `width`.

    Returns: (batch, channels, height, width) in the memory format of `grad`.
    """
    out = _gradient(grad, height, width)
    if build.usable(grad) and grad.numel():
        pool = build.PoolSettings(*out.shape, *grad.shape[2:], window, stride)
        packed = out.contiguous(memory_format=torch.channels_last)
        build.call("max_pool_backward", pool, grad.element_size(),
                   grad.contiguous(memory_format=torch.channels_last), winner, packed)
        return out if packed is out else out.copy_(packed)
    return out.copy_(gradient_formula(grad, winner, height, width, window, stride))


def gradient_formula(grad: Tensor, winner: Tensor, height: int, width: int, window: int,
                     stride: int) -> Tensor:
    """Each output hands its gradient to its winner; sums are made in float32 at least."""
    top, left = (torch.arange(n, device=grad.device) * stride for n in grad.shape[2:])
    place = winner.long()
    index = (top[:, None] + place // window) * width + left + place % window
    wide = grad.float() if grad.element_size() == 2 else grad
    sums = wide.new_zeros(*grad.shape[:2], height * width)
    return sums.scatter_add(2, index.flatten(2), wide.flatten(2)).unflatten(
        2, (height, width)).to(grad.dtype)


def check(x: Tensor, window: int, stride: int) -> None:
    """UserError for arguments that native code must not see."""
    if not (1 <= window <= LARGEST and 1 <= stride < 2**31):
        raise UserError(f"max pooling takes windows of 1 to {LARGEST} pixels and a stride of 1 or "
                        f"more, not {window} and {stride}")
    if x.dim() != 4 or not x.is_floating_point():
        raise UserError("max pooling takes (batch, channels, height, width) of floating point, "
                        f"but got {tuple(x.shape)} of {x.dtype}")
    if min(side(n, window, stride) for n in x.shape[2:]) < 1:
        raise UserError(f"windows of {window} pixels find nothing in {tuple(x.shape)}")


def _outputs(x: Tensor, window: int, stride: int) -> tuple[Tensor, Tensor]:
    """Room for the output and the winners."""
    shape = (*x.shape[:2], *(side(n, window, stride) for n in x.shape[2:]))
    out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=memory_format(x))
    return out, torch.empty(shape, dtype=torch.uint8, device=x.device,
                            memory_format=torch.channels_last)


def _gradient(grad: Tensor, height: int, width: int) -> Tensor:
    return torch.empty(*grad.shape[:2], height, width, dtype=grad.dtype, device=grad.device,
                       memory_format=memory_format(grad))


@max_pool.register_fake
def _(x, window, stride):
    check(x, window, stride)
    return _outputs(x, window, stride)


@max_pool_backward.register_fake
def _(grad, winner, height, width, window, stride):
    return _gradient(grad, height, width)


def _save(ctx, inputs, output):
    x, *settings = inputs
    ctx.settings = *x.shape[2:], *settings
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])


def _backward(ctx, grad, _):
    winner, = ctx.saved_tensors
    # With grad mode on, somebody wants second derivatives: the kernel has none.
    gradient = gradient_formula if torch.is_grad_enabled() else max_pool_backward
    return gradient(grad, winner, *ctx.settings), None, None


max_pool.register_autograd(_backward, setup_context=_save)


@max_pool.register_vmap
def _(info, in_dims, x, window, stride):
    merged = x.movedim(in_dims[0], 0).flatten(0, 1)
    return tuple(t.unflatten(0, (info.batch_size, -1))
                 for t in max_pool(merged, window, stride)), (0, 0)


@max_pool_backward.register_vmap
def _(info, in_dims, grad, winner, *settings):
    merged = [(t.movedim(dim, 0) if dim is not None else t.expand(info.batch_size, *t.shape))
              .flatten(0, 1) for t, dim in ((grad, in_dims[0]), (winner, in_dims[1]))]
    return max_pool_backward(*merged, *settings).unflatten(0, (info.batch_size, -1)), 0
