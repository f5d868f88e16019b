"""The layers of 2012 that PyTorch lacks, or has with other constants.

`LocalResponseNorm` (paper, section 3.3), `SpatialResponseNorm` (original source only),
`Dropout` without rescaling (paper, section 4.2) and `Pad` (the ceil rule of the source).
File and line numbers refer to the original source code, `computerhistory/AlexNet-Source-Code`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import ops
from alexnet_lib.errors import UserError
from alexnet_lib.schema import misfit


def _check(kind, **values) -> None:
    """UserError for a value of another type, or a whole number below 1."""
    for name, value in values.items():
        if fault := misfit(value, kind, name):
            raise UserError(f"{fault}, not {value!r}")
        if kind is int and value < 1:
            raise UserError(f"{name} must be 1 or more, not {value}")


def local_response_norm(x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75,
                        k: float = 2.0, columns: int = 1) -> Tensor:
    """Local response normalization, written as the paper prints it (section 3.3).

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
    return ops.norm_formula(x, size, alpha, beta, k, columns)


def window_matrix(channels: int, size: int, columns: int = 1) -> Tensor:
    """The sum over a window of maps as a matrix: entry (i, j) is 1 if map i looks at map j.

    Returns: (channels, channels // columns), as the weight of a 1x1 convolution with
    `groups=columns`; a band of ones about the diagonal.
    """
    i = torch.arange(channels // columns)
    ahead = i[None, :] - i[:, None]
    band = (ahead >= -(size // 2)) & (ahead <= (size - 1) // 2)
    return band.repeat(columns, 1).float()


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer: same arguments, same result, less time and memory.

    Input and output: (batch, channels, ...), floating point, with at least one more dimension;
    sums are made in float32 at least. `channels` must be a multiple of `columns`. Raises UserError
    if it is not, if `size` < 1, `k` <= 0 or `alpha` < 0, or for an input of another shape.
    """

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4, beta: float = 0.75,
                 k: float = 2.0, columns: int = 1):
        super().__init__()
        _check(int, channels=channels, size=size, columns=columns)
        _check(float, alpha=alpha, beta=beta, k=k)
        self.channels, self.columns = channels, columns
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        ops.check_norm(torch.empty(1, channels, 1, 1, device="meta"), *self._settings())

    def _settings(self) -> tuple:
        return self.size, self.alpha, self.beta, self.k, self.columns, False

    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(x, torch.fx.Proxy):
            if x.dim() < 3 or x.shape[1] != self.channels:
                raise UserError(f"the norm takes (batch, {self.channels}, height, width), but got "
                                f"{tuple(x.shape)}: reshape that, or build it for its channels")
            if x.dim() != 4:
                return self(x.flatten(2).unsqueeze(3)).reshape(x.shape)
        return ops.normalize(x, *self._settings())

    def extra_repr(self) -> str:
        return (f"{self.channels}, size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, "
                f"k={self.k:g}, columns={self.columns}")


class SpatialResponseNorm(nn.Module):
    """Response normalization over a square of pixels of the same feature map.

    Run #145 has one after its second LRN ("cnorm2", layers-145.cfg:107-117,
    layer-params-145.cfg:157-163); the paper does not mention it.

        b = a / (k + alpha * sum of a**2 over size x size pixels)**beta

    The source's scale of 1e-3 is divided by the 25 pixels (layer.py:1183): alpha is 4e-5.
    Pixels beyond the border count as zero. Input and output: (batch, channels, height, width).
    Raises UserError for an even `size`, `k` <= 0 or `alpha` < 0, or for an input of another shape.
    """

    def __init__(self, size: int = 5, alpha: float = 4e-5, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        _check(int, size=size)
        _check(float, alpha=alpha, beta=beta, k=k)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        ops.check_norm(torch.empty(1, 1, 1, 1, device="meta"), *self._settings())

    def _settings(self) -> tuple:
        return self.size, self.alpha, self.beta, self.k, 1, True

    def forward(self, x: Tensor) -> Tensor:
        return ops.normalize(x, *self._settings())

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"


class MaxPool(nn.MaxPool2d):
    """Max pooling by the ceil rule (paper, 3.4; layer.py:1164): windows hang over the border.

    `nn.MaxPool2d(window, stride, ceil_mode=True)`, in less time and memory on a CPU. Input and
    output: (batch, channels, height, width). Raises UserError for a window or stride below 1.
    """

    def __init__(self, window: int | tuple[int, int], stride: int | tuple[int, int]):
        super().__init__(window, stride, ceil_mode=True)
        sides = (*_pair("window", window), *_pair("stride", stride))
        if not 1 <= min(sides) <= max(sides) < 2**31:
            raise UserError("window and stride must be 1 or more, and below 2**31, not "
                            f"{window} and {stride}")

    def forward(self, x: Tensor) -> Tensor:
        window, stride = self.kernel_size, self.stride
        rest = self.ceil_mode, self.padding, self.dilation, self.return_indices
        if (isinstance(window, int) and isinstance(stride, int) and rest == (True, 0, 1, False)
                and ops.pools(x, window)):
            return ops.max_pool(x, window, stride)[0]
        return super().forward(x)


def _pair(name: str, value) -> tuple[int, int]:
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    _check(tuple[int, int], **{name: pair})
    return pair[0], pair[1]


class Dropout(nn.Module):
    """Dropout as in 2012: zero at training, scale at test (paper, 4.2; src/layer.cu:1121-1135).

    Training multiplies by a mask of zeros and ones, without rescaling; evaluation multiplies
    by 1 - p. `nn.Dropout` does it the other way round ("inverted"), so that its activations
    are 1 / (1 - p) times as large in both modes. Input and output: any shape.
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        _check(float, p=p)
        if not 0 <= p < 1:
            raise UserError(f"p must be in [0, 1), not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * (1 - self.p)
        return x * torch.empty_like(x).bernoulli_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


class Conv2d(nn.Conv2d):
    """`nn.Conv2d`, whose groups a GPU computes one after another in 16-bit arithmetic.

    The same numbers, and faster: an H200 needs 0.6 ms for both columns of conv4, forward and
    backward with 128 images in bfloat16, where cuDNN's grouped convolution takes 2.6.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) -> (batch, out_channels, ...)."""
        plain = self.groups == 1 or self.padding_mode != "zeros" or isinstance(x, torch.fx.Proxy)
        if plain or not x.is_cuda or x.dtype not in ops.HALF or ops.spelled_out(x):
            return super().forward(x)
        bias = [None] * self.groups if self.bias is None else self.bias.chunk(self.groups)
        parts = zip(x.chunk(self.groups, 1), self.weight.chunk(self.groups), bias, strict=True)
        return torch.cat([F.conv2d(part, weight, own, self.stride, self.padding, self.dilation)
                          for part, weight, own in parts], 1)


class GroupedLinear(nn.Module):
    """A full layer cut into groups: each reads and makes its own part, as in a grouped convolution.

    Input (batch, inputs), output (batch, outputs); both numbers must be multiples of `groups`.
    `weight` is (outputs, inputs / groups), `bias` (outputs,). Raises UserError.
    """

    def __init__(self, inputs: int, outputs: int, groups: int):
        super().__init__()
        _check(int, inputs=inputs, outputs=outputs, groups=groups)
        if inputs % groups or outputs % groups:
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
        _check(int, size=size, kernel=kernel, stride=stride)
        self.amount = (kernel - size) % stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self.amount, 0, self.amount)) if self.amount else x

    def extra_repr(self) -> str:
        return f"amount={self.amount}"
