"""What the units of a trained net respond to: kernels, maps, patches, likeness (section 6.1)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from alexnet_lib import memory
from alexnet_lib.augment import crop
from alexnet_lib.config import autocast
from alexnet_lib.errors import UserError
from alexnet_lib.layers import MaxPool
from alexnet_lib.probe import probe
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel


def kernels(net: LoadedModel | Trainer) -> Tensor:
    """The kernels of conv1, (maps, channels, side, side), in their own units."""
    return named(net, "conv1").get_parameter("weight").detach().float().cpu()


def color_selectivity(weights: Tensor) -> Tensor:
    """The share of each kernel's energy that is color, (maps,): 0 is gray, 1 has no gray part.

    A kernel is the sum of a gray one, the same in red, green and blue, and a rest; shares are of
    the sum of squares. Of noise two thirds are color. weights: (maps, 3, side, side).
    """
    gray = 3 * weights.mean(1).square().sum((1, 2))
    return 1 - gray / weights.square().sum((1, 2, 3)).clamp_min(1e-30)


def named(net: LoadedModel | Trainer, layer: str) -> nn.Module:
    """The layer of that name. Raises UserError."""
    model = net.model
    parts = [getattr(model, part) for part in ("features", "classifier") if hasattr(model, part)]
    found = {name: child for part in parts or [model] for name, child in part.named_children()}
    if layer not in found:
        raise UserError(f"no layer {layer!r} here: use one of {', '.join(found)}")
    return found[layer]


def convolutions(net: LoadedModel | Trainer) -> list[str]:
    """The names of the net's convolutions, first to last."""
    parts = getattr(net.model, "features", net.model)  # `load_features` gives these alone
    return [name for name, part in parts.named_children() if isinstance(part, nn.Conv2d)]


@torch.no_grad()
def responses(net: LoadedModel | Trainer, images, layer: str, batch_size: int = 128) -> Tensor:
    """What `layer` gives for the center crops of stored images, on the CPU in float32.

    images: (N, S, S, 3) uint8. Returns (N, maps, side, side), of a full layer (N, units).
    """
    found = []
    net.model.eval()
    with memory.keep_freed_memory(), probe({layer: named(net, layer)}) as seen:
        for index in torch.arange(len(images)).split(batch_size):
            x = net.augment.view(images, index)
            with autocast(net.config):
                net.model(x)
            found.append(seen[layer].float().cpu())
    return torch.cat(found)


@dataclass(frozen=True)
class Field:
    """Which pixels of the net's input reach a unit: in rows as in columns, unit i sees
    `size` pixels from `start + stride * i` on; outside of the image there are zeros."""

    size: int
    stride: int
    start: int

    def box(self, i: int, j: int, side: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the pixels of unit (i, j) within an image of `side`."""
        top, left = (self.start + self.stride * n for n in (i, j))
        return (max(top, 0), max(left, 0), min(top + self.size, side), min(left + self.size, side))


def field(model: nn.Module, layer: str) -> Field:
    """The receptive field of a layer of `features`: by convolutions and pooling alone.

    What a norm within maps (`SpatialResponseNorm`) adds is left out: it reaches further, but
    only divides, so that next to nothing of a response comes from there. Raises UserError for
    another layer.
    """
    size, stride, start = 1, 1, 0
    parts = getattr(model, "features", model)  # `load_features` gives the convolutions alone
    for name, module in parts.named_children():
        if isinstance(module, (nn.Conv2d, MaxPool, nn.AvgPool2d)):
            kernel, step, padding = (value[0] if isinstance(value, tuple) else value for value in
                                     (module.kernel_size, module.stride,
                                      getattr(module, "padding", 0)))
            size, start = size + (kernel - 1) * stride, start - padding * stride
            stride *= step
        if name == layer:
            return Field(size, stride, start)
    raise UserError(f"{layer!r} is no layer of the convolutions: use one of "
                    f"{', '.join(name for name, _ in parts.named_children())}")


@dataclass(frozen=True)
class Patch:
    """A place that excites a unit: the pixels of image `index` within `box`."""

    index: int
    response: float
    box: tuple[int, int, int, int]
    whole: np.ndarray  # the center crop of the image, (size, size, 3) uint8

    @property
    def pixels(self) -> np.ndarray:
        """What the unit sees of the image, (height, width, 3) uint8."""
        top, left, bottom, right = self.box
        return self.whole[top:bottom, left:right]


def check_units(units: list[int], layer: str, total: int) -> None:
    """UserError unless there are units and all are among a layer's `total` maps."""
    if not units:
        raise UserError(f"no map of {layer} is given: name one or more of 0 to {total - 1}")
    for unit in units:
        if not 0 <= unit < total:
            raise UserError(f"{layer} has {total} maps, 0 to {total - 1}: there is no {unit}")


def top_patches(net: LoadedModel | Trainer, images, layer: str, units, count: int = 9,
                batch_size: int = 128) -> dict[int, list[Patch]]:
    """For each unit (map) of a layer, the images that excite it most, strongest first.

    At most one place of an image counts. images: (N, S, S, 3) uint8. units: their numbers; or how
    many to take of those whose answers vary most from image to image, without those that answer
    to none. Raises UserError.
    """
    seen = field(net.model, layer)  # no such layer: told before the work begins
    best, places, count = [], [], min(count, len(images))
    for index in torch.arange(len(images)).split(batch_size):  # maps of all images are too many
        found = responses(net, images[index.numpy()], layer, batch_size)
        if not isinstance(units, int):
            units = list(units)
            check_units(units, layer, found.shape[1])
        value, place = found.flatten(2).max(2)
        best.append(value)
        places.append(place)
        side = found.shape[-1]
    best, places = torch.cat(best), torch.cat(places)
    units = most_variable_units(best, units) if isinstance(units, int) else units
    value, order = best[:, units].topk(count, 0)
    place = places[:, units].gather(0, order)
    result: dict[int, list[Patch]] = {}
    for column, unit in enumerate(units):
        result[unit] = []
        for row in range(count):
            i, j = divmod(int(place[row, column]), side)
            index = int(order[row, column])
            result[unit].append(Patch(index, float(value[row, column]),
                                      seen.box(i, j, net.augment.size),
                                      center(net, images, [index])[0]))
    return result


def most_variable_units(strongest: Tensor, count: int) -> list[int]:
    """The `count` units whose strongest responses vary most from image to image, after the ReLU;
    fewer, if the others answer to no image.

    strongest: (images, units).
    """
    positive = strongest.relu()
    order = positive.std(0, correction=0).argsort(descending=True, stable=True)
    return [unit for unit in order.tolist() if positive[:, unit].any()][:count]


def center(net: LoadedModel | Trainer, images, index) -> np.ndarray:
    """The center crops that the net sees of stored images, (N, size, size, 3) uint8."""
    net.augment.check(images)
    size, free = net.augment.size, net.augment.stored - net.augment.size
    middle = [free // 2] * len(index)
    cut = crop(images, index, middle, middle, [False] * len(index), size)
    return cut.permute(0, 2, 3, 1).numpy()


def nearest(features: Tensor, queries: Tensor, count: int = 6, itself: bool = True) -> Tensor:
    """For each query the numbers of the `count` nearest features by Euclidean distance, (Q, count).

    features: (N, D). queries: (Q, D). itself: False leaves out the very nearest, where the queries
    are some of the features.
    """
    found = torch.cdist(queries.float(), features.float()).topk(count + (not itself), largest=False)
    return found.indices[:, 0 if itself else 1:]
