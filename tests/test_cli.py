"""The `alexnet` command: a whole run, and every way to ask for it wrongly."""

import errno
import json
import re
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet_lib import cli, course, datasets
from alexnet_lib.augment import Augment
from alexnet_lib.checkpoints import CHECKPOINT
from alexnet_lib.config import TrainConfig, resolve
from alexnet_lib.course.dashboard import Dashboard
from alexnet_lib.course.doctor import examine
from alexnet_lib.datasets import shapes
from alexnet_lib.devices import pick_precision
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import (
    evaluate,
    probabilities,
    read_predictions,
    scores,
    top_predictions,
)
from alexnet_lib.features import responses
from alexnet_lib.layers import Dropout, GroupedLinear, LocalResponseNorm, SpatialResponseNorm
from alexnet_lib.models import AlexNet, CifarNet
from alexnet_lib.optim import PaperSGD, lr_scheduler
from alexnet_lib.parallel import Column, run_processes
from alexnet_lib.training import train
from alexnet_lib.weights import export, load_features, load_model, load_pretrained

TINY = {"input_size": 36, "stored_size": 40, "width": 0.03, "epochs": 1, "batch_size": 16,
        "device": "cpu", "precision": "fp32"}


def run(capsys, *args):
    """(exit code, stdout, stderr) of one command."""
    with pytest.raises(SystemExit) as stop:
        cli.main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def tiny(**choices):
    return AlexNet(2, input_size=36, width=0.03, **choices)


def drawn():
    return datasets.load("shapes", 40, counts={"train": 4, "val": 4})


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of images: two classes, drawn, in train and val."""
    root = tmp_path_factory.mktemp("photos")
    images, _ = shapes.render(0, 40, 80)
    for i, image in enumerate(images):
        split, name = ("train", "val")[i % 4 == 3], f"class{i // 4% 2}"
        folder = root / split / name
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory, photos):
    """A checkpoint of a tiny net on those images."""
    out = tmp_path_factory.mktemp("run")
    root = tmp_path_factory.mktemp("root")
    data = datasets.load(f"folder:{photos}", 40, root=root, progress=False)
    train(TrainConfig(data=f"folder:{photos}", out=str(out), **TINY | {"batch_size": 8}), data,
          progress=False)
    return out / CHECKPOINT


@pytest.fixture(autouse=True)
def own_root(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path / "root"))


def test_info_prints_the_papers_counts(capsys):
    code, out, _ = run(capsys, "info")
    assert code == 0
    for count in ("60,965,224", "659,272", "622,312", "253,440", "724,406,816"):
        assert count in out
    code, out, _ = run(capsys, "info", "--variant", "2012", "--json", "-")
    found = json.loads(out)
    assert found["parameters"] == 60_965_224 and found["units"] == 659_272
    assert sum(layer["params"] for layer in found["layers"]) == 60_965_224


def test_train_evaluate_predict(capsys, photos, tmp_path):
    out, report = tmp_path / "run", tmp_path / "report.json"
    options = [part for name, value in TINY.items()
               for part in (f"--{name.replace('_', '-')}", value)]
    code, said, err = run(capsys, "train", "--data", f"folder:{photos}", "--out", out, *options,
                          "--batch-size", 8)
    assert code == 0 and "val top-1 error" in said, err
    code, said, _ = run(capsys, "evaluate", "--checkpoint", out / CHECKPOINT, "--data",
                        f"folder:{photos}", "--views", 10, "--json", report)
    assert code == 0 and "class1" in said
    found = json.loads(report.read_text())
    assert 0 <= found["top1_error"] <= 1 and "top5_error" not in found and "top-5" not in said
    assert set(found["per_class"]) == {"class0", "class1"} and len(found["confusion"]) == 2
    image = next((photos / "val").rglob("*.png"))
    code, said, _ = run(capsys, "predict", "--checkpoint", out, image)
    assert code == 0 and "class0" in said and "class1" in said
    assert "%" in said
    code, said, _ = run(capsys, "info", "--checkpoint", out)
    assert code == 0 and "conv5" in said


def test_a_photograph_alone_is_shown_to_the_net_of_the_course(capsys, tmp_path):
    """It says which classes it knows, and so that a cat is none of them."""
    image = tmp_path / "cat.png"
    Image.fromarray(course.photographs(256)["cat"]).save(image)
    code, said, err = run(capsys, "predict", image, "--top", 2)
    net = load_model(cli.OURS)
    assert code == 0 and all(name in err for name in net.classes)
    stored = datasets.prepare_image(image, net.config.stored_size)
    best = next(iter(top_predictions(net, stored[None], 2)))
    rows = said.splitlines()[1:]
    for (name, p), row in zip(best, rows, strict=True):
        assert f"{p:.1%}" in row and name in row and abs(row.count("█") - 40 * p) <= 0.5
    assert "knows" not in run(capsys, "predict", "-c", cli.OURS, image)[2]


def test_options_of_train_are_grouped_named_once_and_have_values(capsys):
    _, said, _ = run(capsys, "train", "--help")
    general, of_run, of_net = (part.split() for part in re.split(r"^The .*:$", said, flags=re.M))
    assert {"--out", "--data", "-o,", "-d,", "--epochs"} <= {*general}
    assert "--lr" in of_run and "--columns" in of_net and "[relu|tanh]" in of_net
    assert all(said.count(f"\n  --{word} ") <= 1 for word in ("lr", "data", "width"))
    code, _, err = run(capsys, "train", "-o", "x", "--precision", "fp64")
    assert code == 2 and "fp32" in err and err.count("\n") == 1


def test_resume_goes_on_as_the_run_was_begun(capsys, trained, photos, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained.parent, out)
    code, _, err = run(capsys, "train", "--out", out, "--resume", "--device", "cpu")
    assert code == 0 and "resumed at step 3 of 3" in err, err
    code, _, err = run(capsys, "train", "--out", out, "--resume", "--lr", 0.5, "--epochs", 1)
    assert code == 2 and "(lr 0.01 -> 0.5)" in err, err


def test_filters_draws_what_a_net_has_learned(capsys, trained, tmp_path):
    code, said, err = run(capsys, "filters", "--checkpoint", trained, "--out", tmp_path / "new",
                          "--layer", "conv2", "--units", 3)
    assert code == 0, err
    for line, name in zip(said.split(), ("kernels", "maps", "patches"), strict=True):
        assert line == str(tmp_path / "new" / f"{name}.png")
        with Image.open(line) as picture:
            assert np.asarray(picture.convert("L")).std() > 10  # something is drawn


def test_filters_draws_the_kernels_without_data(capsys, tmp_path, monkeypatch, trained):
    def offline(name, *args, **kwargs):
        raise UserError(f"could not download {name}: no network")
    monkeypatch.setattr(datasets, "load", offline)
    shipped = course.ROOT / "data" / "weights" / "imagenette-features.safetensors"
    code, out, err = run(capsys, "filters", "--checkpoint", shipped, "--out", tmp_path / "new")
    kernels = tmp_path / "new" / "kernels.png"
    assert code == 2 and out == "" and "Traceback" not in err
    told = err.strip().splitlines()[-1]
    assert f"{kernels} is written" in told and told.endswith("--data shapes")
    with Image.open(kernels) as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_filters_chooses_maps_that_answer(capsys, trained, photos, tmp_path, monkeypatch):
    from alexnet_lib import features
    from alexnet_lib.course.plots import nb12 as figures
    asked, draw, look = [], figures.patches, features.responses
    monkeypatch.setattr(figures, "patches", lambda *args: asked.append(args[0]) or draw(*args))

    def of_some(net, images, layer, *args):
        found = look(net, images, layer, *args).abs() + 1e-3
        found[:, 2:] = -1  # all but two maps are silent
        found[:, 1] *= 100
        return found
    monkeypatch.setattr(features, "responses", of_some)
    command = ["filters", "--checkpoint", trained, "--out", tmp_path, "--layer", "conv2"]
    code, said, err = run(capsys, *command)
    assert code == 0 and len(said.split()) == 3, err
    assert "the other maps of conv2 answer to none" in err
    code, _, err = run(capsys, *command, "--unit", 3, "--unit", 0, "--unit", 3)
    assert code == 0, err
    assert [list(found) for found in asked] == [[1, 0], [3, 0]]
    monkeypatch.setattr(features, "responses", lambda *args: of_some(*args) * 0)
    code, said, err = run(capsys, *command)
    assert code == 2 and said == "" and "no map of conv2 answers to any" in err


def test_filters_of_the_convolutions_alone(capsys, trained, photos, tmp_path):
    alone = tmp_path / "alone.safetensors"
    assert run(capsys, "export", "--checkpoint", trained, "--out", alone, "--features")[0] == 0
    code, said, err = run(capsys, "filters", "--checkpoint", alone, "--out", tmp_path / "new",
                          "--layer", "lrn1", "--units", 200)
    assert code == 0 and len(said.split()) == 3, err


def test_filters_takes_the_last_convolution(capsys, photos, tmp_path, monkeypatch):
    from alexnet_lib.course.plots import nb12 as figures
    asked, draw = [], figures.patches
    monkeypatch.setattr(figures, "patches", lambda *args: asked.append(args[1]) or draw(*args))
    data = datasets.load(f"folder:{photos}", 40, root=tmp_path / "data", progress=False)
    train(TrainConfig(data=f"folder:{photos}", out=str(tmp_path / "small"), model="cifar",
                      input_size=32, stored_size=40, epochs=1, batch_size=8, device="cpu",
                      precision="fp32"), data, progress=False)
    code, said, err = run(capsys, "filters", "--checkpoint", tmp_path / "small", "--out",
                          tmp_path / "new", "--units", 2)
    assert code == 0 and len(said.split()) == 3, err
    assert asked == ["conv3"]


@pytest.mark.parametrize("fault", ["a folder", "full disk"])
def test_a_picture_that_cannot_be_written_is_told(capsys, trained, tmp_path, monkeypatch, fault):
    from matplotlib.figure import Figure
    if fault == "a folder":
        (tmp_path / "kernels.png").mkdir()
    else:
        def full(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")
        monkeypatch.setattr(Figure, "savefig", full)
    code, _, err = run(capsys, "filters", "--checkpoint", trained, "--out", tmp_path, "--units", 1)
    told = err.strip().splitlines()[-1]
    assert code == 2 and "kernels.png: " in told and told.endswith("choose another --out")


def test_a_broken_image_stops_or_is_left_out(capsys, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos/train/class0/broken.jpg").write_text("no picture")
    command = ["train", "--data", f"folder:{tmp_path / 'photos'}", "--out", tmp_path / "run",
               "--input-size", 36, "--width", 0.03, "--epochs", 1, "--batch-size", 8]
    code, _, err = run(capsys, *command)
    assert code == 2 and "1 of 41 images cannot be read; the first: " in err
    assert "broken.jpg" in err.splitlines()[-1]
    code, _, err = run(capsys, *command, "--skip-broken")
    assert code == 0 and "skipped: " in err


def test_data_commands(capsys, photos):
    assert "folder:PATH" in run(capsys, "data", "list")[1]
    code, out, _ = run(capsys, "data", "pack", f"folder:{photos}", "--size", 40)
    assert code == 0 and "train 30, val 10" in out
    code, out, _ = run(capsys, "data", "check", f"folder:{photos}", "--size", 40)
    assert code == 0 and "40 images, SHA-256" in out


def closed_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def make(path, kind):
    """A folder that cannot be trained on."""
    picture = Image.fromarray(np.zeros((40, 40, 3), np.uint8))
    layouts = {"empty": [], "one class": ["train/a", "val/a"],
               "differ": ["train/a", "train/b", "val/a", "val/c"]}
    path.mkdir()
    for folder in layouts[kind]:
        (path / folder).mkdir(parents=True)
        picture.save(path / folder / "1.png")
    return f"folder:{path}"


BAD = {
    "missing folder": (lambda t, c, p: ["train", "--data", f"folder:{t / 'no'}", "--out", t / "o"],
                       "no folder"),
    "empty folder": (lambda t, c, p: ["train", "--data", make(t / "e", "empty"), "--out", t / "o"],
                     "no class folders"),
    "one class": (lambda t, c, p: ["train", "--data", make(t / "f", "one class"), "--out", t / "o"],
                  "only one class"),
    "splits differ": (lambda t, c, p: ["train", "--data", make(t / "f", "differ"),
                                       "--out", t / "o"], "train has not (c)"),
    "unknown data": (lambda t, c, p: ["train", "--data", "cifar", "--out", t / "o"],
                     "did you mean cifar10"),
    "not a checkpoint": (lambda t, c, p: ["evaluate", "--checkpoint", __file__, "--data", "shapes"],
                         "not a checkpoint"),
    "no checkpoint": (lambda t, c, p: ["evaluate", "--checkpoint", t / "no", "--data", "shapes"],
                      "no checkpoint"),
    "other class count": (lambda t, c, p: ["evaluate", "--checkpoint", c, "--data", "shapes"],
                          "knows 2 classes, shapes has 10"),
    "wrong class count": (lambda t, c, p: ["train", "--data", "shapes", "--num-classes", 7,
                                           "--out", t / "o"], "has 10 classes, not 7"),
    "input too small": (lambda t, c, p: ["train", "--data", "shapes", "--input-size", 20,
                                         "--out", t / "o"], "use 36 or more"),
    "input larger than stored": (lambda t, c, p: ["train", "--data", "shapes", "--input-size", 90,
                                                  "--stored-size", 64, "--out", t / "o"],
                                 "do not fit"),
    "info too small": (lambda t, c, p: ["info", "--input-size", 8], "too small"),
    "info unknown model": (lambda t, c, p: ["info", "--model", "vgg"], "'vgg' is not one of"),
    "unwritable output": (lambda t, c, p: ["train", "--data", "shapes", "--out",
                                           f"{__file__}/run"], "cannot write"),
    "unwritable json": (lambda t, c, p: ["info", "--json", t / "no" / "x.json"],
                        "there is no folder"),
    "json is a folder": (lambda t, c, p: ["info", "--json", t], "is a folder: give the name"),
    "nothing to resume": (lambda t, c, p: ["train", "--out", t / "o", "--resume"],
                          "nothing to resume"),
    "would overwrite": (lambda t, c, p: ["train", "--out", c.parent], "exists already"),
    "no such device": (lambda t, c, p: ["train", "--out", t / "o", "--device", "tpu"],
                       "no device 'tpu'"),
    "no such split": (lambda t, c, p: ["evaluate", "--checkpoint", c, "--data", f"folder:{p}",
                                       "--split", "dev"], "no split 'dev'"),
    "three views": (lambda t, c, p: ["evaluate", "--checkpoint", c, "--data", f"folder:{p}",
                                     "--views", 3], "1 or 10"),
    "missing image": (lambda t, c, p: ["predict", "--checkpoint", c, t / "no.png"], "no image"),
    "not an image": (lambda t, c, p: ["predict", "--checkpoint", c, __file__], "cannot read"),
    "no image given": (lambda t, c, p: ["predict", "--checkpoint", c], "Missing argument"),
    "unknown command": (lambda t, c, p: ["trian"], "No such command"),
    "unknown option": (lambda t, c, p: ["train", "--learning-rate", 1], "No such option"),
    "not a number": (lambda t, c, p: ["train", "--out", t / "o", "--epochs", "many"],
                     "not a valid integer"),
    "no output folder": (lambda t, c, p: ["train"], "Missing option '-o' / '--out'"),
    "a net for no memory": (lambda t, c, p: ["train", "--out", t / "o", "--input-size", 200_000],
                            "not enough memory"),
    "a seed too large": (lambda t, c, p: ["train", "--out", t / "o", "--seed", 2**64], "2**63"),
    "check unknown data": (lambda t, c, p: ["data", "check", "mnist"], "unknown data"),
}

def told_to_train(*options):
    return lambda t, c, p: ["train", "--data", "shapes", "--out", t / "o", *options]


BAD |= {
    # Every choice of `train` out of its range.
    **{" ".join(map(str, options)): (told_to_train(*options), word) for *options, word in (
        ("--epochs", 0, "epochs must be"), ("--batch-size", 0, "batch-size must be"),
        ("--lr", -1, "lr must be"), ("--lr", "nan", "lr must be"),
        ("--width", 0, "width must be"), ("--precision", "fp8", "fp32"),
        ("--lr-scheduler", "cosine", "plateau"), ("--variant", 2014, "2012"),
        ("--init", "xavier", "he"), ("--pool", 2, 3, "window and a stride"),
        ("--pool", 0, 2, "window and a stride"), ("--input-divisor", 0, "input-divisor must be"),
        ("--omit-layer", "conv6", "conv5"), ("--in-channels", 4, "in-channels"),
        ("--columns", 3, "columns"), ("--dropout", 1.5, "dropout"),
        ("--activation", "gelu", "activation"), ("--crop-group-size", 0, "size must be 1"),
        ("--limit", 0, "limit"), ("--seed", -1, "seed"),
        ("--stored-size", 0, "size must be 1 or more"),
        ("--color", "pink", "paper"),
        ("--mean-at", "edge", "center"),
        ("--until-error", 2, "from 0 to 1"), ("--save-minutes", -1, "save-minutes"),
        ("--model", "vgg", "cifar"), ("--weight-decay", "inf", "weight-decay"),
        ("--momentum", 2, "momentum"))},
    # The other commands.
    "predictions nowhere": (lambda t, c, p: [
        "evaluate", "--checkpoint", t / "none", "--data", f"folder:{p}", "--predictions",
        t / "no" / "x"], "there is no folder"),  # told before the checkpoint is looked at
    "evaluate unknown data": (lambda t, c, p: ["evaluate", "--checkpoint", c, "--data", "mnist"],
                              "unknown data"),
    "top 0": (lambda t, c, p: ["predict", "--checkpoint", c, "--top", 0,
                               next(p.rglob("*.png"))], "top"),
    "unknown claim": (lambda t, c, p: ["experiment", "C99"], "unknown claim"),
    "claim on other data": (lambda t, c, p: ["experiment", "C03", "--data", "cifar10"],
                            "not tested on"),
    "claim on unknown data": (lambda t, c, p: ["experiment", "C03", "--data", "mnist"],
                              "unknown data"),
    "no seeds": (lambda t, c, p: ["experiment", "C03", "--seeds", 0], "seeds must be 1"),
    "no jobs": (lambda t, c, p: ["experiment", "C03", "--jobs", 0], "jobs must be 1"),
    "not trained on ImageNet": (lambda t, c, p: ["experiment", "C18"], "first alexnet train"),
    "no rounds": (lambda t, c, p: ["bench", "--rounds", 0], "rounds must be 1"),
    "filters of no such layer": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--layer", "fc6"], "no layer of the conv"),
    "filters of no checkpoint": (lambda t, c, p: ["filters", "--checkpoint", __file__, "--out",
                                                  t / "f"], "not a checkpoint"),
    "filters on an empty folder": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--data", make(t / "e", "empty")],
        "no class folders"),
    "filters of no such map": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--layer", "conv1", "--unit", 99],
        "there is no 99"),
    "filters of a map below 0": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--unit", -1], "there is no -1"),
    "filters of a map by name": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--unit", "cat"], "not a valid integer"),
    "filters of no maps": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--units", 0], "not in the range"),
    "filters on unknown data": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--data", "mnist"], "unknown data"),
    "filters of no such split": (lambda t, c, p: [
        "filters", "--checkpoint", c, "--out", t / "f", "--split", "dev"], "no split 'dev'"),
    "filters nowhere": (lambda t, c, p: ["filters", "--checkpoint", c, "--out", f"{c}/f"],
                        "cannot write"),
    "doctor on unknown data": (lambda t, c, p: ["doctor", "--data", "mnist"], "unknown data"),
    "get unknown data": (lambda t, c, p: ["data", "get", "mnist"], "unknown data"),
    "get ImageNet": (lambda t, c, p: ["data", "get", "imagenet"], "fetched by hand"),
    "pack unknown data": (lambda t, c, p: ["data", "pack", "mnist"], "unknown data"),
    "pack at size 0": (lambda t, c, p: ["data", "pack", f"folder:{p}", "--size", 0], "size"),
    "doctor, a net and choices": (lambda t, c, p: [
        "doctor", "--checkpoint", c, "--lr", 0.1], "leave out --lr"),
    "info, columns of the small net": (lambda t, c, p: [
        "info", "--model", "cifar", "--columns", 1], "no choice of columns"),
    "dropout of the small net": (lambda t, c, p: [
        "train", "--data", "cifar10", "--dropout", 0, "--out", t / "new"], "no choice of dropout"),
    "info with no classes": (lambda t, c, p: ["info", "--num-classes", 0], "num-classes"),
    "export of no checkpoint": (lambda t, c, p: ["export", "--checkpoint", t / "no", "--out",
                                                 t / "net"], "no checkpoint"),
    "export nowhere": (lambda t, c, p: ["export", "--checkpoint", c, "--out", t / "no" / "net"],
                       "there is no folder"),
    "export to a folder": (lambda t, c, p: ["export", "--checkpoint", c, "--out", t],
                           "is a folder: give the name"),
    "ledger nowhere": (lambda t, c, p: ["ledger", "--results", t / "no"], "could not write"),
    "a list of what": (lambda t, c, p: ["data", "list", "mnist"], "unexpected extra argument"),
    "start of another kind": (lambda t, c, p: [
        "train", "--data", "shapes", "--variant", 2012, "--init-from", c, "--out", t / "o"],
        "its net has variant"),
    "info of no checkpoint": (lambda t, c, p: ["info", "--checkpoint", t / "no"], "no checkpoint"),
    # Functions of the library: the same sentence, as a UserError.
    "AlexNet, 3 columns": (lambda t, c, p: lambda: AlexNet(columns=3), "columns"),
    "AlexNet, no classes": (lambda t, c, p: lambda: AlexNet(0), "num-classes"),
    "AlexNet, 4 maps": (lambda t, c, p: lambda: AlexNet(channels=(1, 2, 3, 4)), "channels"),
    "AlexNet, the small net's weights": (lambda t, c, p: lambda: AlexNet(init="cifar"), "2012 or"),
    "CifarNet, unknown": (lambda t, c, p: lambda: CifarNet(variant="5pct"), "5pct"),
    "norm over no maps": (lambda t, c, p: lambda: LocalResponseNorm(0), "channels"),
    "crop too large": (lambda t, c, p: lambda: Augment(9, np.zeros((8, 8, 3))), "do not fit"),
    "ten views as 5": (lambda t, c, p: lambda: probabilities(load_model(c), [], 5), "1 or 10"),
    "no images": (lambda t, c, p: lambda: scores(torch.empty(0, 2), torch.empty(0), ("a", "b")),
                  "no images"),
    "no predictions": (lambda t, c, p: lambda: read_predictions(t / "no"), "no file of"),
    "no net": (lambda t, c, p: lambda: load_model(t), "no checkpoint"),
    "no features": (lambda t, c, p: lambda: load_features(t), "no checkpoint"),
    "nothing to export": (lambda t, c, p: lambda: export(t, t / "net"), "no checkpoint"),
    "the doctor, no epochs": (lambda t, c, p: lambda: list(examine(TrainConfig(epochs=0))),
                              "epochs must be"),
    "no data": (lambda t, c, p: lambda: datasets.load("mnist"), "unknown data"),
    "no image": (lambda t, c, p: lambda: datasets.prepare_image(t / "no.png", 32), "no image"),
    "no schedule": (lambda t, c, p: lambda: lr_scheduler("cosine", 3), "lr-scheduler must be"),
    "train nothing": (lambda t, c, p: lambda: train(TrainConfig(epochs=0)), "epochs must be"),
    "record of nothing": (lambda t, c, p: lambda: course.recorded("no"), "no recorded result"),
    "a rate below 0": (lambda t, c, p: lambda: PaperSGD([torch.zeros(1)], -1.0),
                       "not negative"),
    "an image of another size": (lambda t, c, p: lambda: tiny()(torch.zeros(1, 3, 9, 9)),
                                 "the net takes (batch, 3, 36, 36)"),
    "a norm over an even square": (lambda t, c, p: lambda: SpatialResponseNorm(4), "odd size"),
    "drop all": (lambda t, c, p: lambda: Dropout(1.0), "p must be in [0, 1)"),
    "groups that do not divide": (lambda t, c, p: lambda: GroupedLinear(3, 4, groups=2),
                                  "must divide"),
    "no such precision": (lambda t, c, p: lambda: pick_precision("fp8", "cpu"),
                          "precision must be"),
    "views of other images": (lambda t, c, p: lambda: Augment(8, np.zeros((9, 9, 3))).view(
        np.zeros((1, 7, 7, 3), np.uint8), torch.tensor([0]), 0), "the net was made for images"),
    "evaluate no split": (lambda t, c, p: lambda: evaluate(load_model(c), drawn(), "dev"),
                          "no split 'dev'"),
    "evaluate other classes": (lambda t, c, p: lambda: evaluate(load_model(c), drawn()),
                               "knows 2 classes, shapes has 10"),
    "check no folder": (lambda t, c, p: lambda: datasets.check(f"folder:{t / 'no'}", 32), "no"),
    "no such layer": (lambda t, c, p: lambda: responses(
        load_model(c), drawn().splits["val"].images, "conv9"), "no layer 'conv9'"),
    "no such column": (lambda t, c, p: lambda: Column(tiny(), 2), "no column 2"),
    "a column of one": (lambda t, c, p: lambda: Column(tiny(columns=1), 0), "two columns"),
    "no processes": (lambda t, c, p: lambda: run_processes(0, print), "1 or more, not 0"),
    "other weights": (lambda t, c, p: lambda: load_pretrained(
        tiny(), resolve(TrainConfig(init_from=str(c), variant="2012")), ("a",)), "does not fit"),
    "a dashboard of nothing": (lambda t, c, p: lambda: Dashboard(TrainConfig(data="mnist")),
                               "unknown data"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(capsys, tmp_path, trained, photos, case):
    command, word = BAD[case]
    command = command(tmp_path, trained, photos)
    if callable(command):
        with pytest.raises(UserError) as error:
            command()
        assert word in str(error.value) and "\n" not in str(error.value)
        return
    code, out, err = run(capsys, *command)
    told = [line for line in err.splitlines() if line.startswith("alexnet: ")]
    assert code == 2 and out == ""
    assert len(told) == 1 and word in told[0]
    assert "Traceback" not in err


def test_no_network_on_download(capsys, tmp_path, monkeypatch):
    from torchvision.datasets import CIFAR10
    monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{closed_port()}/cifar.tar.gz")
    code, out, err = run(capsys, "data", "get", "cifar10")
    told = err.strip().splitlines()[-1]
    assert code == 2 and "could not download cifar10" in told and "--data shapes" in told


def test_debug_shows_the_traceback():
    with pytest.raises(ValueError, match="too small"):
        cli.main(["info", "--input-size", "8", "--debug"])


def test_the_package_runs_as_a_module_and_imports_little():
    code = ("import sys, alexnet_lib; import alexnet_lib.cli; "
            "heavy = {'torch', 'torchvision', 'torchmetrics', 'matplotlib', 'IPython'}; "
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    shown = subprocess.run([sys.executable, "-m", "alexnet_lib", "--version"],
                           capture_output=True, text=True)
    assert "alexnet" in shown.stdout


def test_the_library_needs_no_notebook_software():
    code = ("import sys, alexnet_lib.training, alexnet_lib.evaluation, alexnet_lib.datasets; "
            "heavy = {'matplotlib', 'IPython', 'ipywidgets', 'torchmetrics'}; "
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
