"""Files of weights: what comes out is what went in."""

import dataclasses

import pytest
import torch

from alexnet_lib import cli, datasets
from alexnet_lib.config import TrainConfig
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import Predictions
from alexnet_lib.models import AlexNet
from alexnet_lib.training import begin, train
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
    with pytest.raises(UserError, match="convolutions alone: give the whole net.*--init-from"):
        load_model(tmp_path / "f")


def weights(net):
    return {name: t.clone() for name, t in net.state_dict().items()}


def test_a_run_begins_with_the_weights_of_another(run):
    learned = weights(run.model)
    config = TrainConfig(**TINY, seed=7, init_from=str(run.path))
    assert all(map(torch.equal, weights(begin(config, run.dataset).model).values(),
                   learned.values()))
    others = dataclasses.replace(run.dataset, classes=tuple("abcdefghij"))
    begun = weights(begin(config, others).model)
    fresh = weights(begin(TrainConfig(**TINY, seed=7), others).model)
    for name, t in begun.items():  # ten classes again, but not those: the last layer learns anew
        assert torch.equal(t, (fresh if ".fc8." in name else learned)[name]), name


def test_frozen_convolutions_stay_and_the_classifier_learns(run, tmp_path):
    export(run.path, tmp_path / "features", features=True)
    options = TINY | {"epochs": 2, "seed": 7, "init_from": str(tmp_path / "features"),
                      "frozen": True}
    whole = train(TrainConfig(**options), run.dataset, progress=False)
    kept, fresh = weights(run.model), weights(begin(TrainConfig(**TINY, seed=7), run.dataset).model)
    for name, t in whole.model.state_dict().items():
        if name.startswith("features."):
            assert torch.equal(t, kept[name].half().float()), name
        else:
            assert not torch.equal(t, fresh[name]), name
    halfway = TrainConfig(**options, out=str(tmp_path / "run"))
    train(halfway, run.dataset, progress=False, on_step=lambda r: r.step == 3)
    again = train(halfway, run.dataset, resume=True, progress=False)
    assert again.losses == whole.losses


def test_the_small_net_can_be_frozen_too(tmp_path):
    small = TINY | {"model": "cifar", "width": None, "input_size": 32, "stored_size": 32}
    data = datasets.load("shapes", 32, counts={"train": 64, "val": 32})
    first = train(TrainConfig(**small, out=str(tmp_path)), data, progress=False)
    options = small | {"init_from": str(first.path), "frozen": True}
    second = train(TrainConfig(**options), data, progress=False)
    assert len(second.history) == second.config.epochs
    assert torch.equal(second.model.features.conv1.weight, first.model.features.conv1.weight)


@pytest.mark.parametrize("choices, words", [
    ({"width": 0.2}, r"does not fit: its features.conv1.weight is \[10, 3, 11, 11\]"),
    ({"variant": "paper"}, "its net has variant 2012, here paper"),
    ({"input_divisor": 58.0}, "its net has input_divisor 1.0, here 58.0"),
    ({"frozen": True, "init_from": None}, "frozen convolutions must come from a trained net"),
    ({"init_from": __file__}, "not a checkpoint"),
    ({"init_from": "nowhere"}, "no checkpoint nowhere")])
def test_a_start_that_cannot_be_is_told(run, choices, words):
    with pytest.raises(UserError, match=words):
        begin(TrainConfig(**TINY | {"init_from": str(run.path)} | choices), run.dataset)


def test_other_files_are_told(tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        export(tmp_path / "no", tmp_path / "net")
    with pytest.raises(UserError, match="not a checkpoint"):
        load_features(__file__)
    Predictions(torch.ones(1, 1), torch.zeros(1), ("one",), {}).save(tmp_path / "p")
    for ask in (load_model, lambda path: export(path, tmp_path / "net")):
        with pytest.raises(UserError, match="holds predictions, not a net"):
            ask(tmp_path / "p")


def test_sizes_of_the_papers_net():
    """What the docstring of `export` promises, at two bytes a parameter."""
    with torch.device("meta"):
        net = AlexNet(num_classes=10)
        small = AlexNet(num_classes=10, hidden=512)
    count = {name: 2 * sum(p.numel() for p in part.parameters()) / 1e6
             for name, part in (("net", net), ("features", net.features), ("small", small))}
    assert round(count["features"]) == 5 and count["small"] < 20
    assert [small.classifier.fc6.out_features, small.classifier.fc7.out_features] == [512, 512]
