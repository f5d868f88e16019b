"""Several processes for one net: the paper's two columns, and data parallel.

Columns (section 3.2): `Column` is one half of an `AlexNet(columns=2)`, in a process of its own.
The two talk where the paper's two GPUs do, into conv3, fc6, fc7 and fc8 (layers-145.cfg:137,151,
240,249,268,277,297), and nowhere else. `run_columns` starts both and brings back their results.

Data parallel: a `Group` is what `training.Trainer` knows of its fellow processes, each of which
holds the whole net and takes a share of every minibatch. `torchrun` gives the group of a run
under `torchrun --nproc-per-node=K -m alexnet_lib train ...`.

On paper: `step_time` says how long a step would take on many GPUs.

Everything goes by torch.distributed: gloo between CPUs, nccl between GPUs.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from alexnet_lib.errors import UserError
from alexnet_lib.layers import LocalResponseNorm
from alexnet_lib.models import AlexNet, layer_table
from alexnet_lib.optim import PaperSGD, parameter_groups

GRACE = 2.0  # seconds in which a better explanation than "the other one is gone" may arrive


@dataclass(frozen=True)
class Group:
    """This process among those that work on the same run: its number, how many, on which device."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    def share(self, count: int) -> slice:
        """Which of `count` images are this process's; shares differ by one image at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes, in every process."""
        if self.size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    @contextlib.contextmanager
    def first(self) -> Iterator[None]:
        """Process 0 goes through the body first, the others after it: for files made once."""
        if self.rank:
            self.sum(torch.zeros(1))
        try:
            yield
        finally:
            if not self.rank:
                self.sum(torch.zeros(1))

    def replicate(self, model: nn.Module) -> nn.Module:
        """`model`, or a wrapper whose backward pass leaves the processes' mean gradient in it.

        PyTorch's own wrapper: it sends a layer's gradient while the layers below still compute.
        """
        if self.size == 1:
            return model
        return DistributedDataParallel(model, broadcast_buffers=False)


ALONE = Group()


# Two columns


def layers(net: nn.Module) -> dict[str, nn.Module]:
    """The layers of an AlexNet by name, in order."""
    return dict(net.features.named_children()) | dict(net.classifier.named_children())


def talks(net: AlexNet) -> list[str]:
    """The layers that read the maps of both columns: conv3, fc6, fc7, fc8.

    conv1 does not count: it reads the image, which both columns have.
    """
    weighted = {name: layer for name, layer in layers(net).items() if hasattr(layer, "weight")}
    return [name for name, layer in weighted.items()
            if name != "conv1" and getattr(layer, "groups", 1) == 1]


def exchanges(net: AlexNet) -> list[dict]:
    """What travels before each layer that talks, for one image, one way.

    Returns rows with `name`, `reads` (the layer whose output travels), `shape` (of that output,
    both columns together) and `values`: how many numbers cross from one column to the other. Into
    fc8 only half of them do: all of fc8 is in the first column (layers-145.cfg:294-308).
    """
    names = talks(net)
    rows = [row for row in layer_table(net) if row["name"] != "flatten"]
    return [{"name": row["name"], "reads": before["name"], "shape": before["output"],
             "values": before["units"] // (2 if row is rows[-1] else 1)}
            for before, row in zip(rows, rows[1:]) if row["name"] in names]  # noqa: B905


class _Gather(torch.autograd.Function):
    """Forth: both columns' maps. Back: the sum of what both columns' next layers ask of mine."""

    @staticmethod
    def forward(ctx, mine, to, sent, name):
        rank = _my_column()
        ctx.settings = to, sent, name, rank, mine.shape
        theirs = _swap(mine if to != rank else None,
                       mine.new_empty(mine.shape) if to in (None, rank) else None,
                       sent, (name, "forth"))
        if theirs is None:
            return mine.new_empty(len(mine), 0)
        return torch.cat((theirs, mine) if rank else (mine, theirs), 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        to, sent, name, rank, shape = ctx.settings
        used = to in (None, rank)  # else this process only gave its maps away
        theirs = grad.chunk(2, 1)[1 - rank] if used else None
        asked = _swap(theirs, grad.new_empty(shape) if to != rank else None, sent, (name, "back"))
        if used:
            mine = grad.chunk(2, 1)[rank]
            asked = mine if asked is None else mine + asked
        return asked, None, None, None


def gather_columns(mine: Tensor, to: int | None = None, sent: Counter | None = None,
                   name: str = "") -> Tensor:
    """The maps of both columns, column 0's first.

    Args:
        mine: (batch, maps, ...), this column's; the other column calls this at the same time.
        to: the one column that needs the result; the other gets a tensor (batch, 0).
        sent: counts the bytes that this process sends, under (name, "forth") and (name, "back").

    Returns: (batch, 2 * maps, ...). In the backward pass each process gets the gradient of its own
    maps: the part that its own next layer asks for plus the part that the other's does.
    """
    return _Gather.apply(mine, to, Counter() if sent is None else sent, name)


def _my_column() -> int:
    size = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
    if size != 2:
        raise UserError(f"two columns need two processes, not {size}: start them with "
                        "parallel.run_columns")
    return dist.get_rank()


def _swap(out: Tensor | None, into: Tensor | None, sent: Counter, entry: tuple) -> Tensor | None:
    """Send `out` to the other process, fill `into` with what comes from it; either may be None."""
    other, jobs = 1 - dist.get_rank(), []
    if out is not None:
        jobs.append(dist.P2POp(dist.isend, out.contiguous(), other))
        sent[entry] += out.numel() * out.element_size()
    if into is not None:
        jobs.append(dist.P2POp(dist.irecv, into, other))
    for job in dist.batch_isend_irecv(jobs):
        job.wait()
    return into


class Column(nn.Module):
    """One column of a two-column net, with the weights that are its own.

    Half of every layer's maps or units; conv3, fc6 and fc7 read both halves. fc8 is in column 0
    alone, as in the source. Each column normalises its own maps and draws its own dropout masks.

    Args:
        net: an `AlexNet(columns=2)`; its weights are copied.
        rank: 0 or 1.

    `sent` counts the bytes that this process has sent, by (layer, "forth" or "back"). Weights have
    the same names as in the net; `join_columns` puts them together again.
    """

    def __init__(self, net: AlexNet, rank: int):
        super().__init__()
        if not isinstance(net, AlexNet) or net.columns != 2:
            raise UserError("a Column is half of an AlexNet with two columns: build the net with "
                            "columns=2")
        if rank not in (0, 1):
            raise UserError(f"there are columns 0 and 1, no column {rank}")
        self.rank, self.talks, self.sent = rank, talks(net), Counter()
        self.order = list(layers(net))
        self.last = self.order[-1]
        for part in ("features", "classifier"):
            halves = {name: _half(layer, rank, whole=name == self.last)
                      for name, layer in getattr(net, part).named_children()
                      if not (name == self.last and rank)}
            setattr(self, part, nn.ModuleDict(halves))
        self.train(net.training)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, size, size) -> logits (batch, classes) in column 0.

        In column 1, (batch, 0): its part ends when it has sent its half of fc7.
        """
        mine = {**self.features, **self.classifier}
        for name in self.order:
            if name in self.talks:
                x = gather_columns(x, 0 if name == self.last else None, self.sent, name)
            if name in mine:
                x = mine[name](x)
        return x

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy in column 0; in column 1 a zero whose backward pass joins in."""
        out = self(x)
        return out.sum() if self.rank else F.cross_entropy(out, labels)


def _half(layer: nn.Module, rank: int, whole: bool) -> nn.Module:
    """A column's part of a layer: half of what it makes."""
    if isinstance(layer, LocalResponseNorm):
        return LocalResponseNorm(layer.band.shape[0] // 2, layer.size, layer.alpha, layer.beta,
                                 layer.k).to(layer.band.device)
    if whole or not hasattr(layer, "weight"):
        return deepcopy(layer)
    with torch.device("meta"):  # its own first weights are not needed
        if isinstance(layer, nn.Conv2d):
            half = nn.Conv2d(layer.in_channels // layer.groups, layer.out_channels // 2,
                             layer.kernel_size, layer.stride, layer.padding)
        else:
            half = nn.Linear(layer.weight.shape[1], layer.weight.shape[0] // 2)
    for name, value in layer.named_parameters():
        setattr(half, name, nn.Parameter(value.detach().chunk(2)[rank].clone()))
    return half


def join_columns(first: dict[str, Tensor], second: dict[str, Tensor]) -> dict[str, Tensor]:
    """The one-process net's tensors from those of column 0 and 1, by name (gradients as well)."""
    return {name: torch.cat((half, second[name])) if name in second else half
            for name, half in first.items()}


def train_columns(group: Group, net: AlexNet, batches: list, lr: float = 0.01) -> dict:
    """Steps of the paper's update rule with this process's column: for `run_columns`.

    Args:
        net: an `AlexNet(columns=2)`. batches: pairs (x, labels), one for each step.

    Returns: `losses` (nats, column 0's), `gradients` of the first step and `weights` after the
    last, by name, `sent` (bytes, by layer and direction, all steps) and `seconds` of each step.
    """
    column = Column(net, group.rank).to(group.device)
    return _train(group, column, column.loss, batches, lr) | {"sent": column.sent}


def train_whole(group: Group, net: nn.Module, batches: list, lr: float = 0.01) -> dict:
    """The same steps with a whole net in one process: for `run_processes`, to compare with."""
    net = net.to(group.device)
    return _train(group, net, lambda x, labels: F.cross_entropy(net(x), labels), batches, lr)


def _train(group: Group, net: nn.Module, loss_of: Callable, batches: list, lr: float) -> dict:
    optimizer = PaperSGD(parameter_groups(net, lr), lr)
    found = {"losses": [], "gradients": {}, "seconds": []}
    for x, labels in batches:
        begun = time.perf_counter()
        loss = loss_of(x.to(group.device), labels.to(group.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        found["gradients"] = found["gradients"] or {
            name: p.grad.cpu().clone() for name, p in net.named_parameters()}
        optimizer.step()
        found["losses"].append(loss.item())
        found["seconds"].append(time.perf_counter() - begun)
    return found | {"weights": {name: t.cpu() for name, t in net.state_dict().items()}}


def time_exchange(group: Group, sizes: list[int], repeats: int = 10) -> list[float]:
    """Seconds that two processes take to swap so many bytes with each other, for each size."""
    found = []
    for size in sizes:
        data, spent = torch.zeros(size, dtype=torch.uint8, device=group.device), []
        for _ in range(repeats):
            begun = time.perf_counter()
            _swap(data, torch.empty_like(data), Counter(), ())
            if group.device != "cpu":
                torch.cuda.synchronize()
            spent.append(time.perf_counter() - begun)
        found.append(min(spent))
    return found


# Starting processes


def run_columns(function: Callable, *args, timeout: float = 120.0, threads: int = 1) -> list:
    """What `function(group, *args)` returns in column 0 and in column 1; see `run_processes`."""
    return run_processes(2, function, *args, timeout=timeout, threads=threads)


def run_processes(count: int, function: Callable, *args, timeout: float = 120.0,
                  threads: int = 1) -> list:
    """What `function(group, *args)` returns in each of `count` processes that can talk.

    Args:
        function: importable by name, so not one that a notebook defines. Its arguments and its
            result are copied from process to process. What it prints goes to stderr.
        timeout: seconds for all of it. threads: of each process.

    Raises UserError, with the process's own message, if one of them raises, dies, or does not end
    in time; the others are stopped then. With a GPU for each process they use these, else the CPU.
    """
    if count < 1:
        raise UserError(f"processes must be 1 or more, not {count}")
    payload = _packed(function, args)
    enough = torch.cuda.is_available() and torch.cuda.device_count() >= count
    # A server that has imported torch (and what its optimisers import) once, and forks from there,
    # where that is safe: seconds less for each process.
    kind = "forkserver" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(kind)
    if kind == "forkserver":
        context.set_forkserver_preload(["torch", "torch._dynamo"])
    workers = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            for rank in range(count):
                ours, theirs = context.Pipe()
                device = f"cuda:{rank}" if enough else "cpu"
                worker = context.Process(daemon=True, target=_work, args=(
                    theirs, rank, count, folder, device, timeout, threads, payload))
                worker.start()
                theirs.close()
                workers[ours] = worker
            return _collected(workers, timeout)
        finally:
            for worker in workers.values():
                worker.kill()
            for pipe, worker in workers.items():
                worker.join()
                pipe.close()


def _packed(function: Callable, args: tuple) -> bytes:
    main = sys.modules["__main__"]
    if getattr(function, "__module__", None) == "__main__" and not hasattr(main, "__file__"):
        raise UserError(f"{function.__name__} is defined in a notebook, where another process "
                        "cannot find it: put it into a file, and import it")
    try:
        return pickle.dumps((function, args))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(f"cannot send this to another process: {error}; give a function that can "
                        "be imported by name, and plain values") from None


def _collected(workers: dict, timeout: float) -> list:
    """The results by rank, or the UserError that explains best what went wrong."""
    ranks = {pipe: rank for rank, pipe in enumerate(workers)}
    ends, waiting, done, lost = time.monotonic() + timeout, set(workers), {}, {}
    while waiting:
        ready = wait(waiting, max(0, ends - time.monotonic()))
        if not ready:
            break
        for pipe in ready:
            rank = ranks[pipe]
            waiting.remove(pipe)
            kind, *told = _answer(pipe, workers[pipe])
            if kind == "done":
                done[rank] = told[0]
            elif kind == "lost":  # only a consequence: the cause may be told a moment later
                lost[rank] = told
                ends = min(ends, time.monotonic() + GRACE)
            else:
                raise _failure(rank, len(workers), *told)
    if lost:
        rank = min(lost)
        raise _failure(rank, len(workers), *lost[rank])
    if waiting:
        late = ", ".join(str(ranks[pipe]) for pipe in sorted(waiting, key=ranks.get))
        raise UserError(f"no answer after {timeout:g} s from process {late} of {len(workers)}: "
                        "give more time (timeout=), or less to do")
    return [done[rank] for rank in range(len(workers))]


def _answer(pipe, worker) -> tuple:
    try:
        return pickle.loads(pipe.recv_bytes())
    except (EOFError, OSError):
        worker.join(GRACE)
        code = worker.exitcode
        how = (f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0
               else f"ended with exit code {code}")
        return "died", f"{how} before it had a result; is there enough memory?", ""


def _failure(rank: int, count: int, message: str, trace: str) -> UserError:
    error = UserError(f"process {rank} of {count} {message}")
    error.__cause__ = RuntimeError(trace) if trace else None
    return error


def _work(pipe, rank: int, count: int, folder: str, device: str, timeout: float, threads: int,
          payload: bytes) -> None:
    """What a started process does."""
    os.dup2(2, 1)  # gloo and others talk; a notebook's stdout is for its results
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        function, args = pickle.loads(payload)
        if device != "cpu":
            torch.cuda.set_device(device)
        elif sys.platform == "linux":
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all on this machine
        _connect(device, store=dist.FileStore(str(Path(folder) / "store"), count), rank=rank,
                 world_size=count, timeout=timedelta(seconds=timeout))
        group = Group(rank, count, device)
        torch.manual_seed(rank)
        result = pickle.dumps(("done", function(group, *args)))
        group.sum(torch.zeros(1))  # nobody leaves while another still talks to it
        dist.destroy_process_group()
    except BaseException as error:
        kind = "lost" if is_connection_error(error) else "raised"
        result = pickle.dumps((kind, f"stopped: {_told(error)}", traceback.format_exc()))
    pipe.send_bytes(result)
    pipe.close()


def _end_with_parent() -> None:
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _connect(device: str, **where) -> None:
    if not dist.is_available():
        raise UserError("this PyTorch is built without torch.distributed: install the usual one, "
                        "or use one process")
    if device == "cpu":
        dist.init_process_group("gloo", **where)
    else:
        dist.init_process_group("nccl", device_id=torch.device(device), **where)


def _told(error: BaseException) -> str:
    if isinstance(error, UserError):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def is_connection_error(error: BaseException) -> bool:
    """Whether an exception says that another process of the group is gone."""
    words = ("gloo", "nccl", "connection", "peer")
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words))


@contextlib.contextmanager
def torchrun(device: str) -> Iterator[Group]:
    """The group of processes that torchrun started; without torchrun, a group of one.

    Args:
        device: "cuda" gives each process of a machine its own GPU, anything else shares the CPU.

    Within the context, the loss of another process becomes a UserError, and errors of processes
    other than 0 say which one it is.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if size == 1:
        yield ALONE
        return
    try:
        group = Group(rank, size, _take_gpu() if device.startswith("cuda") else "cpu")
        _connect(group.device, timeout=timedelta(minutes=30))
        yield group
        dist.destroy_process_group()
    except (UserError, RuntimeError) as error:
        who = f"process {rank} of {size}: " if rank else ""
        if isinstance(error, UserError):
            raise UserError(f"{who}{error}") from error
        if is_connection_error(error):
            raise UserError(f"{who}another process has stopped, see its message (none if it was "
                            "killed); go on from the last checkpoint with --resume") from error
        raise


def _take_gpu() -> str:
    """This process's own GPU, by its number on this machine."""
    local, here = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= here:
        wanted = os.environ.get("LOCAL_WORLD_SIZE", local + 1)
        raise UserError(f"{wanted} processes need {wanted} GPUs, here are {here}: give torchrun "
                        f"--nproc-per-node={here}, or train with --device cpu")
    torch.cuda.set_device(local)
    return f"cuda:{local}"


# On paper


@dataclass(frozen=True)
class Machine:
    """GPUs and the wires between them, as far as `step_time` knows them.

    macs_per_s: multiply-adds that one GPU does in a second of training. bytes_per_s: what it can
    send in a second while it receives as much. latency: seconds that each message costs on top.
    """

    macs_per_s: float
    bytes_per_s: float
    latency: float = 20e-6


WAYS = ("columns", "data", "mix")


@dataclass(frozen=True)
class Cost:
    """What one step of a net costs: multiply-adds and travelling numbers by image, parameters."""

    macs: int
    conv_parameters: int
    full_parameters: int
    conv_values: int  # that travel into conv3
    full_values: int  # into fc6, fc7 and fc8
    maps: int         # of conv1


def cost(net: AlexNet) -> Cost:
    """The numbers that `step_time` needs, from the net itself."""
    rows = layer_table(net)

    def total(key: str, start: str) -> int:
        return sum(row[key] for row in rows if row["name"].startswith(start))

    before = {row["name"]: prior["units"] for prior, row in zip(rows, rows[1:])}  # noqa: B905
    return Cost(total("macs", "conv") + total("macs", "fc"), total("params", "conv"),
                total("params", "fc"), before["conv3"], sum(before[f"fc{k}"] for k in (6, 7, 8)),
                net.features.conv1.out_channels)


def step_time(of: Cost, machine: Machine, way: str, gpus: int,
              images: int) -> tuple[float, float]:
    """(compute, exchange) in seconds of one training step on `gpus` GPUs, or infinities.

    images: in the whole minibatch. The step is three times the way forth (notebook
    02). Numbers travel as fp32, there and back; every GPU gets what the others made
    (all-gather), or the sum of what they have (all-reduce in a ring), and nothing is computed
    meanwhile.

    way: "columns": each GPU holds 1/gpus of the maps, and all talk where the paper's two do, at
    most one GPU for each map of conv1. "data": each GPU holds the whole net and takes its share of
    the images, at least one. "mix": convolutions as "data", full layers as "columns"
    (Krizhevsky 2014).
    """
    if way not in WAYS:
        raise UserError(f"unknown way {way!r}: use {', '.join(WAYS)}")
    if gpus > (of.maps if way == "columns" else images):
        return float("inf"), float("inf")
    values, parameters, messages = {
        "columns": (of.conv_values + of.full_values, 0, 2 * 4),
        "data": (0, of.conv_parameters + of.full_parameters, 2),
        "mix": (of.full_values, of.conv_parameters, 2 + 2 * 3)}[way]
    crossing = 2 * 4 * (images * values + parameters) * (gpus - 1) / gpus
    return (3 * of.macs * images / gpus / machine.macs_per_s,
            crossing / machine.bytes_per_s + messages * (gpus - 1) * machine.latency)
