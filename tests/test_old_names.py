"""Files and commands of earlier versions are still understood."""

import json
from dataclasses import fields

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from alexnet_lib import cli, datasets
from alexnet_lib.config import TrainConfig, resume_config
from alexnet_lib.datasets import store
from alexnet_lib.old_names import DATA, NAMES, RUN, renamed_option, renamed_tensor
from alexnet_lib.schema import parse
from alexnet_lib.training import Trainer, train
from alexnet_lib.weights import load_model

OLD = {new: old for old, new in NAMES.items()}
CHOICES = {one.name: one for one in fields(TrainConfig)}


def as_before(values: dict, names: dict) -> dict:
    """An object of a file with the names that it had before."""
    return {old: values[new] for new, old in (
        (name, {v: k for k, v in names.items()}.get(name, name)) for name in values)}


def test_a_checkpoint(tmp_path):
    data = datasets.load("shapes", 64, counts={"train": 8, "val": 4, "test": 4}, progress=False)
    config = TrainConfig("shapes", width=0.1, epochs=2, batch_size=8, color="2012",
                         mean_at="center", connect_columns=False, omit_layer="norm2",
                         crop_group_size=4, input_divisor=2.0, lr_scheduler="145",
                         channels=(48, 128, 192, 192, 128), device="cpu", out=str(tmp_path))
    run = Trainer(config, data, progress=False)
    run.train_step()
    run.collect()
    run.save()
    with safe_open(run.path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = json.loads(file.metadata()["alexnet"])
    meta = as_before(meta, RUN) | {"config": as_before(meta["config"], NAMES) | {
        "mean_at": "centre"}}
    assert set(NAMES) <= set(meta["config"]) and "rates" in meta
    before = {old: new for old, new in zip(
        ("data.colour_values", "data.colour_vectors", "run.mistakes"),
        ("data.color_values", "data.color_vectors", "run.num_errors"), strict=True)}
    assert all(renamed_tensor(old) == new for old, new in before.items())
    old = tmp_path / "old" / run.path.name
    old.parent.mkdir()
    save_file({{v: k for k, v in before.items()}.get(name, name): t
               for name, t in tensors.items()}, old, {"alexnet": json.dumps(meta)})
    before, now = load_model(old), load_model(run.path)
    assert before.config == now.config and before.config.mean_at == "center"
    x = torch.randn(2, 3, 59, 59)
    assert torch.equal(before.model(x), now.model(x))
    assert (before.augment.values == now.augment.values).all()
    two = [train(resume_config(str(path.parent), device="cpu"), data, resume=True, progress=False)
           for path in (old, run.path)]
    assert two[0].losses == two[1].losses and two[0].num_errors == two[1].num_errors
    assert len(two[0].losses) == 2


def test_a_packed_store(tmp_path):
    folder = tmp_path / "photos"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (40, 40), (10 * i, 90, 200)).save(folder / name / f"{i}.png")
    first = datasets.load(f"folder:{folder}", 32, root=tmp_path / "root", progress=False)
    [meta] = (tmp_path / "root").rglob("meta.json")
    meta.write_text(json.dumps(as_before(json.loads(meta.read_text()), DATA)))
    assert "colour_values" in meta.read_text()
    again = datasets.load(f"folder:{folder}", 32, root=tmp_path / "root", progress=False)
    assert again.fingerprint == first.fingerprint
    assert (again.color_values == first.color_values).all()
    assert store.read_store(meta.parent)[0]["color_values"]


@pytest.mark.parametrize("place", ["config", "net"])
@pytest.mark.parametrize("old", NAMES)
def test_a_record(old, place):
    assert NAMES[old] in CHOICES and old not in CHOICES
    assert parse(json.dumps({place: {old: 3, "lr": 0.1}})) == {place: {NAMES[old]: 3, "lr": 0.1}}
    assert parse(json.dumps({"mean_at": "centre", place: {"mean_at": "centre"}})) == {
        "mean_at": "centre", place: {"mean_at": "center"}}


def test_what_only_looks_like_an_old_name_stays():
    """Classes may be called as choices once were."""
    found = {"per_class": {"maps": {"precision": 1.0}, "start": {}}, "rates": [1], "talk": None}
    assert parse(json.dumps(found)) == found


@pytest.mark.parametrize("old", NAMES)
def test_an_option(tmp_path, capsys, old):
    """It means the new one, and says what that is called."""
    flag = isinstance(CHOICES[NAMES[old]].default, bool)
    before = f"--{'no-' * flag}{old.replace('_', '-')}"
    now = f"--{'no-' * flag}{NAMES[old].replace('_', '-')}"
    values = [] if flag else ["?"] * (5 if old == "maps" else 1)
    with pytest.raises(SystemExit):
        cli.main(["train", before, *values, "--lr", "0", "--data", "?", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert f"{before} is called {now} now" in said and "No such option" not in said
    assert renamed_option(f"{before}=x") == f"{now}=x"


def test_what_is_no_option_stays():
    for word in ("colour", "start", "--epochs", "--starting", "-start", "--no-lrn", "--no-", "--"):
        assert renamed_option(word) == word


def test_no_command_has_an_option_of_an_old_name():
    for name in cli.cli.list_commands(None):
        for option in cli.cli.get_command(None, name).params:
            assert all(renamed_option(word) == word for word in option.opts)
