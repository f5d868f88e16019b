"""How many photographs a net needs: the runs of `research.transfer`, and the records they left."""

import json
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from alexnet_lib import datasets
from alexnet_lib.research import transfer
from alexnet_lib.research.transfer import Task

LABELS = np.repeat([0, 1, 2], [30, 20, 10])


def test_draws_are_balanced_and_nested():
    small, large = (transfer.drawn(LABELS, count, seed=3) for count in (4, 8))
    assert np.bincount(LABELS[small]).tolist() == [4, 4, 4]
    assert set(small) < set(large) and len(set(large)) == 24
    assert set(small) != set(transfer.drawn(LABELS, 4, seed=4))


def test_a_probe_is_the_minimum_of_what_it_says():
    """The gradient of the objective, in double precision and by autograd, vanishes there."""
    torch.manual_seed(0)
    x, y, decay = 7 * torch.randn(60, 12).relu(), torch.arange(60) % 3, 0.1
    head = transfer.fit_probe(x, y, 3, decay)
    scale = x.double().square().mean().sqrt()
    weight = (head.weight.double() * scale).detach().requires_grad_()
    bias = head.bias.double().detach().requires_grad_()
    loss = (F.cross_entropy(x.double() / scale @ weight.T + bias, y)
            + decay / 2 * weight.square().sum())
    for gradient in torch.autograd.grad(loss, (weight, bias)):
        assert gradient.abs().max() < 1e-3
    again = transfer.fit_probe(1000 * x, y, 3, decay)  # units don't matter
    assert torch.allclose(again(1000 * x), head(x), atol=1e-2)


def test_batches_show_every_image_equally_often():
    found = torch.cat(list(transfer.batches(np.arange(40, 80), 5, torch.Generator())))
    assert len(found) == 5 * transfer.BATCH
    assert np.bincount(found.numpy())[40:].tolist() == [4] * 40


def test_each_layer_learns_at_its_own_rate(monkeypatch):
    seen = {}

    class Noted(torch.optim.SGD):
        def __init__(self, groups, *args, **kwargs):
            seen["rates"] = [group["lr"] for group in groups]
            super().__init__(groups, *args, **kwargs)

    monkeypatch.setattr(torch.optim, "SGD", Noted)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(),
                              torch.nn.Linear(2 * 30 * 30, 2))
    how = transfer.augment(1.0, 32, 36)
    images = np.zeros((8, 36, 36, 3), np.uint8)
    losses = transfer.learn(net, how, images, torch.arange(8) % 2, np.arange(8), 0.9, 1 / 3, 2, 0)
    assert seen["rates"] == pytest.approx([0.3, 0.9]) and len(losses) == 2


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Few drawn pictures instead of flowers, few steps, and one value of each search."""
    drawn = datasets._load_shapes(72, 0, {"train": 60, "val": 20, "test": 30})
    monkeypatch.setattr(transfer.datasets, "load", lambda name, size: drawn)
    for name, value in (("SIZE", 67), ("STORED", 72), ("STEPS", 2), ("BATCH", 8),
                        ("FOLDER", tmp_path), ("SEARCH_COUNT", 3),
                        ("TRIED", {arm: values[:1] for arm, values in transfer.TRIED.items()})):
        monkeypatch.setattr(transfer, name, value)
    for name, made in (("augment", transfer.augment), ("probed", transfer.probed.__wrapped__)):
        monkeypatch.setattr(transfer, name, lambda first, size=67, stored=72, made=made: made(
            first, size, stored))
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)


def test_runs_what_is_missing_and_nothing_else(small, monkeypatch, capsys):
    arms = ("probe", "fine-tuned", "scratch")
    wanted = [Task(arm, 3, 100, transfer.TRIED[arm][0]) for arm in arms]
    wanted += [Task(arm, 3, 0) for arm in arms]
    monkeypatch.setattr(transfer, "tasks", lambda seeds: iter(wanted))
    monkeypatch.setattr(sys, "argv", ["transfer"])
    transfer.main()
    assert len(capsys.readouterr().out.splitlines()) == len(wanted)
    file = small / "fine-tuned-3-seed-0.json"
    before = json.loads(file.read_text())
    file.unlink()
    transfer.main()
    assert len(capsys.readouterr().out.splitlines()) == 1
    again = json.loads(file.read_text())
    assert again["losses"] == before["losses"] and again["confusion"] == before["confusion"]
    assert len(before["losses"]) == 2 and np.sum(before["confusion"]) == 30


def test_searches_come_before_what_needs_them():
    searched = set()
    for task in transfer.tasks(3):
        if task.setting is not None:
            searched.add((task.arm, task.per_class))
            continue
        arm = transfer.SEARCH_OF.get(task.arm, task.arm)
        count = task.per_class if transfer.is_probe(arm) else transfer.SEARCH_COUNT
        assert (arm, count) in searched
        assert arm != "fine-tuned" or ("probe", task.per_class) in searched


# The records.

def test_records_say_what_they_counted():
    found = transfer.records()
    assert {"probe", "untrained", "scratch", "fine-tuned"} <= set(found)
    for by_count in found.values():
        for rows in by_count.values():
            for row in rows:
                confusion = np.array(row["confusion"])
                assert confusion.sum() == 367
                wrong = confusion.sum() - np.trace(confusion)
                assert row["test_error"] == pytest.approx(wrong / 367)
                assert "224 px" in row["provenance"]["data"]


def test_settings_are_those_with_the_lowest_validation_error():
    for arm, by_count in transfer.records().items():
        for count, rows in by_count.items():
            config = rows[0]["config"]
            used = config.get("lr", config.get("decay"))
            assert used == transfer.setting_of(Task(arm, count, 0), transfer.FOLDER)
