"""Preparation of images and the packed store, against PIL, torchvision and numpy."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torchvision.transforms.functional as tvf
from PIL import Image

from alexnet_lib import cli, datasets
from alexnet_lib.datasets import BrokenImage, prepare_image, store
from alexnet_lib.errors import UserError


def smooth(height, width, seed=0):
    """A picture that JPEG and scaling change little: (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(30, 226, (4, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def saved(path, array, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(path, **options)
    return path


def close(found, expected, tolerance=3.0):
    assert found.shape == expected.shape and found.dtype == np.uint8
    assert np.abs(found.astype(float) - expected).mean() < tolerance


@pytest.fixture
def folder(tmp_path):
    """Two classes of train and val: 6 + 4 and 3 + 3 pictures."""
    counts = {"train/cat": 6, "train/dog": 4, "val/cat": 3, "val/dog": 3}
    for n, (place, count) in enumerate(counts.items()):
        for i in range(count):
            saved(tmp_path / "photos" / place / f"{i}.png", smooth(30 + i, 40, 10 * n + i))
    return tmp_path / "photos"


def load(folder, size=24, **options):
    options = {"root": folder.parent / "root", "progress": False} | options
    return datasets.load(f"folder:{folder}", size, **options)


# One image.

@pytest.mark.parametrize("height, width", [(50, 70), (70, 50), (40, 40), (33, 90), (32, 32)])
def test_scaling_and_crop_are_torchvisions(tmp_path, height, width):
    path = saved(tmp_path / "a.png", np.random.default_rng(0).integers(
        0, 256, (height, width, 3), dtype=np.uint8))
    with Image.open(path) as picture:
        expected = tvf.center_crop(tvf.resize(picture, 32), 32)
    assert np.array_equal(prepare_image(path, 32), np.asarray(expected))


def test_a_jpeg_decoded_small_is_nearly_the_same(tmp_path):
    path = saved(tmp_path / "a.jpg", smooth(1000, 1300), quality=95)
    with Image.open(path) as picture:
        expected = np.asarray(tvf.center_crop(tvf.resize(picture, 64), 64)).astype(float)
    close(prepare_image(path, 64), expected, 1.0)


def test_gray_is_repeated(tmp_path):
    path = saved(tmp_path / "a.jpg", smooth(40, 40), "L", quality=95)
    found = prepare_image(path, 40)
    assert (found == found[..., :1]).all() and found.std() > 10


def test_cmyk_comes_back_as_rgb(tmp_path):
    for name in ("a.jpg", "a.tif"):
        path = saved(tmp_path / name, smooth(40, 40), "CMYK", quality=98)
        close(prepare_image(path, 40), smooth(40, 40))


def test_alpha_is_laid_over_white(tmp_path):
    rgb = smooth(40, 40)
    alpha = np.full((40, 40, 1), 255, np.uint8)
    alpha[:, :20], alpha[:, 20:30] = 0, 128
    found = prepare_image(saved(tmp_path / "a.png", np.concatenate([rgb, alpha], 2)), 40)
    assert (found[:, :20] == 255).all()
    close(found[:, 20:30], rgb[:, 20:30] * (128 / 255) + 255 * (127 / 255), 1.0)
    assert np.array_equal(found[:, 30:], rgb[:, 30:])
    gray = saved(tmp_path / "b.png", np.concatenate([rgb[..., :1], alpha], 2), "LA")
    assert (prepare_image(gray, 40)[:, :20] == 255).all()


def test_palettes_with_and_without_transparency(tmp_path):
    plain = saved(tmp_path / "a.png", smooth(40, 40), "P")
    with Image.open(plain) as picture:
        assert picture.mode == "P"
    close(prepare_image(plain, 40), smooth(40, 40), 20)
    indices = Image.fromarray(np.repeat(np.arange(2, dtype=np.uint8), 200).reshape(20, 20), "P")
    indices.putpalette([255, 0, 0, 0, 0, 255])
    indices.save(tmp_path / "b.gif", transparency=0)
    found = prepare_image(tmp_path / "b.gif", 20)
    assert (found[0, 0] == 255).all() and tuple(found[-1, -1]) == (0, 0, 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, name):
    values = np.linspace(0, 65535, 1600).reshape(40, 40).astype(np.uint16)
    found = prepare_image(saved(tmp_path / name, values), 40)
    expected = np.repeat((values / 257)[..., None], 3, 2)
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


def test_a_dark_sixteen_bit_image_stays_dark(tmp_path):
    found = prepare_image(saved(tmp_path / "a.png", np.full((9, 9), 200, np.uint16)), 9)
    assert found.max() == 1


def test_black_and_white(tmp_path):
    bits = np.eye(16, dtype=np.uint8) * 255
    found = prepare_image(saved(tmp_path / "a.png", bits, "1"), 16)
    assert np.array_equal(found, np.repeat(bits[..., None], 3, 2))


@pytest.mark.parametrize("turn, undo", [
    (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, lambda a: np.rot90(a)),
    (2, lambda a: a[:, ::-1])])
def test_exif_rotation_is_applied(tmp_path, turn, undo):
    exif = Image.Exif()
    exif[0x0112] = turn
    path = saved(tmp_path / "a.jpg", smooth(40, 40), quality=98, exif=exif)
    close(prepare_image(path, 40), undo(smooth(40, 40)).astype(float))


@pytest.mark.parametrize("height, width", [(1, 1), (3, 5), (1, 700), (900, 2)])
def test_tiny_and_sliver_images_are_scaled_up(tmp_path, height, width):
    path = saved(tmp_path / "a.png", smooth(height, width))
    assert prepare_image(path, 48).shape == (48, 48, 3)


@pytest.mark.parametrize("spoil", [
    lambda good: b"", lambda good: b"not a picture", lambda good: good[:300],
    lambda good: good[:20] + bytes(len(good) - 20)])
def test_a_broken_image_is_named(tmp_path, spoil):
    path = saved(tmp_path / "a.png", smooth(60, 60))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BrokenImage, match=r"cannot read the image .*a\.png \(.*remove it$"):
        prepare_image(path, 32)


def test_missing_image_is_told(tmp_path):
    with pytest.raises(BrokenImage, match="no image .*b.jpg: check the path"):
        prepare_image(tmp_path / "b.jpg", 32)


# The statistics.

def test_statistics_are_numpys():
    images = np.random.default_rng(0).integers(0, 256, (30, 9, 9, 3), dtype=np.uint8)
    images[..., 2] = images[..., 0] // 2  # so that the channels depend on each other
    mean, values, vectors = store.statistics(iter([images[:11], images[11:]]))
    np.testing.assert_allclose(mean, images.mean(0), atol=1e-4)
    assert mean.dtype == np.float32
    covariance = np.cov(images.reshape(-1, 3).T.astype(float), bias=True)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, covariance, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-12)
    assert (np.diff(values) <= 0).all()
    assert (vectors[np.abs(vectors).argmax(0), range(3)] > 0).all()


def test_statistics_do_not_depend_on_order():
    images = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    one = store.statistics([images])
    other = store.statistics([images[30:], images[:7], images[7:30]])
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_statistics_of_one_color():
    mean, values, vectors = store.statistics([np.full((4, 5, 5, 3), 200, np.uint8)])
    assert (mean == 200).all() and np.allclose(values, 0) and (values >= 0).all()
    assert np.isfinite(vectors).all()


# The store.

def test_store_holds_what_prepare_image_gives(folder):
    data = load(folder)
    assert data.classes == ("cat", "dog") and data.size == 24
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 10, "val": 6}
    paths = sorted((folder / "train").rglob("*.png"))
    images = np.stack([prepare_image(p, 24) for p in paths])
    assert np.array_equal(data.splits["train"].images, images)
    assert data.splits["train"].labels.tolist() == [p.parent.name == "dog" for p in paths]
    assert isinstance(data.splits["train"].images, np.memmap)
    expected = store.statistics([images])
    for found, value in zip((data.mean, data.color_values, data.color_vectors), expected,
                            strict=True):
        assert np.array_equal(found, value)


def test_second_load_packs_nothing(folder, monkeypatch):
    first = load(folder)
    monkeypatch.setattr(store, "_pack", None)
    again = load(folder)
    assert again.fingerprint == first.fingerprint and len(first.fingerprint) == 16
    assert np.array_equal(again.mean, first.mean)


def test_chunks_and_workers_change_nothing(folder, monkeypatch):
    first = load(folder)
    monkeypatch.setattr(store, "CHUNK", 3)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    other = load(folder, root=folder.parent / "other")
    assert np.array_equal(other.splits["train"].images, first.splits["train"].images)
    assert np.array_equal(other.mean, first.mean)
    assert np.array_equal(other.color_vectors, first.color_vectors)


@pytest.mark.parametrize("change", [
    lambda f: saved(f / "train/cat/new.png", smooth(30, 30, 99)),
    lambda f: (f / "train/cat/0.png").unlink(),
    lambda f: (f / "train/cat/0.png").rename(f / "train/dog/0b.png"),
    lambda f: saved(f / "train/cat/0.png", smooth(50, 50, 98)),
    lambda f: [p.rename(p.with_name("bird")) for p in (f / "train/cat", f / "val/cat")]])
def test_a_changed_source_is_packed_again(folder, change):
    before = load(folder).fingerprint
    change(folder)
    after = load(folder)
    assert after.fingerprint != before
    assert np.array_equal(after.splits["train"].images[0], prepare_image(
        sorted((folder / "train").rglob("*.png"))[0], 24))


def test_a_file_written_again_in_the_same_size_is_noticed(folder):
    load(folder)
    path = folder / "train/cat/0.png"
    content = path.read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    load(folder)
    assert len(list((folder.parent / "root/packed").glob("*/meta.json"))) == 2


PACK = """
import sys, time
from alexnet_lib import datasets
from alexnet_lib.datasets import store
plain, store.CHUNK = store.prepare_image, 4
def slow(path, size):
    time.sleep(0.05)
    return plain(path, size)
store.prepare_image = slow
datasets.load("folder:" + sys.argv[1], 24, root=sys.argv[2], progress=False)
"""


def test_killed_packing_goes_on_where_it_stood(folder, monkeypatch):
    root = folder.parent / "killed"
    for i in range(20):
        saved(folder / f"train/dog/more{i:02}.png", smooth(30, 30, 50 + i))
    process = subprocess.Popen([sys.executable, "-c", PACK, str(folder), str(root)])
    try:
        for _ in range(600):
            logs = list(root.glob("packed/*.part/train.progress"))
            if logs and logs[0].read_text().count("\n") >= 2:
                break
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(root.glob("packed/*/meta.json"))  # nothing passes for a finished store
    kept = logs[0].read_text().count("\n")
    assert kept >= 2
    prepared = []
    monkeypatch.setattr(store, "CHUNK", 4)
    monkeypatch.setattr(store, "prepare_image",
                        lambda path, size: prepared.append(path) or prepare_image(path, size))
    data = load(folder, root=root)
    assert len(prepared) == 36 - 4 * kept
    fresh = load(folder, root=folder.parent / "fresh")
    assert data.fingerprint == fresh.fingerprint
    assert not list(root.glob("packed/*.part"))


def test_a_torn_progress_note_is_not_believed(folder, monkeypatch):
    """A kill, or a power cut, in the middle of writing the note."""
    monkeypatch.setattr(store, "CHUNK", 4)
    real = store.statistics
    monkeypatch.setattr(store, "statistics", lambda chunks: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        load(folder)
    note = next(folder.parent.glob("root/packed/*.part/train.progress"))
    note.write_text(note.read_text()[:-5])
    monkeypatch.setattr(store, "statistics", real)
    assert load(folder).fingerprint == load(folder, root=folder.parent / "other").fingerprint


def test_two_processes_at_once_pack_once(folder):
    root = folder.parent / "both"
    command = [sys.executable, "-c", PACK, str(folder), str(root)]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [p.wait() for p in processes] == [0, 0]
    found, expected = load(folder, root=root), load(folder)
    for name in ("train", "val"):
        assert np.array_equal(found.splits[name].images, expected.splits[name].images)


def packed(folder):
    load(folder)
    return next(folder.parent.glob("root/packed/*/meta.json")).parent


def test_altered_pixels_are_found_by_check(folder):
    place = packed(folder)
    assert "16 images" in datasets.check(f"folder:{folder}", 24, root=folder.parent / "root",
                                         progress=False)["checked"]
    images = np.load(place / "val.npy", mmap_mode="r+")
    images[2, 5, 5, 1] ^= 1
    images.flush()
    with pytest.raises(UserError, match="val images 0-5 of .* were altered: delete it"):
        datasets.check(f"folder:{folder}", 24, root=folder.parent / "root", progress=False)


def test_altered_labels_are_found_by_check(folder):
    place = packed(folder)
    np.save(place / "val-labels.npy", 1 - np.load(place / "val-labels.npy"))
    with pytest.raises(UserError, match="labels or class names .* were altered: delete it"):
        datasets.check(f"folder:{folder}", 24, root=folder.parent / "root", progress=False)


def altered_mean(place):
    mean = np.load(place / "mean.npy")
    mean[3, 4, 1] += 1
    np.save(place / "mean.npy", mean)


def altered_colors(place):
    meta = json.loads((place / "meta.json").read_text())
    meta["color_vectors"][1][0] *= -1
    (place / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("alter", [altered_mean, altered_colors])
def test_altered_statistics_are_found_by_check(folder, alter):
    alter(packed(folder))
    with pytest.raises(UserError, match="mean image or the colors .* were altered: delete it"):
        datasets.check(f"folder:{folder}", 24, root=folder.parent / "root", progress=False)


@pytest.mark.parametrize("spoil", [
    lambda place: os.truncate(place / "train.npy", 999),
    lambda place: (place / "val.npy").unlink(),
    lambda place: (place / "mean.npy").write_bytes(b""),
    lambda place: (place / "meta.json").write_text("{"),
    lambda place: np.save(place / "val-labels.npy", np.zeros(2, np.int64))])
def test_a_damaged_store_is_told_at_load(folder, spoil):
    spoil(packed(folder))
    with pytest.raises(UserError, match=r"packed store .* is damaged: delete it, and it is made"):
        load(folder)


def test_a_deleted_store_is_made_again(folder):
    first = load(folder)
    for file in packed(folder).iterdir():
        file.unlink()
    assert load(folder).fingerprint == first.fingerprint


# Broken images.

def break_two(folder):
    (folder / "train/cat/3.png").write_bytes(b"nothing")
    (folder / "val/dog/1.png").write_bytes(b"")


def test_broken_images_stop_packing_with_path_and_count(folder):
    break_two(folder)
    with pytest.raises(UserError, match=r"^2 of 16 images cannot be read; the first: .*"
                                        r"train/cat/3\.png.*--skip-broken$") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_broken_images_are_skipped_and_listed(folder, capsys):
    break_two(folder)
    data = load(folder, skip_broken=True)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 9, "val": 5}
    assert data.splits["train"].labels.tolist() == [0] * 5 + [1] * 4
    assert np.array_equal(data.splits["train"].images[3],
                          prepare_image(folder / "train/cat/4.png", 24))
    said = capsys.readouterr()
    assert said.out == "" and "val/dog/1.png" in said.err
    assert said.err.count("skipped: cannot read") == 2
    meta = json.loads((Path(data.splits["train"].images.filename).parent / "meta.json").read_text())
    assert len(meta["broken"]) == 2 and "cat/3.png" in meta["broken"][0]


def test_skipping_must_be_asked_for_each_time(folder):
    break_two(folder)
    load(folder, skip_broken=True)
    with pytest.raises(UserError, match="2 of 16 images"):
        load(folder)


def test_what_was_packed_before_the_error_is_not_packed_again(folder, monkeypatch):
    break_two(folder)
    with pytest.raises(UserError):
        load(folder)
    monkeypatch.setattr(store, "prepare_image", None)
    assert len(load(folder, skip_broken=True).splits["val"]) == 5


def test_a_dangling_link_is_a_broken_image(folder):
    (folder / "train/cat/link.png").symlink_to(folder / "gone.png")
    with pytest.raises(UserError, match=r"1 of 17 images .*link\.png"):
        load(folder)
    assert len(load(folder, skip_broken=True).splits["train"]) == 10


def test_all_broken(folder):
    for path in (folder / "train").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="every training image is broken"):
        load(folder, skip_broken=True)


# What is left over.

def test_leftovers_are_what_nothing_reads(folder, tmp_path):
    root = tmp_path / "root"
    assert store.leftovers(root) == []
    first = Path(load(folder, root=root).splits["train"].images.filename).parent
    assert store.leftovers(root) == []
    extra = next(folder.rglob("*.png"))
    shutil.copy(extra, extra.with_name("more.png"))
    second = Path(load(folder, root=root).splits["train"].images.filename).parent
    assert second != first
    part = second.with_name("photos-64-0123456789ab.part")
    part.mkdir()
    (part / "train.npy").write_bytes(bytes(8192))
    found = store.leftovers(root)
    assert [(path, why) for path, _, why in found] == [
        (part, "unfinished"), (first, "its source has changed since")]
    assert found[0][1] == 8192 and found[1][1] > 0
    with store._alone(part.with_suffix(".lock")):  # some process is packing there
        assert [path for path, *_ in store.leftovers(root)] == [first]


def test_clean_shows_and_removes(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path))
    kept = Path(load(folder, root=tmp_path).splits["train"].images.filename).parent
    part = tmp_path / "packed" / "photos-64-0123456789ab.part"
    part.mkdir()
    for args, words in ((), f"left over: {part}"), (("--yes",), f"removed: {part}"), (
            (), "nothing is left over"):
        with pytest.raises(SystemExit, match="0"):
            cli.main(["data", "clean", *args])
        assert words in capsys.readouterr().out
    assert kept.is_dir() and not part.exists()


def test_clean_removes_nothing_but_stores(folder, tmp_path, monkeypatch, capsys):
    """Neither folders of other people, nor what a link leads to, nor files beside a store's."""
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path))
    kept = Path(load(folder, root=tmp_path).splits["train"].images.filename).parent
    packed = tmp_path / "packed"
    elsewhere = tmp_path / "elsewhere-64-0123456789ab.part"
    for place in (packed / "thesis.part", packed / "old-64-0123456789ab", elsewhere,
                  packed / "mine-64-0123456789ab.part", packed / "notes-2024"):
        place.mkdir()
        (place / "meta.json").write_text('{"mine": 1}')
    (packed / "mine-64-0123456789ab.part" / "letter.txt").write_text("dear")
    os.utime(packed / "old-64-0123456789ab" / "meta.json", (1, 1))
    (packed / "link-64-0123456789ab.part").symlink_to(elsewhere)
    linked = packed / "inner-64-0123456789ab.part"
    linked.mkdir()
    (linked / "train.npy").symlink_to(elsewhere / "meta.json")
    before = sorted(tmp_path.rglob("*"))
    for args in ((), ("--yes",)):
        with pytest.raises(SystemExit, match="0"):
            cli.main(["data", "clean", *args])
        assert "nothing is left over" in capsys.readouterr().out
        assert sorted(tmp_path.rglob("*")) == before and kept.is_dir()


def test_what_comes_into_a_leftover_stays(tmp_path):
    part = tmp_path / "packed" / "photos-64-0123456789ab.part"
    part.mkdir(parents=True)
    (part / "train.npy").write_bytes(bytes(100))
    assert [path for path, *_ in store.leftovers(tmp_path)] == [part]
    assert sorted(tmp_path.rglob("*")) == [part.parent, part, part / "train.npy"]  # no lock made
    (part / "letter.txt").write_text("dear")
    store.remove(part)
    assert (part / "letter.txt").exists() and (part / "train.npy").exists()
    (part / "letter.txt").unlink()
    store.remove(part)
    assert not part.exists()


def test_a_second_packer_says_that_it_waits(folder, capsys):
    lock = folder.parent / "x.lock"
    with store._alone(lock):
        def wait():
            with store._alone(lock, True):
                pass
        second = threading.Thread(target=wait)
        second.start()
        for _ in range(500):
            if "waiting for another process" in (said := capsys.readouterr().err):
                break
            time.sleep(0.01)
    second.join()
    assert "waiting for another process" in said


def altered_meta(place, change):
    meta = json.loads((place / "meta.json").read_text())
    change(meta)
    (place / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize("change", [
    lambda m: m.pop("classes"), lambda m: m.update(classes=[1, 2]), lambda m: m.update(size=25),
    lambda m: m.update(fingerprint="x"), lambda m: m.update(broken=[3]), lambda m: m.update(
        color_values=[1, float("nan"), 0]), lambda m: m.update(color_vectors=[[1, 2], [3, 4]]),
    lambda m: m.update(chunks={"../train": []}), lambda m: m.update(chunks=7),
    lambda m: m.update(color_values=["1", "2", "3"]), lambda m: m["chunks"].pop("train"),
    lambda m: m.update(classes=["cat", "cow"]), lambda m: m["chunks"].update(train=None),
    lambda m: m["images"].update(train=9)])
def test_a_store_of_another_schema_is_damaged(folder, change):
    altered_meta(packed(folder), change)
    with pytest.raises(UserError, match=r"packed store .* is damaged: delete it"):
        load(folder)


@pytest.mark.parametrize("name, values", [
    ("val-labels", np.full(6, 2)), ("val-labels", np.full(6, -1)), ("val-labels", np.zeros(6)),
    ("mean", np.zeros((24, 24, 3))), ("mean", np.full((24, 24, 3), np.nan, np.float32)),
    ("mean", np.zeros((9, 9, 3), np.float32)), ("val", np.zeros((6, 24, 24, 3)))])
def test_arrays_of_another_kind_are_damaged(folder, name, values):
    np.save(packed(folder) / f"{name}.npy", values)
    with pytest.raises(UserError, match=r"packed store .* is damaged: delete it"):
        load(folder)


# The disk.

def test_unwritable_root_is_told(folder):
    (folder.parent / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the packed store .*ALEXNET_DATA_ROOT"):
        load(folder, root=folder.parent / "file")


def test_a_full_disk_is_told_before_packing(folder, monkeypatch):
    monkeypatch.setattr(store.shutil, "disk_usage",
                        lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(UserError, match=r"cannot write .* MB are needed, 0.0 are free\): free"):
        load(folder)
