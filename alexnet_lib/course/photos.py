"""Photographs to look at: those that scikit-image and matplotlib ship, and those of a data set.

A notebook may store pictures of the shipped ones, never those of a data set: cells that show them
carry the tag "fetched" (see `course.writing`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alexnet_lib import datasets
from alexnet_lib.errors import UserError

# What our packages ship, with who made it. After the first seven come gray ones, but for the last.
SHIPPED = {
    "astronaut": "NASA, public domain", "cat": "Stéfan van der Walt, CC0",
    "coffee": "Rachel Michetti, CC0", "rocket": "SpaceX, public domain",
    "retina": "Mikael Häggström, CC0", "hubble_deep_field": "NASA, public domain",
    "immunohistochemistry": "CMMI, no known restrictions",
    "camera": "Lav Varshney, CC0", "coins": "Brooklyn Museum, no known restrictions",
    "brick": "CC0 Textures, CC0", "grass": "linolafett, CC0", "gravel": "CC0 Textures, CC0",
    "grace_hopper": "US Navy, public domain",
}
IN_COLOR = tuple(SHIPPED)[:7]


@dataclass(frozen=True)
class Photograph:
    """image: (size, size, 3) uint8, RGB, 0-255; label: what it shows; credit: who took it."""

    image: np.ndarray
    label: str
    credit: str


def photographs(size: int, names: Sequence[str] = IN_COLOR) -> dict[str, np.ndarray]:
    """Photographs that our packages ship, by name: (size, size, 3) uint8, the central square.

    names: some of `SHIPPED`. Raises UserError for another one.
    """
    from PIL import Image, ImageOps
    if unknown := [name for name in names if name not in SHIPPED]:
        raise UserError(f"no photograph {unknown[0]!r}: use {', '.join(SHIPPED)}")
    return {name: np.asarray(ImageOps.fit(Image.fromarray(_read(name)).convert("RGB"),
                                          (size, size))) for name in names}


def _read(name: str) -> np.ndarray:
    if name == "grace_hopper":
        import matplotlib.cbook
        import matplotlib.image
        with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
            return matplotlib.image.imread(file, "jpg")
    import skimage.data
    return getattr(skimage.data, name)()


def fetched_photographs(name: str = "flowers", count: int = 10, size: int = 224,
                        split: str = "test") -> list[Photograph]:
    """`count` photographs of a data set, one of each class in turn, always the same ones.

    They come from the cache, or are downloaded once under a bar. Without a network, or where
    ALEXNET_OFFLINE=1, shipped photographs stand in for them, and a printed line says how to get
    the others. The cell that calls this has the tags "fetched" and "nbval-ignore-output".

    Args:
        name: "flowers" or "imagenette". size: side of the squares in pixels.
        split: "train", "val" or "test".
    """
    if name not in ("flowers", "imagenette"):
        raise UserError(f"no photographs to fetch for {name!r}: use flowers or imagenette")
    try:
        listed = datasets.list_files(name, datasets.data_root(),
                                     download=os.environ.get("ALEXNET_OFFLINE") != "1")
    except UserError as error:
        print(f"Shipped photographs stand in for {name} ({error}). `alexnet data get {name}` "
              "fetches them.")
        shipped = photographs(size, tuple(SHIPPED)[:count])
        return [Photograph(image, place.replace("_", " "), SHIPPED[place])
                for place, image in shipped.items()]
    paths, labels = listed.splits[split]
    chosen = datasets.Split(np.arange(len(paths)), labels).balanced_subset(count)
    credits = datasets.credits(paths[0].parents[1]) if name == "flowers" else {}
    return [Photograph(datasets.prepare_image(paths[i], size), listed.classes[k],
                       credits.get(f"{paths[i].parent.name}/{paths[i].name}", "ImageNet"))
            for i, k in zip(chosen.images[:count], chosen.labels[:count], strict=True)]
