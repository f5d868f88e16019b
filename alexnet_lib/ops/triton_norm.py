"""Response normalization across feature maps on a CUDA GPU, as one Triton kernel.

The sum over a window is a product with a banded matrix, which tensor cores make almost free: the
kernel reads and writes memory once. Triton comes with PyTorch's CUDA builds; without it, `norm`
uses the plain formula.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

DTYPES = (torch.bfloat16, torch.float16, torch.float32)
PIXELS = 64  # of a tile
LARGEST = tl.constexpr(3e38)  # nearly the largest float
WIDEST = 16  # the largest window that leaves a tile something of its own


@triton.jit
def _normalize(x_at, grad_at, out_at, pixels, maps, columns, image_stride, pixel_stride, map_stride,
               alpha, beta, k, INNER: tl.constexpr, HALO: tl.constexpr, BEFORE: tl.constexpr,
               AFTER: tl.constexpr, BACKWARD: tl.constexpr, ROOTS: tl.constexpr,
               PRECISION: tl.constexpr, PIXELS: tl.constexpr, LANES: tl.constexpr):
    part, block = tl.program_id(1), tl.program_id(2)
    image, column = part // columns, part % columns
    base = image.to(tl.int64) * image_stride + column * maps * map_stride
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    lane = tl.arange(0, LANES)
    channel = block * INNER - HALO + lane
    at = base + pixel[:, None] * pixel_stride + channel[None, :] * map_stride
    inside = (pixel < pixels)[:, None] & ((channel >= 0) & (channel < maps))[None, :]
    x = tl.load(x_at + at, mask=inside, other=0.0).to(tl.float32)
    ahead = lane[:, None] - lane[None, :]
    band = ((ahead >= -BEFORE) & (ahead <= AFTER)).to(tl.float32)
    squares = x * x
    # Infinity times the band's zeros would be NaN in all channels; a NaN does reach all of a pixel.
    squares = tl.where(squares > LARGEST, LARGEST, squares)
    denominator = k + alpha * tl.dot(squares, band, input_precision=PRECISION)
    if ROOTS:  # s**-0.75 from two roots
        root = tl.rsqrt(denominator)
        power = root * tl.sqrt(root)
    else:
        power = tl.exp(-beta * tl.log(denominator))
    if BACKWARD:
        own = tl.load(grad_at + at, mask=inside, other=0.0).to(tl.float32) * power
        back = ((ahead >= -AFTER) & (ahead <= BEFORE)).to(tl.float32)
        others = tl.dot(own * x / denominator, back, input_precision=PRECISION)
        out = own - 2 * alpha * beta * x * others
    else:
        out = x * power
    mine = inside & ((lane >= HALO) & (lane < HALO + INNER))[None, :]
    tl.store(out_at + at, out.to(out_at.dtype.element_ty), mask=mine)


def lanes(dtype: torch.dtype) -> int:
    """Of a tile: maps with their neighbours.

    In float32 a product takes its factors through shared memory, (PIXELS + lanes) * lanes * 4
    bytes: 32 KiB with 64 lanes, 96 with 128, and a T4 has 64.
    """
    return 64 if dtype == torch.float32 else 128


def response_norm(x: Tensor, grad: Tensor | None, size: int, alpha: float, beta: float, k: float,
                  columns: int = 1) -> Tensor:
    """Response normalisation of x over maps, or, given `grad`, the gradient with respect to x.

    x, grad: (batch, channels, height, width), one of DTYPES; `size` at most WIDEST. Computed in
    float32; sums over windows of 16-bit inputs in TF32. Returns a tensor like x.
    """
    memory = torch.contiguous_format if x.is_contiguous() else torch.channels_last
    x = x.contiguous(memory_format=memory)
    out = torch.empty_like(x)
    if grad is not None:
        grad = grad.to(x.dtype).contiguous(memory_format=memory)
    images, channels, height, width = x.shape
    pixels, maps = height * width, channels // columns
    last = memory == torch.channels_last
    before, after = size // 2, (size - 1) // 2
    wide = lanes(x.dtype)
    halo = 0 if maps <= wide else 2 * before
    inner = wide - 2 * halo
    grid = (triton.cdiv(pixels, PIXELS), images * columns, triton.cdiv(maps, inner))
    if not x.numel():
        return out
    with torch.cuda.device_of(x):
        _normalize[grid](x, x if grad is None else grad, out, pixels, maps, columns,
                         pixels * channels, channels if last else 1, 1 if last else pixels,
                         alpha, beta, k, INNER=inner, HALO=halo, BEFORE=before, AFTER=after,
                         BACKWARD=grad is not None, ROOTS=beta == 0.75,
                         PRECISION="ieee" if x.dtype == torch.float32 else "tf32",
                         PIXELS=PIXELS, LANES=wide)
    return out
