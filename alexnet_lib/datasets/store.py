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
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from alexnet_lib.errors import DISK_FULL, UserError

from .images import BrokenImage, prepare_image
from .listing import Listing

CHUNK = 256  # images
_VERSION = 1


def statistics(chunks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mean image, eigenvalues, eigenvectors) of arrays of images (N, S, S, 3), uint8.

    The mean image is (S, S, 3) float32, 0-255. The eigenvalues (3,), descending, and the
    eigenvectors (3, 3), as columns, are those of the covariance of the pixels' RGB values, 0-255
    (paper, 4.1). The largest part of each vector is positive. Exact sums: the order of the
    chunks does not matter.
    """
    count, total, summed = 0, 0, np.zeros((3, 3))
    for chunk in chunks:
        total = total + chunk.sum(0, dtype=np.uint64)
        for image in chunk:  # one at a time: as float64, a chunk would take gigabytes
            pixels = image.reshape(-1, 3).astype(np.float64)
            summed += pixels.T @ pixels  # integers below 2**53, so exact
        count += len(chunk)
    mean = total / count
    number = count * mean.shape[0] * mean.shape[1]
    centre = mean.reshape(-1, 3).mean(0)
    values, vectors = np.linalg.eigh(summed / number - np.outer(centre, centre))
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
    return hashlib.sha256(np.ascontiguousarray(chunk)).hexdigest()


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
            with _alone(folder.with_name(folder.name + ".lock")):
                if not done.exists():  # another process may have made it meanwhile
                    _pack(listing, size, folder, skip_broken, progress)
        except OSError as error:
            raise UserError(f"cannot write the packed store {folder} ({error.strerror}): free or "
                            "choose another disk with ALEXNET_DATA_ROOT") from None
    meta, mean, splits = read_store(folder)
    _judge_broken(meta["broken"], sum(len(paths) for paths, _ in listing.splits.values()),
                  skip_broken)
    return meta, mean, splits


@contextlib.contextmanager
def _alone(file: Path):
    """Let one process pack at a time: others wait, then find the store. A kill frees the lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(file, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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

    Raises UserError if files are missing or cut short.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text())
        mean = np.load(folder / "mean.npy")
        splits = {name: (np.load(folder / f"{name}.npy", mmap_mode="r"),
                         np.load(folder / f"{name}-labels.npy")) for name in meta["chunks"]}
        whole = all(len(images) == len(labels) == meta["images"][name]
                    for name, (images, labels) in splits.items())
    except (OSError, ValueError, KeyError, EOFError):
        whole = False
    if not whole:
        raise UserError(f"the packed store {folder} is damaged: delete it, and it is made again")
    return meta, mean, splits


def check_store(folder: Path, progress: bool = True) -> int:
    """Compare every chunk with its checksum; the number of images. Raises UserError."""
    meta, mean, splits = read_store(folder)
    for name, (images, _) in splits.items():
        starts = range(0, len(images), CHUNK)
        for at, expected in zip(tqdm(starts, f"check {name}", disable=not progress),
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
    found = _statistics(splits["train"][0], progress)
    kept = mean, meta["colour_values"], meta["colour_vectors"]
    if not all(np.allclose(a, b, rtol=1e-4, atol=1e-3) for a, b in zip(found, kept, strict=True)):
        raise UserError(f"the mean image or the colours of the packed store {folder} were "
                        "altered: delete it, and it is made again")
    return sum(meta["images"].values())


def leftovers(root: Path) -> list[tuple[Path, int, str]]:
    """(folder, bytes, why) of what lies in `root` packed, and that nothing will read any more.

    Unfinished stores that no process works on; and of the finished ones of one name and size, all
    but the latest, since whose packing the source has changed. (Folders whose names end in the
    same 40 characters count as one; what is removed by mistake is packed again when it is needed.)
    """
    unfinished, finished = [], {}
    for folder in sorted(path for path in (root / "packed").glob("*") if path.is_dir()):
        if folder.suffix == ".part":
            unfinished += [folder] if _idle(folder.with_suffix(".lock")) else []
        elif (folder / "meta.json").exists():
            finished.setdefault(folder.name.rsplit("-", 1)[0], []).append(folder)
    older = [folder for same in finished.values() for folder in
             sorted(same, key=lambda one: (one / "meta.json").stat().st_mtime)[:-1]]
    return [(folder, sum(file.stat().st_blocks * 512 for file in folder.iterdir()), why)
            for folders, why in ((unfinished, "unfinished"),
                                 (older, "its source has changed since"))
            for folder in folders]


def _idle(lock: Path) -> bool:
    """Whether no process packs under this lock."""
    try:
        import fcntl
        with open(lock, "a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows: it refuses to remove what is open
        return True
    except OSError:
        return False
    return True


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
    need = total * size * size * 3 - sum(f.stat().st_blocks * 512 for f in part.glob("*.npy"))
    if shutil.disk_usage(part).free < need:  # a full disk would kill the process later
        raise OSError(errno.ENOSPC, f"{need / 1e9:.1f} GB are needed")
    meta = {"size": size, "classes": listing.classes, "images": {}, "chunks": {}, "broken": []}
    labels_of = {}
    with (tqdm(total=total, desc="packing", unit="image", disable=not progress) as bar,
          ThreadPoolExecutor(os.cpu_count()) as pool):  # PIL decodes outside Python's lock
        for name, (paths, labels) in listing.splits.items():
            broken, notes = _pack_split(part / f"{name}.npy", paths, size, pool, bar)
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
    mean, values, vectors = _statistics(np.load(part / "train.npy", mmap_mode="r"), progress)
    np.save(part / "mean.npy", mean)
    meta |= {"colour_values": values.tolist(), "colour_vectors": vectors.tolist(),
             "fingerprint": fingerprint(sum(meta["chunks"].values(), []),
                                        list(labels_of.values()), listing.classes)}
    for leftover in part.glob("*.progress"):
        leftover.unlink()
    (part / "meta.json").write_text(json.dumps(meta, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)


def _statistics(train: np.ndarray, progress: bool) -> tuple:
    """`statistics` of the stored training images, chunk by chunk, under a bar."""
    starts = tqdm(range(0, len(train), CHUNK), "statistics", disable=not progress)
    return statistics(train[at:at + CHUNK] for at in starts)


def _pack_split(file: Path, paths: list[Path], size: int, pool, bar) -> tuple[list[int], list[str]]:
    """Write the prepared images to `file`; which ones are broken, and why."""
    progress = file.with_suffix(".progress")
    done = {row["at"]: row for row in _notes(progress)} if file.exists() else {}
    shape = (len(paths), size, size, 3)
    images = np.lib.format.open_memmap(file, "r+" if done else "w+", np.uint8, shape)
    _reserve(file)

    def prepare(i: int) -> str | None:
        try:
            images[i] = prepare_image(paths[i], size)
        except BrokenImage as error:
            return str(error)

    with open(progress, "a") as log:
        for at in range(0, len(paths), CHUNK):
            stop = min(at + CHUNK, len(paths))
            if at not in done:
                told = dict(zip(range(at, stop), pool.map(prepare, range(at, stop)), strict=True))
                images.flush()  # the images before the note that they are there
                done[at] = {"at": at, "broken": {i: e for i, e in told.items() if e}}
                log.write(json.dumps(done[at]) + "\n")
                log.flush()
            bar.update(stop - at)
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


def _notes(file: Path) -> list[dict]:
    """The lines of a progress file, up to one that a kill cut short, which is removed."""
    lines = file.read_text().split("\n") if file.exists() else [""]
    whole = [json.loads(line) for line in lines[:-1]]  # what follows the last line end is torn
    file.write_text("".join(f"{line}\n" for line in lines[:-1]))
    return whole


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
