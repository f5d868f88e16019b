"""The layers of 2012 that PyTorch lacks, or has with other constants.

`LocalResponseNorm` (paper, section 3.3), `SpatialResponseNorm` (original source only),
`Dropout` without rescaling (paper, section 4.2) and `Pad` (the ceil rule of the source).
File and line numbers refer to the original source code, `computerhistory/AlexNet-Source-Code`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


class _FastLRN(torch.autograd.Function):
    """The formula with one saved tensor, the input: everything else is computed again.

    The window sum is a 1x1 convolution with a banded matrix: the one operation that is fast
    on every device, in every precision and memory format.
    """

    @staticmethod
    def forward(ctx, x, band, alpha, beta, k, columns):
        ctx.save_for_backward(x, band)
        ctx.constants = alpha, beta, k, columns
        return _inverse_power(_denominator(x, band, alpha, k, columns), beta).mul_(x)

    @staticmethod
    def backward(ctx, grad):
        x, band = ctx.saved_tensors
        alpha, beta, k, columns = ctx.constants
        s = _denominator(x, band, alpha, k, columns)
        direct = _inverse_power(s.clone(), beta).mul_(grad)
        # What map i does to its neighbours: the transposed window of grad * x * s**(-beta-1).
        others = (direct * x).div_(s)
        maps = band.shape[1]
        transposed = band.view(columns, maps, maps).transpose(1, 2).reshape(-1, maps, 1, 1)
        others = F.conv2d(others, transposed * (-2 * alpha * beta), groups=columns)
        return direct.addcmul_(others, x), None, None, None, None, None


def _denominator(x: Tensor, band: Tensor, alpha: float, k: float, columns: int) -> Tensor:
    """k + alpha * (sum of squares over the window), the formula's bracket."""
    constant = torch.full((x.shape[1],), k, dtype=x.dtype, device=x.device)
    return F.conv2d(x.square(), band[:, :, None, None] * alpha, constant, groups=columns)


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer: same arguments, same result, less time and memory.

    Input and output: (batch, channels, height, width), float; `channels` must be a multiple
    of `columns`. Raises ValueError if it is not, or if `size` < 1.
    """

    def __init__(self, channels: int, size: int = 5, alpha: float = 1e-4, beta: float = 0.75,
                 k: float = 2.0, columns: int = 1):
        super().__init__()
        if size < 1 or channels % columns:
            raise ValueError(f"size must be at least 1 and {columns} columns must divide "
                             f"{channels} channels (size is {size})")
        self.size, self.alpha, self.beta, self.k, self.columns = size, alpha, beta, k, columns
        self.register_buffer("band", window_matrix(channels, size, columns), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return _FastLRN.apply(x, self.band.to(x.dtype), self.alpha, self.beta, self.k,
                                  self.columns)

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
    """

    def __init__(self, size: int = 5, alpha: float = 4e-5, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        if size < 1 or size % 2 == 0:
            raise ValueError(f"size must be odd and at least 1, not {size}")
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        total = F.avg_pool2d(x.square(), self.size, 1, self.size // 2, divisor_override=1)
        return x * _inverse_power(self.k + self.alpha * total, self.beta)

    def extra_repr(self) -> str:
        return f"size={self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"


class Dropout(nn.Module):
    """Dropout as in 2012: zero at training, scale at test (paper, 4.2; src/layer.cu:1121-1135).

    Training multiplies by a mask of zeros and ones, without rescaling; evaluation multiplies
    by 1 - p. `nn.Dropout` does it the other way round ("inverted"), so that its activations
    are 1 / (1 - p) times as large in both modes. Input and output: any shape.
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be in [0, 1), not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x * (1 - self.p)
        return x * torch.empty_like(x).bernoulli_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


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
