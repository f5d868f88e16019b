"""Which images there are: files, labels, splits and class names of each source of photographs."""

import contextlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet_lib.errors import UserError, disk_cure

from .images import SUFFIXES

# The ten classes of Imagenette, which are stored under their WordNet numbers.
IMAGENETTE = {
    "n01440764": "tench", "n02102040": "English springer", "n02979186": "cassette player",
    "n03000684": "chain saw", "n03028079": "church", "n03394916": "French horn",
    "n03417042": "garbage truck", "n03425413": "gas pump", "n03445777": "golf ball",
    "n03888257": "parachute",
}
IMAGENETTE_COUNT = 13_394
IMAGENET_COUNTS = {"train": 1_281_167, "val": 50_000}
IMAGENET_ARCHIVES = {"devkit": "ILSVRC2012_devkit_t12.tar.gz", "train": "ILSVRC2012_img_train.tar",
                     "val": "ILSVRC2012_img_val.tar"}
SPLIT_FOLDERS = {"train": "train", "val": "val", "validation": "val", "valid": "val",
                 "test": "test"}


@dataclass(frozen=True)
class Listing:
    """Image files of a source: for each split, (paths, labels); and the class names."""

    classes: tuple[str, ...]
    splits: dict[str, tuple[list[Path], np.ndarray]]


def list_folder(path: str | Path, seed: int = 0) -> Listing:
    """The images under PATH/{train,val|validation,test}/<class>/ or PATH/<class>/.

    Without a validation split, one is held out of the training images by `seed`: 15 % of a flat
    folder, 10 % where a test split is there. Raises UserError.
    """
    root = Path(os.path.expanduser(path)).resolve()
    if not root.is_dir():
        raise UserError(f"no folder {root}: check the path after folder:")
    folders = _subfolders(root)
    splits = {}
    for folder in folders:
        split = SPLIT_FOLDERS.get(folder.name.lower())
        if split in splits:
            raise UserError(f"{root} has both {splits[split].name} and {folder.name}: keep one")
        if split:
            splits[split] = folder
    if not splits:
        classes, found = _class_images(root)
        return Listing(classes, hold_out({"train": found}, 0.15, seed, classes))
    if "train" not in splits:
        raise UserError(f"{root} has {', '.join(splits)} but no train folder: add "
                        f"{root / 'train'}/<class>/ with the training images")
    listed = {name: _class_images(splits[name]) for name in ("train", "val", "test")
              if name in splits}
    classes = listed["train"][0]
    for name, (others, _) in listed.items():
        if others != classes:
            odd = sorted(set(others) ^ set(classes))
            raise UserError(f"the class folders of train and {name} in {root} differ "
                            f"({', '.join(odd[:5])}): give every split the same folders")
    found = {name: images for name, (_, images) in listed.items()}
    return Listing(classes, found if "val" in found else hold_out(found, 0.10, seed, classes))


def hold_out(splits: dict, share: float, seed: int, classes: tuple[str, ...]) -> dict:
    """`splits` with a "val" taken out of "train": `share` of each class, at least one image.

    The choice depends on the seed alone, and train keeps at least one image of each class.
    """
    items, labels = splits["train"]
    rng, chosen = np.random.default_rng(seed), []
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        if len(mine) < 2:
            raise UserError(f"the class {classes[label]!r} has a single image, which cannot be "
                            "both trained on and validated on: add images")
        chosen.append(rng.permutation(mine)[:max(1, round(share * len(mine)))])
    held = np.zeros(len(labels), bool)
    held[np.concatenate(chosen)] = True

    def take(which):
        kept = (items[which] if isinstance(items, np.ndarray)
                else [items[i] for i in np.flatnonzero(which)])
        return kept, labels[which]

    rest = {name: split for name, split in splits.items() if name not in ("train", "val")}
    return {"train": take(~held), "val": take(held), **rest}


def first_image(path: str | Path) -> Path | None:
    """Some image below a folder, or None."""
    return next(_images_below(os.path.expanduser(path)), None)


def _images_below(root: str | Path):
    """The image files at any depth, folder by folder; hidden files and folders are left out."""
    for top, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for file in sorted(files):
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                yield Path(top, file)


def _subfolders(root: Path) -> list[Path]:
    return sorted(f for f in root.iterdir() if f.is_dir() and not f.name.startswith("."))


def _class_images(root: Path) -> tuple[tuple[str, ...], tuple[list[Path], np.ndarray]]:
    """Class names and (paths, labels) below root/<class>/; both in sorted order."""
    folders = _subfolders(root)
    if not folders:
        raise UserError(f"no class folders in {root}: put the images in {root}/<class>/")
    paths, labels = [], []
    for label, folder in enumerate(folders):
        found = sorted(_images_below(folder))
        if not found:
            raise UserError(f"no images in {folder}: add some ({', '.join(SUFFIXES[:3])}, ...), "
                            "or remove the folder")
        paths += found
        labels += [label] * len(found)
    if len(folders) < 2:
        raise UserError(f"only one class in {root} ({folders[0].name}): a classifier needs two "
                        "or more class folders")
    names = tuple(IMAGENETTE.get(f.name, f.name) for f in folders)
    return names, (paths, np.array(labels, np.int64))


def list_imagenette(root: Path, download: bool, seed: int) -> Listing:
    """Imagenette v2 through torchvision: test is its official val; val is held out of train."""
    from torchvision.datasets import Imagenette
    home = root / "imagenette2-320"
    if not home.is_dir():
        with downloading("imagenette", download):
            Imagenette(root, "train", "320px", download=True)
    count = sum(1 for _ in _images_below(home))
    if count != IMAGENETTE_COUNT:  # a download that was cut short
        raise UserError(f"{home} holds {count:,} of {IMAGENETTE_COUNT:,} images: delete it, and "
                        "it is fetched again")
    classes, train = _class_images(home / "train")
    test = _class_images(home / "val")[1]
    return Listing(classes, hold_out({"train": train, "test": test}, 0.10, seed, classes))


def list_imagenet(root: Path) -> Listing:
    """ImageNet 2012 through torchvision, from the archives that its user must bring."""
    from torchvision.datasets import ImageNet
    home = root / "imagenet"
    if not home.is_dir():
        raise UserError(_by_hand(home))
    splits, numbers = {}, []
    for name, count in IMAGENET_COUNTS.items():
        there = (home / name).is_dir()  # then torchvision does not unpack, whole or not
        try:
            found = ImageNet(str(home), name)
        except ModuleNotFoundError as error:
            raise UserError(f"ImageNet's list of classes needs {error.name}: "
                            f"pip install {error.name}") from None
        except (RuntimeError, OSError, LookupError, EOFError, tarfile.TarError) as error:
            raise UserError(_why_no_imagenet(home, name, there, error)) from None
        if len(found.samples) != count:
            raise UserError(_in_part(home, name))
        numbers = numbers or found.wnids
        if found.wnids != numbers:
            raise UserError(f"the class folders of train and val in {home} differ: delete both, "
                            "and they are unpacked again")
        paths, labels = zip(*found.samples, strict=True)
        splits[name] = [Path(p) for p in paths], np.array(labels, np.int64)
    classes = tuple(names[0] for names in found.classes)
    # Two synsets share a name (crane, maillot): the number tells them apart.
    doubled = {c for c in classes if classes.count(c) > 1}
    return Listing(tuple(f"{c} ({i})" if c in doubled else c for i, c in enumerate(classes)),
                   splits)


def _why_no_imagenet(home: Path, name: str, there: bool, error: Exception) -> str:
    """What is wrong with the archives or with the split's folder, which was `there` before."""
    part = name if (home / "meta.bin").exists() else "devkit"  # it is made of the devkit
    archive = home / IMAGENET_ARCHIVES[part]
    if getattr(error, "errno", None):
        return f"could not unpack {archive} ({error}): {disk_cure(error, 'try again')}"
    if there and part == name:
        return _in_part(home, name)
    if archive.exists():
        return f"{archive} is cut short or altered, by its checksum: fetch it again"
    return _by_hand(home)


def _by_hand(home: Path) -> str:
    devkit, train, val = IMAGENET_ARCHIVES.values()
    return ("ImageNet must be fetched by hand (free for research, at image-net.org): put "
            f"{devkit}, {train} and {val} into {home}")


def _in_part(home: Path, name: str) -> str:
    count = sum(path.parent != home / name for path in _images_below(home / name))
    return (f"{home / name} holds {count:,} of {IMAGENET_COUNTS[name]:,} images in class folders: "
            f"delete it, and it is unpacked again from {IMAGENET_ARCHIVES[name]}")


def load_cifar10(root: Path, download: bool, seed: int) -> tuple[tuple[str, ...], dict]:
    """(class names, splits of (images, labels)) of CIFAR-10 through torchvision.

    train 45,000, val 5,000 held out by the seed, test 10,000; images (N, 32, 32, 3) uint8.
    """
    from torchvision.datasets import CIFAR10

    def read(train: bool, fetch: bool):
        found = CIFAR10(str(root), train, download=fetch)
        return found.data, np.array(found.targets, np.int64), tuple(found.classes)

    try:
        parts = [read(train, False) for train in (True, False)]
    except RuntimeError:  # not there, or altered
        with downloading("cifar10", download):
            parts = [read(train, True) for train in (True, False)]
    splits = {"train": parts[0][:2], "test": parts[1][:2]}
    return parts[0][2], hold_out(splits, 0.10, seed, parts[0][2])


@contextlib.contextmanager
def downloading(name: str, allowed: bool):
    """Turns whatever a download can raise into one line that says what to do."""
    if not allowed:
        raise UserError(f"{name} is not there and download is off: run alexnet data get {name}")
    try:
        yield
    except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        cure = disk_cure(error, "check the network and try again, or use --data shapes, which "
                                "needs none")
        raise UserError(f"could not download {name} ({reason}): {cure}") from None
