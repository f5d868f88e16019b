"""Few photographs: choices that suit them, said before the run; guessing, named after it."""

import dataclasses
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet_lib import advice, cli
from alexnet_lib.checkpoints import read_checkpoint, write_checkpoint
from alexnet_lib.config import TrainConfig, fit_to_data, resolve
from alexnet_lib.course import doctor
from alexnet_lib.datasets import Dataset, Split
from alexnet_lib.errors import UserError
from alexnet_lib.optim import first_drop, lr_scheduler
from alexnet_lib.research.claims import claims
from alexnet_lib.research.runner import RESULTS, config_of
from alexnet_lib.training import Trainer, class_weights, train

TINY = {"data": "imagenette", "model": "alexnet", "input_size": 36, "stored_size": 40,
        "width": 0.05, "device": "cpu", "precision": "fp32"}
BY_SIZE = ("batch_size", "epochs", "lr_scheduler")


def tinted(counts, seed=0, strength=60):
    """So many noisy images of 40 pixels of each class, which their tint tells apart."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    tint = strength * np.eye(3)[labels % 3][:, None, None]
    images = rng.normal(100, 40, (len(labels), 40, 40, 3)) + tint
    return Split(images.clip(0, 255).astype(np.uint8), labels)


def data(train=(150, 150), val=(40, 40), strength=60):
    splits = {"train": tinted(train, 0, strength), "val": tinted(val, 1, strength)}
    mean = splits["train"].images.astype(np.float32).mean(0)
    return Dataset("tinted", tuple("abcdefgh"[:len(train)]), splits, mean, np.ones(3), np.eye(3),
                   f"{len(splits['train']):016}")


def by_size(config):
    return tuple(getattr(config, name) for name in BY_SIZE)


# What is chosen.

@pytest.mark.parametrize("name, variant, images", [
    ("imagenet", "paper", 1_281_167), ("imagenet", "2012", 1_281_167),
    ("imagenette", "paper", 8500), ("imagenette", "2012", 8500), ("cifar10", None, 45_000),
    ("shapes", None, 4000), ("shapes", None, 300)])
def test_the_papers_own_runs_stay_as_they_are(name, variant, images):
    given = TrainConfig(data=name, variant=variant, device="cpu")
    assert resolve(given, images) == resolve(given)


def test_recorded_runs_would_be_the_same_today():
    """Whatever a claim leaves open is what it was when its runs were recorded."""
    found, images = 0, {"imagenette": 8448, "cifar10": 45_000}
    for claim in claims().values():
        for arm in claim.arms:
            for setup in claim.setups:
                given = config_of(claim, arm, setup, setup, 0, 0.01)
                config = resolve(dataclasses.replace(given, device="cpu"), images[setup])
                slug = dataclasses.replace(arm, settings=claim.settings | arm.settings
                                           | arm.long).slug
                file = Path(RESULTS) / "runs" / setup / slug / "seed-0.json"
                if not file.exists():
                    continue
                then = json.loads(file.read_text())["config"]
                now = json.loads(json.dumps(dataclasses.asdict(config)))
                for key in set(then) - {"lr", "device", "num_classes", "data", "out"}:
                    assert now[key] == then[key], (slug, key)
                found += 1
    assert found > 20


@pytest.mark.parametrize("variant", ["paper", "2012"])
@pytest.mark.parametrize("images", [10, 100, 300, 1000, 3000])
def test_few_images_get_steps_enough(variant, images):
    config = resolve(TrainConfig("imagenette", variant=variant, device="cpu"), images)
    per_epoch = max(1, images // config.batch_size)
    assert per_epoch * config.epochs >= 1000
    drop = first_drop(lr_scheduler(config.lr_scheduler, config.epochs, per_epoch), config.epochs)
    assert drop * per_epoch >= 430
    assert doctor.net.run_length(config, images).verdict == "ok"


@pytest.mark.parametrize("model", ["alexnet", "cifar"])
def test_what_was_chosen_stays(model):
    chosen = {"batch_size": 128, "epochs": 3, "lr_scheduler": "plateau"}
    for name, value in chosen.items():
        config = resolve(TrainConfig("imagenette", model=model, device="cpu", **{name: value}), 300)
        assert getattr(config, name) == value
    assert by_size(resolve(TrainConfig("imagenette", model=model, device="cpu", **chosen), 300)
                   ) == tuple(chosen.values())


def test_a_resolved_configuration_stays():
    """Also of the small net, whose runs could not be resumed from the command line."""
    for model in ("alexnet", "cifar"):
        usual = resolve(TrainConfig("imagenette", model=model, device="cpu"))
        assert resolve(usual, 300) == usual


def test_a_limit_makes_images_few():
    few = fit_to_data(TrainConfig(**TINY, limit=40), data((1500, 1500)))
    assert by_size(few) == by_size(resolve(TrainConfig(**TINY), 40))
    assert by_size(few) != by_size(fit_to_data(TrainConfig(**TINY), data((1500, 1500))))


@pytest.mark.parametrize("epochs, expected", [(1, "plateau"), (75, "plateau"), (76, "145"),
                                              (None, "145")])
def test_a_short_run_lowers_its_rate_when_the_error_asks_for_it(epochs, expected):
    given = TrainConfig("imagenette", variant="2012", epochs=epochs, device="cpu")
    config = resolve(given, 8448)  # 66 steps each
    assert (config.batch_size, config.lr_scheduler) == (128, expected)


def test_a_plateau_waits_for_steps():
    for per_epoch in (1, 2, 9, 23, 49):
        rule = lr_scheduler("plateau", 100, per_epoch)
        assert rule.patience >= 6 and rule.patience * per_epoch >= 130
        assert rule.warm * per_epoch >= 300
        errors = [0.5] * (rule.warm + rule.patience)  # a net that does not begin
        assert first_drop(rule, 10_000) == len(errors)
    assert lr_scheduler("plateau", 20, 66).patience == lr_scheduler("plateau", 20).patience  # C13
    for per_epoch in (66, 10_009):  # Imagenette and ImageNet, at full length
        assert lr_scheduler("plateau", 90, per_epoch) == lr_scheduler("plateau", 90)


def test_recorded_plateaus_drop_where_they_dropped():
    files = list((Path(RESULTS) / "runs" / "imagenette" / "lr_scheduler=plateau").glob("*.json"))
    for file in files:
        errors = json.loads(file.read_text())["curves"]["val_error"]
        drops = []
        for rule in (lr_scheduler("plateau", 20), lr_scheduler("plateau", 20, 66)):
            optimizer = SimpleNamespace(param_groups=[])
            for epoch, error in enumerate([None, *errors[:-1]]):
                rule.update(optimizer, epoch, error)
                drops.append((epoch, rule.dropped))
        assert drops[:len(errors)] == drops[len(errors):]
    assert len(files) > 5


@pytest.mark.parametrize("name, epochs, drop", [
    ("145", 91, 25), ("steps", 91, 25), ("restart", 135, 25), ("cifar", 140, 120),
    ("constant", 90, None), ("plateau", 90, 6), ("145", 1, None)])
def test_the_first_drop(name, epochs, drop):
    rule = lr_scheduler(name, epochs)
    assert first_drop(rule, epochs) == drop
    assert rule == lr_scheduler(name, epochs)  # its own state is left alone


# What is said.

def said(config, dataset, **how):
    lines = []
    run = train(config, dataset, progress=False, say=lines.append, **how)
    return run, lines


def test_few_images_learn_by_default_and_it_is_said(tmp_path):
    given = TrainConfig(**TINY, variant="2012", until_error=0.05, out=str(tmp_path))
    few = data()
    begun, lines = said(given, few, on_step=lambda run: run.step == 10)
    [line] = [line for line in lines if "--lr-scheduler plateau" in line]
    assert "--lr-scheduler 145" in line
    assert all(f"{value}" in line for value in by_size(begun.config))
    assert any(f"waits for {begun.lr_scheduler.patience}" in line for line in lines)
    run, more = said(given, few, resume=True)
    assert run.config == begun.config and "resumed" in more[0]
    assert not any("short" in line for line in more)  # it was said when the run began
    assert run.history[-1]["val_error"] < 0.1
    assert not any("doctor" in line for line in more)


def test_a_run_from_before_goes_on_as_it_was_begun(tmp_path):
    """An earlier version trained few images with batches of 128, by the usual schedule."""
    few, before = data(), {"batch_size": 128, "epochs": 4, "lr_scheduler": "plateau"}
    run = train(TrainConfig(**TINY, **before, out=str(tmp_path)), few, progress=False,
                on_step=lambda run: run.step == 3)
    tensors, meta = read_checkpoint(run.path)
    del meta["config"]["class_weights"], meta["lr_scheduler"]["warm"]
    meta["lr_scheduler"]["patience"] = 2
    write_checkpoint(run.path, tensors, meta)
    run, lines = said(TrainConfig(**TINY, out=str(tmp_path)), few, resume=True)
    assert by_size(run.config) == tuple(before.values()) and run.step == 8
    assert (run.lr_scheduler.patience, run.lr_scheduler.warm) == (2, 0)
    assert not any("short" in line for line in lines)


def test_the_end_of_a_run_at_chance_is_named():
    run, lines = said(TrainConfig(**TINY, epochs=2, lr_scheduler="145"), data(strength=0))
    assert "has not learned" in lines[-1] and "--lr-scheduler constant" in lines[-1]
    assert "50.0%" in lines[-1] and "\n" not in lines[-1]
    assert "--class-weights" not in lines[-1]


ROW = {"val_error": 0.5, "train_error": 0.5}


@pytest.mark.parametrize("row, words", [
    (ROW, "has not learned"), ({"val_error": 0.48}, "has not learned"),
    ({"val_error": 0.6, "train_error": 0.1}, "others"), ({"val_error": 0.1}, "has not learned"),
    ({"val_error": 0.1, "train_error": 0.1}, None), ({"val_error": 1.0}, "has not learned")])
def test_when_a_net_guesses(row, words):
    config = resolve(TrainConfig(**TINY), 300)
    lines = advice.after(config, data(), ROW | row, 288)
    assert (words in lines[0]) if words else lines == []


def test_guessing_among_unequal_classes():
    """An error of 10% is no achievement where nine of ten images are of one class."""
    config, few = resolve(TrainConfig(**TINY), 300), data((270, 30), (72, 8))
    (line,) = advice.after(config, few, {"val_error": 0.1, "train_error": 0.09}, 288)
    assert "'a'" in line and "10.0%" in line and "--class-weights balanced" in line
    balanced = dataclasses.replace(config, class_weights="balanced")
    assert advice.after(balanced, few, {"val_error": 0.01, "train_error": 0.2}, 288) == []
    only = data((300, 0), (80, 0))
    assert len(advice.after(config, only, {"val_error": 0.0, "train_error": 0.0}, 288)) == 1


@pytest.mark.parametrize("count, right, chance", [(10, 7, 0.5), (100, 60, 0.5), (50, 50, 0.9),
                                                  (30, 1, 0.1), (7, 0, 0.3), (5, 3, 1.0)])
def test_luck_is_the_binomial_tail(count, right, chance):
    exact = sum(math.comb(count, k) * chance**k * (1 - chance)**(count - k)
                for k in range(right, count + 1))
    assert advice.luck(right, count, chance) == pytest.approx(exact if chance < 1 else 1.0)


def test_luck_of_a_million():
    assert advice.luck(500_000, 1_000_000, 0.5) == pytest.approx(0.5, abs=1e-3)
    assert advice.luck(502_000, 1_000_000, 0.5) < 1e-4


def test_imbalance_is_said_at_the_start():
    config = resolve(TrainConfig(**TINY, batch_size=32, epochs=9, lr_scheduler="constant"))
    (line,) = advice.before(config, config, data((323, 12)))
    assert "323" in line and "12" in line and "--class-weights balanced" in line
    assert advice.before(config, config, data((200, 100))) == []
    balanced = dataclasses.replace(config, class_weights="balanced")
    assert advice.before(balanced, balanced, data((323, 12))) == []


@pytest.mark.parametrize("choices, images, verdict", [
    ({"lr_scheduler": "plateau", "batch_size": 128, "epochs": 90}, 300, "look"),
    ({"lr_scheduler": "plateau", "batch_size": 128, "epochs": 200}, 300, "ok"),
    ({"lr_scheduler": "145", "epochs": 12, "batch_size": 128}, 3000, "look"),
    ({"lr_scheduler": "constant", "epochs": 2}, 300, "look"),
    ({}, 300, "ok"), ({}, 8500, "ok"), ({"lr_scheduler": "145"}, 8500, "ok"),
    ({"lr_scheduler": "plateau", "epochs": 2, "init_from": "net"}, 300, "ok")])
def test_the_doctor_looks_at_the_schedule(choices, images, verdict):
    config = resolve(TrainConfig("imagenette", device="cpu", **choices), images)
    found = doctor.net.run_length(config, images)
    assert found.verdict == verdict
    assert ("--epochs" in found.message) == (verdict == "look")


# Class weights.

def test_class_weights_let_classes_count_alike():
    labels = torch.tensor([0] * 30 + [1] * 10 + [2] * 20)
    weights = class_weights(labels, 3)
    assert torch.bincount(labels, weights[labels]).tolist() == pytest.approx([20, 20, 20])
    assert weights[labels].mean() == 1
    assert class_weights(labels, 4).isfinite().all()  # a class that has no image


def test_a_step_with_class_weights_is_that_of_torch():
    few = data((90, 10, 30), (8, 8, 8))
    run = Trainer(TrainConfig(**TINY, class_weights="balanced", dropout=0.0), few)
    run.start_epoch()
    x, labels = run.batch()
    old = run.model.features.conv2.weight.detach().clone()
    weight = torch.tensor([1 / 9, 1, 1 / 3])  # of any scale: torch divides by their sum
    loss = F.cross_entropy(run.model(x), labels, weight=weight)
    gradient = torch.autograd.grad(loss, run.model.features.conv2.weight)[0]
    assert loss.item() != pytest.approx(F.cross_entropy(run.model(x), labels).item(), rel=1e-3)
    run.train_step()
    torch.testing.assert_close(run.model.features.conv2.weight.detach(),
                               old - 0.01 * gradient - 0.01 * 0.0005 * old)
    assert run.collect() == pytest.approx(loss.item(), rel=1e-5)


def test_class_weights_are_an_option(capsys, tmp_path):
    with pytest.raises(UserError, match="none or balanced"):
        resolve(TrainConfig(**TINY, class_weights="inverse"))
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--out", str(tmp_path), "--class-weights", "inverse"])
    assert stop.value.code == 2 and "'none', 'balanced'" in capsys.readouterr().err
