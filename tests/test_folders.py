"""Folders as people have them: layouts, lists of labels, skipped files, measuring on any folder."""

import dataclasses
import os
import shutil
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet_lib import cli, datasets, memory
from alexnet_lib.course import doctor
from alexnet_lib.course.doctor import data as checks
from alexnet_lib.datasets import BrokenImage, folders, images, prepare_image, shapes, store
from alexnet_lib.errors import UserError


def make(root: Path, places: dict, files: dict | None = None) -> Path:
    """Small pictures under root/<place>/: so many, or with these names; and files of text."""
    for place, names in places.items():
        (root / place).mkdir(parents=True, exist_ok=True)
        if isinstance(names, int):
            names = [f"{place.replace('/', '-').replace('.', 'x')}-{i}.jpg" for i in range(names)]
        for i, name in enumerate(names):
            Image.new("RGB", (20, 20), (9 * i % 256, 99, 7)).save(root / place / name, "JPEG")
    for name, text in (files or {}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def of(*splits, classes=("cats", "dogs"), each=2):
    return {f"{split}/{name}": each for split in splits for name in classes}


def counts(listing) -> dict:
    return {name: len(labels) for name, (_, labels) in listing.splits.items()}


def mentions(listing, word: str) -> bool:
    return any(word in line for line in listing.notes)


def refused(word: str, call, *args, **kwargs) -> None:
    with pytest.raises(UserError, match=word) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)


# Layouts.

# places, splits, a word of the notes
SPLITS = {
    "Kaggle": (of("training_set", "test_set", each=10), (18, 2, 20), "training_set is taken"),
    "capitals": (of("Training", "Testing", each=10), (18, 2, 20), "Testing is taken for test"),
    "ILSVRC": (of("ILSVRC2012_train", "ILSVRC2012_validation"), (4, 4), "taken for val"),
    "Intel": (of("seg_train/seg_train", "seg_test/seg_test", each=10)
              | {"seg_pred/seg_pred": 3}, (18, 2, 20), "left aside, as no split: seg_pred"),
    "suffixes": (of("train_images", "eval"), (4, 4), "eval is taken for val"),
    "camels": (of("TrainData", "ValData"), (4, 4), "ValData is taken for val"),
    "in a folder": (of("archive/Training", "archive/dev"), (4, 4), "dev is taken for val"),
    "train alone": (of("train", each=10), (18, 2), "held out of train"),
    "test without labels": (of("train", "val") | {"test": 3}, (4, 4), "test is left aside"),
    "test of one folder": (of("train", "val") | {"test/unknown": 3}, (4, 4), "test is left aside"),
    "classes and test": ({"cats": 20, "dogs": 20, "test": 3}, (34, 6), "test is left aside"),
    "other folders": (of("train", "val", "extra"), (4, 4), "left aside, as no split: extra"),
    "plain names first": (of("train", "train_extra", "val"), (4, 4), "left aside"),
    "classes that sound so": ({"test_positive": 20, "test_negative": 20}, (34, 6),
                              "test_positive is taken for a class"),
}


@pytest.mark.parametrize("layout", SPLITS)
def test_splits_under_other_names(tmp_path, layout):
    places, expected, word = SPLITS[layout]
    found = folders.list_folder(make(tmp_path / "x", places))
    assert tuple(counts(found).values()) == expected and mentions(found, word), found.notes
    assert len(found.classes) == 2 and mentions(found, f"2 classes ({', '.join(found.classes)})")
    for paths, labels in found.splits.values():
        assert all(found.classes[k] in path.parts for path, k in zip(paths, labels, strict=True))


@pytest.mark.parametrize("places, word", [
    ({"trainA": 2, "trainB": 2, "testA": 2, "testB": 2}, "both testA and testB for test"),
    (of("train", "eval", "dev"), "both dev and eval for val"),
    ({"training_set": 3, "test_set": 3}, "no class folders in .*training_set"),
    ({"bus": 3, "car": 3, "train": 3}, "if it is a class, rename it"),
    (of("train") | {"val": 4}, "no class folders in .*val"),
    (of("flowers"), "only one class .*such as those in .*flowers"),
])
def test_layouts_that_cannot_be_guessed_are_refused(tmp_path, places, word):
    refused(word, folders.list_folder, make(tmp_path / "x", places))


@pytest.mark.parametrize("places, word", [
    (of("fold1", "fold2"), "rename fold1, fold2 to train"),
    (of("Entrenamiento", "Prueba"), "each hold the folders cats, dogs"),
    (of("Trening", "Walidacja") | {"Trening/birds": 2}, "choose one as folder:.*Trening"),
    (of("train/2019", "train/2020"), "each hold .*: if these are the classes, choose one"),
])
def test_folders_above_the_classes_are_refused(tmp_path, places, word):
    refused(word, folders.list_folder, make(tmp_path / "x", places))
    if "train" not in next(iter(places)):
        refused(word, folders.list_to_measure, tmp_path / "x", None)


def test_classes_may_hold_folders(tmp_path):
    """Masks that are no images, folders of only one class, classes that a net has learned."""
    x = make(tmp_path / "x", {f"{name}/images": 3 for name in ("cats", "dogs")} | {"cats/old": 2},
             {f"{name}/masks/1.xml": "" for name in ("cats", "dogs")})
    assert counts(folders.list_folder(x))["train"] == 6
    known = ("healthy", "sick")
    y = make(tmp_path / "y", of(*known, classes=("left", "right")))
    listing, _ = folders.list_to_measure(y, None, known)
    assert listing.classes == known and counts(listing) == {"all": 8}


@pytest.mark.parametrize("inside", ["run", "cats", ".", "no/such/folder", "link"])
def test_nothing_is_written_into_the_data(tmp_path, run, inside):
    x = make(tmp_path / "x", {"cats": 8, "dogs": 8})
    (tmp_path / "link").symlink_to(x)
    out = tmp_path / "link" / "run" if inside == "link" else x / inside
    before = sorted(x.rglob("*"))
    code, _, err = run("train", "--data", f"folder:{x}", "--out", out, "--device", "cpu")
    assert code == 2 and "outside" in err and err.count("\n") == 1
    assert sorted(x.rglob("*")) == before


def test_figures_are_not_written_into_the_data(net, run):
    code, _, err = run("filters", "--checkpoint", net[0], "--out", net[1] / "figures")
    assert code == 2 and "outside" in err and not (net[1] / "figures").exists()


@pytest.mark.parametrize("classes, said", [("ab", False), ("abcde", False), ("abcdef", True)])
def test_top_5_is_shown_where_it_can_be_wrong(tmp_path, run, classes, said):
    x = make(tmp_path / "x", dict.fromkeys(classes, 4))
    code, out, err = run("train", "--data", f"folder:{x}", "--out", tmp_path / "run", "--epochs", 1,
                         "--model", "cifar", "--device", "cpu")
    assert code == 0 and ("top-5" in out) == ("top-5" in err) == said
    code, out, _ = run("evaluate", "--data", f"folder:{x}", "--checkpoint", tmp_path / "run")
    assert code == 0 and ("top-5" in out) == said


def test_notes_are_shown_to_whoever_loads(tmp_path, capsys):
    x = make(tmp_path / "x", {"cats": 8, "dogs": 8}, {"cats/notes.md": ""})
    for load in (datasets.load, datasets.load_split, datasets.check):
        load(f"folder:{x}", 20, root=tmp_path / "root", progress=False)
        assert capsys.readouterr().err.count("1 .md") == 1
    heard = []
    found = datasets.load(f"folder:{x}", 20, root=tmp_path / "root", say=heard.append)
    assert tuple(heard) == found.notes and "1 .md" not in capsys.readouterr().err


def test_a_layout_is_told_by_the_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path / "root"))
    x = make(tmp_path / "x", of("Training", "Testing", each=10), {"Training/cats/notes.txt": ""})
    for command in (["data", "pack"], ["data", "check"], ["train", "--out", tmp_path / "run",
                    "--model", "cifar", "--epochs", 1, "--device", "cpu", "--data"]):
        with pytest.raises(SystemExit, match="0"):
            cli.main([*map(str, command), f"folder:{x}"])
        err = capsys.readouterr().err
        for word in ("2 classes (cats, dogs)", "Testing is taken", "1 of 41 files skipped: 1 .txt"):
            assert word in err


LETTERS = [f"{c}{i}.jpg" for i, c in enumerate("abcdefgh")]
PUGS = [("pug", "boxer")[i % 2] for i in range(8)]
ILSVRC = {f"train/n0{i}": 2 for i in range(3)} | {"val": [f"I_{i}.JPEG" for i in range(4)]}


def lines(rows, between=",", head=""):
    return head + "".join(between.join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize("places, files", [
    ({".": LETTERS}, {"labels.csv": lines(zip(LETTERS, PUGS, strict=True), head="file,label\n")}),
    ({"images": LETTERS}, {"list.txt": lines(zip(LETTERS, PUGS, strict=True), " ")}),
    ({"images": LETTERS}, {"list.csv": lines([(b, f"images/{a}") for a, b in
                                              zip(LETTERS, PUGS, strict=True)], ";", "x;y\n")}),
    ({"train": LETTERS, "test": 3}, {
        "labels.csv": lines([(a[:2], 7, b) for a, b in zip(LETTERS, PUGS, strict=True)],
                            head="id,width,breed\n"),
        "sample_submission.csv": lines([(f"test-{i}.jpg", "pug") for i in range(3)])}),
])
def test_labels_in_a_list(tmp_path, places, files):
    found = folders.list_folder(make(tmp_path / "x", places, files))
    assert found.classes == ("boxer", "pug") and mentions(found, "are read from")
    assert counts(found) == {"train": 6, "val": 2}
    label = dict(zip(LETTERS, PUGS, strict=True))
    for paths, labels in found.splits.values():
        assert [found.classes[k] for k in labels] == [label[path.name] for path in paths]


@pytest.mark.parametrize("files", [
    {"val/val_annotations.txt": lines([(f"I_{i}.JPEG", f"n0{i % 3}", 0, 1, 2, 3)
                                       for i in range(4)], "\t")},  # as Tiny ImageNet has it
    {"val.txt": lines([(f"I_{i}.JPEG", i % 3) for i in range(4)], " ")},  # as Caffe has it
    {"val_labels.csv": lines([(f"I_{i}", f"n0{i % 3}") for i in range(4)], head="id,label\n")}])
def test_a_flat_val_with_its_list(tmp_path, files):
    found = folders.list_folder(make(tmp_path / "x", ILSVRC | {"test/images": 2}, files))
    paths, labels = found.splits["val"]
    assert [(p.name, k) for p, k in zip(paths, labels, strict=True)] == [
        ("I_0.JPEG", 0), ("I_3.JPEG", 0), ("I_1.JPEG", 1), ("I_2.JPEG", 2)]


@pytest.mark.parametrize("files, word", [
    ({"val.txt": lines([(f"I_{i}.JPEG", i % 3 + 1) for i in range(4)], " ")}, "train has not"),
    ({"val.txt": lines([(f"I_{i}", "n00") for i in range(4)], " "),
      "more.csv": lines([(f"I_{i}", "n01") for i in range(4)])}, "keep one of these lists"),
    ({"val.csv": lines([(f"I_{i}", 1, 2) for i in range(4)], head="id,a,b\n")}, "several columns"),
    ({"val.csv": lines([("I_0", "n00"), ("I_1", "n00"), ("I_0", "n01")])}, "two labels")])
def test_lists_that_cannot_be_guessed_are_refused(tmp_path, files, word):
    refused(word, folders.list_folder, make(tmp_path / "x", ILSVRC, files))


def test_the_list_itself_is_not_skipped(tmp_path):
    x = make(tmp_path / "x", {".": LETTERS}, {"labels.csv": lines(zip(LETTERS, PUGS, strict=True))})
    assert not mentions(folders.list_folder(x), "skipped")
    (x / "more.csv").touch()
    assert mentions(folders.list_folder(x), "1 of 10 files skipped: 1 .csv")


def test_images_that_a_list_does_not_name_are_counted(tmp_path):
    rows = [*zip(LETTERS, PUGS, strict=True)][:6]
    found = folders.list_folder(make(tmp_path / "x", {".": LETTERS}, {"l.csv": lines(rows)}))
    assert sum(counts(found).values()) == 6 and mentions(found, "2 without a label in l.csv")


# Files that are skipped.

def test_every_file_is_an_image_or_counted(tmp_path):
    x = make(tmp_path / "x", {"a": 4, "b": 4}, {
        "a/notes.txt": "", "a/README": "", "a/.DS_Store": "", "a/x.heic": "", "b/y.HEIC": "",
        "a/clip.mp4": ""})
    good = (x / "a/a-0.jpg").read_bytes()
    read = ["a/c.jfif", "a/d.jpe", "a/no-ending", "a/e.jpg_large", "b/f.JPG", "b/g.png"]
    for name in read:
        (x / name).write_bytes(good)
    (x / "a/a-1.jpg_original").write_bytes(good)  # a copy that exiftool leaves
    (x / "stray.jpg").write_bytes(good)
    (x / "b/gone").symlink_to("nowhere")
    (x / "b/again").symlink_to(x / "b")
    if hasattr(os, "mkfifo"):
        os.mkfifo(x / "b/pipe.jpg")
    make(tmp_path / "far", {".": 2, "deeper": 1})
    (x / "b/linked").symlink_to(tmp_path / "far")
    found = folders.list_folder(x)
    assert sum(counts(found).values()) == 8 + len(read) + 3
    (line,) = [line for line in found.notes if "skipped" in line]
    for reason in ("2 .heic (Pillow", "1 .txt", "1 .mp4", "1 without an ending", "1 hidden",
                   "1 .jpg_original", "1 beside the class folders", "1 broken link",
                   "1 link to a folder above", "1 not a regular file"):
        assert reason in folders.Skipped.why(_skips(x), 20), reason
    assert line.startswith("11 of ")


def _skips(x):
    found = folders.Skipped()
    folders._labeled(x, x, found, [])
    return found


@pytest.mark.skipif(".avif" not in images.suffixes(), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_can(tmp_path):
    x = make(tmp_path / "x", {"a": 4, "b": 4})
    Image.new("RGB", (20, 20), (200, 0, 0)).save(x / "a/z.avif")
    assert sum(counts(folders.list_folder(x)).values()) == 9
    assert prepare_image(x / "a/z.avif", 20)[..., 0].min() > 150


def test_avif_is_counted_where_pillow_cannot(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "suffixes", lambda: frozenset({".jpg"}))
    x = make(tmp_path / "x", {"a": 4, "b": 4}, {"a/z.avif": "", "b/z.webp": ""})
    assert mentions(folders.list_folder(x), "2 of 10 files skipped: 1 .avif (Pillow")


@pytest.mark.parametrize("files, word", [
    ({"c/1.heic": ""}, r"no images in .*c \(skipped: 1 .heic"), ({"c/.keep": ""}, "1 hidden")])
def test_a_class_without_readable_images_says_why(tmp_path, files, word):
    refused(word, folders.list_folder, make(tmp_path / "x", {"a": 4, "b": 4}, files))


def test_an_empty_class_of_val_needs_no_cure(tmp_path):
    x = make(tmp_path / "x", of("train", "val") | {"train/kiwi": 2})
    without = folders.list_folder(x)
    (x / "val/kiwi").mkdir()
    assert folders.list_folder(x).notes == without.notes and mentions(without, "no images of kiwi")


# Images.

def chunk(kind: bytes, data: bytes) -> bytes:
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


def png(*extra: bytes) -> bytes:
    body = zlib.compress(b"".join(b"\0" + bytes(60) for _ in range(20)))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20, 20, 8, 2, 0, 0, 0))
            + b"".join(extra) + chunk(b"IDAT", body) + chunk(b"IEND", b""))


BOMB = zlib.compress(bytes(80_000_000), 9)
HOSTILE = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n"
                  b"(/tmp/x) (w) file\nshowpage\n%%EOF\n",
    "text bomb": png(chunk(b"zTXt", b"x\0\0" + BOMB)),
    "ICC bomb": png(chunk(b"iCCP", b"x\0\0" + BOMB)),
    "PPM of no size": b"P6 99999999999999999999 1 255\n", "PPM of text": b"P6 a b c\n",
    "PPM of zeros": b"P6 0 0 255\n", "PGM of many bits": b"P5 20 20 99999999\n" + bytes(900),
    "HTML": b"<html>not found</html>", "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_images_are_broken_or_read(tmp_path, name, monkeypatch):
    """And never reach another program."""
    monkeypatch.setattr("subprocess.Popen", None)
    monkeypatch.setattr("subprocess.check_call", None)
    x = make(tmp_path / "x", {"a": 2, "b": 2})
    (x / "a/0.jpg").write_bytes(HOSTILE[name])
    try:
        assert prepare_image(x / "a/0.jpg", 24).shape == (24, 24, 3)
    except BrokenImage as error:
        assert "0.jpg" in str(error) and "\n" not in str(error)
    assert datasets.native_size(f"folder:{x}") in (20, 256)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    refused("not a regular file", prepare_image, tmp_path / "a.jpg", 24)
    refused("not a regular file", prepare_image, "/dev/zero", 24)


def test_a_photograph_of_two_pictures_is_read(tmp_path):
    """As phones make them: MPO with the ending .jpg."""
    one = Image.new("RGB", (30, 20), (9, 200, 9))
    one.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[one])
    assert prepare_image(tmp_path / "a.jpg", 20)[..., 1].min() > 190


def test_sixteen_bits_are_scaled_in_strips(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 65536, (50, 70)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "STRIP", 210)
    with Image.open(tmp_path / "a.png") as picture:
        found = np.asarray(images.to_eight_bits(picture, True))
    assert np.array_equal(found, (values / 257 + 0.5).astype(np.uint8))


def test_no_more_pixels_are_decoded_at_once_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(images, "AT_ONCE", 100)
    monkeypatch.setattr(images, "_left", [100])
    inside, most = [0], [0]

    def work(pixels):
        with images._room(pixels):
            inside[0] += min(pixels, 100)
            most[0] = max(most[0], inside[0])
            threading.Event().wait(0.001)
            inside[0] -= min(pixels, 100)

    threads = [threading.Thread(target=work, args=(n,)) for n in (40, 60, 30, 1000, 70, 20) * 5]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] <= 100 and images._left == [100]


def test_twelve_bits_in_sixteen_are_told(tmp_path):
    x = tmp_path / "x"
    for i in range(12):
        place = x / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(i).integers(0, 4096, (70, 70)).astype(np.uint16)
        Image.fromarray(values).save(place / f"{i}.png")
    data = datasets.load(f"folder:{x}", 64, root=tmp_path / "root", progress=False)
    assert mentions(data, "very dark")
    finding = checks.images(data)
    assert finding.verdict == doctor.LOOK and "16-bit" in finding.message
    flat = np.random.default_rng(0).integers(120, 130, (60, 40, 40, 3)).astype(np.uint8)
    split = datasets.Split(flat, np.arange(60) % 2)
    finding = checks.images(dataclasses.replace(data, splits={"train": split}))
    assert finding.verdict == doctor.LOOK and "contrast" in finding.message


# Measuring on any folder.

@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A trained net of three classes, and the flat folder it has learned from."""
    root = tmp_path_factory.mktemp("net")
    drawn, _ = shapes.render(0, 30, 40)
    for i, image in enumerate(drawn):
        place = root / "photos" / "abc"[i % 3]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALEXNET_DATA_ROOT", str(root / "root"))
        with pytest.raises(SystemExit, match="0"):
            cli.main(["train", "--data", f"folder:{root / 'photos'}", "--out", str(root / "run"),
                      "--input-size", "36", "--stored-size", "40", "--width", "0.03", "--model",
                      "alexnet", "--epochs", "1", "--batch-size", "8", "--device", "cpu"])
    return root / "run", root / "photos"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    def command(*args):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(arg) for arg in args])
        return (ended.value.code, *capsys.readouterr())
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path / "root"))
    return command


@pytest.mark.parametrize("places, split, count, word", [
    ({"a": 3, "b": 3, "c": 3}, (), 9, "if the net was trained on some"),
    ({"b": 1}, (), 1, "1 of the net's 3 classes"),
    ({"c": 2, "a": 1}, (), 3, "2 of the net's 3 classes"),
    ({"test/a": 1, "test/c": 2}, (), 3, "2 of the net's 3 classes"),
    ({"Testing/a": 1, "Testing/b": 1, "Testing/c": 1}, (), 3, "Testing is taken for test"),
    (of("train", "val", "test", classes="abc", each=4), (), 12, "images: train 12, val 12"),
    (of("train", "test", classes="abc", each=4), ("--split", "test"), 12, "test 12"),
    (of("train", "test", classes="abc", each=10), (), 3, "held out of train"),
    (of("train", classes="abc") | {"test/b": 3}, ("--split", "test"), 3, "images: "),
    ({"a": 20, "b": 20, "c": 20}, ("--split", "val"), 9, "held out"),
])
def test_evaluate_takes_any_folder(net, run, tmp_path, places, split, count, word):
    x = make(tmp_path / "x", places)
    code, out, err = run("evaluate", "--checkpoint", net[0], "--data", f"folder:{x}", *split)
    assert code == 0 and f"{count} images" in out and word in err, err
    assert "top-5" not in out and "conf" in out


def test_labels_of_some_classes_are_the_nets(net, tmp_path):
    """Of classes c and a alone, in a net of a, b, c: its numbers, not those of the folder."""
    x = make(tmp_path / "x", {"c": 2, "a": 1})
    data, split = datasets.load_split(f"folder:{x}", 40, None, ("a", "b", "c"),
                                      root=tmp_path / "root", progress=False)
    assert split == "all" and data.classes == ("a", "b", "c")
    assert data.splits["all"].labels.tolist() == [0, 2, 2]
    store.check_store(next((tmp_path / "root/packed").glob("*/meta.json")).parent, False)


def test_of_its_own_folder_a_net_is_measured_on_what_was_held_out(net, run):
    code, out, err = run("evaluate", "--checkpoint", net[0], "--data", f"folder:{net[1]}")
    assert code == 0 and " val, 6 images" in out
    code, out, _ = run("evaluate", "--checkpoint", net[0], "--data", f"folder:{net[1]}",
                       "--split", "all")
    assert code == 0 and " all, 30 images" in out


@pytest.mark.parametrize("places, word", [
    ({"a": 1, "kiwi": 1}, "does not know kiwi"), ({".": 3}, "alexnet predict"),
    ({"a": []}, "no images"), ({"test/a": 1, "test/lemon": 2}, "does not know lemon")])
def test_folders_that_cannot_be_measured(net, run, tmp_path, places, word):
    x = make(tmp_path / "x", places)
    code, out, err = run("evaluate", "--checkpoint", net[0], "--data", f"folder:{x}")
    assert code == 2 and out == "" and word in err.splitlines()[-1]
    code, _, err = run("evaluate", "--checkpoint", net[0], "--data", f"folder:{x}", "--split", "x")
    assert code == 2 and "Traceback" not in err


def test_names_of_columns_tell_classes_apart():
    assert cli.abbreviated(["airplane", "automobile", "ab"]) == ["airp", "auto", "ab"]
    assert cli.abbreviated(["class 0", "class 1"]) == ["class 0", "class 1"]
    assert cli.abbreviated(["a", "a"]) == ["a", "a"] and cli.abbreviated(["x"]) == ["x"]


def test_predict_takes_folders_and_wildcards(net, run, tmp_path):
    x = make(tmp_path / "x", {"in": 3, "in/deeper": 1}, {"in/notes.txt": ""})
    code, out, err = run("predict", "--checkpoint", net[0], x / "in")
    assert code == 0 and out.count(".jpg") == 4 and "1 of 5 files skipped: 1 .txt" in err
    code, out, _ = run("predict", "--checkpoint", net[0], x / "in" / "*.jpg", x / "in/in-0.jpg")
    assert code == 0 and out.count(".jpg") == 3
    shutil.copy(x / "in/in-0.jpg", x / "in/a[1].jpg")
    assert "a[1].jpg" in run("predict", "--checkpoint", net[0], x / "in/a[1].jpg")[1]


def test_a_broken_image_costs_its_own_answer(net, run, tmp_path):
    x = make(tmp_path / "x", {".": 2}, {"broken.jpg": "no"})
    code, out, err = run("predict", "--checkpoint", net[0], x, x / "missing.jpg")
    assert code == 1 and out.count(".jpg") == 2
    assert [line for line in err.splitlines() if "broken.jpg" in line or "missing.jpg" in line]
    code, out, err = run("predict", "--checkpoint", net[0], x / "broken.jpg", x / "missing.jpg")
    assert code == 2 and out == "" and len(err.splitlines()) == 2


@pytest.mark.parametrize("name, word", [
    ("https://example.com/a.jpg", "download"), ("none/*.jpg", "no file matches"),
    ("no.jpg", "no image"), (".", "no images in")])
def test_names_that_stand_for_no_image(net, run, tmp_path, monkeypatch, name, word):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("predict", "--checkpoint", net[0], name)
    assert code == 2 and out == "" and word in err


# Data names and memory.

def test_a_data_root_of_nobody(monkeypatch, run):
    monkeypatch.setenv("ALEXNET_DATA_ROOT", "~nobody-of-this-name/x")
    refused("no home folder", datasets.data_root)
    code, _, err = run("data", "clean")
    assert code == 2 and "ALEXNET_DATA_ROOT" in err
    assert datasets.load("shapes", 32, counts={"train": 10}).name == "shapes"  # needs none


def test_shapes_that_do_not_fit_are_refused_before_they_are_drawn(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 3 * 10**9)
    monkeypatch.setattr(shapes, "render", None)
    refused("9.1 GB.*3.0 are free", datasets.load, "shapes", 700)


def test_the_size_of_blocks_changes_no_shape(monkeypatch):
    whole = shapes.render(0, 10, 64)[0]
    monkeypatch.setattr(shapes, "_PIXELS", 3 * 64**2)
    assert np.array_equal(whole, shapes.render(0, 10, 64)[0])


def test_available_memory_is_some():
    free = memory.available()
    assert free is None or 2**20 < free < 2**50


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_doctor_looks_at_a_few_images(limit):
    data = datasets.load("shapes", 40, counts={"train": limit, "val": 10})
    assert len(doctor.examine_data(data)) == 5


def test_the_doctor_sees_two_unequal_classes():
    def of_sizes(*sizes):
        labels = np.repeat(np.arange(len(sizes)), sizes)
        split = datasets.Split(np.zeros((len(labels), 2, 2, 3), np.uint8), labels)
        return checks.class_sizes(datasets.Dataset("x", tuple("abc"[:len(sizes)]), {
            "train": split, "val": split}, None, None, None, ""))

    assert of_sizes(323, 12).verdict == doctor.LOOK and "96%" in of_sizes(323, 12).message
    assert of_sizes(60, 40).verdict == of_sizes(70, 30).verdict == doctor.OK
    assert of_sizes(90, 40, 30).verdict == doctor.LOOK


def test_a_link_back_to_the_data_is_no_class(tmp_path):
    root = make(tmp_path / "x", {"cats": 4, "dogs": 4})
    (root / "loop").symlink_to(root)
    listing = folders.list_folder(root)
    assert listing.classes == ("cats", "dogs")
    assert sum(len(paths) for paths, _ in listing.splits.values()) == 8
    assert any("link to a folder above" in note for note in listing.notes)


def test_a_list_that_names_absent_files_says_so(tmp_path):
    root = make(tmp_path / "x", {"": [f"{i}.jpg" for i in range(8)]})
    rows = [f"{i}.jpg,{'cat' if i % 2 else 'dog'}" for i in range(10)]
    (root / "labels.csv").write_text("file,label\n" + "\n".join(rows))
    listing = folders.list_folder(root)
    assert sum(len(paths) for paths, _ in listing.splits.values()) == 8
    assert any("names 2 files" in note for note in listing.notes)
