"""One picture from a file, as the paper prepared it: an RGB square of 0-255."""

import contextlib
import functools
import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from alexnet_lib.errors import UserError

# No other format is ever tried: Pillow would hand PostScript to Ghostscript, which runs programs.
FORMATS = ("JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "PPM", "AVIF", "HEIF")
AT_ONCE = 2**27  # pixels that all threads together hold decoded, some 4-12 bytes each
STRIP = 2**22  # pixels of more than 8 bits that are scaled in one go
BEGINNINGS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|GIF8|RIFF....WEBP|II\*\0|MM\0\*|....ftypavif",
                        re.DOTALL)


class BrokenImage(UserError):
    """A file that cannot be read as a picture."""


@functools.cache
def suffixes() -> frozenset[str]:
    """The endings of the files that this installation of Pillow can read, such as ".jpg"."""
    return frozenset(end for end, name in Image.registered_extensions().items() if name in FORMATS)


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()  # an older Pillow does not know them all
    return tuple(name for name in FORMATS if name in Image.OPEN)


def begins_like_an_image(path: str | Path) -> bool:
    """Whether the first bytes of a regular file are those of a common format."""
    try:
        with open(path, "rb") as file:
            return bool(BEGINNINGS.match(file.read(16)))
    except OSError:
        return False


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """The picture in a regular file, not yet decoded. Raises BrokenImage, naming the file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a named pipe would wait forever
            raise BrokenImage(f"{path} is not a regular file: replace or remove it")
        with Image.open(path, formats=_formats()) as picture:
            yield picture
    except BrokenImage:
        raise
    except FileNotFoundError:
        raise BrokenImage(f"no image {path}: check the path") from None
    except Exception as error:  # a damaged file can make its decoder raise almost anything
        told = ("no image format that is read here" if isinstance(error, UnidentifiedImageError)
                else " ".join(str(error).split())[:100] or type(error).__name__)
        raise BrokenImage(f"cannot read the image {path} ({told}): replace or remove it") from None


def prepare_image(path: str | Path, size: int) -> np.ndarray:
    """Scale the shorter side to `size` and cut out the center (paper, section 2).

    Any mode becomes 8-bit RGB: gray is repeated, transparency is laid over white, 16 bits are
    scaled to 8, palettes and CMYK are converted, EXIF rotation is applied. 16 bits are taken to
    use their whole range, 0-65535; no file says so if it holds fewer. Scaling is bilinear
    with antialiasing, as torchvision's `Resize`; the paper does not say which was used.

    Returns: (size, size, 3) uint8. Raises BrokenImage, naming the file.
    """
    with opened(path) as picture:
        # A JPEG can be decoded at 1/2, 1/4, 1/8 of its size, which is several times faster.
        picture.draft("RGB", (2 * size, 2 * size))
        with _room(picture.width * picture.height):
            # A PNG of 16 bits has the mode "I" in older versions of Pillow.
            deep = picture.mode.startswith("I;16") or (picture.format, picture.mode) == ("PNG", "I")
            ImageOps.exif_transpose(picture, in_place=True)
            return np.asarray(squared(to_eight_bits(picture, deep), size).convert("RGB"))


_decoding, _left = threading.Condition(), [AT_ONCE]


@contextlib.contextmanager
def _room(pixels: int) -> Iterator[None]:
    """Wait until there is room for so many decoded pixels; a larger picture is decoded alone."""
    pixels = min(pixels, AT_ONCE)
    with _decoding:
        _decoding.wait_for(lambda: _left[0] >= pixels)
        _left[0] -= pixels
    try:
        yield
    finally:
        with _decoding:
            _left[0] += pixels
            _decoding.notify_all()


def to_eight_bits(picture: Image.Image, deep: bool = False) -> Image.Image:
    """8-bit RGB or gray from a picture of any mode; `deep`: of 16 bits, dark as it may be."""
    if picture.mode.startswith("I") or picture.mode == "F":
        # PIL's own conversion would clip 16-bit values at 255 instead of scaling them.
        values = np.empty((picture.height, picture.width), np.uint8)
        scale = 257 if deep or max(part.max() for _, part in _strips(picture)) > 255 else 1
        for rows, part in _strips(picture):
            values[rows] = np.clip(part / scale + 0.5, 0, 255)
        return Image.fromarray(values)
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _strips(picture: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """The values as float64, a few rows at a time: all of them would take eight bytes each."""
    rows = max(1, STRIP // picture.width)
    for top in range(0, picture.height, rows):
        end = min(top + rows, picture.height)
        strip = picture.crop((0, top, picture.width, end))
        yield slice(top, end), np.asarray(strip).astype(np.float64)


def squared(picture: Image.Image, size: int) -> Image.Image:
    """The center `size` x `size` pixels of a picture whose shorter side is scaled to `size`."""
    width, height = picture.size
    short = min(width, height)
    if max(width, height) > 16 * short:  # a sliver: scaled up whole, it would fill the memory
        picture = ImageOps.fit(picture, (min(width, 4 * short), min(height, 4 * short)))
        width, height = picture.size
    width, height = int(size * width / short), int(size * height / short)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return picture.crop((left, top, left + size, top + size))
