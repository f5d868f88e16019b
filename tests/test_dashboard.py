"""The dashboard trains as `train` does, stops, goes on, and tells what went wrong."""

import base64
import dataclasses
import importlib.util
import os
import re
import signal
import sys
import threading
import time

import ipywidgets
import pytest
import torch

from alexnet_lib import datasets
from alexnet_lib.config import TrainConfig, resolve
from alexnet_lib.course import dashboard
from alexnet_lib.course.dashboard import Dashboard
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


def test_it_trains_as_train_does(data, undisturbed, capsys):
    board = Dashboard(CONFIG, data)
    assert (board.start.description, board.stop.disabled) == ("Train", True)
    board.start.click()
    run = board.wait()
    assert same(run, undisturbed) and run.losses == undisturbed.losses
    told = capsys.readouterr()
    assert told.out == "trained: 3 epochs\n"
    assert "100%|" in told.err and "done · epoch 3 of 3 · step 12 of 12" in told.err
    image = re.fullmatch(r'<img alt="Loss and errors up to step 12" .*;base64,(.+)">',
                         board.picture.value)
    assert base64.b64decode(image[1])[:4] == b"\x89PNG" and board.bar.value == run.total_steps
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
    before = board.picture.value
    assert not board.start.disabled and board.start.description == "Continue"
    board.start.click()
    assert same(board.wait(), undisturbed) and board.picture.value != before


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


def test_an_interrupted_cell_stops_the_run_at_the_end_of_a_step(data, monkeypatch, capsys):
    board = Dashboard(dataclasses.replace(CONFIG, epochs=1000), data)
    step = board._after_step

    def interrupted(run):
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            assert board._stop.wait(60)
            time.sleep(0.1)  # the step is not over yet
        return step(run)
    monkeypatch.setattr(board, "_after_step", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job ignores it
    try:
        run = board.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.step == 3 and "stopped at step 3 of 4000" in capsys.readouterr().out
    assert board.status.value.startswith("stopped · ") and board.start.description == "Continue"


def test_the_main_thread_alone_shows_the_whole_run(data, monkeypatch):
    arrived, pictures = {}, []
    send = ipywidgets.Widget.send_state

    def only_from_the_main_thread(widget, key=None):  # as Colab does
        if threading.current_thread() is threading.main_thread():
            arrived.setdefault(widget, {}).update(widget.get_state(key))
            pictures.extend([key] * (widget is board.picture))
            send(widget, key)
    board = Dashboard(CONFIG, data)
    monkeypatch.setattr(ipywidgets.Widget, "send_state", only_from_the_main_thread)
    run = board.wait()
    assert arrived[board.status]["value"].startswith("done · epoch 3 of 3")
    assert arrived[board.bar]["value"] == arrived[board.bar]["max"] == run.total_steps
    assert arrived[board.picture]["value"] == board.picture.value
    assert arrived[board.stop]["disabled"] and arrived[board.start]["disabled"]
    board._send()
    sent = len(pictures)
    board._send()
    assert len(pictures) == sent > 0  # the same one is not sent twice


def test_without_widgets_there_is_a_progress_bar(data, undisturbed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    spec = importlib.util.spec_from_file_location("unseen", dashboard.__file__)
    bare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bare)
    board = bare.Dashboard(CONFIG, data)
    assert "call wait()" in repr(board)
    assert same(board.wait(), undisturbed)
    told = capsys.readouterr()
    assert told.out == "trained: 3 epochs\n" and "100%|" in told.err


def test_what_the_configuration_leaves_open_is_that_of_the_data():
    def values(**choices):
        board = Dashboard(TrainConfig(device="cpu", **choices))
        return board, {name: field.value for name, field in board.fields.items()}

    board, cifar = values(data="cifar10")
    assert (cifar["variant"], cifar["epochs"], cifar["lr"]) == ("18pct", 140, 0.002)
    assert board.fields["variant"].options == dashboard.VARIANTS["cifar"]
    board, photographs = values(data="imagenette")
    assert (photographs["variant"], photographs["epochs"]) == ("paper", 90)
    assert board.fields["variant"].options == ("paper", "2012")
    for model, variants in dashboard.VARIANTS.items():
        for variant in variants:
            resolve(TrainConfig(model=model, variant=variant, device="cpu"))
    assert values()[1] == {"epochs": 20, "batch_size": 128, "lr": 0.01, "variant": "2012",
                           "data": "shapes"}


def test_other_data_bring_their_net_but_leave_what_was_chosen(data):
    board = Dashboard(dataclasses.replace(CONFIG, width=0.25), data)
    board.fields["epochs"].value = 7
    board.fields["data"].value = "cifar10"
    assert {name: field.value for name, field in board.fields.items()} == {
        "epochs": 7, "batch_size": 16, "lr": 0.002, "variant": "18pct", "data": "cifar10"}
    board.fields["data"].value = "cifra10"
    assert board.status.value.startswith("⚠ unknown data 'cifra10': did you mean cifar10?")
    board.fields["data"].value = "imagenette"
    config = board._with({name: field.value for name, field in board.fields.items()})
    assert (config.variant, config.lr, config.input_size, config.width) == ("2012", 0.01, 36, 0.25)
    assert board.status.value == "ready"


def test_the_named_data_are_loaded(data, monkeypatch):
    loaded, asked = dataclasses.replace(data, name="photographs"), []
    monkeypatch.setattr(datasets, "load",
                        lambda name, size, **options: asked.append((name, size)) or loaded)
    monkeypatch.setattr(datasets, "native_size", lambda name: 256)
    board = Dashboard(dataclasses.replace(CONFIG, epochs=1), data)
    board.fields["data"].value = "folder:photographs"
    run = board.wait()
    assert run.dataset is loaded and run.config.data == "folder:photographs"
    assert asked == [("folder:photographs", 40)]


def test_a_kept_run_brings_the_choices_it_was_begun_with(data, tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, out=str(tmp_path / "run"))
    first = Dashboard(config, data)
    first.fields["lr"].value, first.fields["epochs"].value = 0.005, 2
    monkeypatch.setattr(first, "_after_step", lambda run: run.step == 5)
    begun = first.wait().history[:]
    second = Dashboard(config, data)
    assert second.status.value.startswith("ready to go on with the run in ")
    run = second.wait()
    assert (run.config.lr, run.config.epochs, run.step) == (0.005, 2, 8)
    assert run.history[:1] == begun and len(run.history) == 2


def test_what_goes_wrong_is_told(data):
    board = Dashboard(dataclasses.replace(CONFIG, data="nowhere"), adjust=False)
    with pytest.raises(UserError, match="unknown data 'nowhere'"):
        board.wait()
    assert board.status.value.startswith("⚠ unknown data") and not board.start.disabled


def test_what_was_wrong_may_be_mended_before_it_waits_again(data, undisturbed, monkeypatch):
    def missing(*args, **options):
        raise UserError("no folder")

    board = Dashboard(CONFIG, data)
    with monkeypatch.context() as broken, pytest.raises(UserError, match="^no folder$"):
        broken.setattr(dashboard, "begin", missing)
        board.wait()
    assert same(board.wait(), undisturbed)


def test_after_a_rate_that_was_too_high_it_begins_anew(data, undisturbed):
    board = Dashboard(CONFIG, data)
    board.fields["lr"].value = 10.0
    board.fields["epochs"].value = 100
    with pytest.raises(UserError, match="the loss is .* rate 10: begin again with a lower rate$"):
        board.wait()
    assert board.status.value.endswith("begin again with a lower rate")
    assert not any(field.disabled for field in board.fields.values())
    assert board.start.description == "Train" and not board.start.disabled
    board.fields["lr"].value, board.fields["epochs"].value = CONFIG.lr, CONFIG.epochs
    board.start.click()
    assert same(board.wait(), undisturbed)


def test_options_of_the_command_line_are_told_in_the_words_of_the_fields():
    assert dashboard.in_words("no memory: --batch-size 8 does, or a smaller --input-size") == (
        "no memory: minibatch 8 does, or a smaller input_size")
    assert dashboard.in_words("runs/my--lr/last exists") == "runs/my--lr/last exists"
