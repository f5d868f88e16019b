"""The photographs of known data sets: files, labels, splits and class names."""

import contextlib
import hashlib
import re
import socket
import tarfile
from pathlib import Path

import numpy as np

from alexnet_lib.errors import UserError, disk_cure

from .folders import Classes, Listing, Skipped, by_folder, hold_out, images_below, numbered

IMAGENETTE_COUNT, FLOWERS_COUNT = 13_394, 3_670
FLOWERS = "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
FLOWERS_SHA256 = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"
SILENCE = 30  # seconds without a byte after which a download is given up
IMAGENET_COUNTS = {"train": 1_281_167, "val": 50_000}
IMAGENET_ARCHIVES = {"devkit": "ILSVRC2012_devkit_t12.tar.gz", "train": "ILSVRC2012_img_train.tar",
                     "val": "ILSVRC2012_img_val.tar"}


def list_imagenette(root: Path, download: bool, seed: int) -> Listing:
    """Imagenette v2 through torchvision: test is its official val; val is held out of train."""
    from torchvision.datasets import Imagenette
    home = root / "imagenette2-320"
    if not home.is_dir():
        with downloading("imagenette", download):
            Imagenette(root, "train", "320px", download=True)
    _check_count(home, IMAGENETTE_COUNT)
    found = [by_folder(home / name, Skipped()) for name in ("train", "val")]
    classes = tuple(found[0])
    train, test = (numbered(images, classes) for images in found)
    return Listing(classes, hold_out({"train": train, "test": test}, 0.10, seed, classes))


def _check_count(home: Path, expected: int) -> None:
    """UserError if unpacking was cut short."""
    count = sum(1 for _ in images_below(home))
    if count != expected:
        raise UserError(f"{home} holds {count:,} of {expected:,} images: delete it, and it is "
                        "fetched again")


def list_flowers(root: Path, download: bool) -> Listing:
    """TensorFlow's flower photographs, which come without splits: see `split_by_name`."""
    home = root / "flower_photos"
    if not home.is_dir():
        with downloading("flowers", download):
            _fetch(FLOWERS, FLOWERS_SHA256, root)
    _check_count(home, FLOWERS_COUNT)
    found = by_folder(home, Skipped())
    return Listing(tuple(found), split_by_name(found),
                   (f"flowers: CC BY 2.0; {credits_file(home)} names each photographer",))


def _fetch(url: str, sha256: str, root: Path) -> None:
    """Download an archive under a bar, compare its checksum, and unpack it into `root`."""
    from torch.hub import download_url_to_file
    from torchvision.datasets.utils import extract_archive
    root.mkdir(parents=True, exist_ok=True)
    archive = root / url.rsplit("/", 1)[-1]
    download_url_to_file(url, str(archive), sha256)
    extract_archive(archive, root, remove_finished=True)


def split_by_name(found: Classes) -> dict:
    """Splits (paths, labels) that depend on the files' names alone: no seed, order or copy matters.

    Of each class, sorted by the SHA-256 of "class/file name", the first tenth is "test", the
    second "val", and the rest "train".
    """
    classes, parts = tuple(found), dict[str, dict](train={}, val={}, test={})
    for name, paths in found.items():
        mixed = sorted(paths, key=lambda path: hashlib.sha256(
            f"{name}/{path.name}".encode()).digest())
        tenth = round(len(mixed) / 10)
        for part, cut in (("test", slice(tenth)), ("val", slice(tenth, 2 * tenth)),
                          ("train", slice(2 * tenth, None))):
            parts[part][name] = mixed[cut]
    return {part: numbered(images, classes) for part, images in parts.items()}


def credits_file(home: Path) -> Path:
    """The list of photographers: LICENSE.txt in TensorFlow's archive, CREDITS.txt in copies."""
    return next((home / name for name in ("LICENSE.txt", "CREDITS.txt") if (home / name).exists()),
                home / "LICENSE.txt")


def credits(home: Path) -> dict[str, str]:
    """"name, CC BY 2.0" by "class/file name"; empty without the list of photographers."""
    file = credits_file(home)
    text = file.read_text("utf-8", "replace") if file.exists() else ""
    lines = re.findall(r"^(\S+/\S+) CC-BY (?:\S+ - )?by (.*?)(?: - http\S*)?\s*$", text,
                       re.MULTILINE)
    return {place: f"{' '.join(name.split())}, CC BY 2.0" for place, name in lines}


def list_imagenet(root: Path) -> Listing:
    """ImageNet 2012 through torchvision, from the archives that its user must bring."""
    from torchvision.datasets import ImageNet
    home = root / "imagenet"
    if not home.is_dir():
        raise UserError(_by_hand(home))
    _check_meta(home)
    splits, numbers = {}, list[str]()
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


def _check_meta(home: Path) -> None:
    """UserError if torchvision's list of classes is there and cannot be read."""
    from torchvision.datasets.imagenet import load_meta_file
    if not (home / "meta.bin").exists():
        return
    try:
        names, numbers = load_meta_file(str(home))
        whole = all(isinstance(names[n], tuple) for n in names) and isinstance(numbers, list)
    except Exception:  # a damaged file can make torch raise almost anything
        whole = False
    if not whole:
        raise UserError(f"{home / 'meta.bin'} is damaged: delete it, and it is made again of "
                        f"{IMAGENET_ARCHIVES['devkit']}")


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
    count = sum(path.parent != home / name for path in images_below(home / name))
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
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)  # a network that swallows what is sent would hang
    try:
        yield
    except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        cure = disk_cure(error, "check the network and try again, or use --data shapes, which "
                                "needs none")
        raise UserError(f"could not download {name} ({reason}): {cure}") from None
    finally:
        socket.setdefaulttimeout(patience)
