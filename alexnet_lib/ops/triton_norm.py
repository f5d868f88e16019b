"""Response normalization on a CUDA GPU, as Triton kernels: across feature maps or over pixels.

Each number adds up its own window; neighbors' numbers come from the nearest cache, so that memory
is read about once. Triton comes with PyTorch's CUDA builds; without it, `norm` uses the plain
formula.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
BLOCK, SQUARE_BLOCK = 512, 1024  # numbers of one program: fastest on an H200
FORWARD, TERMS, BACKWARD = map(tl.constexpr, range(3))


@triton.jit
def _window_sum(values, at, step, place, length, row, height, BEFORE: tl.constexpr,
                AFTER: tl.constexpr, SPATIAL: tl.constexpr, SQUARED: tl.constexpr, inside):
    """The sum over the window of each number, or of the squares, with zeros outside."""
    total = tl.zeros(at.shape, tl.float32)
    for j in range(-BEFORE, AFTER + 1):
        there = inside & (place + j >= 0) & (place + j < length)
        if SPATIAL:
            for i in range(-BEFORE, AFTER + 1):
                seen = there & (row + i >= 0) & (row + i < height)
                value = tl.load(values + at + (i * length + j) * step, mask=seen, other=0.0)
                value = value.to(tl.float32)
                total += value * value if SQUARED else value
        else:
            value = tl.load(values + at + j * step, mask=there, other=0.0).to(tl.float32)
            total += value * value if SQUARED else value
    return total


@triton.jit
def _normalize(x_at, grad_at, terms_at, out_at, count, step, length, height, alpha, beta, k,
               BEFORE: tl.constexpr, AFTER: tl.constexpr, SPATIAL: tl.constexpr,
               MODE: tl.constexpr, ROOTS: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr):
    block = tl.program_id(0)
    at = (block.to(tl.int64) if WIDE else block) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    place = at // step % length  # along the window; if that is square, within a row
    row = at // (step * length) % height
    x = tl.load(x_at + at, mask=inside, other=0.0).to(tl.float32)
    denominator = k + alpha * _window_sum(x_at, at, step, place, length, row, height, BEFORE,
                                          AFTER, SPATIAL, True, inside)
    if ROOTS:  # s**-0.75 from two roots
        root = tl.rsqrt(denominator)
        power = root * tl.sqrt(root)
    else:
        power = tl.exp(-beta * tl.log(denominator))
    if MODE == FORWARD:
        out = x * power
    else:
        out = tl.load(grad_at + at, mask=inside, other=0.0).to(tl.float32) * power
        if MODE == TERMS:  # what each number does to its neighbors, through their denominators
            out = out * x / denominator
        else:
            out -= 2 * alpha * beta * x * _window_sum(
                terms_at, at, step, place, length, row, height, AFTER, BEFORE, SPATIAL, False,
                inside)
    tl.store(out_at + at, out.to(out_at.dtype.element_ty), mask=inside)


def response_norm(x: Tensor, grad: Tensor | None, before: int, after: int, alpha: float,
                  beta: float, k: float, columns: int = 1, spatial: bool = False) -> Tensor:
    """Response normalization of x or, given `grad`, the gradient with respect to x.

    x, grad: (batch, channels, height, width), one of DTYPES, both laid out alike and without gaps.
    before, after: how many neighbors on either side share a window. columns, spatial: as in
    `norm.response_norm`. Computed in float32. Returns a tensor like x.
    """
    out = torch.empty_like(x)
    if not x.numel():
        return out
    _, channels, height, width = x.shape
    last = not x.is_contiguous()
    if spatial:
        step, length = channels if last else 1, width
    else:
        step, length = 1 if last else height * width, channels // columns

    block = SQUARE_BLOCK if spatial else BLOCK

    def run(mode, into: Tensor, terms: Tensor) -> None:
        _normalize[(triton.cdiv(x.numel(), block),)](
            x, x if grad is None else grad, terms, into, x.numel(), step, length, height,
            alpha, beta, k, BEFORE=before, AFTER=after, SPATIAL=spatial, MODE=mode,
            ROOTS=beta == 0.75, WIDE=x.numel() >= 2**31 - block, BLOCK=block, num_warps=4)

    with torch.cuda.device_of(x):
        if grad is None:
            run(FORWARD, out, x)
        else:
            terms = torch.empty_like(x, dtype=torch.float32)
            run(TERMS, terms, x)
            run(BACKWARD, out, terms)
    return out
