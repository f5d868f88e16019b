"""Names, folders, splits and errors of `datasets.load`."""

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from trouble import full_disk, read_only

from alexnet_lib import datasets
from alexnet_lib.config import TrainConfig
from alexnet_lib.course.doctor import examine
from alexnet_lib.datasets import folders, listing, store
from alexnet_lib.errors import UserError
from alexnet_lib.training import Trainer


def make(root, counts, size=20):
    """Pictures of one color each, under root/<place>/."""
    for n, (place, count) in enumerate(counts.items()):
        (root / place).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            color = (20 * n + 3, (37 * i) % 256, i)
            Image.new("RGB", (size + 4, size), color).save(root / place / f"{i:03}.png")
    return root


def load(path, size=None, **options):
    return datasets.load(f"folder:{path}", size, root=path.parent / "root", progress=False,
                         **options)


def refused(text, call, *args, **kwargs):
    """The call raises UserError with one line that matches."""
    with pytest.raises(UserError, match=text) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


# shapes

def test_shapes_by_default():
    data = datasets.load("shapes", 32, counts={"train": 30, "val": 20, "test": 10})
    assert data.name == "shapes" and data.size == 32 and len(data.classes) == 10
    assert [(k, len(v)) for k, v in data.splits.items()] == [("train", 30), ("val", 20),
                                                             ("test", 10)]
    train = data.splits["train"].images
    np.testing.assert_allclose(data.mean, train.mean(0), atol=1e-4)
    values = np.linalg.eigvalsh(np.cov(train.reshape(-1, 3).T.astype(float), bias=True))
    np.testing.assert_allclose(data.color_values, values[::-1])


def test_fingerprint_follows_content():
    counts = {"train": 12, "val": 4}
    marks = [datasets.load("shapes", size, seed=seed, counts=counts).fingerprint
             for size, seed in ((32, 0), (32, 0), (32, 1), (33, 0))]
    assert marks[0] == marks[1] and len(set(marks)) == 3
    assert len(marks[0]) == 16 and int(marks[0], 16) >= 0


def test_shapes_bad_counts_and_size():
    refused("32 or more pixels, not 31", datasets.load, "shapes", 31)
    refused("1 or more pixels", datasets.load, "shapes", 0)
    refused("counts must give", datasets.load, "shapes", 32, counts={"train": 0})
    refused("counts must give", datasets.load, "shapes", 32, counts={"train": 5, "odd": 2})
    refused("seed must be 0 or more", datasets.load, "shapes", 32, seed=-1)


# names

def test_unknown_name_lists_names_and_the_nearest(tmp_path):
    refused("'cifar': did you mean cifar10.*shapes, cifar10, flowers, .*imagenet or folder:PATH",
            datasets.load, "cifar")
    refused("unknown data 'zzz': use shapes", datasets.load, "zzz")
    refused("unknown data 'folder:': use", datasets.load, "folder:")
    refused(f"say folder:{tmp_path}", datasets.load, str(tmp_path))


def test_sources_name_everything_that_load_takes():
    rows = datasets.sources()
    assert [row["name"] for row in rows] == [*datasets.NAMES, "folder:PATH"]
    assert all(row.keys() == rows[0].keys() and all(row.values()) for row in rows)


def test_import_is_light():
    code = ("import sys, alexnet_lib.datasets\n"
            "heavy = {'torch', 'torchvision', 'matplotlib', 'IPython'} & set(sys.modules)\n"
            "assert not heavy, heavy")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_data_root(monkeypatch, tmp_path):
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path / "here"))
    assert datasets.data_root() == tmp_path / "here"
    monkeypatch.delenv("ALEXNET_DATA_ROOT")
    assert datasets.data_root().parts[-2:] == ("data", "cache")
    installed = tmp_path / "site" / "alexnet_lib" / "datasets" / "__init__.py"
    monkeypatch.setattr(datasets, "__file__", str(installed))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert datasets.data_root() == tmp_path / ".cache" / "alexnet"


def test_fingerprint_follows_images_labels_and_names():
    labels = [np.array([0, 1, 1]), np.array([0])]
    other = [np.array([0, 1, 0]), np.array([0])]
    marks = [store.fingerprint(digests, parts, classes) for digests, parts, classes in (
        (["1f", "2f"], labels, ("a", "b")), (["1f", "3f"], labels, ("a", "b")),
        (["1f", "2f"], other, ("a", "b")), (["1f", "2f"], labels, ("a", "c")))]
    assert len(set(marks)) == 4
    assert marks[0] == store.fingerprint(["1f", "2f"], labels, ["a", "b"])  # as read from JSON


# folders

def test_flat_folder_holds_out_fifteen_percent_of_each_class(tmp_path):
    data = load(make(tmp_path / "flat", {"a": 40, "b": 20, "c": 5}))
    counts = {k: np.bincount(v.labels).tolist() for k, v in data.splits.items()}
    assert counts == {"train": [34, 17, 4], "val": [6, 3, 1]}
    both = np.concatenate([s.images[:, 0, 0] for s in data.splits.values()])
    assert len(np.unique(both, axis=0)) == 65  # each image is in one split


def test_held_out_images_depend_on_the_seed_alone(tmp_path):
    flat = make(tmp_path / "flat", {"a": 30, "b": 30})
    marks = [load(flat, seed=seed).fingerprint for seed in (0, 0, 1)]
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.parametrize("name", ["val", "validation", "valid", "Val"])
def test_train_and_val_as_given(tmp_path, name):
    data = load(make(tmp_path / "x", {"train/a": 3, "train/b": 2, f"{name}/a": 1, f"{name}/b": 2}))
    assert [(k, len(v)) for k, v in data.splits.items()] == [("train", 5), ("val", 3)]


def test_train_and_test_get_a_val_out_of_train(tmp_path):
    data = load(make(tmp_path / "x", {"train/a": 20, "train/b": 20, "test/a": 3, "test/b": 3}))
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 36, "val": 4, "test": 6}


def test_all_three_as_given(tmp_path):
    places = {f"{split}/{c}": 2 for split in ("train", "val", "test") for c in "ab"}
    data = load(make(tmp_path / "x", places))
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 4, "val": 4, "test": 4}


def test_other_files_and_hidden_ones_are_left_alone(tmp_path):
    x = make(tmp_path / "x", {"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1})
    (x / "train/a/notes.txt").write_text("hello")
    (x / "train/a/._000.png").write_bytes(b"")
    (x / "train/.cache").mkdir()
    (x / "README.md").write_text("hello")
    make(x, {"train/a/.ipynb_checkpoints": 2})
    assert len(load(x).splits["train"]) == 6
    assert datasets.native_size(f"folder:{x}") == 20  # and not that of a hidden file


def test_file_names_that_are_not_utf8(tmp_path):
    x = make(tmp_path / "x", {"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1})
    try:
        os.rename(x / "train/a/000.png", os.fsencode(x / "train/a") + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    assert len(load(x).splits["train"]) == 6


def test_held_out_images_are_a_different_set_for_each_seed():
    """Not just another order: the sets of two seeds differ, and train and val never overlap."""
    labels = np.repeat(np.arange(3), (50, 30, 20))
    items = np.arange(100)
    held = []
    for seed in range(5):
        splits = folders.hold_out({"train": (items, labels)}, 0.10, seed, ("a", "b", "c"))
        (train, its), (val, theirs) = splits["train"], splits["val"]
        assert sorted([*train, *val]) == items.tolist()
        assert np.array_equal(its, labels[train]) and np.array_equal(theirs, labels[val])
        assert np.bincount(theirs).tolist() == [5, 3, 2]
        held.append(frozenset(val.tolist()))
    assert len(set(held)) == 5


def test_images_in_folders_within_a_class(tmp_path):
    x = make(tmp_path / "x", {"train/a/one": 2, "train/a/two": 2, "train/b": 2, "val/a": 1,
                              "val/b": 1})
    assert load(x).splits["train"].labels.tolist() == [0, 0, 0, 0, 1, 1]


def test_size_of_a_folder(tmp_path):
    small = make(tmp_path / "s", {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1}, 28)
    assert datasets.native_size(f"folder:{small}") == load(small).size == 28
    large = make(tmp_path / "l", {"train/a": 1, "train/b": 1, "val/a": 1, "val/b": 1}, 100)
    assert datasets.native_size(f"folder:{large}") == load(large).size == 256
    assert load(large, 48).size == 48
    assert [datasets.native_size(n) for n in datasets.NAMES] == [64, 32, 256, 256, 256]


def test_wordnet_numbers_of_imagenette_become_names(tmp_path):
    places = {f"{s}/{n}": 1 for s in ("train", "val") for n in ("n01440764", "n03888257")}
    assert load(make(tmp_path / "x", places)).classes == ("tench", "parachute")


# some images of a split

def test_some_of_a_split_that_lies_class_by_class(tmp_path):
    """Of a store in `make`'s order: drawn by the seed, in order, each with its label."""
    x = make(tmp_path / "x", {f"{s}/{c}": 20 for s in ("train", "val") for c in "abc"})
    train = load(x).splits["train"]
    place = {image.tobytes(): i for i, image in enumerate(train.images)}
    drawn = [train.subset(12, seed) for seed in (0, 0, 1)]
    index = [[place[image.tobytes()] for image in some.images] for some in drawn]
    assert index[0] == index[1] != index[2]
    for some, at in zip(drawn, index, strict=True):
        assert at == sorted(set(at)) and len(at) == 12
        assert np.array_equal(some.labels, train.labels[at]) and set(some.labels) == {0, 1, 2}
    assert train.subset(60) is train.subset(None) is train


def test_some_of_a_mixed_split_are_its_first_and_no_copy():
    train = datasets.load("shapes", 32, counts={"train": 30}).splits["train"]
    some = train.subset(12, seed=5)
    assert np.array_equal(some.labels, train.labels[:12])
    assert some.images.shape[0] == 12 and np.shares_memory(some.images, train.images)


def test_a_limited_run_on_photographs_trains_on_all_classes(tmp_path):
    x = make(tmp_path / "x", {f"{s}/{c}": 20 for s in ("train", "val") for c in "abc"}, 40)
    data = load(x)
    run = Trainer(TrainConfig(data=f"folder:{x}", model="alexnet", variant="2012", input_size=36,
                              width=0.05, limit=15, device="cpu"), data)
    assert len(run.batches.images) == 15 and set(run.batches.labels.tolist()) == {0, 1, 2}
    label = {image.tobytes(): n for image, n in zip(*vars(data.splits["train"]).values(),
                                                    strict=True)}
    assert run.batches.labels.tolist() == [label[image.tobytes()] for image in run.batches.images]


@pytest.mark.parametrize("spoil, told", [
    (lambda labels: np.repeat(labels, 2), "60 images and 120 labels"),
    (lambda labels: labels.astype(str), "labels of type")])
def test_a_limit_does_not_keep_the_doctor_from_bad_labels(spoil, told):
    data = datasets.load("shapes", 40, counts={"train": 60, "val": 30})
    split = datasets.Split(data.splits["train"].images, spoil(np.repeat(np.arange(10), 6)))
    bad = dataclasses.replace(data, splits=data.splits | {"train": split})
    found = {f.name: f.message for f in examine(TrainConfig(limit=50, device="cpu"), bad)}
    assert told in found["labels"]


# folders that cannot be used

def test_missing_folder(tmp_path):
    refused("no folder .*gone: check the path", load, tmp_path / "gone")
    refused("no folder .*: check the path", datasets.load, "folder:~nobody-of-this-name/x")


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    refused("no folder .*file", load, tmp_path / "file")


def test_empty_folder(tmp_path):
    (tmp_path / "x").mkdir()
    refused("no class folders in .*x: put the images in", load, tmp_path / "x")


def test_images_without_class_folders(tmp_path):
    refused("no class folders", load, make(tmp_path / "x", {".": 3}))


def test_one_class(tmp_path):
    refused(r"only one class in .*\(a\)", load, make(tmp_path / "x", {"a": 5}))


def test_empty_class(tmp_path):
    x = make(tmp_path / "x", {"a": 5, "b": 5})
    (x / "c").mkdir()
    refused("no images in .*c: add some", load, x)


def test_class_folders_that_differ(tmp_path):
    x = make(tmp_path / "x", {"train/a": 1, "train/b": 1, "val/a": 1, "val/b": 1, "val/kiwi": 1})
    refused(r"val has classes that train has not \(kiwi\): give them", load, x)


def test_a_class_without_validation_images_is_told(tmp_path):
    x = make(tmp_path / "x", {"train/a": 1, "train/b": 1, "train/kiwi": 1, "val/a": 1, "val/b": 1})
    (x / "val/kiwi").mkdir()
    data = load(x)
    assert data.classes == ("a", "b", "kiwi") and data.splits["val"].labels.tolist() == [0, 1]
    assert "val has no images of kiwi" in data.notes


def test_no_train_folder(tmp_path):
    refused("has test but no train folder", load, make(tmp_path / "x", {"test/a": 1, "test/b": 1}))


def test_two_validation_folders(tmp_path):
    places = {f"{s}/{c}": 1 for s in ("train", "val", "validation") for c in "ab"}
    refused("has both val and validation for val: keep one", load, make(tmp_path / "x", places))


def test_a_class_of_one_image_cannot_be_split(tmp_path):
    refused("the class 'b' has a single image", load, make(tmp_path / "x", {"a": 9, "b": 1}))


def test_a_split_of_broken_images_alone(tmp_path):
    x = make(tmp_path / "x", {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})
    for path in (x / "val").rglob("*.png"):
        path.write_bytes(b"")
    refused("every val image is broken", load, x, skip_broken=True)


def test_a_bomb_as_first_image(tmp_path, monkeypatch):
    x = make(tmp_path / "x", {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert datasets.native_size(f"folder:{x}") == 256
    refused("6 of 6 images cannot be read", load, x)


# what is downloaded

class FakeCifar:
    """torchvision's CIFAR10 of 100 + 20 images, there or not."""
    present, fetched = True, []

    def __init__(self, root, train=True, download=False):
        if not (self.present or download):
            raise RuntimeError("Dataset not found or corrupted.")
        type(self).fetched += [train] if download else []
        count = 100 if train else 20
        rng = np.random.default_rng(train)
        self.data = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.targets = [i % 10 for i in range(count)]
        self.classes = [f"class {i}" for i in range(10)]


@pytest.fixture
def fake_cifar(monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", FakeCifar)
    monkeypatch.setattr(FakeCifar, "present", True)
    monkeypatch.setattr(FakeCifar, "fetched", [])
    return FakeCifar


def test_cifar10_splits(tmp_path, fake_cifar):
    data = datasets.load("cifar10", root=tmp_path)
    assert [(k, len(v)) for k, v in data.splits.items()] == [("train", 90), ("val", 10),
                                                             ("test", 20)]
    assert np.bincount(data.splits["val"].labels).tolist() == [1] * 10
    assert np.array_equal(data.splits["test"].images, FakeCifar("", False).data)
    assert data.size == 32 and not fake_cifar.fetched
    refused("cifar10 is stored at 32 px, not 40", datasets.load, "cifar10", 40, root=tmp_path)


def test_cifar10_is_fetched_where_it_is_missing(tmp_path, fake_cifar, monkeypatch):
    monkeypatch.setattr(fake_cifar, "present", False)
    refused("download is off: run alexnet data get cifar10", datasets.load, "cifar10",
            root=tmp_path, download=False)
    datasets.load("cifar10", root=tmp_path)
    assert fake_cifar.fetched == [True, False]


@contextlib.contextmanager
def served(folder):
    """A server of the files of a folder: gives (address, paths that were asked for)."""
    asked = []

    class Server(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    handler = functools.partial(Server, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def md5(file):
    return hashlib.md5(file.read_bytes()).hexdigest()


@pytest.fixture
def true_cifar(tmp_path, monkeypatch):
    """A server of a CIFAR-10 of 100 + 20 images, for torchvision's own loader.

    Gives (archive, pixels by file, paths that were asked for).
    """
    cifar = torchvision.datasets.CIFAR10
    folder = tmp_path / "source" / cifar.base_folder
    folder.mkdir(parents=True)
    pixels, sums = {}, {}

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = md5(folder / name)

    for n, (name, _) in enumerate(cifar.train_list + cifar.test_list):
        rows = np.random.default_rng(n).integers(0, 256, (20, 3072), dtype=np.uint8)
        pixels[name] = rows
        write(name, {"data": rows, "labels": [i % 10 for i in range(20)]})
    write("batches.meta", {"label_names": [f"name {i}" for i in range(10)]})
    archive = tmp_path / "source" / cifar.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, cifar.base_folder)
    for key in ("train_list", "test_list"):
        monkeypatch.setattr(cifar, key, [[name, sums[name]] for name, _ in getattr(cifar, key)])
    monkeypatch.setattr(cifar, "meta", cifar.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setattr(cifar, "tgz_md5", md5(archive))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(archive.parent) as (address, asked):
        monkeypatch.setattr(cifar, "url", f"{address}/{archive.name}")
        yield archive, pixels, asked


def test_cifar10_of_torchvisions_own_loader(tmp_path, true_cifar):
    """Downloaded, unpacked and read, with each pixel and label in its place."""
    _, pixels, asked = true_cifar
    data = datasets.load("cifar10", root=tmp_path / "root")
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 90, "val": 10, "test": 20}
    assert data.classes == tuple(f"name {i}" for i in range(10))
    planes = pixels["test_batch"].reshape(20, 3, 32, 32)  # a file holds all red, green, then blue
    test = data.splits["test"]
    for i in (0, 7, 19):
        for channel in range(3):
            assert np.array_equal(test.images[i, :, :, channel], planes[i, channel])
    assert test.labels.tolist() == [i % 10 for i in range(20)]
    given = {row.tobytes(): i % 10 for name, rows in pixels.items() if name != "test_batch"
             for i, row in enumerate(rows)}
    found = {image.transpose(2, 0, 1).tobytes(): int(label) for name in ("train", "val")
             for image, label in zip(data.splits[name].images, data.splits[name].labels,
                                     strict=True)}
    assert found == given
    before = len(asked)
    assert datasets.load("cifar10", root=tmp_path / "root").fingerprint == data.fingerprint
    other = datasets.load("cifar10", root=tmp_path / "root", seed=1)
    assert other.fingerprint != data.fingerprint
    assert before and len(asked) == before  # fetched the first time alone


def test_an_altered_cifar10_is_not_read(tmp_path, true_cifar):
    datasets.load("cifar10", root=tmp_path / "root")
    file = tmp_path / "root" / torchvision.datasets.CIFAR10.base_folder / "data_batch_2"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    refused("download is off", datasets.load, "cifar10", root=tmp_path / "root", download=False)
    datasets.load("cifar10", root=tmp_path / "root")  # unpacked again
    assert file.read_bytes()[-1:] != b"?"


def test_a_download_that_is_cut_short(tmp_path, true_cifar):
    archive, *_ = true_cifar
    archive.write_bytes(archive.read_bytes()[:-100])
    refused(r"could not download cifar10 \(.*corrupted", datasets.load, "cifar10",
            root=tmp_path / "root")


def test_a_disk_that_fills_during_a_download(tmp_path, true_cifar):
    """What was there stays as it was, and once there is room the download is made again."""
    root, (archive, *_) = tmp_path / "root", true_cifar
    root.mkdir()
    (root / "other").write_text("mine")
    with full_disk(archive.stat().st_size // 2):
        refused(r"could not download cifar10 \(.*too large.*make room", datasets.load, "cifar10",
                root=root)
    assert (root / "other").read_text() == "mine"
    assert {k: len(v) for k, v in datasets.load("cifar10", root=root).splits.items()} == {
        "train": 90, "val": 10, "test": 20}


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
def test_a_server_that_does_not_answer(tmp_path, monkeypatch, name):
    """A real connection, refused by a port of this machine at which nothing listens."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", url + "a.tar.gz")
        archives = {size: (url + Path(old).name, md5) for size, (old, md5)
                    in torchvision.datasets.Imagenette._ARCHIVES.items()}
        monkeypatch.setattr(torchvision.datasets.Imagenette, "_ARCHIVES", archives)
        refused(rf"could not download {name} \(.*refused\): check the network", datasets.load,
                name, root=tmp_path, progress=False)


@pytest.fixture
def offline(monkeypatch):
    def fail(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")
    monkeypatch.setattr(urllib.request, "urlopen", fail)


@pytest.mark.parametrize("name", ["cifar10", "imagenette", "flowers"])
def test_no_network(tmp_path, offline, name):
    refused(rf"could not download {name} \(.*check the network .*--data shapes", datasets.load,
            name, root=tmp_path, progress=False)


@pytest.mark.parametrize("name", ["cifar10", "imagenette", "flowers"])
def test_root_that_cannot_be_written(tmp_path, public, offline, name):
    told = rf"could not download {name} \(.*%s.*\): make the folder writable, or set ALEXNET_DATA"
    (tmp_path / "file").write_text("")
    refused(told % "file", datasets.load, name, root=tmp_path / "file")
    with read_only(public):
        refused(told % "denied", datasets.load, name, root=public / "root")


def test_packing_into_a_folder_that_cannot_be_written(public):
    """What is packed there can be read; nothing new is begun."""
    x = make(public / "x", {f"{s}/{c}": 2 for s in ("train", "val") for c in "ab"})
    before = load(x)
    packed = public / "root" / "packed"
    with read_only(packed):
        assert load(x).fingerprint == before.fingerprint
        refused(r"cannot write the packed store .*denied\): free or choose another disk", load, x,
                12)
    assert not list(packed.glob("*-12-*"))
    assert load(x, 12).size == 12


def test_imagenet_says_what_to_put_where(tmp_path):
    refused("ILSVRC2012_img_train.tar .*imagenet$", datasets.load, "imagenet", root=tmp_path)


def test_imagenette(tmp_path, monkeypatch):
    (tmp_path / "imagenette2-320").mkdir()  # unpacking was stopped at once
    refused("holds 0 of 13,394 images: delete it", datasets.load, "imagenette", root=tmp_path)
    places = {f"{split}/{number}": count for number in folders.IMAGENETTE
              for split, count in (("train", 10), ("val", 2))}
    make(tmp_path / "imagenette2-320", places)
    refused("holds 120 of 13,394 images: delete it", datasets.load, "imagenette", 32,
            root=tmp_path, progress=False)
    monkeypatch.setattr(listing, "IMAGENETTE_COUNT", 120)
    data = datasets.load("imagenette", 32, root=tmp_path, progress=False)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 90, "val": 10, "test": 20}
    assert data.classes[0] == "tench" and len(data.classes) == 10


@pytest.fixture
def true_imagenette(tmp_path, monkeypatch):
    """A server of an Imagenette of 100 + 20 images, for torchvision's own loader: its archive."""
    source = tmp_path / "source"
    make(source / "imagenette2-320", {f"{split}/{number}": count for number in folders.IMAGENETTE
                                      for split, count in (("train", 10), ("val", 2))})
    for file in source.rglob("*.png"):
        file.rename(file.with_suffix(".jpeg"))  # torchvision looks for no others
    archive = source / "imagenette2-320.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source / "imagenette2-320", "imagenette2-320")
    monkeypatch.setattr(listing, "IMAGENETTE_COUNT", 120)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(source) as (address, _):
        archives = {"320px": (f"{address}/{archive.name}", md5(archive))}
        monkeypatch.setattr(torchvision.datasets.Imagenette, "_ARCHIVES", archives)
        yield archive


FLOWERS = {"daisy": 20, "roses": 33}


@pytest.fixture
def true_flowers(tmp_path, monkeypatch):
    """A server of an archive of 53 made-up flowers, built like TensorFlow's: the archive."""
    source = tmp_path / "source"
    home = make(source / "flower_photos", FLOWERS)
    lines = [f"{file.parent.name}/{file.name} CC-BY by Ann  B. {i} - https://www.flickr.com/{i}/"
             for i, file in enumerate(sorted(home.rglob("*.png")))]
    lines[0] = lines[0].replace("by Ann  B. 0 - https://www.flickr.com/0/",
                                "https://www.flickr.com/0/ - by Ann  B. 0")  # a few are so
    (home / "LICENSE.txt").write_text("All images are free.\n\n" + "\n".join(lines))
    archive = source / "flower_photos.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(home, home.name)
    monkeypatch.setattr(listing, "FLOWERS_COUNT", 53)
    monkeypatch.setattr(listing, "FLOWERS_SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with served(source) as (address, asked):
        monkeypatch.setattr(listing, "FLOWERS", f"{address}/{archive.name}")
        yield archive, asked


def test_flowers_are_fetched_once_and_split_by_their_names(tmp_path, true_flowers):
    """... whatever the seed, the folder and the size of the copies are."""
    archive, asked = true_flowers
    root, said = tmp_path / "root", []
    data = datasets.load("flowers", 32, root=root, progress=False, say=said.append)
    assert data.classes == ("daisy", "roses") and "CC BY" in said[0] and "LICENSE.txt" in said[0]
    assert {k: np.bincount(v.labels).tolist() for k, v in data.splits.items()} == {
        "train": [16, 27], "val": [2, 3], "test": [2, 3]}
    files = datasets.list_files("flowers", root).splits
    for k, name in enumerate(data.classes):
        mixed = sorted((hashlib.sha256(f"{name}/{i:03}.png".encode()).hexdigest(), f"{i:03}.png")
                       for i in range(FLOWERS[name]))
        test = {file for _, file in mixed[:len(mixed) // 10]}
        assert test == {path.name for path, label in zip(*files["test"], strict=True)
                        if label == k}
    everywhere = [path for paths, _ in files.values() for path in paths]
    assert len(set(everywhere)) == 53
    assert list(root.glob("*.tgz*")) == [] and len(asked) == 1
    other = datasets.load("flowers", 32, root=root, seed=5, progress=False, say=said.append)
    assert other.fingerprint == data.fingerprint and len(asked) == 1
    names = datasets.credits(root / "flower_photos")
    assert len(names) == 53
    assert names["daisy/000.png"] == "Ann B. 0, CC BY 2.0"
    assert names["roses/002.png"] == "Ann B. 22, CC BY 2.0"


@pytest.mark.parametrize("spoil", [
    lambda file: os.truncate(file, file.stat().st_size - 100),
    lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"), lambda file: file.unlink()])
def test_flowers_that_are_not_the_known_ones_are_not_unpacked(tmp_path, true_flowers, spoil):
    spoil(true_flowers[0])
    refused(r"could not download flowers \(.*(hash|404|[Nn]ot [Ff]ound).*try again", datasets.load,
            "flowers", root=tmp_path / "root", progress=False)
    assert list((tmp_path / "root").iterdir()) == []


def test_flowers_that_were_not_unpacked_to_their_end(tmp_path):
    make(tmp_path / "flower_photos", {"daisy": 3})
    refused("holds 3 of 3,670 images: delete it", datasets.load, "flowers", root=tmp_path)


def climbing(archive):
    """An archive with a member that older versions of torchvision would unpack outside."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(__file__, "../climbed")


@pytest.mark.parametrize("spoil", [
    lambda file: os.truncate(file, file.stat().st_size - 100),
    lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"), climbing])
def test_an_imagenette_that_is_not_the_known_one_is_not_unpacked(tmp_path, true_imagenette, spoil):
    root, whole = tmp_path / "in" / "root", true_imagenette.read_bytes()
    spoil(true_imagenette)
    refused(r"could not download imagenette \(.*corrupted.*try again", datasets.load, "imagenette",
            32, root=root, progress=False)
    assert [p.name for p in (tmp_path / "in").rglob("*")] == ["root", true_imagenette.name]
    true_imagenette.write_bytes(whole)
    data = datasets.load("imagenette", 32, root=root, progress=False)  # fetched again
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 90, "val": 10, "test": 20}


def test_an_archive_that_is_none(tmp_path, true_imagenette, monkeypatch):
    true_imagenette.write_bytes(b"sorry")
    (url, _), = torchvision.datasets.Imagenette._ARCHIVES.values()
    monkeypatch.setitem(torchvision.datasets.Imagenette._ARCHIVES, "320px",
                        (url, md5(true_imagenette)))
    refused("could not download imagenette .*check the network", datasets.load, "imagenette",
            root=tmp_path / "root")


@pytest.fixture
def true_imagenet(tmp_path, monkeypatch):
    """The archives of an ImageNet of 12 + 6 images, for torchvision's own loader: their folder.

    Of three synsets, two share a name. The list that is made of the devkit is there already.
    """
    home, source = tmp_path / "imagenet", tmp_path / "source"
    home.mkdir()
    names = {"n1": ("crane", "bird"), "n2": ("crane",), "n3": ("tench", "Tinca tinca")}
    torch.save((names, ["n1", "n2", "n3"] * 2), home / "meta.bin")
    make(source, {**{f"train/{number}": 4 for number in names}, "val": 6})
    for number in names:
        with tarfile.open(source / "train" / f"{number}.tar", "w") as tar:
            for image in (source / "train" / number).iterdir():
                tar.add(image, image.name)
    known = {"devkit": (listing.IMAGENET_ARCHIVES["devkit"], "")}
    for split, pattern in (("train", "*.tar"), ("val", "*.png")):
        archive = home / listing.IMAGENET_ARCHIVES[split]
        with tarfile.open(archive, "w") as tar:
            for file in (source / split).glob(pattern):
                tar.add(file, file.name)
        known[split] = archive.name, md5(archive)
    monkeypatch.setattr(torchvision.datasets.imagenet, "ARCHIVE_META", known)
    monkeypatch.setattr(listing, "IMAGENET_COUNTS", {"train": 12, "val": 6})
    return home


def imagenet(home):
    return datasets.load("imagenet", 32, root=home.parent, progress=False)


def test_imagenet(true_imagenet):
    data = imagenet(true_imagenet)
    assert data.classes == ("crane (0)", "crane (1)", "tench")
    assert data.splits["train"].labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert data.splits["val"].labels.tolist() == [0, 0, 1, 1, 2, 2]
    # `make` writes the number of the image as blue: those of val are dealt out to the classes.
    assert data.splits["val"].images[:, 5, 5, 2].tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("split, spoil, count", [
    ("train", lambda folder: shutil.rmtree(folder / "n2"), "8 of 12"),
    ("train", lambda folder: (folder / "n2" / "001.png").unlink(), "11 of 12"),
    ("train", lambda folder: [shutil.rmtree(f) for f in folder.iterdir()], "0 of 12"),
    ("train", lambda folder: (folder / "n2").rename(folder / "mine"), "12 of 12"),
    ("val", lambda folder: [f.rename(folder / f.name) for f in folder.glob("n1/*")], "4 of 6")])
def test_an_imagenet_that_was_not_unpacked_to_its_end(true_imagenet, split, spoil, count):
    whole = imagenet(true_imagenet)
    spoil(true_imagenet / split)
    refused(f"{split} holds {count} images .*: delete it, .* again from ILSVRC2012_img_{split}.tar",
            imagenet, true_imagenet)
    shutil.rmtree(true_imagenet / split)
    assert imagenet(true_imagenet).classes == whole.classes


def test_an_imagenet_of_other_classes_in_val(true_imagenet):
    imagenet(true_imagenet)
    for file in (true_imagenet / "val" / "n3").iterdir():
        file.rename(true_imagenet / "val" / "n2" / f"more-{file.name}")
    (true_imagenet / "val" / "n3").rmdir()
    refused("class folders of train and val .* differ: delete both", imagenet, true_imagenet)


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_archive_of_imagenet_that_is_broken_or_missing(true_imagenet, split):
    archive = true_imagenet / listing.IMAGENET_ARCHIVES[split]
    os.truncate(archive, archive.stat().st_size - 100)
    refused(f"{archive.name} is cut short or altered.*: fetch it again", imagenet, true_imagenet)
    assert not (true_imagenet / split).exists()
    archive.unlink()
    refused("must be fetched by hand", imagenet, true_imagenet)


def test_a_devkit_that_is_broken_or_missing(true_imagenet):
    pytest.importorskip("scipy")
    imagenet(true_imagenet)
    (true_imagenet / "meta.bin").unlink()
    refused("must be fetched by hand", imagenet, true_imagenet)
    devkit = true_imagenet / listing.IMAGENET_ARCHIVES["devkit"]
    devkit.write_bytes(b"")
    refused(f"{devkit.name} is cut short or altered", imagenet, true_imagenet)


@pytest.mark.parametrize("spoil", [
    lambda file: file.write_bytes(b""), lambda file: file.write_bytes(b"sorry"),
    lambda file: os.truncate(file, file.stat().st_size // 2),
    lambda file: torch.save([1, 2, 3], file), lambda file: torch.save(({"n1": 3}, []), file)])
def test_a_list_of_imagenets_classes_that_is_damaged(true_imagenet, spoil):
    spoil(true_imagenet / "meta.bin")
    refused("meta.bin is damaged: delete it", imagenet, true_imagenet)


def test_a_disk_that_fills_while_imagenet_is_unpacked(true_imagenet):
    with full_disk(5000):
        refused("could not unpack .*img_train.tar .*too large.*make room", imagenet, true_imagenet)
    refused("train holds 0 of 12 images .*: delete it", imagenet, true_imagenet)


def test_imagenet_without_scipy(tmp_path, monkeypatch):
    def lacking(*args):
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
    (tmp_path / "imagenet").mkdir()
    monkeypatch.setattr(torchvision.datasets, "ImageNet", lacking)
    refused("needs scipy: pip install scipy", datasets.load, "imagenet", root=tmp_path)


def test_check_of_data_without_a_store(tmp_path, fake_cifar):
    assert datasets.check("cifar10", root=tmp_path)["images"] == 120


def test_known_copies_are_called_by_their_names():
    copy, other = "b2d47ac2be57b5f1", "0123456789abcdef"
    assert datasets.title("imagenette", copy) == "Imagenette, copies of 224 px"
    assert datasets.title("imagenette", other) == "imagenette"
    for mark in (copy, other):
        said = datasets.signature("imagenette", mark)
        assert said.startswith(f"imagenette, fingerprint {mark}")
        assert datasets.title_of(said) == datasets.title("imagenette", mark)
    assert datasets.title_of("imagenette") == "imagenette"


def test_a_net_that_meets_another_copy_of_its_data_is_named():
    copy, jpeg, other = "bfef4ea99277dd98", "93b586ba8239ab9b", "0123456789abcdef"

    def met(name, mark, learned, learned_mark):
        return datasets.other_copy(SimpleNamespace(name=name, fingerprint=mark), learned,
                                   learned_mark)
    assert met("imagenette", copy, "imagenette", copy) is None
    assert "copies of 224 px" in met("imagenette", other, "imagenette", copy)
    assert "JPEG" in met("cifar10", other, "folder:data/cache/cifar10-jpeg", jpeg)
    assert met("cifar10", other, "imagenette", copy) is None
    assert met("folder:a", other, "folder:a", jpeg[::-1]) is None  # measured whole, not as trained
