"""Each choice of a run is declared once: what follows from the declaration follows for all."""

import inspect
import json
import math
from dataclasses import MISSING, Field, asdict, dataclass, fields
from pathlib import Path

import click
import pytest

from alexnet_lib import cli
from alexnet_lib.augment import Augment
from alexnet_lib.choices import (
    FREE,
    NetConfig,
    Rule,
    TrainConfig,
    check_choices,
    choice,
    describe,
    having,
)
from alexnet_lib.config import build_net, on_meta, resolve
from alexnet_lib.course.cli import doctor
from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet, CifarNet
from alexnet_lib.training import train
from alexnet_lib.weights import load_features

ROOT = Path(__file__).parents[1]
CHOICES = {one.name: one for one in fields(TrainConfig)}
# Values of every type, inside and outside of every range.
SOME = (None, True, -1, 0, 1, 99, 2**31, 2**63, -0.5, 0.5, 1.0, 1.5, math.inf, math.nan, "", "x",
        "paper", (), (0, 2), (2, 3), (3, 2), (3.5, 2), (1,) * 5, (0,) * 5, ("a",), [], {}, object())


def words(one: Field) -> str:
    return one.name.replace("_", "-")


@pytest.mark.parametrize("one", CHOICES.values(), ids=words)
def test_every_choice_is_declared_in_full(one):
    told, allowed = one.metadata["help"], one.metadata["allowed"]
    assert told and told[0] != " " and not told.endswith((".", " ")) and told in describe(one)
    assert one.default is not MISSING
    if one.type in (bool, bool | None):
        assert allowed is None
    else:
        assert isinstance(allowed, (tuple, dict, Rule))
    assert one.metadata["changes"] in (None, "convolutions", "classifier", "shapes")


@pytest.mark.parametrize("command, more, lacks", [
    (cli.train, {"resume"}, set()), (doctor, {"checkpoint", "json_file"}, {"out"})])
def test_every_choice_is_on_the_command_line(command, more, lacks):
    options = {option.name: option for option in command.params}
    assert set(options) == (set(CHOICES) - lacks) | more
    for name, one in CHOICES.items():
        if name not in lacks | {"out"}:
            listed = type(one.metadata["allowed"]) is tuple and name != "columns"
            assert options[name].help == describe(one, with_values=not listed)
            assert not listed or tuple(options[name].type.choices) == one.metadata["allowed"]
            assert options[name].opts[0] == f"--{words(one)}"


def test_options_have_the_types_of_their_choices():
    given = {"epochs": 3, "lr": 0.5, "pool": (2, 2), "channels": (1, 2, 3, 4, 5),
             "connect_columns": False, "frozen": True, "data": "cifar10", "lrn": True,
             "crop_group_size": 32}
    line = []
    for name, value in given.items():
        word = words(CHOICES[name])
        if isinstance(value, bool):
            line.append(f"--{word}" if value else f"--no-{word}")
        else:
            line += [f"--{word}", *map(str, value if isinstance(value, tuple) else [value])]
    found = cli.train.make_context("train", [*line, "--out", "x"]).params
    assert {name: found[name] for name in given} == given
    assert {name for name in CHOICES if found[name] is not None} == {*given, "out", "device"}


@pytest.mark.parametrize("one", CHOICES.values(), ids=words)
def test_wrong_values_are_refused_in_one_line(one):
    refused = []
    for value in SOME:
        try:
            check_choices(TrainConfig(**{"model": "alexnet"} | {one.name: value}))
        except UserError as error:
            refused.append(value)
            assert "\n" not in str(error) and words(one) in str(error)
    text = one.type in (str, str | None)
    assert {type(value) for value in refused} >= {object, int if text else str}
    check_choices(TrainConfig(**{one.name: one.default}))


@pytest.mark.parametrize("name, good, bad", [
    ("epochs", (1, 2**31 - 1), (0, 2**31)), ("batch_size", (1,), (0, -3)),
    ("crop_group_size", (1, 32), (0,)), ("limit", (1,), (0,)), ("early_stop", (1,), (0,)),
    ("num_classes", (1,), (0, 2**31)), ("hidden", (1,), (0,)), ("input_size", (1,), (0,)),
    ("lr", (1e-30, 5), (0, -1, math.inf, math.nan)), ("input_divisor", (58,), (0, math.inf)),
    ("width", (0.01,), (0, math.inf)), ("seed", (0, 2**63 - 1), (-1, 2**63)),
    ("weight_decay", (0,), (-1e-9, math.inf)), ("bias_lr_factor", (0,), (-1, math.nan)),
    ("save_minutes", (0,), (-1,)), ("color_until", (0, 1), (-0.1, 1.1)),
    ("until_error", (0, 1), (1.1,)), ("momentum", (0, 0.999), (1, -0.1)),
    ("dropout", (0, 0.999), (1, -0.1)), ("hidden_bias", (-3, 0), (math.nan, math.inf)),
    ("columns", (1, 2), (0, 3)), ("pool", ((3, 2), (2, 2), [3, 2]), ((2, 3), (2, 0), (0, 0), (3,))),
    ("channels", ((1, 1, 1, 1, 1),), ((1, 1, 1, 1), (1, 1, 1, 1, 0))),
    ("variant", ("paper", "2012"), ("18pct", "2014")), ("init", ("he", "2012"), ("cifar", "x")),
    ("omit_layer", ("conv1", "norm2"), ("conv6", "norm1")), ("activation", ("tanh",), ("gelu",)),
    ("lr_scheduler", ("145", "steps"), ("cosine",)), ("class_weights", ("balanced",), ("some",)),
    ("color", ("none",), ("pink",)), ("mean_at", ("center",), ("edge",)),
    ("precision", ("auto", "bf16"), ("fp8",)), ("model", ("alexnet",), ("vgg",)),
    ("data", ("x",), (3,)), ("init_from", ("x", None), (3,)), ("frozen", (True,), (1, None))])
def test_ranges_end_where_they_should(name, good, bad):
    for value in good:
        check_choices(TrainConfig(**{"model": "alexnet", name: value}))
    for value in bad:
        with pytest.raises(UserError, match=name.replace("_", "-")):
            check_choices(TrainConfig(**{"model": "alexnet", name: value}))


def test_which_values_are_right_depends_on_the_model():
    check_choices(TrainConfig(model="cifar", variant="18pct", init="cifar"))
    for wrong in ({"variant": "paper"}, {"init": "2012"}):
        with pytest.raises(UserError, match="with the model cifar"):
            resolve(TrainConfig(data="cifar10", device="cpu", **wrong))


@pytest.mark.parametrize("net, model", [(AlexNet, "alexnet"), (CifarNet, "cifar")])
def test_arguments_of_a_net_are_its_choices(net, model):
    """Their defaults are those of the declaration, where that has one."""
    arguments = inspect.signature(net).parameters
    assert set(arguments) <= {one.name for one in fields(NetConfig)} - {"model"}
    for name, argument in arguments.items():
        default = CHOICES[name].default
        assert default is None or argument.default == default, name
        for value in SOME:
            try:
                on_meta(lambda name=name, value=value: net(**{name: value}))
            except UserError as error:
                assert "\n" not in str(error)
        for value in (object(), "x", [], {}):
            with pytest.raises(UserError) as error:
                net(**{name: value})
            assert words(CHOICES[name]) in str(error.value) and "\n" not in str(error.value)
    assert {one.name for one in fields(NetConfig)} == {"model", *inspect.signature(
        AlexNet).parameters}


@pytest.mark.parametrize("make, word", [
    (lambda: AlexNet(channels="abc"), "channels"), (lambda: AlexNet(columns=2.5), "columns"),
    (lambda: AlexNet(num_classes=None), "num-classes"), (lambda: AlexNet("10"), "num-classes"),
    (lambda: AlexNet(pool=3), "pool"), (lambda: AlexNet(hidden=10.0), "hidden"),
    (lambda: AlexNet(hidden_bias="one"), "hidden-bias"), (lambda: AlexNet(lrn="no"), "lrn"),
    (lambda: AlexNet(width=None), "width"), (lambda: AlexNet(channels=(96, 256)), "channels"),
    (lambda: AlexNet(channels=(1, 2, 3, 4, 0.5)), "channels"),
    (lambda: AlexNet(dropout=None), "dropout"),
    (lambda: CifarNet(num_classes=None), "num-classes"), (lambda: CifarNet(pool="32"), "pool"),
    (lambda: CifarNet(input_size=32.0), "input-size"), (lambda: CifarNet(variant=18), "variant"),
    (lambda: Augment(9, [[[0]] * 9] * 9, color=None), "color"),
    (lambda: Augment(9, [[[0]] * 9] * 9, crop_group_size=0), "crop-group-size")])
def test_a_wrong_type_is_told_in_one_line(make, word):
    with pytest.raises(UserError, match=word) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_net_of_its_choices():
    net = on_meta(lambda: build_net(NetConfig(columns=1, hidden=8, pool=[3, 2])))
    assert (net.columns, net.num_classes, net.classifier.fc6.out_features) == (1, 1000, 8)
    assert type(on_meta(lambda: build_net(NetConfig(model="cifar")))) is CifarNet
    with pytest.raises(UserError, match="no choice of columns"):
        build_net(NetConfig(model="cifar", columns=1))


def test_files_hold_all_choices_side_by_side():
    """As they did before there was a `NetConfig`; JSON has no tuples."""
    config = resolve(TrainConfig("imagenette", pool=(2, 2), device="cpu"))
    written = json.loads(json.dumps(asdict(config)))
    assert TrainConfig(**written) == config and written["pool"] == [2, 2]
    before = {"data", "out", "model", "variant", "epochs", "batch_size", "lr", "channels", "width"}
    assert before < set(written) == set(CHOICES)


def configs(record):
    """All configurations in a record, however deep."""
    if isinstance(record, dict) and isinstance(record.get("config"), dict):
        yield record["config"]
    inner = record.values() if isinstance(record, dict) else record
    for one in inner if isinstance(record, (dict, list)) else ():
        yield from configs(one)


def test_what_was_written_before_is_read():
    found = [config for path in (ROOT / "data/results").rglob("*.json")
             for config in configs(json.loads(path.read_text())) if "epochs" in config]
    assert len(found) > 100
    for config in found:
        check_choices(TrainConfig(**config))
    for path in (ROOT / "data/weights").glob("*features.safetensors"):
        assert load_features(path, "cpu").config.model == "alexnet"


@pytest.mark.parametrize("command", ["info", "doctor"])
def test_a_trained_net_has_its_choices(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--checkpoint", "x", "--columns", "1"])
    assert stop.value.code == 2 and "leave out --columns" in capsys.readouterr().err


def test_a_new_choice_is_one_new_field():
    @dataclass
    class More(TrainConfig):
        warm: float | None = choice(None, "warm up for so long", Rule(lambda x: x > 0, "above 0"))
        norm: str = choice("layer", "which norm", ("layer", "batch"))

    check_choices(More(warm=1, norm="batch"))
    for wrong in ({"warm": 0}, {"warm": "x"}, {"norm": "none"}, {"epochs": 0}):
        with pytest.raises(UserError, match=next(iter(wrong))):
            check_choices(More(**wrong))
    command = cli.options_for(More)(click.command()(lambda **options: options))
    found = command.make_context("train", ["--warm", "2", "--norm", "batch"]).params
    assert (found["warm"], found["norm"], found["epochs"]) == (2.0, "batch", None)
    assert describe({one.name: one for one in fields(More)}["norm"]) == (
        "which norm (layer or batch) [layer]")


def test_free_choices_are_few_and_looked_at_elsewhere():
    assert [name for name, one in CHOICES.items() if one.metadata["allowed"] is FREE] == ["device"]
    assert set(having("needed")) == {"model", "variant", "epochs", "batch_size", "lr",
                                     "lr_scheduler", "num_classes", "input_size", "stored_size"}


def test_the_reference_shows_every_choice():
    for config in (NetConfig, TrainConfig):
        for name in config.__annotations__:
            assert f"    {name}: {describe(CHOICES[name])}" in config.__doc__.splitlines()


@pytest.mark.parametrize("name", ["data", "out", "init_from"])
def test_an_empty_name_is_refused_before_the_work(name, tmp_path, monkeypatch):
    """An empty `out` would train to the end and save nothing, an empty `start` begin afresh."""
    monkeypatch.chdir(tmp_path)
    for resume in (False, True, "auto"):
        with pytest.raises(UserError, match=f"{name.replace('_', '-')} must be a name"):
            train(TrainConfig(**{"data": "shapes", name: ""}), resume=resume)
    assert list(tmp_path.iterdir()) == []
