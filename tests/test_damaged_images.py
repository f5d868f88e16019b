"""Damaged images and damaged packed stores: read, or refused in one line; never a traceback.

A few seconds of what ran for longer: `python tests/test_damaged_images.py 600` fuzzes for 600
seconds.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet_lib import datasets
from alexnet_lib.datasets import prepare_image, store
from alexnet_lib.datasets.images import suffixes
from alexnet_lib.errors import UserError

WRITERS = {"JPEG": {}, "PNG": {}, "GIF": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "MPO": {},
           "WEBP": {}} | ({"AVIF": {}} if ".avif" in suffixes() else {})
MODES = ("RGB", "L", "CMYK", "P", "1", "RGBA", "LA", "I;16", "F", "I")


def pictures() -> list[bytes]:
    """A small picture in each format and mode that can be written."""
    found, rng = [], np.random.default_rng(0)
    base = Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    for mode in MODES:
        for name in WRITERS:
            with contextlib.suppress(OSError, ValueError, KeyError):
                file = io.BytesIO()
                base.convert("L" if mode in ("I;16", "F", "I") else "RGB").convert(mode).save(
                    file, name)
                found.append(file.getvalue())
    return found


def damaged(data: bytes, rng) -> bytes:
    """Bytes changed, cut off, doubled, or replaced by extreme ones."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        if not data:
            break
        at = int(rng.integers(len(data))) if rng.random() < 0.5 else int(
            rng.integers(min(80, len(data))))
        kind = rng.integers(5)
        if kind == 0:
            data[at] = rng.integers(256)
        elif kind == 1:
            data[at:at + 4] = bytes([(0, 255, 127, 128)[rng.integers(4)]]) * 4
        elif kind == 2:
            del data[at:at + (int(rng.integers(1, 9)) if rng.random() < 0.7 else len(data))]
        elif kind == 3:
            data[at:at] = data[at:at + 40]
        else:
            data[at] ^= 1 << rng.integers(8)
    return bytes(data)


def one_line(error: UserError) -> None:
    assert "\n" not in str(error) and len(str(error)) < 500, error


def attack_an_image(goods: list[bytes], place: Path, rng) -> None:
    file = place / "a.png"
    file.write_bytes(damaged(goods[rng.integers(len(goods))], rng))
    try:
        found = prepare_image(file, 16)
        assert found.shape == (16, 16, 3) and found.dtype == np.uint8
    except UserError as error:
        one_line(error)


ODD = (None, True, -1, 0, 1, 2**70, 0.5, float("nan"), float("inf"), "", "x", "../x", [], {},
       [[]], {"train": 1}, [None], ["0" * 64], "[" * 50)


def attack_a_store(whole: Path, place: Path, name: str, rng) -> None:
    """Damage one file of a copy of a finished or unfinished store; load and check it."""
    root = place / "root"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(whole, root)
    (folder,) = (path for path in (root / "packed").iterdir() if path.is_dir())
    if rng.random() < 0.3:  # a packing that was killed: its notes are read again
        (folder / "meta.json").unlink()
        part = folder.rename(folder.with_name(folder.name + ".part"))
        file = part / ("train.progress", "train.npy")[rng.integers(2)]
        rows = [{"at": 0, "broken": {}}, {"at": ODD[rng.integers(len(ODD))], "broken": {}},
                {"at": 0, "broken": ODD[rng.integers(len(ODD))]}, ODD[rng.integers(len(ODD))]]
        (part / "train.progress").write_text(json.dumps(rows[rng.integers(4)]) + "\n")
        file.write_bytes(damaged(file.read_bytes(), rng) if rng.random() < 0.5 else
                         file.read_bytes())
    elif rng.random() < 0.5:
        meta = json.loads((folder / "meta.json").read_text())
        spot, key = meta, list(meta)[rng.integers(len(meta))]
        while isinstance(spot[key], dict | list) and spot[key] and rng.random() < 0.6:
            spot = spot[key]
            key = (list(spot)[0] if isinstance(spot, dict) else int(rng.integers(len(spot))))
        if rng.random() < 0.2 and isinstance(spot, dict):
            del spot[key]
        else:
            spot[key] = ODD[rng.integers(len(ODD))]
        (folder / "meta.json").write_text(json.dumps(meta))
    else:
        files = sorted(folder.iterdir())
        file = files[rng.integers(len(files))]
        data = file.read_bytes()
        if rng.random() < 0.5:
            head = damaged(data[:200], rng)
            file.write_bytes(head + data[200:])
        else:
            file.write_bytes(damaged(data, rng))
    try:
        found = datasets.load(name, 12, root=root, progress=False)
        for split in found.splits.values():
            assert split.images.shape[1:] == (12, 12, 3) and len(split.labels) == len(split.images)
            assert set(split.labels.tolist()) <= set(range(len(found.classes)))
        datasets.check(name, 12, root=root, progress=False)
    except UserError as error:
        one_line(error)
    store.leftovers(root)


def packed(place: Path) -> tuple[Path, str]:
    for i in range(16):
        folder = place / "photos" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    name = f"folder:{place / 'photos'}"
    datasets.load(name, 12, root=place / "whole", progress=False)
    return place / "whole", name


@pytest.mark.parametrize("seed", range(4))
def test_damaged_images_are_read_or_refused(tmp_path, seed):
    goods, rng = pictures(), np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(150):
            attack_an_image(goods, tmp_path, rng)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_stores_are_read_or_refused(tmp_path, seed):
    whole, name = packed(tmp_path)
    rng = np.random.default_rng(seed)
    for _ in range(40):
        attack_a_store(whole, tmp_path, name, rng)


def fuzz(seconds: float) -> None:
    """Both for so long; prints how many cases there were, and each one that failed."""
    import traceback
    place = Path(tempfile.mkdtemp())
    goods, (whole, name) = pictures(), packed(place)
    cases, failed, ends, seed = [0, 0], 0, time.monotonic() + seconds, 10_000
    warnings.simplefilter("ignore")
    while time.monotonic() < ends:
        seed += 1
        kind = seed % 8 == 0
        try:
            rng = np.random.default_rng(seed)
            attack_a_store(whole, place, name, rng) if kind else attack_an_image(goods, place, rng)
        except Exception:
            failed += 1
            print(f"seed {seed}", file=sys.stderr)
            traceback.print_exc()
        cases[kind] += 1
    shutil.rmtree(place)
    print(f"{cases[0]:,} images, {cases[1]:,} stores, {failed} failed, pid {os.getpid()}")


if __name__ == "__main__":
    fuzz(float(sys.argv[1]))
