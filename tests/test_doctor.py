"""The doctor finds each fault that is planted, and finds nothing wrong where there is none."""

import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from alexnet_lib import cli, datasets
from alexnet_lib.checkpoints import CHECKPOINT
from alexnet_lib.config import TrainConfig, fit_to_data, resolve
from alexnet_lib.course import doctor
from alexnet_lib.datasets import Dataset, Split
from alexnet_lib.training import train
from alexnet_lib.weights import load_model

CLASSES = ("red", "green", "blue", "gray")
SHADES = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [120, 120, 120]])
SMALL = {"data": "shapes", "input_size": 59, "stored_size": 64, "device": "cpu",
         "batch_size": 32, "precision": "fp32"}


def colored(count, seed, classes=4):
    """A split of noisy images of 40 pixels, whose color tells the class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    noise = rng.normal(0, 40, (count, 40, 40, 3))
    return Split((SHADES[labels][:, None, None] + noise).clip(0, 255).astype(np.uint8), labels)


def packed(splits, classes=CLASSES, mean=None):
    """A data set of these splits, with the statistics of its training images."""
    whole = np.asarray(splits["train"].images, np.float32)
    mean = whole.mean(0) if mean is None else mean
    return Dataset("colored", classes, splits, mean, np.ones(3), np.eye(3), "0" * 16)


@pytest.fixture(scope="module")
def easy():
    return packed({"train": colored(160, 0), "val": colored(80, 1)})


@pytest.fixture(scope="module")
def shapes():
    return datasets.load("shapes", 64, counts={"train": 200, "val": 60, "test": 20})


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    """A busy machine must not change a verdict."""
    monkeypatch.setattr(doctor.net, "SECONDS", 120.0)


def verdicts(found):
    return {f.name: f.verdict for f in found}


def wrong(found):
    return [f.name for f in found if f.verdict == doctor.WRONG]


# The data: each fault alone gives its finding, and no other.

def change(dataset, split="train", images=None, labels=None, **fields):
    """A copy of the data set with a split's images or labels put through a function."""
    old = dataset.splits[split]
    new = Split(images(old.images.copy()) if images else old.images,
                labels(old.labels.copy()) if labels else old.labels)
    return dataclasses.replace(dataset, splits=dataset.splits | {split: new}, **fields)


def put(array, where, values):
    array[where] = values
    return array


def keep(dataset, which):
    """Only the training images that `which(labels)` says."""
    chosen = which(dataset.splits["train"].labels)
    return change(dataset, images=lambda x: x[chosen], labels=lambda y: y[chosen])


def half_blank(x, share):
    return put(x, slice(0, int(share * len(x))), np.arange(int(share * len(x)))[:, None, None, None]
               % 255)


DATA_FAULTS = {
    "counted from 1": ("labels", "wrong", "subtract 1",
                       lambda d: change(change(d, labels=lambda y: y + 1), "val",
                                        labels=lambda y: y + 1)),
    "one counted from 1": ("labels", "wrong", "must lie in 0 to 3",
                           lambda d: change(d, "val", labels=lambda y: y + 1)),
    "beyond the last": ("labels", "wrong", "from 0 to 9",
                        lambda d: change(d, labels=lambda y: put(y, 3, 9))),
    "below 0": ("labels", "wrong", "from -1",
                lambda d: change(d, labels=lambda y: put(y, 3, -1))),
    "not whole": ("labels", "wrong", "float64",
                  lambda d: change(d, labels=lambda y: y.astype(float))),
    "too few labels": ("labels", "wrong", "one label to each", lambda d: change(
        d, labels=lambda y: y[:-1])),
    "an empty split": ("labels", "wrong", "empty", lambda d: change(
        d, "val", images=lambda x: x[:0], labels=lambda y: y[:0])),
    "begins later": ("class sizes", "look", "count from 1", lambda d: change(
        d, "val", images=lambda x: x[d.splits["val"].labels > 0], labels=lambda y: y[y > 0])),
    "empty class": ("class sizes", "wrong", "blue without", lambda d: keep(d, lambda y: y != 2)),
    "class 0 empty": ("class sizes", "wrong", "count from 1",
                      lambda d: keep(d, lambda y: y != 0)),
    "tiny class": ("class sizes", "look", "fewer than 10",
                   lambda d: keep(d, lambda y: (y != 2) | (np.arange(len(y)) < 16))),
    "one class for all": ("class sizes", "look", "'gray'", lambda d: keep(
        d, lambda y: (y == 3) | (np.arange(len(y)) < 44))),
    "blank": ("images", "wrong", "60% of the images in train are blank",
              lambda d: change(d, images=lambda x: half_blank(x, 0.6))),
    "some blank": ("images", "look", "are blank",
                   lambda d: change(d, images=lambda x: half_blank(x, 0.1))),
    "all alike": ("images", "wrong", "the same",
                  lambda d: change(d, images=lambda x: np.repeat(x[:1], len(x), 0))),
    "0 to 1": ("images", "wrong", "0-255", lambda d: change(
        d, images=lambda x: (x > 127).astype(np.uint8))),
    "not a number": ("images", "wrong", "not numbers", lambda d: change(
        d, images=lambda x: put(x.astype(np.float32), (0, 3, 3, 0), np.nan))),
    "val in train": ("duplicates", "wrong", "in another split", lambda d: change(
        d, "val", images=lambda x: put(x, slice(0, 4), d.splits["train"].images[:4]))),
    "one of val in train": ("duplicates", "look", "1 images of val", lambda d: change(
        change(d, "val", images=lambda x: np.repeat(x, 2, 0) + (np.arange(2 * len(x)) % 2)
               .astype(np.uint8)[:, None, None, None], labels=lambda y: np.repeat(y, 2)),
        "val", images=lambda x: put(x, 0, d.splits["train"].images[0]))),
    "copies": ("duplicates", "look", "copies", lambda d: change(
        d, images=lambda x: put(x, slice(0, 20), x[20:40]))),
    "two labels": ("duplicates", "look", "different labels", lambda d: change(
        d, images=lambda x: put(x, 0, x[1]))),
    "another order": ("class order", "wrong", "one list", lambda d: change(
        d, "val", labels=lambda y: np.array([2, 0, 1, 3])[y])),
    "off by one in val": ("class order", "wrong", "and 3 more", lambda d: change(
        d, "val", labels=lambda y: (y + 1) % 4)),
    "val shuffled": ("class order", "look", "don't look alike", lambda d: change(
        d, "val", labels=lambda y: np.random.default_rng(0).permutation(y))),
    "no val": ("class order", "look", "no val", lambda d: dataclasses.replace(
        d, splits={"train": d.splits["train"]})),
}


@pytest.mark.parametrize("fault", DATA_FAULTS)
def test_a_fault_in_the_data(easy, fault):
    name, verdict, word, plant = DATA_FAULTS[fault]
    found = doctor.examine_data(plant(easy))
    [finding] = [f for f in found if f.verdict != doctor.OK]  # this one and no other
    assert (finding.name, finding.verdict) == (name, verdict)
    assert word in finding.message


def test_healthy_data(easy, shapes):
    for dataset in (easy, shapes):
        assert set(verdicts(doctor.examine_data(dataset)).values()) == {"ok"}


def test_shuffled_labels_are_beyond_thumbnails(easy):
    shuffled = np.random.default_rng(0).permutation
    found = doctor.same_meaning(change(change(easy, labels=shuffled), "val", labels=shuffled))
    assert found.verdict == "ok" and "can't tell" in found.message


# The net.

def ready(dataset, **choices):
    """A resolved configuration, its batch maker's batch and labels, and a fresh net."""
    config = fit_to_data(resolve(TrainConfig(**SMALL | choices)), dataset)
    augment = doctor.build_augment(config, dataset.mean, dataset.color_values,
                                   dataset.color_vectors)
    x, y = doctor.batch(augment, dataset.splits["train"], "cpu")
    return config, x, y, doctor.build_model(config)


def test_nothing_is_wrong_with_a_healthy_set_up(shapes):
    found = doctor.examine(TrainConfig(**SMALL), shapes)
    assert set(verdicts(found).values()) - {"look"} == {"ok"}, found
    assert verdicts(found)["one batch"] == verdicts(found)["learning rate"] == "ok"
    assert "nothing is wrong" in doctor.summary(found)
    json.dumps(doctor.as_json(found), allow_nan=False)
    rows = doctor.by_layer(found)
    assert [row[0] for row in rows] == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7",
                                        "fc8"]


@pytest.mark.parametrize("choices", [{"model": "cifar"}, {"init": "he", "input_divisor": 58}])
def test_other_healthy_nets(shapes, choices):
    small = datasets.load("shapes", 32, counts={"train": 100, "val": 30, "test": 10})
    plain = {"data": "shapes", "device": "cpu", "batch_size": 32}
    data, base = (small, plain) if "model" in choices else (shapes, SMALL)
    found = doctor.examine(TrainConfig(**base | choices), data)
    assert wrong(found) == []


@pytest.mark.parametrize("choices, names", [
    ({"input_divisor": 58}, {"input scale", "one batch"}),
    ({"init": "paper", "input_divisor": 58}, {"input scale", "image in the output", "one batch"}),
    ({"init": "he"}, {"input scale", "first loss"}),
])
def test_the_scale_of_the_input(shapes, choices, names):
    found = doctor.examine(TrainConfig(**SMALL | choices), shapes)
    assert names <= set(wrong(found))
    assert wrong(found)[0] == "input scale"  # the cause stands before what it causes
    [finding] = [f for f in found if f.name == "input scale"]
    if "init" in choices:
        assert f"{58 if choices['init'] == 'he' else 1}" in finding.message


def test_the_mean_not_taken_off(shapes):
    plain = dataclasses.replace(shapes, mean=np.zeros_like(shapes.mean))
    config = resolve(TrainConfig(**SMALL))
    augment = doctor.build_augment(config, plain.mean, plain.color_values, plain.color_vectors)
    found = doctor.input_scale(doctor.drawn_batch(augment, plain.splits["train"]), config)
    assert found.verdict == "look" and "mean subtracted" in found.message


@pytest.mark.parametrize("lr, outcome, word", [(0.3, "wrong", "too high"),
                                               (1e-6, "wrong", "too low")])
def test_the_rate(shapes, lr, outcome, word):
    config, x, y, model = ready(shapes)
    config.lr = lr
    heart, rate = doctor.learning(model, x[:16], y[:16], config)
    assert rate.verdict == outcome and word in rate.message
    assert heart.verdict == "wrong"


def test_a_batch_too_small_for_its_rate(shapes):
    found = doctor.examine(TrainConfig(**SMALL | {"batch_size": 4}), shapes)
    assert wrong(found) == [] and verdicts(found)["minibatches"] == "look"
    assert "with 4 images each" in found[-1].message and "--lr 0.0025" in found[-1].message
    off = {rate: row["off"] for rate, row in found[-1].numbers.items()}
    assert off["0.01"] > doctor.net.SILENCED > off["0.0025"]


@pytest.mark.parametrize("own, lower, steps, verdict, word", [
    (0.5, None, 100, "ok", "50% of fc7"), (0.5, None, 9, "look", "only 9 steps"),
    (0.9, 0.2, 100, "look", "take --lr 0.0025"), (0.9, 0.9, 100, "look", "at the layers"),
    (1.0, 0.2, 100, "wrong", "take --lr 0.0025")])
def test_silenced_units(own, lower, steps, verdict, word):
    rows = {0.01: own, 0.0025: lower} if lower else {0.01: own}
    tried = {lr: {"steps": steps, "layer": "fc7", "off": off} for lr, off in rows.items()}
    found = doctor.net.silenced(tried, TrainConfig(lr=0.01, batch_size=8))
    assert found.verdict == verdict and word in found.message


def test_steps_that_run_away(shapes):
    config, _, _, model = ready(shapes)
    config.lr = 1e6
    augment = doctor.build_augment(config, shapes.mean, shapes.color_values, shapes.color_vectors)
    found = doctor.first_steps(model, augment, shapes.splits["train"], config)
    assert found.verdict == "wrong" and "the loss is not finite" in found.message


def test_softmax_twice(shapes):
    config, x, _, model = ready(shapes)
    assert doctor.probabilities_out(model, x).verdict == "ok"
    twice = doctor.probabilities_out(nn.Sequential(model, nn.Softmax(1)), x)
    assert twice.verdict == "wrong"
    assert math.isclose(twice.numbers["floor"], math.log(math.e + 9) - 1)
    log = doctor.probabilities_out(nn.Sequential(model, nn.LogSoftmax(1)), x)
    assert log.verdict == "ok" and "changes nothing" in log.message
    assert "softmax" in wrong(doctor.examine_fresh(
        dataclasses.replace(config, lr=1e-9), shapes, nn.Sequential(model, nn.Softmax(1))))


def test_bf16_nets_are_looked_into(shapes, monkeypatch):
    monkeypatch.setattr(doctor.net, "SECONDS", 0.0)  # a few steps will do
    config, x, y, model = ready(shapes, precision="bf16")
    assert x.dtype == torch.bfloat16
    found = verdicts(doctor.examine(TrainConfig(**SMALL | {"precision": "bf16"}), shapes))
    assert {found[name] for name in ("input scale", "softmax", "evaluation", "first loss",
                                     "image in the output", "gradients")} == {"ok"}
    assert found["one batch"] == "look"  # no time
    with doctor.autocast(config):
        twice = doctor.probabilities_out(nn.Sequential(model, nn.Softmax(1)), x)
        log = doctor.probabilities_out(nn.Sequential(model, nn.LogSoftmax(1)), x)
    assert twice.verdict == "wrong" and "changes nothing" in log.message


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_overfit_batch_without_a_configuration(shapes, precision):
    config, x, y, model = ready(shapes, precision=precision)
    losses = doctor.overfit_batch(model, x[:8], y[:8], 0.01, steps=3)
    config.weight_decay, config.bias_lr_factor = None, None
    assert losses == doctor.overfit_batch(model, x[:8], y[:8], 0.01, config, steps=3)


def test_outputs_of_the_wrong_form(shapes):
    _, x, _, model = ready(shapes)
    assert "a number for each class" in doctor.probabilities_out(model, x, classes=11).message
    assert doctor.probabilities_out(model.features, x).verdict == "wrong"
    model.classifier.fc8.bias.data[0] = math.nan
    assert "not finite" in doctor.probabilities_out(model, x).message


class Restless(nn.Module):
    """A net whose dropout goes on when it is measured: the training flag was forgotten."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return nn.functional.dropout(self.inner(x), 0.5)


class Crowd(nn.Module):
    """A net whose answer for an image depends on the others of the batch."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        out = self.inner(x)
        return out - out.mean(0)


def test_evaluation(shapes):
    _, x, _, model = ready(shapes)
    assert doctor.evaluation_mode(model, x).verdict == "ok"
    restless = doctor.evaluation_mode(Restless(model), x)
    assert restless.verdict == "wrong" and "F.dropout" in restless.message
    crowd = doctor.evaluation_mode(Crowd(model), x)
    assert crowd.verdict == "wrong" and "beside it" in crowd.message
    late = doctor.evaluation_mode(model.train(), x, trained=True)
    assert late.verdict == "wrong" and "net.eval()" in late.message
    assert model.training and doctor.evaluation_mode(model.eval(), x, trained=True).verdict == "ok"


def test_layers_measure_what_they_say(shapes):
    _, x, y, model = ready(shapes)
    rows = {row["name"]: row for row in doctor.layers(model.train(), x, y)}
    assert model.training and all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        out = model.eval()(x)
    assert rows["fc8"]["size"] == pytest.approx(out.square().mean().sqrt().item(), rel=1e-4)
    assert rows["fc8"]["by_image"] == pytest.approx(
        out.var(0, unbiased=False).mean().sqrt().item(), rel=1e-4)
    nn.functional.cross_entropy(model(x), y).backward()
    assert rows["conv2"]["grad"] == pytest.approx(
        model.features.conv2.weight.grad.square().mean().sqrt().item(), rel=1e-3)
    model.features.conv4.bias.data[:48] = -1e6
    off = {row["name"]: row["off"] for row in doctor.layers(model, x, y)}["conv4"]
    assert off == pytest.approx(48 / 96, abs=0.05)


def loud(model):
    model.features.conv3.weight.data *= 1e4


def dead(model):
    model.features.conv4.bias.data.fill_(-1e3)


def frozen(model):
    model.features.conv3.weight.requires_grad_(False)


def blind(model):
    model.features.conv5.weight.data *= 1e-3


@pytest.mark.parametrize("spoil, check, name", [
    (loud, doctor.gradients, "conv"), (dead, doctor.dead_units, "conv4"),
    (frozen, doctor.gradients, "none reaches conv3"), (blind, doctor.depends_on_image, "conv5")])
def test_a_fault_in_a_layer(shapes, spoil, check, name):
    _, x, y, model = ready(shapes)
    assert check(doctor.layers(model, x, y)).verdict == "ok"
    spoil(model)
    found = check(doctor.layers(model, x, y))
    assert found.verdict == "wrong" and name in found.message


def test_first_loss(shapes):
    _, x, y, model = ready(shapes)
    assert doctor.first_loss(model, x, y, 10).verdict == "ok"
    model.classifier.fc8.weight.data *= 30
    assert doctor.first_loss(model, x, y, 10).verdict == "wrong"
    knows = doctor.first_loss(lambda_net(lambda _: 9.0 * nn.functional.one_hot(y, 10)), x, y, 10)
    assert knows.verdict == "look" and "can't know" in knows.message


def lambda_net(function):
    net = nn.Identity()
    net.forward = function
    return net


def test_guessing_and_outcomes():
    assert doctor.guessing(torch.tensor([0, 1, 0, 1])) == pytest.approx(math.log(2))
    assert doctor.outcome([2.3, 2.2, math.nan], 2.3) == "not finite"
    assert doctor.outcome([2.3] * 100, 2.3) == "stuck"
    assert doctor.outcome([2.3] * 90 + [2.0] * 10, 2.3) == "falling"
    assert doctor.outcome([2.3] * 90 + [1.0] * 10, 2.3) == "learned"
    assert doctor.outcome([2.3] * 6, 2.3) == "no time"


def test_examine_stops_where_it_cannot_go_on(easy, shapes):
    found = doctor.examine(TrainConfig(**SMALL), change(easy, labels=lambda y: y + 1))
    assert found[-1].name == "net" and "fix the labels" in found[-1].message
    found = doctor.examine(TrainConfig(**SMALL, num_classes=7), shapes)
    assert wrong(found) == ["class count"]
    with pytest.raises(datasets.UserError, match="alexnet or cifar"):
        doctor.examine(TrainConfig(**SMALL, model="vgg"), shapes)


def test_an_idle_gpu_is_told(monkeypatch):
    assert "torch" in doctor.environment().numbers
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    assert doctor.environment().verdict == "look"


# A trained net.

@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A net that has learned the four colors."""
    out = tmp_path_factory.mktemp("run")
    data = packed({"train": colored(400, 0), "val": colored(80, 1)})
    run = train(TrainConfig(data="shapes", out=str(out), input_size=36, stored_size=40, width=0.1,
                            batch_size=16, epochs=4, lr_scheduler="constant", device="cpu",
                            precision="fp32"), data, progress=False)
    assert run.history[-1]["val_error"] < 0.2
    return out / CHECKPOINT


def test_a_trained_net(easy, checkpoint):
    net = load_model(checkpoint, "cpu")
    found = doctor.examine(net.config, easy, net)
    assert wrong(found) == []
    renumbered = dataclasses.replace(
        easy, splits={name: Split(s.images, (s.labels + 1) % 4) for name, s in easy.splits.items()})
    [answers] = [f for f in doctor.examine(net.config, renumbered, net) if f.name == "answers"]
    assert answers.verdict == "wrong" and "order of the classes" in answers.message
    other = dataclasses.replace(easy, classes=("blue", "green", "red", "gray"))
    assert wrong(doctor.examine(net.config, other, net)) == ["classes of the net"]
    net.model.train()
    assert "evaluation" in wrong(doctor.examine(net.config, easy, net))
    empty = copy.deepcopy(net)
    for p in empty.model.parameters():
        p.data.mul_(0.01)
    assert "answers" in wrong(doctor.examine(net.config, easy, empty))


def test_a_net_that_begins_with_a_trained_one(capsys, quick, checkpoint):
    """Its own weights are examined; that convolutions are kept is no fault."""
    code, out, _ = run(capsys, "doctor", "--data", "cifar10", "--model", "alexnet", "--variant",
                       "2012", "--input-size", 36, "--width", 0.1, "--batch-size", 16, "--device",
                       "cpu", "--precision", "fp32", "--init-from", checkpoint, "--frozen",
                       "--json", "-")
    found = {f["name"]: f for f in json.loads(out)["findings"]}
    assert code == 0 and [f for f in found.values() if f["verdict"] == "wrong"] == []
    assert found["first loss"]["verdict"] == "ok"
    assert found["first loss"]["numbers"]["loss"] < 0.5 * found["first loss"]["numbers"]["guessing"]
    assert set(found["gradients"]["numbers"]) == {"fc6", "fc7", "fc8"}


def test_a_trained_bf16_net(easy, checkpoint):
    net = load_model(checkpoint, "cpu")
    net.config.precision, net.augment.dtype = "bf16", torch.bfloat16
    assert wrong(doctor.examine(net.config, easy, net)) == []


# The command.

def run(capsys, *args):
    with pytest.raises(SystemExit) as stop:
        cli.main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.fixture
def quick(monkeypatch, shapes, easy):
    """`datasets.load` gives the small data sets above."""
    monkeypatch.setattr(datasets, "load", lambda name, *args, **kwargs:
                        shapes if name == "shapes" else easy)


def test_the_command(capsys, quick, tmp_path):
    report = tmp_path / "doctor.json"
    code, out, err = run(capsys, "doctor", "--device", "cpu", "--lr", 0.3, "--json", report)
    assert code == 0 and "one batch" in out
    assert "torchvision" in out and "WRONG  learning rate" in out and "fc8" in out
    found = json.loads(report.read_text())
    assert "rate" in found["summary"]
    assert {"name", "verdict", "message", "numbers", "fatal"} == set(found["findings"][0])


def test_the_command_on_a_checkpoint(capsys, quick, checkpoint):
    code, out, _ = run(capsys, "doctor", "--data", "cifar10", "--checkpoint", checkpoint,
                       "--device", "cpu", "--json", "-")
    found = json.loads(out)["findings"]
    assert code == 0 and "answers" in [f["name"] for f in found]


@pytest.mark.parametrize("args, word", [
    (("--data", "mnist"), "unknown data"), (("--model", "vgg"), "'vgg' is not one of"),
    (("--checkpoint", "nowhere.safetensors"), "no checkpoint"), (("--input-divisor", 0), "above 0"),
    (("--init", "xavier"), "'xavier' is not one of"), (("--lr", -1), "lr must be above 0"),
    (("--frozen",), "name it with --init-from")])
def test_bad_input_is_one_line(capsys, args, word):
    small = () if "--checkpoint" in args else ("--input-size", 36, "--limit", 50)
    code, out, err = run(capsys, "doctor", *small, *args)
    told = [line for line in err.splitlines() if line.startswith("alexnet: ")]
    assert code == 2 and out == "" and len(told) == 1 and word in told[0]
