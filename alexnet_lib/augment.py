"""Batches from stored images: crop, flip, color, ten views; on the device that trains.

Stored images are uint8 (N, S, S, 3), values 0-255. Batches are (B, 3, C, C), float32 or bfloat16,
0-255 less the mean, in channels-last memory, which is the fastest on every device. Whatever is
random comes from the generator that is passed in, so that a batch can be drawn again.
"""

import numpy as np
import torch
from torch import Tensor

from alexnet_lib import ops
from alexnet_lib.choices import check_values
from alexnet_lib.errors import UserError
from alexnet_lib.ops import crop as crop


def pca_color(batch: Tensor, values, vectors, definition: str = "paper", std: float = 0.1,
              generator: torch.Generator | None = None) -> Tensor:
    """Add a multiple of each principal component of RGB to every pixel of an image (4.1).

    Args:
        batch: (B, 3, H, W) float, 0-255 less the mean; not changed.
        values: (3,) eigenvalues of the covariance of the training pixels' RGB values, 0-255.
        vectors: (3, 3), the components as columns.
        definition: "paper": vectors @ (alpha * eigenvalues), alpha ~ N(0, std) once per image,
            with pixels and eigenvalues in units of 0-1 (at 0-255 the eigenvalue would be 255
            times stronger; the text does not say, but says that the object stays the same).
            "2012": the square root of the eigenvalues instead, and then the whole image divided
            by 1 + std (convdata_jpeg.py:57-66, 155-179). "none" changes nothing.
        std: 0.1 in both.

    Returns: (B, 3, H, W) float.
    """
    shift, divisor = color_shift(len(batch), values, vectors, definition, std, generator)
    if shift is None:
        return batch
    return (batch + shift.to(batch.device, batch.dtype)[:, :, None, None]) / divisor


def color_shift(count: int, values, vectors, definition: str = "paper", std: float = 0.1,
                generator: torch.Generator | None = None) -> tuple[Tensor | None, float]:
    """What `pca_color` adds to each of `count` images, (count, 3), and what it divides by.

    (None, 1) if `definition` is "none".
    """
    if definition == "none":
        return None, 1.0
    check_values({"color": definition}, {"color": str})
    values = torch.as_tensor(values, dtype=torch.float32).clamp(min=0)
    vectors = torch.as_tensor(vectors, dtype=torch.float32)
    strength = values / 255 if definition == "paper" else values.sqrt()
    device = generator.device if generator is not None else "cpu"
    alpha = torch.randn(count, 3, generator=generator, device=device).cpu() * std
    return (alpha * strength) @ vectors.T, 1.0 if definition == "paper" else 1.0 + std


def ten_view_places(stored: int, size: int) -> list[tuple[int, int, bool]]:
    """(top, left, flip) of the ten views: four corners and center, then their mirrors (4.1)."""
    far, mid = stored - size, (stored - size) // 2
    places = [(0, 0), (0, far), (far, 0), (far, far), (mid, mid)]
    return [(y, x, flip) for flip in (False, True) for y, x in places]


def check_crop(size: int, stored: int) -> None:
    """UserError unless crops of that side fit into stored images of this one, in pixels."""
    if size > stored:
        raise UserError(f"crops of {size} pixels do not fit into stored images of {stored}: "
                        "use a smaller --input-size or larger images")


class Augment:
    """Makes the batches of one run: crops of `size` pixels, less the mean, from stored images.

    Args:
        size: side of the net's input in pixels, at most the stored side.
        mean: (S, S, 3) mean training image, 0-255.
        color_values, color_vectors: see `pca_color`; needed unless color is "none".
        crop, flip: random position and random mirror at training; else the center, unmirrored.
        color: "none", "paper" or "2012".
        mean_at: "pixel" subtracts from each pixel the mean at its own place, as the paper says;
            "center" subtracts the center of the mean from every crop, as the source did
            (convdata_jpeg.py:95,209-211).
        crop_group_size: draw crop and flip once for so many consecutive images: 1, or 32 as in
            the source (convdata_jpeg.py:77,238-246).
        gray: give one channel, the mean of the three.
        input_divisor: divides all batches; 1 as in the paper and the source, 58 for about unit
            variance.
        dtype: of the batches, float32 or bfloat16.
    """

    def __init__(self, size: int, mean, color_values=None, color_vectors=None, *,
                 crop: bool = True, flip: bool = True, color: str = "none",
                 mean_at: str = "pixel", crop_group_size: int = 1,
                 gray: bool = False, input_divisor: float = 1.0, device="cpu",
                 dtype: torch.dtype = torch.float32):
        check_values({"color": color, "mean_at": mean_at, "crop_group_size": crop_group_size,
                      "input_divisor": input_divisor},
                     {"color": str, "mean_at": str, "crop_group_size": int, "input_divisor": float})
        check_crop(size, len(mean))
        self.size, self.stored = size, len(mean)
        self.crop, self.flip, self.crop_group_size = crop, flip, crop_group_size
        self.color, self.mean_at = color, mean_at
        self.gray, self.input_divisor, self.dtype = gray, input_divisor, dtype
        self.values, self.vectors = color_values, color_vectors
        self.device = torch.device(device)
        self.mean = torch.as_tensor(np.asarray(mean), dtype=torch.float32).contiguous()
        self._mean_there = self.mean.to(self.device)

    def train(self, images, index, generator: torch.Generator,
              color: str | None = None, *, share: slice = slice(None)) -> Tensor:
        """A training batch, (B, 3, size, size): every draw comes from `generator`.

        color: instead of the definition that this object was made with. share: the part of the
        batch to cut; draws are made for all of `index`, so it is that part of the whole batch.
        """
        places = self._draw(len(index), generator)
        shift, divisor = color_shift(len(index), self.values, self.vectors, color or self.color,
                                     generator=generator)
        top, left, flip = (place[share] for place in places)
        return self._cut(images, index[share], top, left, flip,
                         None if shift is None else shift[share], divisor)

    def check(self, images) -> None:
        """UserError unless the images are stored as the mean is: (N, stored, stored, 3)."""
        if tuple(images.shape[1:]) == (self.stored, self.stored, 3):
            return
        raise UserError(f"these images are {_size(images)}, but the net was made for images "
                        f"stored at {self.stored} px: load them with that size")

    def at_hand(self, images, index) -> tuple[Tensor, Tensor]:
        """The stored images, and which of them `index` means, where batches are best cut.

        A GPU gets those that `index` names: stored bytes are fewer than the crop's numbers, and
        it cuts faster.
        """
        self.check(images)
        images = ops.as_tensor(images)
        if self.device.type == "cuda" and images.device.type == "cpu":
            return _to_gpu(images[index], self.device), torch.arange(len(index))
        return images, torch.as_tensor(index, dtype=torch.int64)

    def view(self, images, index, view: int = 4) -> Tensor:
        """View number 0-9 of the ten (4 is the plain center), (B, 3, size, size)."""
        top, left, flip = ten_view_places(self.stored, self.size)[view]
        tops, lefts, flips = (torch.full((len(index),), value) for value in (top, left, flip))
        return self._cut(images, index, tops, lefts, flips, None, 1.0)

    def _draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Random (top, left, flip) for `count` images."""
        free, draws = self.stored - self.size, -(-count // self.crop_group_size)  # rounded up

        def spread(drawn: Tensor) -> Tensor:
            return drawn.repeat_interleave(self.crop_group_size)[:count]

        places = torch.randint(free + 1, (2, draws), generator=generator)
        flips = torch.rand(draws, generator=generator) < 0.5
        if not self.crop:
            places = torch.full_like(places, free // 2)
        flips = spread(flips) if self.flip else torch.zeros(count, dtype=torch.bool)
        return spread(places[0]), spread(places[1]), flips

    def _cut(self, images, index, top, left, flip, shift: Tensor | None, divisor: float) -> Tensor:
        """(crop - mean + shift) / (divisor * input_divisor), on the device."""
        images, index = self.at_hand(images, index)
        there = images.device
        index, top, left, flip = (a.to(there) for a in (index, top, left, flip))
        shift = None if shift is None else shift.to(there, torch.float32)
        batch = ops.make_batch(images, index, top, left, flip, self.size,
                               self.mean if there.type == "cpu" else self._mean_there,
                               self.mean_at == "pixel", shift, divisor * self.input_divisor,
                               torch.float32 if self.gray else self.dtype)
        batch = batch.to(self.device)
        return batch.mean(1, keepdim=True).to(self.dtype) if self.gray else batch


def _size(images) -> str:
    """"64 px" of square RGB images; the shape of others."""
    height, *rest = images.shape[1:]
    return f"{height} px" if rest == [height, 3] else f"of shape {(height, *rest)}"


def _to_gpu(images: Tensor, device: torch.device) -> Tensor:
    """The images there, by a stream of their own, so that the GPU goes on computing meanwhile."""
    copies = torch.cuda.Stream(device)
    with torch.cuda.stream(copies):
        moved = images.pin_memory().to(device, non_blocking=True)
    copies.synchronize()
    moved.record_stream(torch.cuda.current_stream(device))
    return moved
