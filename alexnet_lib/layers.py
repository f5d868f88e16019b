"""The layers of 2012 that PyTorch lacks, or has with other constants.

`LocalResponseNorm` (paper, section 3.3), `SpatialResponseNorm` (original source only),
`Dropout` without rescaling (paper, section 4.2) and `Pad` (the ceil rule of the source).
File and line numbers refer to the original source code, `computerhistory/AlexNet-Source-Code`.
"""

import contextlib
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import kernels
from alexnet_lib.errors import UserError


def local_response_norm(x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75,
                        k: float = 2.0, columns: int = 1) -> Tensor:
    """Local response normalisation, written as the paper prints it (section 3.3).

        b[i] = a[i] / (k + alpha * sum of a[j]**2 over `size` adjacent maps j)**beta

    Plain and slow: the reference for `LocalResponseNorm`, which computes the same faster.

    Args:
        x: (batch, channels, height, width), any floating type.
        size: n, how many adjacent maps share a window. Windows are clipped at the first and
            the last map of a column.
        alpha: multiplies the plain sum, as printed. `nn.LocalResponseNorm` divides its alpha
            by the size, and so did the original source (layer.py:1183): their 1e-4 is 2e-5 here.
        beta, k: exponent and additive constant.
        columns: the maps are split into this many equal parts that do not see each other,
            one for each of the paper's GPUs.

    Returns: a tensor of the shape of x.
    """
    batch, channels, height, width = x.shape
    maps = x.reshape(batch * columns, channels // columns, height, width)
    before, after = size // 2, (size - 1) // 2
    squares = F.pad(maps.square(), (0, 0, 0, 0, before, after))
    window = sum(squares[:, j:j + maps.shape[1]] for j in range(size))
    return (maps / (k + alpha * window) ** beta).reshape(x.shape)


def window_matrix(channels: int, size: int, columns: int = 1) -> Tensor:
    """The sum over a window of maps as a matrix: entry (i, j) is 1 if map i looks at map j.

    Returns: (channels, channels // columns), as the weight of a 1x1 convolution with
    `groups=columns`; a band of ones about the diagonal.
    """
    i = torch.arange(channels // columns)
    ahead = i[None, :] - i[:, None]
    band = (ahead >= -(size // 2)) & (ahead <= (size - 1) // 2)
    return band.repeat(columns, 1).float()


def _inverse_power(s: Tensor, beta: float) -> Tensor:
    """s ** -beta in place. Two square roots are several times cheaper than a power."""
    if beta != 0.75:
        return s.pow_(-beta)
    root = s.rsqrt_()
    return root.mul_(root.sqrt())


class _ResponseNorm(torch.autograd.Function):
    """x / (k + alpha * window(x**2))**beta with one saved tensor, x: the rest is computed again.

    `window(squares, transposed)` sums over neighbours: the plain path, for every device. Where
    kernels are compiled, they do all of it in one pass over memory; `norm` says what to compute.
    """

    @staticmethod
    def forward(ctx, x, window, norm: dict):
        ctx.save_for_backward(x)
        ctx.window, ctx.norm = window, norm
        if fast := kernels.norm_for(x, norm["size"], norm["spatial"]):
            return fast(x, None, **norm)
        bracket = window(x.square(), False).mul_(norm["alpha"]).add_(norm["k"])
        return _inverse_power(bracket, norm["beta"]).mul_(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        x, = ctx.saved_tensors
        window, norm = ctx.window, ctx.norm
        if fast := kernels.norm_for(x, norm["size"], norm["spatial"]):
            return fast(x, grad, **norm), None, None
        bracket = window(x.square(), False).mul_(norm["alpha"]).add_(norm["k"])
        own = _inverse_power(bracket.clone(), norm["beta"]).mul_(grad)
        # What x[i] does to its neighbours, through their brackets.
        others = window((own * x).div_(bracket), True)
        own.addcmul_(others, x, value=-2 * norm["alpha"] * norm["beta"])
        return own, None, None


def _no_autocast(x: Tensor) -> contextlib.AbstractContextManager:
    """Within this context x keeps its type. "meta", the device without data, has no autocast."""
    return contextlib.nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)


def _check_shape(x: Tensor, channels: int | None = None) -> None:
    """UserError for a shape of which the compiled kernels would make nonsense."""
    if x.dim() != 4 or channels not in (None, x.shape[1]):
        raise UserError(f"the norm takes (batch, {channels or 'channels'}, height, width), but got "
                        f"{tuple(x.shape)}: reshape that, or build the norm for its channels")


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer: same arguments, same result, less time and memory.

    Input and output: (batch, channels, height, width), float; `channels` must be a multiple
    of `columns`. Raises UserError if it is not, if `size` < 1, if `k` is not above 0, or for an
    input of another shape.
    """

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4, beta: float = 0.75,
                 k: float = 2.0, columns: int = 1):
        super().__init__()
        if size < 1 or channels < 1 or channels % columns or k <= 0:
            raise UserError(f"size must be at least 1, k above 0, and {columns} columns must "
                             f"divide {channels} channels (size is {size}, k {k})")
        self.size, self.alpha, self.beta, self.k, self.columns = size, alpha, beta, k, columns
        self.register_buffer("band", window_matrix(channels, size, columns), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        _check_shape(x, len(self.band))
        if torch.compiler.is_compiling():  # the compiler makes its own fast path from the formula
            return local_response_norm(x, self.size, self.alpha, self.beta, self.k, self.columns)
        norm = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k,
                "columns": self.columns, "spatial": False}
        with _no_autocast(x):
            return _ResponseNorm.apply(x, self._window, norm)

    def _window(self, squares: Tensor, transposed: bool) -> Tensor:
        # A convolution with a banded matrix is the one way to sum over neighbouring maps that is
        # fast on every device, in every precision and memory format.
        maps = self.band.shape[1]
        matrix = self.band.to(squares.dtype).view(self.columns, maps, maps)
        matrix = matrix.transpose(1, 2) if transposed else matrix
        return F.conv2d(squares, matrix.reshape(-1, maps, 1, 1), groups=self.columns)

    def extra_repr(self) -> str:
        return (f"size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}, "
                f"columns={self.columns}")


class SpatialResponseNorm(nn.Module):
    """Response normalisation over a square of pixels of the same map.

    Run #145 has one after its second LRN ("cnorm2", layers-145.cfg:107-117,
    layer-params-145.cfg:157-163); the paper does not mention it.

        b = a / (k + alpha * sum of a**2 over size x size pixels)**beta

    The source's scale of 1e-3 is divided by the 25 pixels (layer.py:1183): alpha is 4e-5.
    Pixels beyond the border count as zero. Input and output: (batch, channels, height, width).
    Raises UserError for an even `size`, if `k` is not above 0, or for an input of another shape.
    """

    def __init__(self, size: int = 5, alpha: float = 4e-5, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        if size < 1 or size % 2 == 0 or k <= 0:
            raise UserError(f"size must be odd and at least 1, and k above 0, not {size} and {k}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        _check_shape(x)
        norm = {"size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k,
                "columns": 1, "spatial": True}
        with _no_autocast(x):
            return _ResponseNorm.apply(x, self._window, norm)

    def _window(self, squares: Tensor, transposed: bool) -> Tensor:  # its own transpose
        return F.avg_pool2d(squares, self.size, 1, self.size // 2, divisor_override=1)

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"


class _MaxPool(torch.autograd.Function):
    """The compiled kernel: it remembers one byte for each output, and not the input."""

    @staticmethod
    def forward(ctx, x, window, stride, side):
        out, winner = kernels.max_pool(x, window, stride, side, ctx.needs_input_grad[0])
        ctx.save_for_backward(winner)
        ctx.settings = x.shape, window, stride
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        winner, = ctx.saved_tensors
        return kernels.max_pool_backward(grad, winner, *ctx.settings), None, None, None


class MaxPool(nn.MaxPool2d):
    """Max pooling by the ceil rule (paper, 3.4; layer.py:1164): windows hang over the border.

    `nn.MaxPool2d(window, stride, ceil_mode=True)`, in less time and memory on a CPU. Input and
    output: (batch, channels, height, width).
    """

    def __init__(self, window: int, stride: int):
        super().__init__(window, stride, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or self.kernel_size > 15 or not kernels.usable(x):
            return super().forward(x)
        # As PyTorch: a window that would begin outside is left out.
        side = tuple(min(math.ceil((n - self.kernel_size) / self.stride), (n - 1) // self.stride)
                     + 1 for n in x.shape[2:])
        if min(side) < 1:
            return super().forward(x)  # for its message
        return _MaxPool.apply(x, self.kernel_size, self.stride, side)


class Dropout(nn.Module):
    """Dropout as in 2012: zero at training, scale at test (paper, 4.2; src/layer.cu:1121-1135).

    Training multiplies by a mask of zeros and ones, without rescaling; evaluation multiplies
    by 1 - p. `nn.Dropout` does it the other way round ("inverted"), so that its activations
    are 1 / (1 - p) times as large in both modes. Input and output: any shape.
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0 <= p < 1:
            raise UserError(f"p must be in [0, 1), not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * (1 - self.p)
        return x * torch.empty_like(x).bernoulli_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


class GroupedLinear(nn.Module):
    """A full layer cut into groups: each reads and makes its own part, as in a grouped convolution.

    Input (batch, inputs), output (batch, outputs); both numbers must be multiples of `groups`.
    `weight` is (outputs, inputs / groups), `bias` (outputs,). Raises UserError.
    """

    def __init__(self, inputs: int, outputs: int, groups: int):
        super().__init__()
        if groups < 1 or inputs % groups or outputs % groups:
            raise UserError(f"{groups} groups must divide {inputs} inputs and {outputs} outputs")
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(outputs, inputs // groups))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # as nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.unflatten(0, (self.groups, -1))
        parts = torch.einsum("bgi,goi->bgo", x.unflatten(1, (self.groups, -1)), weight)
        return parts.flatten(1) + self.bias

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Pad(nn.Module):
    """Zeros at the right and the bottom, so that the last window of a convolution fits.

    The source rounds the number of positions up (layer.py:1004), PyTorch rounds it down. Its
    224-pixel input gets three more columns and rows of zeros, which makes the 227 of later
    frameworks. Input (batch, channels, size, size), output larger by `amount`.
    """

    def __init__(self, size: int, kernel: int, stride: int):
        super().__init__()
        self.amount = (kernel - size) % stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self.amount, 0, self.amount)) if self.amount else x

    def extra_repr(self) -> str:
        return f"amount={self.amount}"
