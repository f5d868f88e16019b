"""Files of weights: what comes out is what went in."""

import pytest
import torch

from alexnet_lib import cli, datasets
from alexnet_lib.config import TrainConfig
from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet
from alexnet_lib.training import train
from alexnet_lib.weights import export, load_features, load_model

TINY = {"data": "shapes", "input_size": 36, "stored_size": 40, "width": 0.1, "epochs": 1,
        "batch_size": 16, "precision": "fp32", "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    data = datasets.load("shapes", 40, counts={"train": 32, "val": 16, "test": 10}, progress=False)
    return train(TrainConfig(**TINY, out=str(tmp_path_factory.mktemp("run"))), data,
                 progress=False)


@pytest.fixture
def x(run):
    return run.augment.view(run.dataset.splits["val"].images, range(16))


def test_an_exported_net_answers_alike(run, x, tmp_path):
    export(run.path, tmp_path / "net")
    whole, small = load_model(run.path, "cpu"), load_model(tmp_path / "net", "cpu")
    with torch.no_grad():
        assert torch.equal(whole.model(x), run.model.eval()(x))
        torch.testing.assert_close(small.model(x), whole.model(x), rtol=0.02, atol=0.02)
    for ours, theirs in zip(small.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs.half().float())
    assert small.classes == whole.classes and small.config == whole.config
    assert torch.equal(small.augment.mean, whole.augment.mean)
    params = sum(p.numel() for p in run.model.parameters())
    assert (tmp_path / "net").stat().st_size < 2 * params + 4 * 40 * 40 * 3 + 6000


def test_the_convolutions_alone(run, x, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["export", "--checkpoint", str(run.path), "--out", str(tmp_path / "f"),
                  "--features"])
    assert stop.value.code == 0 and "MB" in capsys.readouterr().out
    for path in (run.path, tmp_path / "f"):
        net = load_features(path, "cpu")
        with torch.no_grad():
            maps = net.model(x)
            torch.testing.assert_close(maps, run.model.features.eval()(x), rtol=0.02, atol=0.05)
        assert maps.shape[2:] == (1, 1) and not net.model.training
    with pytest.raises(UserError, match="convolutions alone: open it with load_features"):
        load_model(tmp_path / "f")


def test_other_files_are_told(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        export(tmp_path / "no", tmp_path / "net")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_features(__file__)


def test_sizes_of_the_papers_net():
    """What the docstring of `export` promises, at two bytes a parameter."""
    with torch.device("meta"):
        net = AlexNet(num_classes=10)
        small = AlexNet(num_classes=10, hidden=512)
    count = {name: 2 * sum(p.numel() for p in part.parameters()) / 1e6
             for name, part in (("net", net), ("features", net.features), ("small", small))}
    assert round(count["features"]) == 5 and count["small"] < 20
    assert [small.classifier.fc6.out_features, small.classifier.fc7.out_features] == [512, 512]
