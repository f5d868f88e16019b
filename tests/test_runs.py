"""The life of a run: started or resumed by one command, stopped by signals, alone in its folder,
prolonged, and what it leaves behind.
"""

import dataclasses
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from torch import distributed as dist
from torch.nn import functional as F
from torchvision.models import alexnet

from alexnet_lib import cli, datasets, parallel, training
from alexnet_lib.checkpoints import BEST, CHECKPOINT, HISTORY, read_checkpoint
from alexnet_lib.choices import NetConfig, TrainConfig, having
from alexnet_lib.config import resolve
from alexnet_lib.errors import UserError
from alexnet_lib.models import CifarNet
from alexnet_lib.parallel import Group, processes
from alexnet_lib.resume import check_same_run, start_line
from alexnet_lib.training import begin, go_on, train
from alexnet_lib.weights import export, load_model, load_pretrained

TINY = {"data": "shapes", "input_size": 36, "stored_size": 40, "width": 0.03, "epochs": 2,
        "batch_size": 16, "precision": "fp32", "device": "cpu"}


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 40, counts={"train": 64, "val": 32}, progress=False)


def weights(run):
    return {name: t.clone() for name, t in run.model.state_dict().items()}


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def stop_at(step):
    return lambda run: run.step == step


# Start or resume.

def test_one_call_starts_a_run_and_resumes_it(data, tmp_path):
    config = TrainConfig(**TINY, out=str(tmp_path / "run"))
    lines = []
    train(config, data, resume="auto", progress=False, on_step=stop_at(3), say=lines.append)
    assert not any("resumed" in line for line in lines)
    run = train(config, data, resume="auto", progress=False, say=lines.append)
    assert any("resumed at step 3 of 8" in line for line in lines)
    whole = train(TrainConfig(**TINY), data, progress=False)
    assert run.losses == whole.losses and same(weights(run), weights(whole))


@pytest.mark.parametrize("words, asked", [
    (["--resume"], True), (["--resume", "auto"], "auto"), (["--resume=auto"], "auto"), ([], None),
    (["--resume", "--seed", "1"], True)])
def test_resume_with_and_without_a_word(monkeypatch, tmp_path, words, asked):
    found = []

    def stop(config, *, resume, **more):
        found.append(resume)
        raise UserError("enough")

    monkeypatch.setattr(training, "train", stop)
    for order in ([*words, "--out", str(tmp_path)], ["--out", str(tmp_path), *words]):
        with pytest.raises(SystemExit):
            cli.main(["train", *order])
    assert found == [asked] * 2


def test_the_first_command_stays_in_the_record(data, tmp_path, monkeypatch):
    config = TrainConfig(**TINY, out=str(tmp_path))
    for step, word in ((2, "first"), (5, "second"), (8, "third")):
        monkeypatch.setattr(sys, "argv", ["alexnet", word])
        train(config, data, resume="auto", progress=False, on_step=stop_at(step))
    record = json.loads((tmp_path / HISTORY).read_text())
    assert [row["command"] for row in record["commands"]] == [
        "alexnet first", "alexnet second", "alexnet third"]
    assert all(len(row["date"]) == 10 for row in record["commands"])
    assert record["provenance"]["command"] == "alexnet first"


def test_a_folder_that_the_machines_do_not_share(tmp_path, data):
    """Process 0 has found a checkpoint that this process does not see."""
    store = dist.HashStore()
    store.set("value/0", "resume")
    config = TrainConfig(**TINY, out=str(tmp_path))
    with pytest.raises(UserError, match="must be a folder that all machines share"):
        begin(config, data, resume="auto", progress=False, group=Group(1, 2, "cpu", store))


# Longer, or otherwise.

@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_more_epochs_are_the_longer_run(data, tmp_path, schedule):
    config = TrainConfig(**TINY, lr_scheduler=schedule, color="none", out=str(tmp_path))
    train(config, data, progress=False)
    lines = []
    train(config, data, resume=True, progress=False, say=lines.append)
    assert any("is finished" in line and "--resume --epochs 4" in line for line in lines)
    config = dataclasses.replace(config, epochs=4)
    longer = train(config, data, resume=True, progress=False)
    whole = train(dataclasses.replace(config, out=None), data, progress=False)
    assert longer.losses == whole.losses and same(weights(longer), weights(whole))


@pytest.mark.parametrize("choices, change", [
    ({"lr_scheduler": "145"}, {"epochs": 5}), ({"lr_scheduler": "cifar"}, {"epochs": 5}),
    ({"lr_scheduler": "constant", "color": "2012", "color_until": 0.5}, {"epochs": 5}),
    ({}, {"lr": 0.5}), ({}, {"batch_size": 8})])
def test_another_run_is_refused_with_the_line_that_begins_it(data, tmp_path, choices, change):
    config = TrainConfig(**TINY | choices, out=str(tmp_path / "my run"))
    run = train(config, data, progress=False)
    with pytest.raises(UserError, match="of another configuration") as error:
        train(dataclasses.replace(config, **change), data, resume=True, progress=False)
    line = str(error.value)[str(error.value).index("alexnet train"):]
    meant = {"epochs": 3} if "epochs" in change else change
    assert line == start_line(run.path, dataclasses.replace(run.config, **meant))
    with pytest.raises(UserError, match="width") as error:  # whose weights would not fit
        train(dataclasses.replace(config, width=0.1), data, resume=True, progress=False)
    assert "--init-from" not in str(error.value)


@pytest.mark.parametrize("choices", [
    {}, {"pool": (2, 2), "input_size": 59}, {"connect_columns": False, "lrn": False, "seed": 3},
    {"variant": "paper", "lr_scheduler": "plateau", "limit": 5},
    {"frozen": True, "init_from": "it"},
    {"model": "cifar", "input_size": 32, "crop": False}, {"data": "cifar10", "lr": 0.1}])
def test_the_line_to_type_says_all_choices(tmp_path, choices):
    config = resolve(TrainConfig(**choices))
    words = shlex.split(start_line(tmp_path / "my run" / CHECKPOINT, config))
    given = cli.train.make_context("train", words[2:]).params
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    again = resolve(TrainConfig(**{name: value for name, value in given.items()
                                   if name in fields and value is not None}))
    where = {"init_from": str(tmp_path / "my run" / CHECKPOINT), "out": str(tmp_path / "my run")}
    assert again == dataclasses.replace(config, **where)


def test_the_printed_line_runs(data, tmp_path, monkeypatch, capsys):
    config = TrainConfig(**TINY, out=str(tmp_path / "run"), lr_scheduler="145")
    train(config, data, progress=False)
    lines = []
    train(config, data, resume=True, progress=False, say=lines.append)
    line = next(line for line in lines if "is finished" in line)
    monkeypatch.setattr(datasets, "load", lambda *args, **more: data)
    with pytest.raises(SystemExit) as stop:
        cli.main(shlex.split(line[line.index("alexnet train"):])[1:])
    assert stop.value.code == 0, capsys.readouterr().err
    assert (tmp_path / "run-2" / BEST).exists()


# Signals.

HANGUP = [pytest.param("SIGHUP", 129, marks=pytest.mark.skipif(
    not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP"))]


@pytest.mark.parametrize("name, code", [("SIGTERM", 143), *HANGUP])
def test_a_signal_saves_and_ends(data, tmp_path, name, code, request):
    number = getattr(signal, name)
    before, outer = signal.SIG_DFL, signal.getsignal(number)  # under nohup, SIGHUP is ignored
    signal.signal(number, before)
    request.addfinalizer(lambda: signal.signal(number, outer))
    config = TrainConfig(**TINY, out=str(tmp_path))
    with pytest.raises(SystemExit) as stop:
        train(config, data, progress=False,
              on_step=lambda run: run.step == 3 and signal.raise_signal(number))
    assert stop.value.code == code and signal.getsignal(number) == before
    assert read_checkpoint(tmp_path)[1]["step"] == 3
    run = train(config, data, resume=True, progress=False)
    assert run.losses == train(TrainConfig(**TINY), data, progress=False).losses


def test_the_second_signal_ends_at_once(data, tmp_path):
    def twice(run):
        if run.step == 6:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("went on")

    with pytest.raises(SystemExit):
        train(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False, on_step=twice)
    assert read_checkpoint(tmp_path)[1]["step"] == 4  # of the end of the first epoch


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_a_signal_that_is_ignored_stays_so(data):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = train(TrainConfig(**TINY), data, progress=False,
                    on_step=lambda run: os.kill(os.getpid(), signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run.finished


def test_another_thread_leaves_signals_alone(data):
    before, seen = signal.getsignal(signal.SIGTERM), []
    thread = threading.Thread(target=train, args=(TrainConfig(**TINY), data), kwargs={
        "progress": False, "on_step": lambda run: seen.append(signal.getsignal(signal.SIGTERM))})
    thread.start()
    thread.join()
    assert len(seen) == 8 and set(seen) == {before}


# The folder.

def test_a_second_run_in_the_folder_is_refused(data, tmp_path):
    config, refused = TrainConfig(**TINY, out=str(tmp_path)), []

    def another(run):
        for resume in (False, "auto"):
            try:
                train(config, data, resume=resume, progress=False)
            except UserError as error:
                refused.append(str(error))

    run = train(config, data, progress=False, on_step=another)
    assert len(refused) == 16 and all("another run is at work" in line for line in refused)
    assert run.finished
    train(config, data, resume=True, progress=False)  # and now it may


def test_a_lock_ends_with_its_process(data, tmp_path):
    program = ("import sys, time, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); "
               "print('here', flush=True); time.sleep(60)")
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / ".lock")],
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"here"
    config = TrainConfig(**TINY, out=str(tmp_path))
    with pytest.raises(UserError, match="another run is at work"):
        begin(config, data, progress=False)
    holder.kill()
    holder.communicate()
    begin(config, data, progress=False)


def test_a_failed_begin_lets_others_in(data, tmp_path):
    with pytest.raises(UserError):
        begin(TrainConfig(**TINY, out=str(tmp_path), init_from="nowhere"), data, progress=False)
    begin(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False)


def test_a_run_that_another_has_overtaken_does_not_go_on(data, tmp_path):
    """A dashboard that was stopped, while another one went on in its folder."""
    config = TrainConfig(**TINY, out=str(tmp_path))
    early = begin(config, data, progress=False)
    go_on(early, progress=False, on_step=stop_at(2))
    time.sleep(0.02)  # what a file system can tell apart
    train(config, data, resume=True, progress=False)
    with pytest.raises(UserError, match="another run has changed"):
        go_on(early, progress=False)
    assert read_checkpoint(tmp_path)[1]["step"] == 8


def test_what_a_killed_write_left_is_removed_and_nothing_else(data, tmp_path):
    for name in (CHECKPOINT, BEST, HISTORY):
        half = tmp_path / f"{name}.part"
        half.mkdir()
        (half / name).write_text("half")
        (half / ".tmpAbC123").write_text("half")
    theirs = [tmp_path / ".tmpAbC123", tmp_path / "thesis.part", tmp_path / "x.part" / CHECKPOINT]
    for file in theirs:
        file.parent.mkdir(exist_ok=True)
        file.write_text("whole")
    begin(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False)
    assert not list(tmp_path.glob("*.safetensors.part")) and all(f.exists() for f in theirs)
    mine = tmp_path / f"{CHECKPOINT}.part" / "notes"  # in the way, but not ours
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(UserError, match="could not write"):
        train(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False)
    assert mine.read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_of_any_new_file(data, tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        run = train(TrainConfig(**TINY, out=str(tmp_path / "run")), data, progress=False)
        export(run.path, tmp_path / "net")
        with pytest.raises(SystemExit):
            cli.main(["info", "--checkpoint", str(run.path), "--json", str(tmp_path / "json")])
    finally:
        os.umask(before)
    written = [tmp_path / "net", tmp_path / "json",
               *(tmp_path / "run" / name for name in (CHECKPOINT, BEST, HISTORY))]
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in written} == {
        file.name: oct(mode) for file in written}


# Best, early stop, and how often.

@pytest.fixture
def judged(monkeypatch):
    """Validation errors as a list says, one for each epoch, whatever the net answers."""
    def judge(*errors):
        left = iter(errors)
        monkeypatch.setattr(training, "validate", lambda *args: {
            "loss": 1.0, "error": next(left), "top5_error": 0.0})
    return judge


def test_the_best_net_is_kept_beside_the_last(data, tmp_path, judged):
    judged(0.5, 0.3, 0.3, 0.4)
    kept = []
    run = train(TrainConfig(**TINY | {"epochs": 4, "out": str(tmp_path)}), data, progress=False,
                on_epoch=lambda history: None,
                on_step=lambda run: run.step == 8 and kept.append(weights(run)))
    best, last = load_model(tmp_path / BEST, "cpu"), load_model(tmp_path, "cpu")
    assert run.best["epoch"] == 2 and best.meta["step"] == 8 and last.meta["step"] == 16
    assert same(best.model.state_dict(), kept[0])
    assert same(last.model.state_dict(), weights(run))
    assert best.classes == data.classes
    assert (tmp_path / BEST).stat().st_size < run.path.stat().st_size  # no velocities


def test_the_best_net_outlives_a_stop(data, tmp_path, judged):
    config = TrainConfig(**TINY | {"epochs": 3, "out": str(tmp_path)})
    judged(0.2, 0.5, 0.1)
    train(config, data, progress=False, on_step=stop_at(6))
    assert load_model(tmp_path / BEST, "cpu").meta["step"] == 4
    train(config, data, resume=True, progress=False)
    assert load_model(tmp_path / BEST, "cpu").meta["step"] == 12


def test_early_stop(data, tmp_path, judged):
    config = TrainConfig(**TINY | {"epochs": 9, "out": str(tmp_path), "early_stop": 2})
    judged(0.5, 0.4, 0.45, 0.4, 0.3, 0.2)
    run = train(config, data, progress=False)
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4] and run.finished
    more = dataclasses.replace(config, early_stop=4)  # only when it ends, not what it computes
    assert len(train(more, data, resume=True, on_step=stop_at(24), progress=False).history) == 6
    with pytest.raises(UserError, match="early-stop must be 1 or more"):
        train(TrainConfig(**TINY, early_stop=0), data, progress=False)


def test_writing_takes_a_small_part_of_the_time(data, tmp_path, monkeypatch):
    """One-step epochs with checkpoints that take long: the last is saved, few of the others."""
    saved, slow = [], training.write_checkpoint

    def write(path, tensors, meta):
        time.sleep(0.1)
        saved.append((path.name, meta["step"]))
        slow(path, tensors, meta)

    monkeypatch.setattr(training, "write_checkpoint", write)
    begun = time.monotonic()
    run = train(TrainConfig(**TINY | {"epochs": 20, "limit": 16, "out": str(tmp_path)}), data,
                progress=False)
    steps = [step for name, step in saved if name == CHECKPOINT]
    assert steps[0] == 1 and steps[-1] == run.step == 20
    assert 0.1 * len(steps) <= 0.05 * (time.monotonic() - begun) + 3 * 0.1


def test_frozen_layers_have_no_velocities_in_the_file(data, tmp_path):
    first = train(TrainConfig(**TINY, out=str(tmp_path / "a")), data, progress=False)
    run = train(TrainConfig(**TINY, out=str(tmp_path / "b"), init_from=str(first.path),
                            frozen=True), data, progress=False)
    kept = {name.split(".")[1] for name in read_checkpoint(run.path)[0]
            if name.startswith("optimizer.")}
    assert kept == {"fc6", "fc7", "fc8"}


# The caller's random numbers.

def test_training_leaves_the_callers_random_numbers_alone(data):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(TrainConfig(**TINY), data, progress=False)
    assert torch.equal(torch.rand(3), expected)


# Where a run starts.

# For each choice of a net, another value. All but these leave what the same weights compute alone.
ANOTHER = {"variant": "paper", "activation": "tanh", "lrn": False, "pool": (2, 2),
           "input_divisor": 58.0, "omit_layer": "norm2", "dropout": 0.2, "columns": 1,
           "connect_columns": False, "width": 0.06, "hidden": 2048, "in_channels": 1,
           "channels": (80, 256, 384, 384, 256)}
SAME = {"init": "he", "hidden_bias": 0.5, "num_classes": 10}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    settings = TINY | {"input_size": 59, "stored_size": 64, "width": 0.1}
    large = datasets.load("shapes", 64, counts={"train": 32, "val": 8}, progress=False)
    out = str(tmp_path_factory.mktemp("base"))
    return train(TrainConfig(**settings, out=out), large, progress=False)


@pytest.mark.parametrize("name", ANOTHER)
def test_a_start_that_would_compute_something_else_is_refused(base, name):
    other = dataclasses.replace(base.config, out=None, init_from=str(base.path),
                                **{name: ANOTHER[name]})
    with pytest.raises(UserError, match="does not fit"):
        begin(other, base.dataset, progress=False)


def test_a_start_with_choices_that_do_not_matter(base):
    """Together with those above, they are all choices that make a net."""
    other = dataclasses.replace(base.config, out=None, init_from=str(base.path), **SAME)
    assert same(weights(begin(other, base.dataset, progress=False)), weights(base))
    declared = {one.name for one in dataclasses.fields(NetConfig)} | set(having("changes"))
    assert declared - {"model", "input_size"} == {*ANOTHER, *SAME}
    assert set(having("changes")) >= {*ANOTHER}


@pytest.mark.parametrize("name", sorted(ANOTHER))
def test_what_changes_the_function_cannot_be_resumed_either(base, name):
    now = dataclasses.replace(base.config, **{name: ANOTHER[name]})
    with pytest.raises(UserError, match=f"{name} .*, or choose another --out") as error:
        check_same_run(base.path, base.config, now, 1)
    assert "--init-from" not in str(error.value)


def test_what_a_resumed_run_may_change(base):
    free = {"out": "elsewhere", "data": "folder:there", "device": "cuda", "save_minutes": 1.0,
            "until_error": 0.5, "early_stop": 3}
    assert set(having("may_change")) == set(free)
    check_same_run(base.path, base.config, dataclasses.replace(base.config, **free), 1)


def test_a_start_from_another_model_is_refused(base):
    small = resolve(TrainConfig(model="cifar", device="cpu", init_from=str(base.path)))
    with pytest.raises(UserError, match="its net has model alexnet, here cifar"):
        load_pretrained(CifarNet(), small, base.classes)


def test_all_that_differs_is_named_at_once(data, tmp_path):
    run = train(TrainConfig(**TINY, out=str(tmp_path)), data, progress=False, on_step=stop_at(1))
    start = TINY | {"init_from": str(run.path)}
    with pytest.raises(UserError, match=r"variant 2012, here paper.*input_divisor 1.0, here 2.0"):
        begin(TrainConfig(**start | {"variant": "paper", "input_divisor": 2.0}), data,
              progress=False)
    with pytest.raises(UserError, match=r"conv1\.weight.*conv5\.bias.*fc6\.weight") as error:
        begin(TrainConfig(**start | {"width": 0.1}), data, progress=False)
    assert "\n" not in str(error.value)
    # Convolutions alone do not care for the dropout of the full layers.
    export(run.path, tmp_path / "features", features=True)
    begin(TrainConfig(**start | {"dropout": 0.2, "init_from": str(tmp_path / "features")}), data,
          progress=False)


ITS = {"data": "shapes", "input_size": 227, "stored_size": 256, "width": 1.0, "columns": 1,
       "channels": (64, 192, 384, 256, 256), "lrn": False, "hidden": 8, "input_divisor": 58.0,
       "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def large():
    return datasets.load("shapes", 256, counts={"train": 4, "val": 2}, progress=False)


def test_torchvisions_convolutions_as_a_start(large, tmp_path):
    theirs = alexnet(num_classes=7).eval()
    torch.save(theirs.state_dict(), tmp_path / "its.pth")
    run = begin(TrainConfig(**ITS, init_from=str(tmp_path / "its.pth")), large, progress=False)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (
        (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = 255 * torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        expected = theirs.features((image / 255 - mean) / std)
        found = run.model.eval().features(F.pad(image - 255 * mean, (2, 1, 2, 1)) / 58)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("choices, words", [
    ({"columns": 2, "lrn": True}, r"columns 1, here 2.*lrn False, here True.*evaluate"),
    ({"channels": (96, 256, 384, 384, 256)}, "channels .64, 192"),
    ({"init_from": "no.pth"}, "no file no.pth")])
def test_torchvisions_net_as_another_start(large, choices, words):
    with pytest.raises(UserError, match=words) as error:
        begin(TrainConfig(**ITS | {"init_from": "torchvision"} | choices), large, progress=False)
    assert "\n" not in str(error.value)


class Hostile:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_other_files_of_pytorchs_kind(large, tmp_path):
    file, mark = tmp_path / "its.pth", tmp_path / "mark"
    other = alexnet(num_classes=2).state_dict()
    other["features.0.weight"] = torch.zeros(2, 2)
    for wrong, word in (({"a": torch.ones(1)}, "features.0.weight is missing"), (other, "2, 2"),
                        (torch.ones(3), "not a state_dict"), (Hostile(mark), "not a state_dict")):
        torch.save(wrong, file)
        with pytest.raises(UserError, match=word):
            begin(TrainConfig(**ITS, init_from=str(file)), large, progress=False)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        begin(TrainConfig(**ITS, init_from=str(file)), large, progress=False)
    assert not mark.exists()


# Groups.

@pytest.mark.parametrize("environment, word", [
    ({"WORLD_SIZE": "x"}, "WORLD_SIZE='x'"), ({"WORLD_SIZE": ""}, "WORLD_SIZE=''"),
    ({"WORLD_SIZE": "2"}, "RANK is not set"), ({"WORLD_SIZE": "2", "RANK": "-1"}, "RANK='-1'"),
    ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR is not set"),
    ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}, "RANK is 2"),
    ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0"),
    ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "x"},
     "localhost:x")])
def test_an_environment_without_a_group_is_told_in_one_line(monkeypatch, tmp_path, capsys,
                                                            environment, word):
    for name in ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--device", "cpu", "--out", str(tmp_path)])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and word in err and err.count("\n") == 1, err


def test_nobody_to_meet_is_told_soon(monkeypatch):
    monkeypatch.setattr(processes, "CONNECT", processes.timedelta(seconds=1))
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "localhost",
                        "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    begun = time.monotonic()
    with pytest.raises(UserError, match="process 1 of 2: cannot connect 2 processes"), \
            parallel.torchrun("cpu"):
        pass
    assert time.monotonic() - begun < 20


def test_the_first_may_take_longer_than_an_exchange():
    """And others too, on machines of their own; nobody goes on before all are ready."""
    store, seen = dist.HashStore(), []
    store.set_timeout(processes.timedelta(milliseconds=50))

    def work(group):
        with group.main_process_first():
            time.sleep(0.3)
            seen.append(("made", group.rank))
        seen.append(("on", group.rank))

    threads = [threading.Thread(target=work, args=(Group(rank, 3, "cpu", store),))
               for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen[0] == ("made", 0) and {what for what, _ in seen[:3]} == {"made"}
    assert len(seen) == 6


def test_a_process_whose_agent_is_gone_saves_and_ends(monkeypatch):
    parents, done = iter([7, 7, 1]), []
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(time, "sleep", lambda seconds: done.append(seconds))
    monkeypatch.setattr(os, "kill", lambda pid, number: done.append((pid, number)))
    monkeypatch.setattr(os, "_exit", lambda code: done.append("gone"))
    processes._end_with_agent(7)
    assert done == [1, 1, (os.getpid(), signal.SIGTERM), processes.LEAVE, "gone"]
