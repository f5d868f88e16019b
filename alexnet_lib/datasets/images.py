"""One picture from a file, as the paper prepared it: an RGB square of 0-255."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from alexnet_lib.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


class BrokenImage(UserError):
    """A file that cannot be read as a picture."""


def prepare_image(path: str | Path, size: int) -> np.ndarray:
    """Scale the shorter side to `size` and cut out the centre (paper, section 2).

    Any mode becomes 8-bit RGB: grey is repeated, transparency is laid over white, 16 bits are
    scaled to 8, palettes and CMYK are converted, EXIF rotation is applied. Scaling is bilinear
    with antialiasing, as torchvision's `Resize`; the paper does not say which was used.

    Returns: (size, size, 3) uint8. Raises BrokenImage, naming the file.
    """
    try:
        with Image.open(path) as picture:
            # A JPEG can be decoded at 1/2, 1/4, 1/8 of its size, which is several times faster.
            picture.draft("RGB", (2 * size, 2 * size))
            # A PNG of 16 bits has the mode "I" in older versions of Pillow.
            deep = picture.mode.startswith("I;16") or (picture.format, picture.mode) == ("PNG", "I")
            picture = to_rgb(ImageOps.exif_transpose(picture), deep)
            return np.asarray(squared(picture, size))
    except FileNotFoundError:
        raise BrokenImage(f"no image {path}: check the path") from None
    except Exception as error:  # a damaged file can make its decoder raise almost anything
        told = ("no image format that PIL knows" if isinstance(error, UnidentifiedImageError)
                else " ".join(str(error).split())[:100] or type(error).__name__)
        raise BrokenImage(f"cannot read the image {path} ({told}): replace or remove it") from None


def to_rgb(picture: Image.Image, deep: bool = False) -> Image.Image:
    """8-bit RGB from a picture of any mode; `deep`: of 16 bits, dark as it may be."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture).astype(np.float64)
        # PIL's own conversion would clip 16-bit values at 255 instead of scaling them.
        scale = 257 if deep or values.max(initial=0) > 255 else 1
        values = np.clip(values / scale + 0.5, 0, 255).astype(np.uint8)
        return Image.fromarray(values).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def squared(picture: Image.Image, size: int) -> Image.Image:
    """The centre `size` x `size` pixels of a picture whose shorter side is scaled to `size`."""
    width, height = picture.size
    short = min(width, height)
    if max(width, height) > 16 * short:  # a sliver: scaled up whole, it would fill the memory
        picture = ImageOps.fit(picture, (min(width, 4 * short), min(height, 4 * short)))
        width, height = picture.size
    width, height = int(size * width / short), int(size * height / short)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return picture.crop((left, top, left + size, top + size))
