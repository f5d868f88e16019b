"""Batches from stored images: crop, mirror, subtract the mean, shift the color, in one pass."""

import warnings

import torch
from torch import Tensor

from alexnet_lib.errors import UserError
from alexnet_lib.ops import build
from alexnet_lib.ops.registry import operator


def crop(images, index, top, left, flip, size: int) -> Tensor:
    """Cut one square from each chosen image and mirror some of them.

    Args:
        images: (N, S, S, C), a tensor or a numpy array (or memory map) of any type.
        index: (B,) which images. top, left: (B,) first row and column, 0 to S - size.
        flip: (B,) booleans: mirror left to right.
        size: side of the squares in pixels.

    Returns: (B, C, size, size) of the images' type, in channels-last memory.
    """
    images = as_tensor(images)
    index, top, left = (torch.as_tensor(a, dtype=torch.int64) for a in (index, top, left))
    flip = torch.as_tensor(flip, dtype=torch.bool)
    if images.device.type != "cpu":
        index, top, left, flip = (a.to(images.device) for a in (index, top, left, flip))
        return _gather(images, index, top, left, flip, size)
    out = images.new_empty((len(index), size, size, images.shape[3]))
    # One copy per image: twice as fast on a CPU as advanced indexing, and a memory map reads
    # only the pages it needs.
    for i, (which, y, x, mirrored) in enumerate(zip(
            *(a.tolist() for a in (index, top, left, flip)), strict=True)):
        square = images[which, y:y + size, x:x + size]
        out[i] = square.flip(1) if mirrored else square
    return out.permute(0, 3, 1, 2)


def _gather(images: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor,
            size: int) -> Tensor:
    """`crop` by advanced indexing: one kernel on a GPU instead of one for each image."""
    span = torch.arange(size, device=images.device)
    rows = top[:, None] + span
    columns = left[:, None] + torch.where(flip[:, None], size - 1 - span, span)
    return images[index[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def as_tensor(images) -> Tensor:
    """The same memory as a tensor, of a numpy array or a memory map."""
    if isinstance(images, Tensor):
        return images
    with warnings.catch_warnings():  # that a map may not be written to: nobody does
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(images if min(images.strides) >= 0 else images.copy())


def formula(images: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, size: int,
            mean: Tensor, mean_moves: bool, shift: Tensor | None, divisor: float,
            dtype: torch.dtype) -> Tensor:
    """`make_batch` step by step."""
    batch = crop(images, index, top, left, flip, size).float()
    if mean_moves:
        batch = batch - crop(mean[None], torch.zeros_like(index), top, left, flip, size)
    else:
        free = (len(mean) - size) // 2
        batch = batch - mean[free:free + size, free:free + size].permute(2, 0, 1)
    if shift is not None:
        batch = batch + shift[:, :, None, None]
    return (batch / divisor).to(dtype)


@operator("(Tensor images, Tensor index, Tensor top, Tensor left, Tensor flip, int size, "
          "Tensor mean, bool mean_moves, Tensor? shift, float divisor, ScalarType dtype) -> Tensor")
def make_batch(images: Tensor, index: Tensor, top: Tensor, left: Tensor, flip: Tensor, size: int,
               mean: Tensor, mean_moves: bool, shift: Tensor | None, divisor: float,
               dtype: torch.dtype) -> Tensor:
    """Crops of images, minus the mean, plus a shift for each image, divided.

    Args:
        images: (N, S, S, C), 0-255. index, top, left: (B,) int64; flip: (B,) bool: see `crop`.
        size: side of the crops in pixels, at most S.
        mean: (S, S, C) float32, 0-255.
        mean_moves: subtract from each pixel the mean at its own place; else the center of the
            mean, unmirrored, from every crop.
        shift: (B, C) float32, 0-255, or None. divisor: above 0. dtype: of the batch.

    Returns: (B, C, size, size), in channels-last memory; it has no gradient. Raises UserError for
    shapes and types that do not fit, IndexError for an image or a place outside.
    """
    _check(images, index, top, left, flip, size, mean, shift, divisor)
    if images.device.type == "cpu":  # to ask a GPU would be to wait for it
        for name, values, most in (("image", index, len(images) - 1),
                                   ("row", top, images.shape[1] - size),
                                   ("column", left, images.shape[1] - size)):
            if values.numel() and not 0 <= int(values.min()) <= int(values.max()) <= most:
                raise IndexError(f"{name} {values.tolist()} is not from 0 to {most}")
    if not (images.dtype == torch.uint8 and images.shape[3] == 3 and images.is_contiguous()
            and dtype in (torch.float32, torch.bfloat16) and build.usable(mean)):
        return formula(images, index, top, left, flip, size, mean, mean_moves, shift, divisor,
                       dtype)
    stored = images.shape[1]
    places = images.data_ptr() + index * (stored * stored * 3)
    out = torch.empty(len(index), size, size, 3, dtype=dtype)
    settings = build.BatchSettings(len(index), stored, size, mean_top=(stored - size) // 2,
                                   mean_moves=mean_moves, divisor=divisor)
    build.call("make_batch", settings, out.element_size(), places, top.contiguous(),
               left.contiguous(), flip.contiguous(), mean.contiguous(),
               None if shift is None else shift.contiguous(), out)
    return out.permute(0, 3, 1, 2)


def _check(images, index, top, left, flip, size, mean, shift, divisor) -> None:
    """UserError for shapes and types that native code must not see."""
    stored, channels = images.shape[1], images.shape[-1]
    if images.dim() != 4 or images.shape[2] != stored or not 1 <= size <= stored:
        raise UserError(f"crops of {size} pixels cannot be cut from images of shape "
                        f"{tuple(images.shape)}: give (N, S, S, C) with S of {size} or more")
    if tuple(mean.shape) != (stored, stored, channels) or mean.dtype != torch.float32:
        raise UserError(f"a mean of {tuple(mean.shape)}, {mean.dtype}, for images of "
                        f"{tuple(images.shape[1:])}: give one of their shape in float32")
    if any(a.dtype != torch.int64 or a.shape != index.shape for a in (index, top, left)) or (
            flip.dtype != torch.bool or flip.shape != index.shape or index.dim() != 1):
        raise UserError("index, top and left must be (B,) of int64, flip (B,) of bool")
    if shift is not None and (tuple(shift.shape) != (len(index), channels)
                              or shift.dtype != torch.float32):
        raise UserError(f"a shift of {tuple(shift.shape)}, {shift.dtype}, for {len(index)} images "
                        f"of {channels} channels: give ({len(index)}, {channels}) in float32")
    if not divisor > 0:
        raise UserError(f"the divisor must be above 0, not {divisor}")


@make_batch.register_fake
def _(images, index, top, left, flip, size, mean, mean_moves, shift, divisor, dtype):
    _check(images, index, top, left, flip, size, mean, shift, divisor)
    return images.new_empty((index.shape[0], size, size, images.shape[3]),
                            dtype=dtype).permute(0, 3, 1, 2)
