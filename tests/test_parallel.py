"""Several processes: columns equal the whole net, data parallel equals one process, no hangs."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from PIL import Image

from alexnet_lib import cli, datasets, parallel
from alexnet_lib.checkpoints import BEST, CHECKPOINT, HISTORY, read_checkpoint
from alexnet_lib.config import TrainConfig
from alexnet_lib.course import scaling
from alexnet_lib.course.scaling import Machine, step_time
from alexnet_lib.datasets import shapes
from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet, CifarNet
from alexnet_lib.optim import PaperSGD, parameter_groups
from alexnet_lib.parallel import (
    ALONE,
    Column,
    Group,
    gather_columns,
    join_columns,
    processes,
    run_columns,
    run_processes,
    train_columns,
)
from alexnet_lib.training import train

SETTINGS = {"data": "shapes", "input_size": 36, "stored_size": 40, "width": 0.03, "epochs": 2,
            "batch_size": 16, "precision": "fp32", "device": "cpu", "dropout": 0.0}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 40, counts={"train": 64, "val": 32})


def little(**changes):
    torch.manual_seed(0)
    return AlexNet(**{"num_classes": 10, "input_size": 59, "width": 0.1, "dropout": 0.0} | changes)


def batches(count, images=6, size=59):
    torch.manual_seed(1)
    return [(torch.randn(images, 3, size, size) * 60, torch.randint(10, (images,)))
            for _ in range(count)]


def close(ours, theirs, tolerance=1e-4):
    """Equal but for rounding, tensor by tensor, on the scale of each tensor."""
    assert ours.keys() == theirs.keys()
    for name, whole in theirs.items():
        scale = whole.abs().max().item() + 1e-12
        assert (ours[name] - whole).abs().max().item() < tolerance * scale, name


# Which layers talk.

def test_the_layers_that_talk_are_the_papers():
    found = scaling.exchanges(AlexNet())
    assert [row["name"] for row in found] == ["conv3", "fc6", "fc7", "fc8"]
    assert [row["shape"] for row in found] == [(256, 13, 13), (256, 6, 6), (4096,), (4096,)]
    assert [row["values"] for row in found] == [43264, 9216, 4096, 2048]
    assert parallel.connected_layers(AlexNet(columns=1, width=0.1)) == [
        "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


# Columns equal the whole net.

@pytest.mark.parametrize("changes", [
    {}, {"variant": "2012"}, {"activation": "tanh", "pool": (2, 2), "lrn": False},
    {"in_channels": 1, "input_size": 67, "channels": (80, 120, 100, 80, 60)}],
    ids=["paper", "2012", "tanh", "gray"])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_columns_train_as_the_whole_net(changes, dtype, tolerance):
    net = little(**changes).to(dtype)
    steps = [(x[:, :net.in_channels].to(dtype), y) for x, y in batches(4, size=net.input_size)]
    first, second = run_columns(train_columns, net, steps)
    optimizer, losses, gradients = PaperSGD(parameter_groups(net, 0.01), 0.01), [], None
    for x, labels in steps:
        loss = F.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        gradients = gradients or {name: p.grad.clone() for name, p in net.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(first["losses"], losses, rtol=tolerance)
    assert second["losses"] == [0.0] * 4
    close(join_columns(first["gradients"], second["gradients"]), gradients, tolerance)
    close(join_columns(first["weights"], second["weights"]), dict(net.state_dict()), tolerance)
    assert all(torch.count_nonzero(g) for g in first["gradients"].values())
    values = {row["name"]: row["values"] for row in scaling.exchanges(net)}
    for way in ("forth", "back"):
        for name, count in values.items():
            both = first["sent"][name, way] + second["sent"][name, way]
            assert both == 4 * 6 * count * dtype.itemsize  # steps, images, numbers, bytes
    assert first["sent"]["fc8", "forth"] == 0 == second["sent"]["fc8", "back"]


def evaluated(group, net, x):
    column = Column(net, group.rank)
    with torch.no_grad():
        return column(x)


def test_columns_answer_as_the_whole_net_with_dropout_off_duty():
    net = little(dropout=0.5).eval()
    x = batches(1)[0][0]
    logits, nothing = run_columns(evaluated, net, x)
    torch.testing.assert_close(logits, net(x).detach(), rtol=1e-4, atol=1e-5)
    assert nothing.shape == (6, 0)


def masked(group, net, x):
    column, seen = Column(net, group.rank).train(), []
    column.classifier.fc7.register_forward_hook(lambda layer, inputs, out: seen.append(inputs[0]))
    column(x)
    return seen[0].detach()


def test_each_column_draws_its_own_dropout():
    net = little(dropout=0.5)
    torch.nn.init.zeros_(net.classifier.fc6.weight)  # so that fc7 reads the mask itself
    first, second = run_columns(masked, net, batches(1)[0][0])
    assert torch.equal(first, second) and set(first.unique().tolist()) == {0.0, 1.0}
    ours, theirs = first.chunk(2, 1)
    assert not torch.equal(ours, theirs) and 0.4 < first.mean() < 0.6


def gathered(group, halves, to):
    mine, sent = halves[group.rank].clone().requires_grad_(), Counter()
    whole = gather_columns(mine, to, sent, "here")
    used = to in (None, group.rank)
    ((group.rank + 2) * (whole ** 3).sum() if used else whole.sum()).backward()
    return whole.detach(), mine.grad, sent


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("to", [None, 0, 1])
def test_gathering_sends_values_forth_and_gradients_back(to, dtype):
    halves = [torch.randn(3, 4, 5, 2).to(dtype).to(memory_format=torch.channels_last)
              for _ in range(2)]
    whole = torch.cat(halves, 1)
    factor = {None: 2 + 3, 0: 2, 1: 3}[to]
    gradient = factor * 3 * whole ** 2
    size = halves[0].numel() * halves[0].element_size()
    for rank, (seen, grad, sent) in enumerate(run_columns(gathered, halves, to)):
        used = to in (None, rank)
        assert torch.equal(seen, whole) if used else seen.shape == (3, 0)
        torch.testing.assert_close(grad, gradient.chunk(2, 1)[rank], rtol=2e-2 if dtype ==
                                   torch.bfloat16 else 1e-5, atol=1e-5)
        assert sent["here", "forth"] == (size if to != rank else 0)
        assert sent["here", "back"] == (size if used else 0)


def refused(group, net):
    with pytest.raises(UserError) as error:
        Column(net, 0)(batches(1)[0][0])
    return str(error.value)


def test_columns_refuse_what_they_are_not_made_for():
    with pytest.raises(UserError, match="columns=2"):
        Column(little(columns=1), 0)
    with pytest.raises(UserError, match="columns=2"):
        Column(CifarNet(), 0)
    with pytest.raises(UserError, match="no column 2"):
        Column(little(), 2)
    assert "need two processes, not 1" in refused(ALONE, little())
    assert all("need two processes, not 3" in told for told in run_processes(3, refused, little()))
    assert "need two processes, not 1" in run_processes(1, refused, little())[0]


# Processes that go wrong.

def add_up(group, value):
    print("chatter")
    return group.all_reduce(torch.tensor([value + group.rank])).item(), torch.get_num_threads()


def device_of(group):
    return group.device


def test_one_gpu_is_not_raced_against_two_processors(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert run_processes(1, device_of) == ["cpu"]
    assert run_processes(2, device_of) == ["cpu", "cpu"]


def test_results_come_in_order_and_chatter_stays_off_stdout(capfd):
    assert run_processes(3, add_up, 10) == [(33, 1)] * 3
    assert run_processes(1, add_up, 10) == [(10, 1)]
    assert capfd.readouterr().out == ""


def misbehave(group, how):
    if group.rank == 1:
        if how == "raise":
            raise KeyError("no such thing")
        if how == "told":
            raise UserError("the tea is cold: boil it")
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "exit":
            os._exit(7)
        if how == "leave":
            return None
        if how == "strange":
            return lambda: None
        time.sleep(1000)
    for _ in range(2):
        group.all_reduce(torch.zeros(1))


@pytest.mark.parametrize("how, words", [
    ("raise", "process 1 of 2 stopped: KeyError: 'no such thing'"),
    ("told", "process 1 of 2 stopped: the tea is cold: boil it"),
    ("kill", "process 1 of 2 was killed by SIGKILL"),
    ("exit", "process 1 of 2 ended with exit code 7"),
    ("strange", "process 1 of 2 stopped: .*(pickle|local object)"),
    ("leave", "process 0 of 2 stopped|process 1 of 2 stopped|no answer after 8 s"),
    ("sleep", "no answer after 8 s from process|process 0 of 2 stopped")])
def test_a_process_that_goes_wrong_is_told_and_none_hangs(how, words):
    began = time.monotonic()
    with pytest.raises(UserError, match=words) as error:
        run_columns(misbehave, how, timeout=60 if how not in ("sleep", "leave") else 8)
    assert time.monotonic() - began < 40
    assert "\n" not in str(error.value)
    assert not active_children()


def test_the_traceback_of_the_process_is_kept():
    with pytest.raises(UserError) as error:
        run_columns(misbehave, "raise")
    assert "in misbehave" in str(error.value.__cause__)


def test_what_cannot_be_sent_is_told(monkeypatch):
    with pytest.raises(UserError, match="cannot send this"):
        run_columns(lambda group: None)
    with pytest.raises(UserError, match="1 or more"):
        run_processes(0, add_up, 1)

    def mine(group):
        return 1
    monkeypatch.setattr(mine, "__module__", "__main__")
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(UserError, match="mine is defined in a notebook"):
        run_columns(mine)


# Data parallel.

def test_shares_cover_everything_once():
    for count in (1, 5, 16, 128):
        for size in (1, 2, 3, 7):
            shares = [range(count)[Group(rank, size).shard(count)] for rank in range(size)]
            assert [i for share in shares for i in share] == list(range(count))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def train_in_a_group(group, config, data):
    warnings.simplefilter("error", FutureWarning)
    run = train(config, data, progress=False, group=group)
    return run.model.state_dict(), run.losses, run.num_errors, run.history


def timeless(history):
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_s")}
            for row in history]


@pytest.mark.parametrize("processes, changes", [
    (2, {}), (3, {"batch_size": 10, "variant": "2012", "lr_scheduler": "plateau"}),
    (2, {"class_weights": "balanced"}),
    (2, {"model": "cifar", "variant": "four-layer", "input_size": 32, "width": None,
         "dropout": 0.5})])
def test_processes_with_shares_train_as_one(data, tmp_path, processes, changes):
    config = TrainConfig(**SETTINGS | changes)
    alone = train(config, data, progress=False)
    out = dataclasses.replace(config, out=str(tmp_path / "run"))
    for weights, losses, num_errors, history in run_processes(processes, train_in_a_group, out,
                                                              data):
        close(weights, dict(alone.model.state_dict()))
        np.testing.assert_allclose(losses, alone.losses, rtol=1e-4)
        assert num_errors == alone.num_errors
        for ours, theirs in zip(timeless(history), timeless(alone.history), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-3)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [".lock", BEST, HISTORY,
                                                                    CHECKPOINT]


def test_a_group_of_one_is_no_group(data):
    config = TrainConfig(**SETTINGS | {"dropout": 0.5})
    alone = train(config, data, progress=False)
    (weights, losses, _, history), = run_processes(1, train_in_a_group, config, data)
    assert losses == alone.losses and timeless(history) == timeless(alone.history)
    assert all(torch.equal(weights[k], v) for k, v in alone.model.state_dict().items())


def test_more_processes_than_images_are_refused(data):
    config = TrainConfig(**SETTINGS | {"batch_size": 1})
    with pytest.raises(UserError, match="2 processes .* minibatch of 1"):
        run_columns(train_in_a_group, config, data)


def dropped(group, config, data):
    from alexnet_lib.training import Trainer
    run, masks = Trainer(config, data, group=group), []
    run.model.classifier.drop6.register_forward_hook(
        lambda layer, inputs, out: masks.append((out == 0).float()))
    run.start_epoch()
    run.train_step()
    return masks[0]


def test_each_share_has_its_own_dropout(data):
    config = TrainConfig(**SETTINGS | {"dropout": 0.5, "width": 0.1})
    first, second = run_columns(dropped, config, data)
    assert first.shape == second.shape and not torch.equal(first, second)


# Under torchrun.

def options(settings):
    return [str(part) for name, value in settings.items()
            for part in (f"--{name.replace('_', '-')}", value)]


def torchrun(*args, processes=2):
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
            str(processes), "-m", "alexnet_lib", *map(str, args)]


def test_torchrun_trains_as_one_process(tmp_path):
    settings = SETTINGS | {"limit": 64, "epochs": 1}
    done = subprocess.run(torchrun("train", *options(settings), "--out", tmp_path / "two"),
                          capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    alone = train(TrainConfig(**settings, out=str(tmp_path / "one")), progress=False)
    (ours, meta), (theirs, _) = (read_checkpoint(tmp_path / name) for name in ("two", "one"))
    close(ours, theirs)
    np.testing.assert_allclose(ours["run.losses"], alone.losses, rtol=1e-4)
    told = [line for line in done.stdout.splitlines() if "val top-1" in line]
    assert len(told) == 1 and str(tmp_path / "two") in told[0]
    assert done.stderr.count("epoch 1/1") == 1 and "2 processes" in done.stderr
    assert "2 processes" in meta_of_history(tmp_path / "two")["device"]


def meta_of_history(folder):
    import json
    return json.loads((folder / "history.json").read_text())["provenance"]


def children(pid):
    """Processes that `pid` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            pass
    return sorted(found)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A folder of small images in two classes, which is packed beside it."""
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path / "root"))
    for i, image in enumerate(shapes.render(0, 80, 48)[0]):
        path = tmp_path / "photos" / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return f"folder:{tmp_path / 'photos'}"


def under_way(photos, out, epochs, *more):
    """A run under torchrun that saves after each step and has begun to; its workers; settings."""
    settings = SETTINGS | {"data": photos, "model": "alexnet", "batch_size": 8, "epochs": epochs,
                           "save_minutes": 0.0}
    start, *rest = torchrun("train", *options(settings), "--out", out, "--resume", "auto")
    at = rest.index("--standalone")
    running = subprocess.Popen([start, *rest[:at], "--monitor-interval", "0.1", *more, *rest[at:]],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not (out / CHECKPOINT).exists() and running.poll() is None:
        time.sleep(0.01)
    workers = children(running.pid)
    assert len(workers) == 2, running.communicate()[0]
    return running, workers, settings


IN_PROC = pytest.mark.skipif(not Path("/proc/self/stat").exists(),
                             reason="looks for processes in /proc")


@IN_PROC
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_and_a_restart_are_the_whole_run(tmp_path, photos, victim):
    """One command, which starts and resumes."""
    running, workers, settings = under_way(photos, tmp_path / "out", 6, "--max-restarts", "1")
    os.kill(workers[victim], signal.SIGKILL)
    told, _ = running.communicate(timeout=200)
    assert running.returncode == 0 and "resumed at step" in told, told
    alone = train(TrainConfig(**settings), progress=False)
    ours, meta = read_checkpoint(tmp_path / "out")
    assert meta["step"] == alone.step and len(meta["commands"]) == 2
    np.testing.assert_allclose(ours["run.losses"], alone.losses, rtol=1e-3)


def test_after_a_restart_the_processes_meet_in_an_unused_part_of_the_store():
    """However often each was started before, and whatever earlier ones left there."""
    store = dist.HashStore()
    store.set("greeting 2", "of a process that is gone")
    parts = []
    for _ in range(3):
        with ThreadPoolExecutor(3) as pool:
            late = pool.submit(processes._unused, store, 0, 3)
            stores = [future.result(20) for future in (
                late, *(pool.submit(processes._unused, store, rank, 3) for rank in (1, 2)))]
        stores[0].set("mark", "of process 0")
        assert [found.get("mark") for found in stores] == 3 * [b"of process 0"]
        parts.append(stores[0])
    parts[0].set("mark", "changed")
    assert parts[2].get("mark") == b"of process 0"


@IN_PROC
def test_two_machines_go_on_after_one_of_them_lost_its_process(tmp_path, photos):
    """The recipe of docs/many-machines.md, with two agents on one machine."""
    settings = SETTINGS | {"data": photos, "model": "alexnet", "batch_size": 8, "epochs": 6,
                           "save_minutes": 0.0}
    with socket.socket() as free:
        free.bind(("localhost", 0))
        meeting = f"localhost:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node",
               "1", "--rdzv-backend", "c10d", "--rdzv-endpoint", meeting, "--rdzv-id", "one-run",
               "--max-restarts", "3", "--monitor-interval", "0.1", "-m", "alexnet_lib", "train",
               *options(settings), "--out", str(tmp_path / "out"), "--resume", "auto"]
    agents = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
              for _ in range(2)]
    while not (tmp_path / "out" / CHECKPOINT).exists() and agents[0].poll() is None:
        time.sleep(0.01)
    os.kill(children(agents[1].pid)[0], signal.SIGKILL)
    told = "".join(agent.communicate(timeout=300)[0] for agent in agents)
    assert [agent.returncode for agent in agents] == [0, 0] and "resumed at step" in told, told
    alone = train(TrainConfig(**settings), progress=False)
    ours, meta = read_checkpoint(tmp_path / "out")
    assert meta["step"] == alone.step
    np.testing.assert_allclose(ours["run.losses"], alone.losses, rtol=1e-3)


@IN_PROC
def test_without_restarts_a_killed_process_ends_the_run(tmp_path, photos):
    running, workers, _ = under_way(photos, tmp_path / "out", 1000)
    os.kill(workers[1], signal.SIGKILL)
    told, _ = running.communicate(timeout=60)
    assert running.returncode != 0 and "SIGKILL" in told


@IN_PROC
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_save_and_end_with_their_agent(tmp_path, photos, number):
    """Ctrl-C reaches torchrun alone, which passes it on; a killed one cannot."""
    running, _, _ = under_way(photos, tmp_path / "out", 1000)
    begun = time.monotonic()
    os.kill(running.pid, number)
    told, _ = running.communicate(timeout=60)  # to the end of the workers, which write there too
    assert time.monotonic() - begun < 30  # torchrun itself would kill them then, unsaved
    step = read_checkpoint(tmp_path / "out")[1]["step"]
    assert f"interrupted at step {step}, saved in" in told


def test_bad_input_under_torchrun_is_one_line_for_each_process(tmp_path):
    done = subprocess.run(torchrun("train", "--data", "nothing", "--out", tmp_path / "out"),
                          capture_output=True, text=True, timeout=200)
    told = sorted(line for line in done.stderr.splitlines() if line.startswith("alexnet: "))
    assert done.returncode != 0 and 1 <= len(told) <= 2
    assert all("unknown data 'nothing'" in line for line in told)


def test_torchrun_with_one_process_is_a_plain_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", *options(SETTINGS | {"limit": 32, "epochs": 1}), "--out",
                  str(tmp_path)])
    assert stop.value.code == 0 and not dist.is_initialized()
    assert "val top-1 error" in capsys.readouterr().out


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="process 3 of 4: 4 processes need 4 GPUs, here are 2"), \
            parallel.torchrun("cuda"):
        pass


def test_only_lost_connections_are_taken_for_lost_processes():
    lost = parallel.is_connection_error
    assert lost(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
    assert lost(dist.DistBackendError("NCCL communicator was aborted"))
    assert not lost(RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"))
    assert not lost(UserError("connection")) and not lost(KeyError("gloo"))


# On paper.

def test_the_times_on_paper():
    of = scaling.cost(AlexNet())
    assert of == scaling.Cost(724_406_816, 2_334_080, 58_631_144, 43_264, 17_408, 96)
    machine = Machine(macs_per_s=1e12, bytes_per_s=1e9, latency=0.0)
    compute, exchange = step_time(of, machine, "data", 1, 128)
    assert exchange == 0 and compute == pytest.approx(3 * 724_406_816 * 128 / 1e12)
    for way, values, parameters in (("columns", 60_672, 0), ("data", 0, 60_965_224),
                                    ("mix", 17_408, 2_334_080)):
        computing, exchange = step_time(of, machine, way, 4, 128)
        assert computing == pytest.approx(compute / 4)
        assert exchange == pytest.approx(2 * 4 * (128 * values + parameters) * 3 / 4 / 1e9)
    assert step_time(of, machine, "data", 129, 128) == (float("inf"), float("inf"))
    assert step_time(of, machine, "columns", 97, 128)[0] == float("inf")
    with pytest.raises(UserError, match="unknown way"):
        step_time(of, machine, "sideways", 2, 128)


def test_a_swap_is_timed():
    first, second = run_columns(scaling.time_exchange, [4, 4096], 2)
    assert len(first) == len(second) == 2 and min(first + second) > 0
