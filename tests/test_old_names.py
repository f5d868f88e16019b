"""Files and commands of earlier versions are still understood."""

import json

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from alexnet_lib import cli, datasets
from alexnet_lib.config import TrainConfig
from alexnet_lib.datasets import store
from alexnet_lib.old_names import NAMES, renamed_option
from alexnet_lib.schema import parse
from alexnet_lib.training import Trainer
from alexnet_lib.weights import load_model

OLD = {new: old for old, new in NAMES.items()}


def as_before(text: str) -> str:
    """A JSON text with the names that it had before."""
    for new, old in OLD.items():
        text = text.replace(f'"{new}":', f'"{old}":')
    return text.replace('"mean_at": "center"', '"mean_at": "centre"')


def test_a_checkpoint(tmp_path):
    data = datasets.load("shapes", 64, counts={"train": 8, "val": 4, "test": 4}, progress=False)
    run = Trainer(TrainConfig("shapes", width=0.1, epochs=1, batch_size=8, color="2012",
                              mean_at="center", out=str(tmp_path)), data, progress=False)
    run.save()
    with safe_open(run.path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = as_before(file.metadata()["alexnet"])
    assert '"colour":' in meta and '"centre"' in meta
    old = tmp_path / "old.safetensors"
    save_file({"data.".join(name.split("data.")).replace("color", "colour"): t
               for name, t in tensors.items()}, old, {"alexnet": meta})
    before, now = load_model(old), load_model(run.path)
    assert before.config == now.config and before.config.mean_at == "center"
    x = torch.randn(2, 3, 59, 59)
    assert torch.equal(before.model(x), now.model(x))
    assert (before.augment.values == now.augment.values).all()


def test_a_packed_store(tmp_path):
    folder = tmp_path / "photos"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (40, 40), (10 * i, 90, 200)).save(folder / name / f"{i}.png")
    first = datasets.load(f"folder:{folder}", 32, root=tmp_path / "root", progress=False)
    [meta] = (tmp_path / "root").rglob("meta.json")
    meta.write_text(as_before(meta.read_text()))
    assert "colour_values" in meta.read_text()
    again = datasets.load(f"folder:{folder}", 32, root=tmp_path / "root", progress=False)
    assert again.fingerprint == first.fingerprint
    assert (again.color_values == first.color_values).all()
    assert store.read_store(meta.parent)[0]["color_values"]


def test_a_record():
    record = {"config": {"colour": "none", "colour_until": 0.5, "mean_at": "centre", "lr": 0.1}}
    assert parse(json.dumps(record)) == {
        "config": {"color": "none", "color_until": 0.5, "mean_at": "center", "lr": 0.1}}


def test_an_option(tmp_path, capsys):
    """It means the new one, and says what that is called."""
    with pytest.raises(SystemExit):
        cli.main(["train", "--colour=loud", "--colour-until", "0.5", "--out", str(tmp_path)])
    said = capsys.readouterr().err
    assert "--colour is called --color now" in said and "--colour-until" in said
    assert "color must be" in said and "loud" in said
    assert renamed_option("colour") == "colour" and renamed_option("--epochs") == "--epochs"
