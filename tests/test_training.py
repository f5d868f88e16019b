"""Training: it learns, it resumes exactly, it survives kills, it refuses what cannot be."""

import contextlib
import dataclasses
import json
import math
import os
import signal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from alexnet_lib import datasets
from alexnet_lib.checkpoints import read_checkpoint, write_atomically, write_checkpoint
from alexnet_lib.config import TrainConfig, build_model, resolve
from alexnet_lib.errors import Diverged, UserError
from alexnet_lib.reporting import command_line
from alexnet_lib.training import Trainer, train
from alexnet_lib.weights import load_model

TINY = {"data": "shapes", "input_size": 36, "stored_size": 40, "width": 0.03, "epochs": 2,
        "batch_size": 16, "precision": "fp32", "device": "cpu"}


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 40, counts={"train": 64, "val": 32})


def weights(run):
    return {name: t.clone() for name, t in run.model.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def test_a_net_learns_a_few_images_by_heart(data):
    run = Trainer(TrainConfig(**TINY | {"width": 0.1, "limit": 8, "batch_size": 8, "dropout": 0.0,
                                        "crop": False, "flip": False}), data)
    run.start_epoch()
    for _ in range(200):
        run.train_step()
    assert run.collect() < 0.5 < 2 < run.losses[0]


def test_a_step_is_the_printed_rule_on_the_gradient_of_the_mean_loss(data):
    run = Trainer(TrainConfig(**TINY | {"dropout": 0.0}), data)
    run.start_epoch()
    before, (x, labels) = weights(run), run.batch()
    loss = F.cross_entropy(run.model(x), labels)
    gradient = torch.autograd.grad(loss, run.model.features.conv2.weight)[0]
    run.train_step()
    old = before["features.conv2.weight"]
    torch.testing.assert_close(run.model.features.conv2.weight.detach(),
                               old - 0.01 * gradient - 0.01 * 0.0005 * old)
    assert run.collect() == pytest.approx(loss.item(), rel=1e-5)


def test_history_is_what_happened(data):
    seen = []
    run = train(TrainConfig(**TINY), data, progress=False, on_epoch=lambda h: seen.append(len(h)))
    assert seen == [1, 2] and run.step == len(run.losses) == 8
    row = run.history[-1]
    assert row["train_loss"] == pytest.approx(np.mean(run.losses[4:]))
    assert row["train_error"] == pytest.approx(sum(run.num_errors[4:]) / 64)
    val = data.splits["val"]
    with torch.no_grad():
        logits = run.model.eval()(run.augment.view(val.images, range(32)))
    wrong = (logits.argmax(1).numpy() != val.labels).mean()
    assert row["val_error"] == pytest.approx(wrong)
    labels = torch.from_numpy(val.labels)
    assert row["val_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-4)


def test_the_seed_decides_everything(data):
    one, two, other = (train(TrainConfig(**TINY, seed=s), data, progress=False) for s in (1, 1, 2))
    assert same(weights(one), weights(two)) and one.losses == two.losses
    assert not same(weights(one), weights(other))


@pytest.mark.parametrize("stop", [1, 4, 6])
@pytest.mark.parametrize("schedule", ["plateau", "145"])
def test_resuming_is_the_same_run_bit_for_bit(data, tmp_path, stop, schedule):
    config = TrainConfig(**TINY, out=str(tmp_path), lr_scheduler=schedule)
    whole = train(dataclasses.replace(config, out=None), data, progress=False)
    half = Trainer(config, data)
    for _ in range(stop):
        if half.step % half.steps_per_epoch == 0:
            half.start_epoch()
        half.train_step()
        if half.step % half.steps_per_epoch == 0:
            half.end_epoch()
    half.save()
    resumed = train(config, data, resume=True, progress=False)
    assert same(weights(whole), weights(resumed))
    assert resumed.losses == whole.losses
    timeless = [[{k: v for k, v in row.items() if k not in ("seconds", "images_per_s")}
                 for row in run.history] for run in (whole, resumed)]
    assert timeless[0] == timeless[1]


def test_a_run_ends_at_the_error_asked_for(data, tmp_path):
    config = TrainConfig(**TINY | {"epochs": 5, "out": str(tmp_path)}, until_error=1.0)
    run = train(config, data, progress=False)
    assert len(run.history) == 1 and run.finished and run.step == run.steps_per_epoch
    again = train(config, data, resume=True, progress=False)
    assert again.step == run.step and same(weights(again), weights(run))
    endless = dataclasses.replace(config, out=None, until_error=0.0)
    assert len(train(endless, data, progress=False).history) == 5


def test_a_failed_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("good")

    def full_disk(beside):
        beside.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="earlier file is intact"):
        write_atomically(path, full_disk)
    assert path.read_text() == "good" and list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_brings_back_the_net(data, tmp_path):
    run = train(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False)
    net = load_model(tmp_path, "cpu")
    x = run.augment.view(data.splits["val"].images, range(8))
    assert torch.equal(net.model(x), run.model.eval()(x))
    assert net.classes == data.classes and net.meta["fingerprint"] == data.fingerprint
    np.testing.assert_array_equal(net.augment.mean.numpy(), data.mean)
    record = json.loads((tmp_path / "history.json").read_text())
    assert record["history"] == run.history
    assert record["provenance"]["seeds"] == 0 and "command" in record["provenance"]


@pytest.mark.parametrize("argv, told", [
    (["/home/me/.venv/bin/alexnet", "train", "--out", "my runs"], "alexnet train --out 'my runs'"),
    (["/home/me/course/alexnet_lib/__main__.py", "info"], "python -m alexnet_lib info"),
    (["/usr/lib/ipykernel_launcher.py", "-f", "/home/me/kernel-1.json"], "in a notebook"),
    (["my-script.py"], "my-script.py"),
])
def test_a_record_tells_its_command_without_folders_of_the_machine(argv, told):
    assert command_line(argv) == told


def test_a_loss_that_is_not_finite_stops_the_run(data):
    run = Trainer(TrainConfig(**TINY), data)
    run.start_epoch()
    with torch.no_grad():
        run.model.classifier.fc8.weight.fill_(math.nan)
    run.train_step()
    for _ in range(2):  # the second time, nothing is counted twice
        with contextlib.suppress(Diverged):
            run.collect()
    assert len(run.losses) == len(run.num_errors) == 1


def test_an_interrupted_run_without_a_folder_says_so(data, capsys):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            train(TrainConfig(**TINY), data, progress=False,
                  on_step=lambda run: run.step == 2 and os.kill(os.getpid(), signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted at step 2, and not kept: run the cell again" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_run_that_diverged_keeps_its_last_good_checkpoint(data, tmp_path, bad):
    """Also where the last update before a checkpoint spoilt the weights, which no loss tells."""
    run = train(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False,
                on_step=lambda run: run.step == 2)
    good = run.path.read_bytes()
    with torch.no_grad():
        run.model.classifier.fc8.bias.fill_(bad)
    with pytest.raises(Diverged, match="after step 2, .*last good checkpoint, for --init-from: "
                                       ".*last.safetensors"):
        run.save()
    run.train_step()
    with pytest.raises(Diverged, match="loss is (nan|inf) at step 3, rate 0.01: begin again "
                                       "with a lower --lr and another --out; "
                                       "last good checkpoint, for --init-from: "):
        run.save()
    assert run.path.read_bytes() == good


@pytest.mark.parametrize("schedule, noisy", [
    ("145", [*range(20)]), ("restart", [*range(13), *range(19, 25)])])
def test_when_there_is_color_noise(data, schedule, noisy):
    """Off from epoch 67 of 91 on; with a restart, of 67 of 135, and back from 91 to 124."""
    run = Trainer(TrainConfig(**TINY | {"lr_scheduler": schedule, "epochs": 27, "color": "2012"}),
                  data)
    asked = []
    run.augment.train = lambda images, index, generator, color, share: asked.append(color)
    for epoch in range(27):
        run.batches.at(epoch * run.steps_per_epoch)
    assert [epoch for epoch, color in enumerate(asked) if color == "2012"] == noisy


def test_a_limit_takes_images_of_all_classes(data):
    """Also where they lie class by class."""
    train_split = data.splits["train"]
    order = np.argsort(train_split.labels, kind="stable")
    by_class = dataclasses.replace(data, splits=data.splits | {
        "train": datasets.Split(train_split.images[order], train_split.labels[order])})
    run = Trainer(TrainConfig(**TINY | {"limit": 40}), by_class)
    assert len(run.batches.labels) == len(run.batches.images) == 40
    assert len(run.batches.labels.unique()) > 5
    mixed = Trainer(TrainConfig(**TINY | {"limit": 40}), data)
    np.testing.assert_array_equal(mixed.batches.images, train_split.images[:40])


def test_bf16_trains_like_fp32(data):
    """The first losses agree: mixed precision changes digits, before chance drives runs apart."""
    losses = [train(TrainConfig(**TINY | {"precision": p, "dropout": 0.0}), data,
                    progress=False).losses for p in ("fp32", "bf16")]
    np.testing.assert_allclose(losses[0][:4], losses[1][:4], rtol=0.01)


def test_gray_images_train(data):
    run = train(TrainConfig(**TINY | {"in_channels": 1, "epochs": 1}), data, progress=False)
    assert run.model.features.conv1.in_channels == 1


def test_presets():
    paper = resolve(TrainConfig(data="imagenette"))
    assert (paper.variant, paper.input_size, paper.stored_size) == ("paper", 227, 256)
    assert (paper.lr_scheduler, paper.lr) == ("plateau", 0.01)
    assert (paper.bias_lr_factor, paper.crop_group_size) == (1.0, 1)
    source = resolve(TrainConfig(data="imagenette", variant="2012"))
    assert (source.lr_scheduler, source.bias_lr_factor, source.crop_group_size) == ("145", 2.0, 32)
    assert (source.mean_at, source.color, source.epochs) == ("center", "2012", 91)
    cifar = resolve(TrainConfig(data="cifar10"))
    assert (cifar.model, cifar.input_size, cifar.lr, cifar.crop) == ("cifar", 32, 0.002, False)
    assert resolve(TrainConfig(data="imagenette", input_size=115)).stored_size == 130
    shapes = resolve(TrainConfig())
    assert (shapes.input_size, shapes.stored_size, shapes.width) == (59, 64, 0.25)
    assert resolve(TrainConfig(input_size=115)).stored_size == 130


@pytest.mark.parametrize("settings, word", [
    ({"model": "vgg"}, "alexnet or cifar"), ({"epochs": 0}, "epochs must be"),
    ({"batch_size": 0}, "batch-size must be"), ({"lr": -1.0}, "lr must be"),
    ({"lr": math.nan}, "lr must be"), ({"precision": "fp8"}, "fp32 or bf16"),
    ({"device": "tpu"}, "no device"), ({"in_channels": 4}, "in-channels"),
    ({"num_classes": 7}, "10 classes"), ({"lr_scheduler": "cosine"}, "lr-scheduler"),
    ({"variant": "2014"}, "paper or 2012"), ({"input_size": 41}, "do not fit"),
    ({"input_size": 20}, "use 36 or more"), ({"color": "pink"}, "color"),
    ({"crop_group_size": 0}, "crop-group-size must be 1"),
    ({"input_divisor": 0.0}, "input-divisor must be above 0"),
    ({"width": math.inf}, "width must be"), ({"color_until": 7.0}, "from 0 to 1"),
    ({"until_error": -0.1}, "from 0 to 1"), ({"hidden_bias": math.nan}, "finite"),
    ({"pool": (0, 2)}, "window and a stride"), ({"omit_layer": "conv6"}, "omit-layer"),
])
def test_bad_configuration_is_told_in_one_line(data, settings, word):
    with pytest.raises(UserError, match=word) as error:
        train(TrainConfig(**TINY | settings), data, progress=False)
    assert "\n" not in str(error.value)


def test_resuming_another_run_is_refused(data, tmp_path):
    config = TrainConfig(**TINY, out=str(tmp_path))
    train(config, data, progress=False)
    with pytest.raises(UserError, match="exists already"):
        train(config, data, progress=False)
    with pytest.raises(UserError, match="lr 0.01 -> 0.5"):
        train(dataclasses.replace(config, lr=0.5), data, resume=True, progress=False)
    with pytest.raises(UserError, match="other data"):
        train(config, datasets.load("shapes", 40, seed=1, counts={"train": 64, "val": 32}),
              resume=True, progress=False)
    with pytest.raises(UserError, match="nothing to resume"):
        train(dataclasses.replace(config, out=str(tmp_path / "new")), data, resume=True)
    with pytest.raises(UserError, match="needs --out"):
        train(dataclasses.replace(config, out=None), data, resume=True)


def test_a_checkpoint_from_before_a_choice_was_there_goes_on(data, tmp_path):
    config = TrainConfig(**TINY, out=str(tmp_path))
    run = train(config, data, progress=False)
    tensors, meta = read_checkpoint(run.path)
    for later in ("hidden", "connect_columns"):
        del meta["config"][later]
    write_checkpoint(run.path, tensors, meta)
    assert train(config, data, resume=True, progress=False).step == run.step
    with pytest.raises(UserError, match="hidden 4096 -> 512"):
        train(dataclasses.replace(config, hidden=512), data, resume=True, progress=False)


def test_a_checkpoint_without_its_losses_cannot_be_resumed(data, tmp_path):
    """As an earlier version wrote it, or as `export` does; its weights can still be begun with."""
    config = TrainConfig(**TINY, out=str(tmp_path))
    run = train(config, data, progress=False)
    tensors, meta = read_checkpoint(run.path)
    del tensors["run.losses"]
    write_checkpoint(run.path, tensors, meta)
    with pytest.raises(UserError, match="earlier version.*--init-from"):
        train(config, data, resume=True, progress=False)


def test_damaged_checkpoints_are_told(data, tmp_path):
    run = train(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False)
    whole = run.path.read_bytes()
    run.path.write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        load_model(run.path)
    tensors, meta = {"a": torch.zeros(1)}, {"alexnet": json.dumps({"format": 99, "config": {}})}
    save_file(tensors, run.path, meta)
    with pytest.raises(UserError, match="another version"):
        load_model(run.path)
    save_file(tensors, run.path)
    with pytest.raises(UserError, match="not a checkpoint"):
        read_checkpoint(run.path)


def test_batches_cut_ahead_are_the_same_batches(data):
    """What a GPU gets when its memory cannot hold the store."""
    from concurrent.futures import ThreadPoolExecutor
    here, ahead = Trainer(TrainConfig(**TINY), data), Trainer(TrainConfig(**TINY), data)
    ahead.batches._worker = ThreadPoolExecutor(1)
    for _ in range(2 * here.steps_per_epoch):
        for ours, theirs in zip(ahead.batch(), here.batch(), strict=True):
            assert torch.equal(ours, theirs)
        here.step, ahead.step = here.step + 1, ahead.step + 1
    ahead.step = 1  # as after restoring a checkpoint
    here.step = 1
    assert torch.equal(ahead.batch()[0], here.batch()[0])


def test_only_cuda_has_its_batches_cut_by_another_thread(data, monkeypatch):
    """A second thread with tensors crashes on MPS; "meta", without data, stands for it here."""
    monkeypatch.setattr("alexnet_lib.config.pick_device", lambda name: "meta")
    assert Trainer(TrainConfig(**TINY), data).batches._worker is None


def test_asking_for_a_net_leaves_the_generators_of_gpus_alone(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    build_model(resolve(TrainConfig(**TINY, num_classes=10)))
    assert not seeded


def test_asking_for_a_net_leaves_the_callers_random_numbers_alone(data, tmp_path):
    run = train(TrainConfig(**TINY | {"epochs": 1}, out=str(tmp_path)), data, progress=False)
    for call in (lambda: resolve(TrainConfig()), lambda: load_model(run.path, "cpu")):
        torch.manual_seed(123)
        expected = torch.rand(3)
        torch.manual_seed(123)
        call()
        assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("choice", [{"columns": 1}, {"dropout": 0.0}, {"width": 0.5},
                                    {"hidden": 10}, {"connect_columns": False},
                                    {"hidden_bias": 0.0}, {"omit_layer": "conv3"}])
def test_the_small_net_refuses_what_only_alexnet_has(choice):
    with pytest.raises(UserError, match="the CIFAR net has no choice of"):
        resolve(TrainConfig(data="cifar10", **choice))


def test_two_writers_of_one_file_do_not_meet(tmp_path, monkeypatch):
    path = tmp_path / "ledger.json"

    def write(beside):  # a second process begins and ends while the first one writes
        beside.write_text("first")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        write_atomically(path, lambda other: other.write_text("second"), shared=True)
        monkeypatch.undo()

    write_atomically(path, write, shared=True)
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]
