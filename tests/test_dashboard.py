"""The dashboard trains as `train` does, stops, goes on, and tells what went wrong."""

import dataclasses
import time

import pytest
import torch

from alexnet_lib import dashboard, datasets
from alexnet_lib.config import TrainConfig
from alexnet_lib.dashboard import Dashboard
from alexnet_lib.errors import UserError
from alexnet_lib.training import train

CONFIG = TrainConfig(data="shapes", input_size=36, stored_size=40, width=0.03, epochs=3,
                     batch_size=16, precision="fp32", device="cpu", variant="2012", lr=0.01)


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 40, counts={"train": 64, "val": 32})


@pytest.fixture(scope="module")
def undisturbed(data):
    return train(CONFIG, data, progress=False)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.model.state_dict().values(),
                                                 two.model.state_dict().values(), strict=True))


def until(condition):
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_it_trains_as_train_does(data, undisturbed, capsys):
    board = Dashboard(CONFIG, data)
    assert (board.start.description, board.stop.disabled) == ("Train", True)
    board.start.click()
    run = board.wait()
    assert same(run, undisturbed) and run.losses == undisturbed.losses
    assert capsys.readouterr().out == "trained: 3 epochs\n"
    assert bytes(board.picture.value[:4]) == b"\x89PNG" and board.bar.value == run.total_steps
    assert board.status.value.startswith("done · epoch 3 of 3 · step 12 of 12 · loss ")
    assert board.start.disabled and board.stop.disabled


def test_stopped_it_goes_on_as_if_nothing_had_been(data, undisturbed, monkeypatch, capsys):
    monkeypatch.setattr(dashboard, "EVERY", 0.0)
    board = Dashboard(CONFIG, data)
    step = board._after_step
    monkeypatch.setattr(board, "_after_step",
                        lambda run: (run.step == 5 and board.stop.click()) or step(run))
    board.begin()
    run = board.wait()
    assert run.step == 5 and "stopped at step 5 of 12" in capsys.readouterr().out
    before = bytes(board.picture.value)
    assert not board.start.disabled and board.start.description == "Continue"
    board.start.click()
    assert same(board.wait(), undisturbed) and bytes(board.picture.value) != before


def test_a_new_dashboard_goes_on_from_the_checkpoint(data, undisturbed, tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, out=str(tmp_path / "run"))
    first = Dashboard(config, data)
    monkeypatch.setattr(first, "_after_step", lambda run: run.step == 7)
    first.wait()
    second = Dashboard(config, data)
    assert second.start.description == "Continue"
    assert same(second.wait(), undisturbed)


def test_the_fields_count_until_it_begins(data):
    board = Dashboard(CONFIG, data)
    board.fields["epochs"].value, board.fields["lr"].value = 1, 0.002
    board.fields["variant"].value = "paper"
    run = board.wait()
    assert (run.config.epochs, run.config.lr, run.config.variant) == (1, 0.002, "paper")
    assert all(field.disabled for field in board.fields.values())
    assert not Dashboard(CONFIG, data, adjust=False).fields


def test_an_interrupted_cell_stops_the_run(data, monkeypatch, capsys):
    board = Dashboard(dataclasses.replace(CONFIG, epochs=1000), data)
    board.fields["epochs"].value = 1000
    board.begin()
    until(lambda: board.run and board.run.step > 2)
    join, calls = board._thread.join, []

    def interrupted():
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        join()
    monkeypatch.setattr(board._thread, "join", interrupted)
    run = board.wait()
    assert not run.finished and "stopped at step" in capsys.readouterr().out


def test_what_goes_wrong_is_told(data):
    board = Dashboard(dataclasses.replace(CONFIG, data="nowhere"), adjust=False)
    with pytest.raises(UserError, match="unknown data 'nowhere'"):
        board.wait()
    assert board.status.value.startswith("⚠ unknown data") and not board.start.disabled
    board = Dashboard(CONFIG, data)
    board.fields["lr"].value = 10.0
    board.fields["epochs"].value = 100
    with pytest.raises(UserError, match="the loss is"):
        board.wait()
