"""Names, folders, splits and errors of `datasets.load`."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from alexnet_lib import datasets
from alexnet_lib.datasets import listing
from alexnet_lib.errors import UserError


def make(root, counts, size=20):
    """Pictures of one colour each, under root/<place>/."""
    for n, (place, count) in enumerate(counts.items()):
        (root / place).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            colour = (20 * n + 3, (37 * i) % 256, i)
            Image.new("RGB", (size + 4, size), colour).save(root / place / f"{i:03}.png")
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
    np.testing.assert_allclose(data.colour_values, values[::-1])


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


# names

def test_unknown_name_lists_names_and_the_nearest(tmp_path):
    refused("'cifar': did you mean cifar10.*shapes, cifar10, imagenette, imagenet or folder:PATH",
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
    assert len(load(x).splits["train"]) == 6


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
    assert [datasets.native_size(n) for n in datasets.NAMES] == [64, 32, 256, 256]


def test_wordnet_numbers_of_imagenette_become_names(tmp_path):
    places = {f"{s}/{n}": 1 for s in ("train", "val") for n in ("n01440764", "n03888257")}
    assert load(make(tmp_path / "x", places)).classes == ("tench", "parachute")


# folders that cannot be used

def test_missing_folder(tmp_path):
    refused("no folder .*gone: check the path", load, tmp_path / "gone")


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
    x = make(tmp_path / "x", {"train/a": 1, "train/b": 1, "train/kiwi": 1, "val/a": 1, "val/b": 1})
    refused(r"train and val .* differ \(kiwi\): give every split the same", load, x)


def test_no_train_folder(tmp_path):
    refused("has test but no train folder", load, make(tmp_path / "x", {"test/a": 1, "test/b": 1}))


def test_two_validation_folders(tmp_path):
    places = {f"{s}/{c}": 1 for s in ("train", "val", "validation") for c in "ab"}
    refused("has both val and validation: keep one", load, make(tmp_path / "x", places))


def test_a_class_of_one_image_cannot_be_split(tmp_path):
    refused("the class 'b' has a single image", load, make(tmp_path / "x", {"a": 9, "b": 1}))


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


@pytest.fixture
def offline(monkeypatch):
    def fail(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")
    monkeypatch.setattr(urllib.request, "urlopen", fail)


@pytest.mark.parametrize("name", ["cifar10", "imagenette"])
def test_no_network(tmp_path, offline, name):
    refused(rf"could not download {name} \(.*check the network .*--data shapes", datasets.load,
            name, root=tmp_path, progress=False)


def test_root_that_cannot_be_written(tmp_path, offline):
    (tmp_path / "file").write_text("")
    refused("could not download", datasets.load, "cifar10", root=tmp_path / "file")


def test_imagenet_says_what_to_put_where(tmp_path):
    refused("ILSVRC2012_img_train.tar .*imagenet$", datasets.load, "imagenet", root=tmp_path)


def test_imagenette(tmp_path, monkeypatch):
    places = {f"{split}/{number}": count for number in listing.IMAGENETTE
              for split, count in (("train", 10), ("val", 2))}
    make(tmp_path / "imagenette2-320", places)
    refused("holds 120 of 13,394 images: delete it", datasets.load, "imagenette", 32,
            root=tmp_path, progress=False)
    monkeypatch.setattr(listing, "IMAGENETTE_COUNT", 120)
    data = datasets.load("imagenette", 32, root=tmp_path, progress=False)
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 90, "val": 10, "test": 20}
    assert data.classes[0] == "tench" and len(data.classes) == 10


class FakeImageNet:
    """torchvision's ImageNet of 12 + 6 images, of three synsets of which two share a name."""

    def __init__(self, root, split):
        self.classes = [("crane", "bird"), ("crane",), ("tench", "Tinca tinca")]
        places = {f"{split}/{i}": 4 if split == "train" else 2 for i in range(3)}
        folder = make(Path(root), places)
        self.samples = [(str(p), int(p.parent.name))
                        for p in sorted((folder / split).rglob("*.png"))]


def test_imagenet(tmp_path, monkeypatch):
    (tmp_path / "imagenet").mkdir()
    monkeypatch.setattr(torchvision.datasets, "ImageNet", FakeImageNet)
    data = datasets.load("imagenet", 32, root=tmp_path, progress=False)
    assert data.classes == ("crane (0)", "crane (1)", "tench")
    assert {k: len(v) for k, v in data.splits.items()} == {"train": 12, "val": 6}


def test_imagenet_without_scipy(tmp_path, monkeypatch):
    def lacking(*args):
        raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
    (tmp_path / "imagenet").mkdir()
    monkeypatch.setattr(torchvision.datasets, "ImageNet", lacking)
    refused("needs scipy: pip install scipy", datasets.load, "imagenet", root=tmp_path)


def test_check_of_data_without_a_store(tmp_path, fake_cifar):
    assert datasets.check("cifar10", root=tmp_path)["images"] == 120
