"""Data sets by name: "shapes", "cifar10", "flowers", "imagenette", "imagenet", "folder:PATH".

All come as the same `Dataset`: uint8 images of one size in memory or mapped from disk, labels,
class names, and the statistics that the paper subtracts and perturbs by.
"""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from alexnet_lib import memory, text
from alexnet_lib.errors import UserError

from . import folders as _folders
from . import images as _images
from . import listing as _listing
from . import shapes as _shapes
from . import store as _store
from .folders import images_named
from .images import BrokenImage, prepare_image
from .known import other_copy, signature, title, title_of
from .listing import credits

__all__ = ["BrokenImage", "Dataset", "Split", "check", "credits", "data_root", "folder_of",
           "images_named", "leftovers", "list_files", "load", "load_split", "native_size",
           "other_copy", "prepare_image", "remove", "signature", "sources", "title", "title_of"]

NAMES = ("shapes", "cifar10", "flowers", "imagenette", "imagenet")
SMALL = 64  # pixels: a folder of images up to this side is stored at the size it has
DARK = 32  # of 255: photographs are nowhere darker than this in the mean


@dataclass(frozen=True)
class Split:
    """images: (N, S, S, 3) uint8, RGB, 0-255, in memory or mapped; labels: (N,) int64."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, count: int | None, seed: int = 0) -> "Split":
        """`count` images, in their order; all, where there are no more or `count` is None.

        Of a split that lies class by class, as photographs do, they are drawn by the seed: the
        first ones would all be of one class. Of a mixed one they are the first.
        """
        if count is None or count >= len(self):
            return self
        if (np.diff(self.labels) < 0).any():
            return Split(self.images[:count], self.labels[:count])
        index = np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))
        return Split(self.images[index], self.labels[index])

    def balanced_subset(self, count: int, classes: int | None = None) -> "Split":
        """The first image of each class, then the second of each, up to `count`.

        A class that has fewer gives those it has; of the first `classes` classes alone, if given.
        """
        there = np.unique(self.labels)[:classes]
        firsts = [np.flatnonzero(self.labels == k)[:count] for k in there]
        index = [mine[i] for i in range(count) for mine in firsts if i < len(mine)]
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True)
class Dataset:
    """Splits "train", "val" and, where there is one, "test", with the training statistics.

    mean: (S, S, 3) float32, the mean training image, 0-255. color_values (3,), descending, and
    color_vectors (3, 3), as columns: principal components of the training pixels' RGB values
    at 0-255. fingerprint: 16 hex digits that change with any image, label or class name.
    notes: lines about a folder: its classes, what was guessed, which files were skipped.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    mean: np.ndarray
    color_values: np.ndarray
    color_vectors: np.ndarray
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Side of the stored images in pixels."""
        return next(iter(self.splits.values())).images.shape[1]

    @property
    def held_out(self) -> Split:
        """The test split, or "val" where there is none, as of a flat folder of one's own."""
        return self.splits["test" if "test" in self.splits else "val"]


def load(name: str, size: int | None = None, *, root: str | Path | None = None, seed: int = 0,
         download: bool = True, skip_broken: bool = False, progress: bool = True,
         counts: dict[str, int] | None = None,
         say: Callable[[str], None] = text.say) -> Dataset:
    """The data set of that name, downloaded and packed at first use.

    Args:
        name: "shapes", "cifar10", "flowers", "imagenette", "imagenet" or "folder:PATH".
        size: side of the stored images in pixels; by default that of `native_size`.
        root: where downloads and packed stores go; by default `data_root()`.
        seed: of the drawn scenes (shapes), or of the images held out for validation; the splits
            of flowers are fixed.
        skip_broken: leave out images that cannot be read, instead of stopping.
        counts: images per split, for shapes alone; by default 4000, 1000, 1000.
        say: gets each of the notes; by default they are printed on stderr.

    Raises UserError, in one line, for whatever a user can mend.
    """
    kind, path = parse(name)
    size = native_size(name) if size is None else size
    if size < 1:
        raise UserError(f"size must be 1 or more pixels, not {size}")
    if seed < 0:
        raise UserError(f"seed must be 0 or more, not {seed}")
    if kind == "shapes":
        return _load_shapes(size, seed, counts)
    root = Path(root) if root else data_root()
    if kind == "cifar10":
        classes, splits = _listing.load_cifar10(root, download, seed)
        return _in_memory(name, classes, splits, size)
    return _packed(name, list_files(name, root, seed, download), size, root, skip_broken,
                   progress, say)


def list_files(name: str, root: Path, seed: int = 0, download: bool = True) -> _folders.Listing:
    """The files of "flowers", "imagenette", "imagenet" or "folder:PATH". Raises UserError."""
    kind, path = parse(name)
    return (_folders.list_folder(path, seed) if kind == "folder" else
            _listing.list_flowers(root, download) if kind == "flowers" else
            _listing.list_imagenette(root, download, seed) if kind == "imagenette" else
            _listing.list_imagenet(root))


def load_split(name: str, size: int, split: str | None = None,
               classes: tuple[str, ...] | None = None, learned: str | None = None, *,
               root: str | Path | None = None, skip_broken: bool = False,
               progress: bool = True,
               say: Callable[[str], None] = text.say) -> tuple[Dataset, str]:
    """(data to measure a net on, the name of the split to measure).

    Of a folder, all images of that split are taken as they lie there. It needs no training
    images; some of the net's `classes`, with one image each, are enough; and the images of a flat
    folder PATH/<class>/* are together one split, "all". Everything else is loaded as by `load`.

    Args:
        split: by default "val", or whatever a folder without train and val has.
        classes: those of the net, which become those of a folder; by default those it has.
        learned: the name of the data that the net was trained on. Of that very folder, "val" is
            what training held out.
        say: gets each of the notes; by default they are printed on stderr.

    Raises UserError.
    """
    kind, path = parse(name)
    if kind != "folder":
        return load(name, size, root=root, skip_broken=skip_broken, progress=progress,
                    say=say), split or "val"
    learned = learned or ""
    same = learned.startswith("folder:") and _folders.same(path, parse(learned)[1])
    listed, split = _folders.list_to_measure(path, split, classes, same)
    return _packed(name, listed, size, Path(root) if root else data_root(), skip_broken,
                   progress, say), split


def _packed(name: str, listed: _folders.Listing, size: int, root: Path, skip_broken: bool,
            progress: bool, say: Callable[[str], None]) -> Dataset:
    meta, mean, splits = _store.open_store(name, listed, size, root, skip_broken, progress)
    notes = listed.notes
    if mean.max() < DARK:
        notes += (f"the images are very dark (their mean stays below {DARK} of 255): files of 16 "
                  "bits that use only 10 or 12 of them must be scaled to the full range",)
    for line in notes:
        say(line)
    return Dataset(name, tuple(meta["classes"]), {k: Split(*v) for k, v in splits.items()},
                   mean, np.array(meta["color_values"]), np.array(meta["color_vectors"]),
                   meta["fingerprint"], notes)


def parse(name: str) -> tuple[str, str]:
    """(kind, path): the path of a folder, else "". Raises UserError for an unknown name."""
    if name.startswith("folder:") and name != "folder:":
        return "folder", name[len("folder:"):]
    if name in NAMES:
        return name, ""
    if os.path.isdir(name):
        raise UserError(f"unknown data {name!r}: for a folder of images, say folder:{name}")
    near = difflib.get_close_matches(name, NAMES, 1)
    meant = f"did you mean {near[0]}? " if near else ""
    raise UserError(f"unknown data {name!r}: {meant}use {', '.join(NAMES)} or folder:PATH")


def folder_of(name: str) -> Path | None:
    """The folder of data that are called "folder:PATH"; None for other data."""
    path = name.removeprefix("folder:")
    return Path(os.path.expanduser(path)).resolve() if path != name else None


def native_size(name: str) -> int:
    """Side in pixels at which a data set is stored unless one is asked for.

    Photographs: 256, as in the paper. A folder whose first image is at most 64 px: its own size.
    """
    kind, path = parse(name)
    if kind == "folder":
        first = _folders.first_image(path)
        if first is None:
            return 256  # `load` tells what is wrong with the folder
        try:
            with _images.opened(first) as picture:
                short = min(picture.size)
        except BrokenImage:
            return 256
        return short if short <= SMALL else 256
    return {"shapes": 64, "cifar10": 32}.get(kind, 256)


def data_root() -> Path:
    """ALEXNET_DATA_ROOT if set, data/cache of a checkout of the course, else ~/.cache/alexnet."""
    given = os.environ.get("ALEXNET_DATA_ROOT")
    checkout = Path(__file__).parents[2]
    if not given and (checkout / "notebooks").is_dir() and (checkout / "data").is_dir():
        return checkout / "data" / "cache"
    root = os.path.expanduser(given or "~/.cache/alexnet")
    if root.startswith("~"):  # a user who does not exist, or has no home
        raise UserError(f"there is no home folder for {root}: set ALEXNET_DATA_ROOT to a folder")
    return Path(root)


def sources() -> list[dict]:
    """What `--data` can name: `name`, `images`, `classes`, `download`, `what`."""
    rows = [
        ("shapes", "any", "10", "none", "drawn from a seed; needs no file"),
        ("cifar10", "60,000", "10", "163 MiB", "32 px photographs (Krizhevsky, 2009)"),
        ("flowers", "3,670", "5", "218 MiB",
         "photographs by many people, CC BY 2.0: `data get` says where they are named"),
        ("imagenette", "13,394", "10", "326 MiB",
         "ten classes of ImageNet; non-commercial research and education"),
        ("imagenet", "1,331,167", "1000", "144 GiB, by hand",
         "ILSVRC 2012; its archives must be fetched with an account at image-net.org"),
        ("folder:PATH", "yours", "yours", "none",
         "PATH/{train,val,test}/<class>/* or PATH/<class>/*, or a list of labels"),
    ]
    return [dict(zip(("name", "images", "classes", "download", "what"), row, strict=True))
            for row in rows]


def check(name: str, size: int | None = None, *, root: str | Path | None = None,
          progress: bool = True) -> dict:
    """Load `name` and verify it: each chunk of a packed store against its checksum.

    Returns `name`, `images`, `classes`, `fingerprint`, `checked`, `notes`. Raises UserError.
    """
    found = load(name, size, root=root, progress=progress)
    checked = "drawn from its seed" if name == "shapes" else "md5 of the download"
    if parse(name)[0] not in ("shapes", "cifar10"):
        file = Path(str(cast(np.memmap, found.splits["train"].images).filename))
        checked = f"{_store.check_store(file.parent, progress):,} images, SHA-256"
    return {"name": name, "images": sum(map(len, found.splits.values())),
            "classes": len(found.classes), "fingerprint": found.fingerprint, "checked": checked,
            "notes": list(found.notes)}


def leftovers(root: str | Path | None = None) -> list[tuple[Path, int, str]]:
    """(folder, bytes, why) of packed stores that nothing reads any more (`alexnet data clean`)."""
    return _store.leftovers(Path(root) if root else data_root())


def remove(leftover: Path) -> None:
    """Delete a folder that `leftovers` found, and nothing in it that is not a store's."""
    _store.remove(leftover)


def _load_shapes(size: int, seed: int, counts: dict[str, int] | None) -> Dataset:
    if size < 32:
        raise UserError(f"shapes are drawn at 32 or more pixels, not {size}")
    counts = counts or _shapes.SPLITS
    if set(counts) - set(_shapes.SPLITS) or min(counts.values()) < 1 or "train" not in counts:
        raise UserError(f"counts must give 1 or more images for {', '.join(_shapes.SPLITS)}")
    need, free = sum(counts.values()) * size**2 * 3 + 2**28, memory.available()
    if free is not None and need > free:  # the system would kill the process on the way
        raise UserError(f"{sum(counts.values()):,} shapes of {size} px need {need / 1e9:.1f} GB of "
                        f"memory, {free / 1e9:.1f} are free: choose a smaller --input-size")
    splits = {name: _shapes.render(0, count, size, name, seed) for name, count in counts.items()}
    return _in_memory("shapes", _shapes.CLASSES, splits, size)


def _in_memory(name: str, classes: tuple[str, ...], splits: dict, size: int) -> Dataset:
    """A data set of arrays, with its statistics computed on the spot."""
    train = splits["train"][0]
    if train.shape[1] != size:
        raise UserError(f"{name} is stored at {train.shape[1]} px, not {size}: "
                        f"use --stored-size {train.shape[1]}")
    step = _store.CHUNK
    mean, values, vectors = _store.statistics(train[i:i + step]
                                              for i in range(0, len(train), step))
    digests = [_store.digest(images) for images, _ in splits.values()]
    mark = _store.fingerprint(digests, [labels for _, labels in splits.values()], classes)
    return Dataset(name, classes, {k: Split(*v) for k, v in splits.items()}, mean, values,
                   vectors, mark)
