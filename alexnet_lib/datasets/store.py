"""The packed store: every image prepared once, in one memory-mapped array for each split.

Packing goes in chunks, in parallel; a kill loses at most the chunks under way. The finished
store is put in its place in one step, with the mean image, the principal components of RGB and
a checksum for every chunk.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from alexnet_lib.errors import DISK_FULL, UserError
from alexnet_lib.locks import Lock
from alexnet_lib.schema import misfit, parse
from alexnet_lib.text import bar

from .folders import Listing
from .images import BrokenImage, prepare_image

CHUNK = 256  # images
_VERSION = 1
_RGB = tuple[float, float, float]
_META = {"size": int, "classes": list[str], "images": dict[str, int], "broken": list[str],
         "chunks": dict[str, list[str]], "color_values": _RGB,
         "color_vectors": tuple[_RGB, _RGB, _RGB], "fingerprint": str}
_NOTE = {"at": int, "broken": dict[str, str]}  # of a chunk that is packed
_OURS = re.compile(r".+-\d+-[0-9a-f]{12}(\.part)?")  # name, size and key of a store's folder
_FILES = re.compile(r"meta\.json|mean\.npy|\w+(-labels|\.kept)?\.npy|\w+\.progress")  # in it


def statistics(chunks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean image, eigenvalues, eigenvectors) of arrays of images (N, S, S, 3), uint8.

    The mean image is (S, S, 3) float32, 0-255. The eigenvalues (3,), descending, and the
    eigenvectors (3, 3), as columns, are those of the covariance of the pixels' RGB values, 0-255
    (paper, 4.1). The largest part of each vector is positive. Exact sums: the order of the
    chunks does not matter.
    """
    count, total, summed = 0, np.zeros((), np.uint64), np.zeros((3, 3))
    for chunk in chunks:
        total = total + chunk.sum(0, dtype=np.uint64)
        for image in chunk:  # one at a time: as float64, a chunk would take gigabytes
            pixels = image.reshape(-1, 3).astype(np.float64)
            summed += pixels.T @ pixels  # integers below 2**53, so exact
        count += len(chunk)
    mean = np.asarray(total / count)
    number = count * mean.shape[0] * mean.shape[1]
    center = mean.reshape(-1, 3).mean(0)
    values, vectors = np.linalg.eigh(summed / number - np.outer(center, center))
    values, vectors = values[::-1], vectors[:, ::-1]
    largest = vectors[np.abs(vectors).argmax(0), range(3)]
    return mean.astype(np.float32), values.clip(min=0), vectors * np.sign(largest)


def fingerprint(digests: list[str], labels: list[np.ndarray], classes: tuple[str, ...]) -> str:
    """16 hex digits that change with any image, label or class name."""
    whole = hashlib.sha256(json.dumps([digests, classes]).encode())
    for part in labels:
        whole.update(np.ascontiguousarray(part, np.int64).tobytes())
    return whole.hexdigest()[:16]


def digest(chunk: np.ndarray) -> str:
    """SHA-256 of the bytes of some images."""
    return hashlib.sha256(np.ascontiguousarray(chunk).data).hexdigest()


def open_store(name: str, listing: Listing, size: int, root: Path, skip_broken: bool = False,
               progress: bool = True) -> tuple[dict, np.ndarray, dict]:
    """The packed store of a listing, packing it first if it is not there.

    Returns: (meta, mean image, splits): splits holds (images, labels) by name, images mapped
    from disk. Raises UserError for broken images, a disk that cannot be written, a damaged store.
    """
    safe = "".join(c if c.isalnum() else "-" for c in name).strip("-")[-40:]
    folder = root / "packed" / f"{safe}-{size}-{_key(listing, size)}"
    done = folder / "meta.json"
    if not done.exists():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.with_name(folder.name + ".lock"), progress):
                if not done.exists():  # another process may have made it meanwhile
                    _pack(listing, size, folder, skip_broken, progress)
        except OSError as error:
            raise UserError(f"cannot write the packed store {folder} ({error.strerror or error}): "
                            "free or choose another disk with ALEXNET_DATA_ROOT") from None
    meta, mean, splits = read_store(folder)
    if set(splits) != set(listing.splits) or meta["classes"] != list(listing.classes):
        raise _damaged(folder)
    _judge_broken(meta["broken"], sum(len(paths) for paths, _ in listing.splits.values()),
                  skip_broken)
    return meta, mean, splits


@contextlib.contextmanager
def _alone(file: Path, tell: bool = False):
    """Let one process pack at a time: others wait, then find the store. A kill frees the lock."""
    lock = Lock(file, "waiting for another process, which packs the same images")
    try:
        lock.acquire()
    except UserError as busy:
        if tell:
            print(busy, file=sys.stderr)
        lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def _judge_broken(broken: list[str], total: int, skip: bool) -> None:
    """Tell which images were skipped, or raise UserError if none may be."""
    if broken and not skip:
        first = broken[0].rsplit(": ", 1)[0]  # less its own advice
        raise UserError(f"{len(broken)} of {total} images cannot be read; the first: {first}; "
                        "replace or remove them, or add --skip-broken")
    for line in broken:
        print(f"skipped: {line}", file=sys.stderr)


def read_store(folder: Path) -> tuple[dict, np.ndarray, dict]:
    """(meta, mean image, splits) of a finished store.

    Raises UserError if files are missing, cut short, or hold anything that no packing writes.
    """
    try:
        meta = parse((folder / "meta.json").read_text())
        mean = np.load(folder / "mean.npy")
        splits = {name: (np.load(folder / f"{name}.npy", mmap_mode="r"),
                         np.load(folder / f"{name}-labels.npy")) for name in meta["chunks"]}
        whole = _sound(meta, mean, splits)
    except Exception:  # damaged files can make json and numpy raise almost anything
        whole = False
    if not whole:
        raise _damaged(folder)
    return meta, mean, splits


def _damaged(folder: Path) -> UserError:
    return UserError(f"the packed store {folder} is damaged: delete it, and it is made again")


def _sound(meta: dict, mean: np.ndarray, splits: dict) -> bool:
    """Whether the parts of a store have the types, shapes and ranges that packing gives them."""
    if misfit(meta, _META) or not splits or not re.fullmatch("[0-9a-f]{16}", meta["fingerprint"]):
        return False
    size, values = meta["size"], meta["color_values"]
    return bool(mean.shape == (size, size, 3) and mean.dtype == np.float32
            and mean.min() >= 0 and mean.max() <= 255  # false for what is not a number
            and min(values) >= 0 and np.isfinite([values, *meta["color_vectors"]]).all()
            and all(images.shape == (meta["images"][name], size, size, 3)
                    and images.dtype == np.uint8 and labels.dtype == np.int64
                    and labels.shape == (len(images),) and len(labels) > 0
                    and labels.min() >= 0 and labels.max() < len(meta["classes"])
                    for name, (images, labels) in splits.items()))


def check_store(folder: Path, progress: bool = True) -> int:
    """Compare every chunk with its checksum; the number of images. Raises UserError."""
    meta, mean, splits = read_store(folder)
    for name, (images, _) in splits.items():
        starts = range(0, len(images), CHUNK)
        if len(meta["chunks"][name]) != len(starts):
            raise UserError(f"checksums of the packed store {folder} are missing: delete it, and "
                            "it is made again")
        for at, expected in zip(bar(starts, f"check {name}", disable=not progress),
                                meta["chunks"][name], strict=True):
            if digest(images[at:at + CHUNK]) != expected:
                raise UserError(f"{name} images {at}-{min(at + CHUNK, len(images)) - 1} of the "
                                f"packed store {folder} were altered: delete it, and it is "
                                "made again")
    labels = [labels for _, labels in splits.values()]
    if fingerprint(sum(meta["chunks"].values(), []), labels,
                   meta["classes"]) != meta["fingerprint"]:
        raise UserError(f"labels or class names of the packed store {folder} were altered: "
                        "delete it, and it is made again")
    found = _statistics(_learned(splits)[0], progress)
    kept = mean, meta["color_values"], meta["color_vectors"]
    if not all(np.allclose(a, b, rtol=1e-4, atol=1e-3) for a, b in zip(found, kept, strict=True)):
        raise UserError(f"the mean image or the colors of the packed store {folder} were "
                        "altered: delete it, and it is made again")
    return sum(meta["images"].values())


def leftovers(root: Path) -> list[tuple[Path, int, str]]:
    """(folder, bytes, why) of what lies in `root` packed, and that nothing will read any more.

    Unfinished stores that no process works on; and of the finished ones of one name and size, all
    but the latest, since whose packing the source has changed. (Folders whose names end in the
    same 40 characters count as one; what is removed by mistake is packed again when it is needed.)
    A folder that holds anything else than a store's files is never among them.
    """
    unfinished, finished = list[Path](), dict[str, list[Path]]()
    for folder in sorted(path for path in (root / "packed").glob("*") if _is_ours(path)):
        if folder.suffix == ".part":
            unfinished += [folder] if _idle(folder.with_suffix(".lock")) else []
        else:
            finished.setdefault(folder.name.rsplit("-", 1)[0], []).append(folder)
    older = [folder for same in finished.values() for folder in
             sorted(same, key=lambda one: (one / "meta.json").stat().st_mtime)[:-1]]
    return [(folder, sum(_on_disk(file) for file in folder.iterdir()), why)
            for folders, why in ((unfinished, "unfinished"),
                                 (older, "its source has changed since"))
            for folder in folders]


def remove(folder: Path) -> None:
    """Delete one of the `leftovers`, file by file: what has come into it since then stays."""
    if _is_ours(folder):
        for file in folder.iterdir():
            if _FILES.fullmatch(file.name):
                file.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()


def _is_ours(folder: Path) -> bool:
    """Whether this is certainly a store's folder, by its name and by each file in it."""
    if not _OURS.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    if not all(_FILES.fullmatch(file.name) and file.is_file() and not file.is_symlink()
               for file in folder.iterdir()):
        return False
    if folder.suffix == ".part":
        return True
    try:
        return not misfit(parse((folder / "meta.json").read_text()), _META)
    except (OSError, ValueError, RecursionError):
        return False


def _on_disk(file: Path) -> int:
    stat = file.stat()
    return getattr(stat, "st_blocks", 0) * 512 or stat.st_size  # Windows counts no blocks


def _idle(file: Path) -> bool:
    """Whether no process packs under the lock on this file."""
    lock = Lock(file)
    try:
        return not file.exists() or lock.acquire()  # looking makes no file
    except UserError:
        return False
    finally:
        lock.release()


def _key(listing: Listing, size: int) -> str:
    """Changes when a file is added, removed, renamed, resized or written again."""
    whole = hashlib.sha256(f"{_VERSION} {size} {listing.classes}".encode())
    for name, (paths, labels) in listing.splits.items():
        whole.update(name.encode() + labels.tobytes())
        for path in paths:
            with contextlib.suppress(OSError):  # a dangling link; it counts as broken
                stat = path.stat()
                whole.update(os.fsencode(path) + f" {stat.st_size} {stat.st_mtime_ns}".encode())
    return whole.hexdigest()[:12]


def _pack(listing: Listing, size: int, folder: Path, skip_broken: bool, progress: bool) -> None:
    part = folder.with_name(folder.name + ".part")
    part.mkdir(parents=True, exist_ok=True)
    total = sum(len(paths) for paths, _ in listing.splits.values())
    need = total * size * size * 3 - sum(_on_disk(file) for file in part.glob("*.npy"))
    free = shutil.disk_usage(part).free
    if free < need:  # a full disk would kill the process later
        raise OSError(errno.ENOSPC, f"{need / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} are free")
    meta: dict = {"size": size, "classes": listing.classes, "images": {}, "chunks": {},
                  "broken": []}
    labels_of = {}
    with (bar(total=total, desc="packing", unit="image", disable=not progress) as shown,
          ThreadPoolExecutor(os.cpu_count()) as pool):  # PIL decodes outside Python's lock
        for name, (paths, labels) in listing.splits.items():
            broken, notes = _pack_split(part / f"{name}.npy", paths, size, pool, shown)
            meta["broken"] += notes
            if broken and not skip_broken:
                continue  # the other splits are still looked through, so that all is told at once
            kept = np.delete(np.arange(len(paths)), broken)
            images = _without(part / f"{name}.npy", kept)
            labels_of[name] = labels[kept]
            np.save(part / f"{name}-labels.npy", labels_of[name])
            meta["images"][name] = len(kept)
            meta["chunks"][name] = [digest(images[at:at + CHUNK])
                                    for at in range(0, len(kept), CHUNK)]
    if not skip_broken:
        _judge_broken(meta["broken"], total, skip_broken)
    for name, count in meta["images"].items():
        if count == 0:
            which = "training" if name == "train" else name
            raise UserError(f"every {which} image is broken: check the folder")
    learned = _learned({name: part / f"{name}.npy" for name in meta["images"]})
    mean, values, vectors = _statistics(np.load(learned, mmap_mode="r"), progress)
    np.save(part / "mean.npy", mean)
    meta |= {"color_values": values.tolist(), "color_vectors": vectors.tolist(),
             "fingerprint": fingerprint(sum(meta["chunks"].values(), []),
                                        list(labels_of.values()), listing.classes)}
    for leftover in part.glob("*.progress"):
        leftover.unlink()
    (part / "meta.json").write_text(json.dumps(meta, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _learned(splits: dict):
    """The training split, or the only one of images that a net is measured on."""
    return splits.get("train", next(iter(splits.values())))


def _statistics(train: np.ndarray, progress: bool) -> tuple:
    """`statistics` of the stored training images, chunk by chunk, under a bar."""
    starts = bar(range(0, len(train), CHUNK), "statistics", disable=not progress)
    return statistics(train[at:at + CHUNK] for at in starts)


def _pack_split(file: Path, paths: list[Path], size: int, pool,
                shown) -> tuple[list[int], list[str]]:
    """Write the prepared images to `file`; which ones are broken, and why."""
    progress = file.with_suffix(".progress")
    shape = (len(paths), size, size, 3)
    done = {row["at"]: row for row in _notes(progress, len(paths))}
    if not _begun(file, shape, done):
        done = {}
        progress.unlink(missing_ok=True)
    images = np.lib.format.open_memmap(file, "r+" if done else "w+", np.uint8, shape)
    _reserve(file)

    def prepare(i: int) -> str | None:
        try:
            images[i] = prepare_image(paths[i], size)
        except BrokenImage as error:
            return str(error)
        return None

    with open(progress, "a") as log:
        for at in range(0, len(paths), CHUNK):
            stop = min(at + CHUNK, len(paths))
            if at not in done:
                told = dict(zip(range(at, stop), pool.map(prepare, range(at, stop)), strict=True))
                images.flush()  # the images before the note that they are there
                done[at] = {"at": at, "broken": {i: e for i, e in told.items() if e}}
                log.write(json.dumps(done[at]) + "\n")
                log.flush()
            shown.update(stop - at)
    broken = {int(i): e for row in done.values() for i, e in row["broken"].items()}
    return sorted(broken), [broken[i] for i in sorted(broken)]


def _reserve(file: Path) -> None:
    """Take the file's room on the disk now: where it is full, writing to a map kills the process.

    Raises OSError, if there is not enough.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            with open(file, "r+b") as opened:
                os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
        except OSError as error:
            if error.errno in DISK_FULL:  # any other: a file system that cannot promise room
                raise


def _begun(file: Path, shape: tuple[int, ...], done: dict[int, dict]) -> bool:
    """Whether `file` is the array that the notes speak of, perhaps without its broken images."""
    try:
        there = np.load(file, mmap_mode="r")
    except Exception:  # as in `read_store`
        return False
    broken = sum(len(row["broken"]) for row in done.values())
    lengths = {shape[0], shape[0] - broken} if CHUNK * len(done) >= shape[0] else {shape[0]}
    return there.dtype == np.uint8 and there.shape[1:] == shape[1:] and len(there) in lengths


def _notes(file: Path, count: int) -> list[dict]:
    """The lines of a progress file, up to one that a kill cut short or that is no note of ours.

    That one and all behind it are removed from the file.
    """
    lines = file.read_text(errors="replace").split("\n") if file.exists() else [""]
    rows = []
    for line in lines[:-1]:  # what follows the last line end is torn
        try:
            row = json.loads(line)
            sound = not misfit(row, _NOTE) and row["at"] in range(0, count, CHUNK) and all(
                int(i) in range(row["at"], min(row["at"] + CHUNK, count)) for i in row["broken"])
        except (ValueError, RecursionError):
            sound = False
        if not sound:
            break
        rows.append(row)
    file.write_text("".join(f"{line}\n" for line in lines[:len(rows)]))
    return rows


def _without(file: Path, kept: np.ndarray) -> np.ndarray:
    """The images of `file`, less those that are not in `kept`."""
    images = np.load(file, mmap_mode="r")
    if len(kept) == len(images):  # none is broken, or an interrupted run has done this already
        return images
    whole = file.with_suffix(".kept.npy")
    fewer = np.lib.format.open_memmap(whole, "w+", np.uint8, (len(kept), *images.shape[1:]))
    _reserve(whole)
    for to, i in enumerate(kept):
        fewer[to] = images[i]
    fewer.flush()
    os.replace(whole, file)
    return np.load(file, mmap_mode="r")
