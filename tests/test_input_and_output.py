"""What comes in is checked, whatever it is; what goes out replaces nothing and moves no cursor."""

import contextlib
import copy
import io
import json
import math
import os
import stat
import time

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from alexnet_lib import cli, datasets
from alexnet_lib.checkpoints import (
    CHECKPOINT,
    check_place,
    kind_of,
    read_checkpoint,
    write_atomically,
    write_checkpoint,
)
from alexnet_lib.config import TrainConfig, check_choices, resolve, resume_config
from alexnet_lib.datasets import shapes
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import Predictions, read_predictions
from alexnet_lib.schema import misfit, parse
from alexnet_lib.text import fitting, printable, table
from alexnet_lib.training import train
from alexnet_lib.weights import export, load_features, load_model

TINY = {"data": "shapes", "input_size": 36, "stored_size": 40, "width": 0.03, "epochs": 2,
        "batch_size": 16, "precision": "fp32", "device": "cpu"}
quick = settings(deadline=None, max_examples=int(os.environ.get("ALEXNET_FUZZ", 40)),
                 suppress_health_check=list(HealthCheck))


def command(*args) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of one command; any other exception is a failure."""
    out, err = io.StringIO(), io.StringIO()
    with (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
          pytest.raises(SystemExit) as stop):
        cli.main([str(arg) for arg in args])
    return stop.value.code, out.getvalue(), err.getvalue()


def refused(word: str, *args) -> str:
    """The one line in which a command refuses to work."""
    code, out, err = command(*args)
    told = [line for line in err.splitlines() if line.startswith("alexnet: ")]
    assert (code, out, len(told)) == (2, "", 1), (code, out, err)
    assert word in told[0], told
    return told[0]


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 40, counts={"train": 32, "val": 16, "test": 10}, progress=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    """A run that stopped in its second epoch."""
    out = str(tmp_path_factory.mktemp("run"))
    return train(TrainConfig(**TINY, out=out), data, progress=False,
                 on_step=lambda run: run.step == 3)


@pytest.fixture
def few(monkeypatch, tmp_path):
    """Commands draw few shapes, and write their data here."""
    monkeypatch.setattr(shapes, "SPLITS", {"train": 32, "val": 16, "test": 10})
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)


# Outputs

def files(tmp_path, run) -> dict:
    """A file of each kind."""
    made = {name: tmp_path / name for name in ("JSON", "PNG", "a net", "a run", "predictions",
                                               "another kind", "empty")}
    made["JSON"].write_text(json.dumps({"abc": {"d": 1}}))
    made["PNG"].write_bytes(b"\x89PNG\r\n\x1a\n")
    export(run.path, made["a net"])
    made["a run"].write_bytes(run.path.read_bytes())
    Predictions(torch.ones(1, 1), torch.zeros(1), ("one",), {}).save(made["predictions"])
    made["another kind"].write_text("my thesis")
    made["weights of others"] = tmp_path / "weights of others"
    save_file({"x": torch.zeros(1)}, made["weights of others"], {"format": "pt"})
    made["empty"].touch()
    return made


def test_kinds_are_told_by_content(tmp_path, run):
    for name, path in files(tmp_path, run).items():
        assert kind_of(path) == {"empty": None, "weights of others": "another kind"}.get(name, name)


def test_an_output_replaces_its_own_kind_alone(tmp_path, run):
    made = files(tmp_path, run)
    for kind in ("JSON", "PNG", "a net", "predictions"):
        for name, path in made.items():
            if name in (kind, "empty"):
                check_place(path, kind)
            else:
                with pytest.raises(UserError, match="it holds something else"):
                    check_place(path, kind)
    before = made["a run"].read_bytes()
    with pytest.raises(UserError, match="something else"):  # the last guard: what was written
        write_atomically(made["a run"], lambda path: path.write_text("{}"))
    assert made["a run"].read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]


def test_nothing_but_files_is_replaced(tmp_path):
    (tmp_path / "file").write_text("{}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "nowhere").symlink_to(tmp_path / "no")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "nowhere", "pipe", "folder", "x" * 300, "caf\udce9", "x" * 250):
        refused("", "info", "--json", tmp_path / name)
    refused("not a file", "info", "--json", os.devnull)
    refused("is a folder", "info", "--json", "")
    for name in (os.devnull, tmp_path / "file", tmp_path / "nowhere"):
        refused("not a folder", "train", "--out", name)
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "{}"
    assert command("info", "--json", tmp_path / "file")[0] == 0


def test_commands_replace_neither_their_input_nor_other_kinds(tmp_path, run, few):
    made = files(tmp_path, run)
    net, before = made["a net"], {name: path.read_bytes() for name, path in made.items()}
    os.link(net, tmp_path / "other-name")
    for same in (net, tmp_path / "other-name", tmp_path / "." / "a net"):
        refused("reads this file", "export", "--checkpoint", net, "--out", same)
    refused("a run", "export", "--checkpoint", net, "--out", made["a run"])
    refused("reads", "export", "--checkpoint", run.path.parent, "--out", run.path)
    refused("reads", "info", "--checkpoint", run.path, "--json", run.path.parent / "history.json")
    refused("a net", "evaluate", "--checkpoint", made["a run"], "--data", "shapes", "--json", net)
    refused("a run", "evaluate", "--checkpoint", net, "--data", "shapes", "--predictions",
            made["a run"])
    refused("one file", "evaluate", "--checkpoint", net, "--data", "shapes", "--predictions",
            tmp_path / "new", "--json", tmp_path / "new")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "maps.png").write_text("no picture")
    refused("maps.png", "filters", "--checkpoint", net, "--out", tmp_path / "figures")
    assert not (tmp_path / "figures" / "kernels.png").exists()
    assert before == {name: path.read_bytes() for name, path in made.items()}
    assert command("export", "--checkpoint", run.path, "--out", net)[0] == 0


# Names

def test_names_are_shown_escaped():
    assert printable("a\x1b]52;c\x07\nb\u202e\udce9") == r"a\x1b]52;c\x07\nb\u202e\udce9"
    assert printable("crème brûlée \u200d 雪") == "crème brûlée \u200d 雪"
    stream = io.TextIOWrapper(io.BytesIO(), "cp1252")
    assert fitting("é\t雪\n\x1b", stream) == "é\t\\u96ea\n\\x1b"
    rows = table([("two\nlines", 1), {"a": "\x1b", "b": 2}.values()], ("\x1b[31m", "n"))
    assert len(rows.splitlines()) == 4 and "\x1b" not in rows and "[31m" in rows
    assert table([{"a": "\x07"}], headers="keys").splitlines()[0].strip() == "a"


class Full(io.StringIO):
    """A stream whose disk is full, or whose reader has gone."""

    def __init__(self, number):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number, code", [(28, 2), (32, 1)])
def test_a_stream_that_takes_nothing_ends_the_command(number, code, monkeypatch):
    err = io.StringIO()
    with (contextlib.redirect_stdout(Full(number)), contextlib.redirect_stderr(err),
          pytest.raises(SystemExit) as stop):
        cli.main(["data", "list"])
    assert stop.value.code == code
    assert ("No space left" in err.getvalue()) == (number == 28)


def test_hostile_names_in_commands(tmp_path, run, few):
    """Of classes and files: in tables, in errors and in progress."""
    tensors, meta = read_checkpoint(run.path)
    meta["classes"] = [f"{k}\x1b]0;x\x07\n\udce9" for k in range(10)]
    write_checkpoint(tmp_path / "net", tensors, meta)
    picture = tmp_path / "a\x1b[2J\nb.png"
    datasets.images.Image.new("RGB", (40, 40)).save(picture)
    asked = (command("predict", "--checkpoint", tmp_path / "net", picture),
             command("predict", "--checkpoint", tmp_path / "net", f"{picture}.no"),
             command("evaluate", "--checkpoint", tmp_path / "net", "--data", "shapes"),
             command("doctor", "--checkpoint", tmp_path / "net", "--data", "shapes"))
    assert [code for code, *_ in asked] == [0, 2, 2, 0]
    for _, out, err in asked:
        assert not set("\x1b\x07\udce9") & set(out + err.replace("\x1b[A", ""))
    assert asked[0][1].startswith(f"{printable(str(picture))}\n") and asked[0][1].count("\n") == 6


def test_too_little_memory_is_told_with_what_the_command_can_do(tmp_path, run, few, monkeypatch):
    def none(*args, **kwargs):
        raise MemoryError("cannot take\n12 GB")
    monkeypatch.setattr(np, "stack", none)
    datasets.images.Image.new("RGB", (40, 40)).save(tmp_path / "x.png")
    told = refused("not enough memory", "predict", "--checkpoint", run.path, tmp_path / "x.png")
    assert "--device cpu" in told and "--width" not in told and "take 12 GB" in told
    monkeypatch.setattr(datasets, "load", none)
    told = refused("not enough memory", "train", "--data", "shapes", "--out", tmp_path / "new")
    assert "--width" in told


def test_info_needs_no_memory():
    begun, (code, out, _) = time.monotonic(), command("info", "--input-size", 1000)
    assert code == 0 and "1,030,898,024" in out  # its weights alone would take 4 GB
    assert time.monotonic() - begun < 10
    for absurd in (2**63, 2**31, 10**30):
        refused("size", "info", "--input-size", absurd)


# Drawn names

HOSTILE = ["$x^$", r"$\frac$", "a\x1b]52;c;bad\x07", "two\nlines", "caf\udce9", "a\u202eb"]


def draw_all(classes):
    from alexnet_lib.course import plots
    from alexnet_lib.course.plots import nb00
    from alexnet_lib.course.plots import nb07 as augmentation
    from alexnet_lib.course.plots import nb08 as dropout
    from alexnet_lib.course.plots import nb11 as evaluation
    from alexnet_lib.course.plots import nb12 as features
    k = len(classes)
    images = np.zeros((k, 8, 8, 3), np.uint8)
    probs = np.full((10, k), 1 / k)
    history = [{"epoch": 1, "train_error": 0.5, "val_error": 0.5}]
    return [
        plots.image_grid(images, classes),
        nb00.first_run([1.0], history, images, range(k), [0] * k, [0.5] * k, classes),
        augmentation.ten_views(images[0], [(0, 0, False)] * 10, np.zeros((10, 6, 6, 3), np.uint8),
                               probs, classes, 0),
        dropout.thinned(probs, probs[0], probs[0], probs[0], classes),
        dropout.committee(images[0], probs, probs[0], classes, 0),
        evaluation.confusion(np.ones((k, k)), classes),
        features.looked_at(images, classes, {"Grad-CAM": np.zeros((k, 8, 8))}),
        features.gallery(dict.fromkeys(classes, images[:1]), "all classes")]


@pytest.mark.filterwarnings("ignore:Glyph")
def test_class_names_are_drawn_as_they_are():
    import matplotlib.pyplot as plt
    for figure in draw_all(HOSTILE):
        figure.canvas.draw()  # a formula that is none would raise here
        plt.close(figure)


# What files say

KINDS = {"a": int, "b": float, "c?": str | None, "d": list[tuple[int, ...]], "e": dict[str, bool]}


@pytest.mark.parametrize("change, told", [
    ({}, None), ({"a": True}, "a must be a whole number"), ({"a": 2**63}, "a must be a whole"),
    ({"a": 1.0}, "a must be a whole"), ({"b": 1}, None), ({"b": math.nan}, None),
    ({"b": 10**400}, "b must be a number"), ({"b": "1"}, "b must be a number"), ({"c": None}, None),
    ({"c": 3}, "c must be text"), ({"d": {}}, "d must be a list"), ({"d": [[1], []]}, None),
    ({"d": [[1], [2, "x"]]}, "d.1.1 must be a whole number"), ({"e": {"x": 0}}, "e.x must be true"),
    ({"more": object}, None)])
def test_what_does_not_fit_is_named(change, told):
    found = misfit({"a": 1, "b": 2.5, "d": [(1, 2)], "e": {"x": True}} | change, KINDS)
    assert found is None if told is None else found.startswith(told)
    assert misfit({"a": 1, "b": 2.5, "d": []}, KINDS) == "e is missing"


def test_choices_have_the_types_and_ranges_of_the_configuration():
    check_choices(TrainConfig(lr=1, seed=np.int64(3), pool=[3, 2]))
    for choices, told in (({"width": "1"}, "width"), ({"frozen": 1}, "frozen"),
                          ({"pool": (3,)}, "pool"), ({"batch_size": 2**31}, "batch-size"),
                          ({"out": object}, "out"), ({"lr": -1.0}, "lr must be above 0")):
        with pytest.raises(UserError, match=told):
            resolve(TrainConfig(**choices))
    for sizes in ({"width": 1e308}, {"width": 1e5}, {"hidden": 10**8}, {"input_size": 10**6},
                  {"num_classes": 2**31 - 1}):
        with pytest.raises(UserError, match="memory|no net of these sizes"):
            resolve(TrainConfig(**TINY | {"stored_size": 2 * 10**6} | sizes))


def test_deep_json_is_no_traceback(tmp_path):
    with pytest.raises(ValueError):
        parse("[" * 10**5)


DAMAGE = [
    *({"config": value} for value in (None, [], "x", {"width": "1"}, {"model": None})),
    {"classes": 3}, {"classes": [1, 2]}, {"step": -1}, {"step": "x"}, {"step": None}, {"lr": 0.1},
    {"lr": ["x"]}, {"lr": [0.1]}, {"history": {}}, {"history": [{}]}, {"seconds": None},
    {"lr_scheduler": {"update": 3}}, {"lr_scheduler": {"epochs": "x"}}, {"lr_scheduler": []},
    {"step": 10**6},
    {"fingerprint": 3}, {"format": "1"}, {"format": 2}, {"config.epochs": None},
    {"config.lr_scheduler": 3}, {"lr_scheduler": {}}, {"lr_scheduler.at": [math.nan]},
    {"lr_scheduler.epochs": "2"}]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_a_damaged_description_is_one_line(run, data, tmp_path, damage):
    """Whatever reads it refuses it, or does not need what is damaged."""
    tensors, meta = read_checkpoint(run.path)
    for name, value in damage.items():
        *inside, name = name.split(".")
        (meta[inside[0]] if inside else meta)[name] = value
    write_checkpoint(tmp_path / CHECKPOINT, tensors, meta)
    with pytest.raises(UserError, match=f"{CHECKPOINT}|of other data"):
        resumed(tmp_path, data)
    readable(tmp_path / CHECKPOINT)


def test_every_output_has_its_class(run, tmp_path):
    tensors, meta = read_checkpoint(run.path)
    write_checkpoint(tmp_path / CHECKPOINT, tensors, meta | {"classes": ["a"]})
    with pytest.raises(UserError, match="1 classes for"):
        load_model(tmp_path / CHECKPOINT, "cpu")


def resumed(out, data):
    config = resume_config(str(out), device="cpu")
    return train(config, data, resume=True, progress=False)


def readable(path) -> None:
    """All that reads a checkpoint: it works, or says in one line why not."""
    for read in (load_model, load_features, lambda p: export(p, p.with_name("small")),
                 read_predictions):
        with contextlib.suppress(UserError):
            read(path)


def test_a_damaged_file_is_told_before_the_data_are_read(run, tmp_path, few, monkeypatch):
    (tmp_path / "net").write_bytes(run.path.read_bytes()[:-9])
    monkeypatch.setattr(datasets, "load", lambda *args, **kwargs: pytest.fail("data are read"))
    for name, *options in (("evaluate", "--data", "shapes"), ("filters", "--out", tmp_path / "f"),
                           ("doctor",), ("predict", tmp_path / "x.png")):
        refused("damaged", name, "--checkpoint", tmp_path / "net", *options)
    code, _, err = command("doctor", "--init-from", tmp_path / "net")
    assert code == 2 and "damaged" in err
    (tmp_path / CHECKPOINT).write_bytes((tmp_path / "net").read_bytes())
    refused("damaged", "train", "--out", tmp_path, "--resume")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused(run, tmp_path, few, value):
    tensors, meta = read_checkpoint(run.path)
    tensors["model.features.conv1.weight"][0, 0, 0, 0] = value
    write_checkpoint(tmp_path / "net", tensors, meta)
    datasets.images.Image.new("RGB", (40, 40)).save(tmp_path / "x.png")
    for asked in (("predict", tmp_path / "x.png"), ("evaluate", "--data", "shapes"),
                  ("filters", "--out", tmp_path / "f"), ("doctor",), ("info",)):
        refused("not finite", asked[0], "--checkpoint", tmp_path / "net", *asked[1:])


def test_the_mean_has_the_size_of_the_images(run, tmp_path):
    tensors, meta = read_checkpoint(run.path)
    for name, value in (("mean", torch.zeros(39, 40, 3)), ("mean", torch.zeros(40, 40, 3).int()),
                        ("color_values", torch.zeros(0)), ("color_vectors", None)):
        changed = {k: t for k, t in (tensors | {f"data.{name}": value}).items() if t is not None}
        write_checkpoint(tmp_path / "net", changed, meta)
        with pytest.raises(UserError, match=f"net is not a checkpoint.*{name}"):
            load_model(tmp_path / "net")


def test_predictions_fit_together(tmp_path):
    good = {"probs": torch.full((2, 2), 0.5), "labels": torch.tensor([0, 1])}
    meta = {"predictions": {}, "classes": ["a", "b"]}
    for change in ({"labels": torch.tensor([0])}, {"labels": torch.tensor([0, 2])},
                   {"labels": torch.tensor([0, -1])}, {"probs": torch.full((2, 3), 0.5)},
                   {"probs": torch.tensor([[1.0, -0.5], [1, 0]])}, {"probs": torch.zeros(2, 2)},
                   {"probs": torch.tensor([[math.nan, 0.5], [1, 0]])},
                   {"labels": torch.zeros(2, 2)}):
        write_checkpoint(tmp_path / "p", good | change, meta)
        with pytest.raises(UserError):
            read_predictions(tmp_path / "p")
    write_checkpoint(tmp_path / "p", good, meta)
    assert read_predictions(tmp_path / "p").scores()["top1_error"] == 0.5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from([2**31, 2**63, 10**400, -1, 1e308, "nan", "\udce9", "paper", "cpu"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner,
                                                                max_size=3), max_leaves=6)
DTYPES = [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool, torch.complex64,
          torch.float8_e4m3fn]


def places(value, path=()):
    """The paths of all values in a description."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def put(value, path, new):
    """`value` with `new` at that path; without what is there if `new` is None."""
    if not path:
        return new
    value = copy.copy(value)
    if new is None and len(path) == 1:
        del value[path[0]]
    else:
        value[path[0]] = put(value[path[0]], path[1:], new)
    return value


@quick
@given(draw=st.data())
def test_fuzzed_checkpoints(run, data, tmp_path_factory, draw):
    out = tmp_path_factory.mktemp("fuzz")
    tensors, meta = load_file(run.path), json.loads(json.dumps(read_checkpoint(run.path)[1]))
    for _ in range(draw.draw(st.integers(0, 2))):
        path = draw.draw(st.sampled_from(list(places(meta))))
        meta = put(meta, path, draw.draw(JSON))
        if not isinstance(meta, (dict, list)):
            break
    for _ in range(draw.draw(st.integers(0, 1))):
        name = draw.draw(st.sampled_from(sorted(tensors)))
        t = tensors[name]
        how = draw.draw(st.integers(0, 3))
        if how == 0:
            del tensors[name]
        else:
            tensors[name] = (t.to(draw.draw(st.sampled_from(DTYPES))) if how == 1 else
                             t.flatten()[:draw.draw(st.integers(0, 3))] if how == 2 else
                             torch.full_like(t, draw.draw(st.sampled_from([-1, 0, 127]))))
    write_checkpoint(out / CHECKPOINT, tensors, meta)
    readable(out / CHECKPOINT)
    with contextlib.suppress(UserError):
        resumed(out, data)
    assert command("info", "--checkpoint", out)[0] in (0, 2)


# Command lines

WORDS = ["", "0", "-1", "1", "2", "7", "2147483648", "9223372036854775808", "nan", "inf", "1e308",
         "5e-324", "x", "$x^$", "\x1b]0;x\x07", "caf\udce9", "x" * 300, "a/" * 3000, os.devnull,
         ".", "..", "~nobody-of-this-name/x", "folder:", "folder:.", "shapes", "folder:\x1b",
         "cpu", "paper", "2012", "--", "-", "true", "torchvision-not", "36"]
# Each with options that make it quick; not fuzzed: what downloads, measures or trains for long.
COMMANDS = {
    "info": ["--input-size", "36"],
    "train": ["--out", "run", "--epochs", "1", "--input-size", "36", "--stored-size", "40",
              "--width", "0.03", "--batch-size", "16", "--device", "cpu"],
    "doctor": ["--input-size", "36", "--stored-size", "40", "--width", "0.03", "--batch-size", "4"],
    "evaluate": ["--checkpoint", "net", "--data", "shapes"], "export": ["--checkpoint", "net"],
    "predict": ["--checkpoint", "net", "x.png"],
    "filters": ["--checkpoint", "net", "--out", "figures", "--data", "shapes"],
    "ledger": ["--results", "."], "experiment": ["C01", "--results", "results"],
    "data": ["check", "shapes"]}


def options(name: str) -> list[str]:
    found = cli.cli.get_command(None, name)
    found = found.commands["check"] if name == "data" else found
    return [flag for option in found.params for flag in option.opts if flag.startswith("--")]


@quick
@given(draw=st.data())
def test_fuzzed_command_lines(draw, run, tmp_path_factory):
    """Whatever is asked: it works, or one line says why not; never a traceback."""
    here = tmp_path_factory.mktemp("here")
    export(run.path, here / "net")
    datasets.images.Image.new("RGB", (40, 40)).save(here / "x.png")
    name = draw.draw(st.sampled_from(sorted(COMMANDS)))
    args = [name, *COMMANDS[name]]
    for _ in range(draw.draw(st.integers(0, 3))):
        value = draw.draw(st.sampled_from(WORDS) | st.text(max_size=4))
        args += draw.draw(st.sampled_from([[draw.draw(st.sampled_from(options(name))), value],
                                           [value]]))
    args = [arg.replace("\0", "") for arg in args]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("ALEXNET_DATA_ROOT", str(here / "root"))
        patch.setattr(shapes, "SPLITS", {"train": 32, "val": 16, "test": 10})
        code, _, err = command(*args)
    assert code in (0, 1, 2) and "Traceback" not in err, (args, err)
