"""Asking a net where it looks and what it likes: Grad-CAM, and images made to excite its units."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet_lib.config import autocast
from alexnet_lib.errors import UserError
from alexnet_lib.features import check_units, convolutions, field, named
from alexnet_lib.probe import probe
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel


def grad_cam(net: LoadedModel | Trainer, x: Tensor, classes, layer: str = "") -> Tensor:
    """Where an image speaks for a class, by Grad-CAM (Selvaraju and others, 2017).

    Each feature map of a layer is weighted by the mean gradient of the class's score with respect
    to it. The weighted sum, cut off at zero, is enlarged to the image.

    Args:
        x: (B, 3, side, side), what the net takes, as from `net.augment.view`.
        classes: B class numbers, or one for all.
        layer: one that gives feature maps; by default the last ReLU of the convolutions.

    Returns: (B, side, side), 0 or more, in units of the score. Raises UserError.
    """
    layer = layer or convolutions(net)[-1].replace("conv", "act")
    net.model.eval()
    with torch.enable_grad(), autocast(net.config), probe({layer: named(net, layer)}) as seen:
        scores = net.model(x.detach().requires_grad_())
        maps = seen[layer]
        if maps.dim() != 4:
            raise UserError(f"{layer} gives no feature maps: use a layer of the convolutions")
        classes = torch.as_tensor(classes, device=scores.device).expand(len(x))
        check_units(classes.tolist(), "the last layer", scores.shape[1])
        [gradient] = torch.autograd.grad(scores.gather(1, classes[:, None]).sum(), maps)
    weights = gradient.mean((2, 3), keepdim=True)
    found = (weights * maps).sum(1, keepdim=True).relu().detach().float()
    return F.interpolate(found, x.shape[-2:], mode="bilinear")[:, 0].cpu()


def optimized(net: LoadedModel | Trainer, layer: str, units, steps: int = 64, rate: float = 0.05,
              fourier: bool = True, color: bool = True, jitter: float = 1.0,
              seed: int = 0) -> np.ndarray:
    """An image for each unit, changed step by step so that the unit answers more strongly.

    Of a convolution, the unit in the middle of a feature map is meant, and the image is as large
    as its receptive field; of another layer, as large as the net's input.

    Args:
        units: their numbers. rate: of Adam, which takes the steps.
        fourier: change the frequencies of the image, low ones most, instead of its pixels.
        color: change along the colors that vary most in the training data, instead of RGB.
        jitter: before each step the image is shifted, turned and resized at random, by at most
            this times 7% of its side, 8 degrees and 8%; 0 leaves it where it is.

    Returns: (len(units), side, side, 3) uint8. Raises UserError.
    """
    units, generator = list(units), torch.Generator().manual_seed(seed)
    side = net.augment.size
    if layer in convolutions(net):
        side = min(side, field(net.model, layer).size)
    margin = math.ceil(0.07 * side)
    numbers, image = _image_of_numbers(net, (len(units), side + 2 * margin), fourier, color,
                                       generator)
    optimizer = torch.optim.Adam([numbers], rate)
    net.model.eval()
    for _ in range(steps):
        views = _shaken(image(), margin, jitter, generator) - _mean_color(net)
        with autocast(net.config):
            out = _up_to(net, layer, views / net.augment.input_divisor).float()
        check_units(units, layer, out.shape[1])
        out = out[range(len(units)), units]
        middle = out if out.dim() == 1 else out[:, out.shape[1] // 2, out.shape[2] // 2]
        optimizer.zero_grad()
        (-middle.sum()).backward()
        optimizer.step()
    made = image().detach()[..., margin:margin + side, margin:margin + side]
    return made.expand(-1, 3, -1, -1).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _mean_color(net) -> Tensor:
    """(channels, 1, 1), 0-255, on the net's device."""
    mean = net.augment.mean.mean((0, 1))
    mean = mean.mean(0, keepdim=True) if net.augment.gray else mean
    return mean[:, None, None].to(net.config.device)


def _image_of_numbers(net, shape: tuple[int, int], fourier: bool, color: bool,
                      generator: torch.Generator) -> tuple[Tensor, Callable[[], Tensor]]:
    """Numbers to change, and what makes images of them, (N, channels, side, side), 0-255."""
    (count, side), channels, device = shape, net.config.in_channels, net.config.device
    frequency = torch.hypot(torch.fft.fftfreq(side)[:, None], torch.fft.rfftfreq(side))
    spectrum = frequency.clamp_min(1 / side)**-1.5
    spectrum = (5 * spectrum / spectrum.square().mean().sqrt()).to(device)
    mix = torch.eye(channels)
    if color and channels == 3 and net.augment.values is not None:
        values, mix = (torch.as_tensor(part, dtype=torch.float32) for part in
                       (net.augment.values, net.augment.vectors))
        mix = mix * (values / values.max()).clamp_min(0).sqrt()
    mix, gray = mix.to(device), (_mean_color(net) / 255).logit()
    size = (*spectrum.shape, 2) if fourier else (side, side)
    start = 0.01 * torch.randn(count, channels, *size, generator=generator)
    numbers = start.to(device).requires_grad_()

    def image() -> Tensor:
        plane = numbers if not fourier else torch.fft.irfft2(
            torch.view_as_complex(numbers) * spectrum, s=(side, side), norm="ortho")
        return 255 * (torch.einsum("ck,nkyx->ncyx", mix, plane) + gray).sigmoid()
    return numbers, image


def _shaken(images: Tensor, margin: int, jitter: float, generator: torch.Generator) -> Tensor:
    """The images without their margin, each shifted, turned and resized by chance."""
    count, channels, whole, _ = images.shape
    side = whole - 2 * margin
    across, down, turn, size = jitter * (2 * torch.rand(4, count, generator=generator) - 1)
    turn, size, free = turn * math.radians(8), side / whole * (1 + 0.08 * size), 1 - side / whole
    rows = [torch.stack(row, 1) for row in ((size * turn.cos(), -size * turn.sin(), free * across),
                                            (size * turn.sin(), size * turn.cos(), free * down))]
    grid = F.affine_grid(torch.stack(rows, 1), [count, channels, side, side], align_corners=False)
    return F.grid_sample(images, grid.to(images.device), padding_mode="reflection",
                         align_corners=False)


def _up_to(net, layer: str, x: Tensor) -> Tensor:
    """What `layer` gives; later layers are not computed, so that x may be small."""
    last = named(net, layer)
    parts = getattr(net.model, "features", net.model), getattr(net.model, "classifier", ())
    for module in itertools.chain(*parts):
        x = module(x)
        if module is last:
            break
    return x
