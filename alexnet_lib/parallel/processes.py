"""Processes that work on one run: the group they are, how they start, how a failure is told."""

import contextlib
import inspect
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from alexnet_lib.errors import UserError

GRACE = 2.0  # seconds in which a better explanation than "the other one is gone" may arrive
CONNECT = timedelta(minutes=5)  # for finding each other, and for any single exchange
PREPARE = timedelta(hours=12)  # for what is done once, before the others go on: packing ImageNet
LEAVE = 30.0  # seconds in which a process without an agent may save its checkpoint


@dataclass(frozen=True)
class Group:
    """This process among those that work on the same run: its number, how many, on which device.

    store: through which they say that something is ready, however long it takes.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    store: "dist.Store" = None  # type: ignore[assignment]  # a group of one needs none
    _calls: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def shard(self, count: int) -> slice:
        """Which of `count` images are this process's; shares differ by one image at most."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def all_reduce(self, values: Tensor) -> Tensor:
        """The sum over the processes, in every process."""
        if self.size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    @contextlib.contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Process 0 goes through the body first, the others after it: for files made once.

        It may take hours, also on other machines, which make files of their own.
        """
        if self.size == 1:
            yield
            return
        call = next(self._calls)
        ready = [f"{call}/{rank}" for rank in range(self.size)]
        if self.rank:
            self.store.wait(ready[:1], PREPARE)
        try:
            yield
        finally:
            self.store.set(ready[self.rank], "")
        self.store.wait(ready, PREPARE)

    def broadcast(self, value: str) -> str:
        """What process 0 gives as `value`, in every process."""
        if self.size == 1:
            return value
        name = f"value/{next(self._calls)}"
        if not self.rank:
            self.store.set(name, value)
        return self.store.get(name).decode()

    def barrier(self) -> None:
        """Until all processes are here. (On a GPU a sum would only be put into a queue.)"""
        if self.size > 1:
            dist.barrier()

    def replicate(self, model: nn.Module) -> nn.Module:
        """`model`, or a wrapper whose backward pass leaves the processes' mean gradient in it.

        PyTorch's own wrapper: it sends a layer's gradient while the layers below still compute.
        """
        if self.size == 1:
            return model
        name = "forward_sync_buffers"  # since torch 2.13; before, broadcast_buffers
        if name not in inspect.signature(DistributedDataParallel).parameters:
            name = "broadcast_buffers"
        return DistributedDataParallel(model, **{name: False})  # type: ignore[arg-type]


ALONE = Group()


def run_processes(count: int, function: Callable, *args, timeout: float = 120.0,
                  threads: int = 1) -> list:
    """What `function(group, *args)` returns in each of `count` processes that can talk.

    Args:
        function: importable by name, so not one that a notebook defines. Its arguments and its
            result are copied from process to process. What it prints goes to stderr.
        timeout: seconds for all of it. threads: of each process.

    Raises UserError, with the process's own message, if one of them raises, dies, or does not end
    in time; the others are stopped then. With two GPUs or more, and one for each process, they use
    these; else the CPU, and a single process as well, so that one can be compared with two.
    """
    if count < 1:
        raise UserError(f"processes must be 1 or more, not {count}")
    payload = _packed(function, args)
    enough = torch.cuda.is_available() and torch.cuda.device_count() >= max(count, 2)
    # A server that has imported torch (and what its optimizers import) once, and forks from there,
    # where that is safe: seconds less for each process.
    kind = "forkserver" if sys.platform == "linux" else "spawn"
    context: Any = multiprocessing.get_context(kind)
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
        late = ", ".join(str(ranks[pipe]) for pipe in sorted(waiting, key=ranks.__getitem__))
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
        store = dist.FileStore(str(Path(folder) / "store"), count)
        _connect(device, store=store, rank=rank, world_size=count,
                 timeout=timedelta(seconds=timeout))
        group = Group(rank, count, device, dist.PrefixStore("alexnet", store))
        torch.manual_seed(rank)
        result = pickle.dumps(("done", function(group, *args)))
        group.barrier()  # nobody leaves while another still talks to it
        dist.destroy_process_group()
    except BaseException as error:
        kind = "lost" if is_connection_error(error) else "raised"
        result = pickle.dumps((kind, f"stopped: {_told(error)}", traceback.format_exc()))
    pipe.send_bytes(result)
    pipe.close()


def _end_with_parent() -> None:
    parent: Any = multiprocessing.parent_process()
    wait([parent.sentinel])
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
    other than 0 say which one it is. Raises UserError if the others are not found within minutes,
    or if the environment does not describe a group.
    """
    size, rank = _whole_number("WORLD_SIZE", 1), _whole_number("RANK", 0)
    if size == 1:
        yield ALONE
        return
    who = f"process {rank} of {size}: " if rank else ""
    try:
        _check_environment(rank, size)
        if "TORCHELASTIC_RUN_ID" in os.environ and os.name == "posix":
            threading.Thread(target=_end_with_agent, args=(os.getppid(),), daemon=True).start()
        device = _take_gpu() if device.startswith("cuda") else "cpu"
        group = Group(rank, size, device, _meet(device, rank, size))
        yield group
        group.barrier()  # as above: one that leaves early has been seen to abort
        dist.destroy_process_group()
    except (UserError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise UserError(f"{who}{error}") from error
        if is_connection_error(error):
            raise UserError(f"{who}another process has stopped, see its message (none if it was "
                            "killed); go on from the last checkpoint with --resume") from error
        raise


def _whole_number(name: str, usual: int) -> int:
    given = os.environ.get(name, str(usual))
    if not given.isdecimal():
        raise UserError(f"the environment says {name}={given!r}, which is no whole number: start "
                        f"several processes with torchrun, or one with {name} unset")
    return int(given)


def _check_environment(rank: int, size: int) -> None:
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if size < 1 or rank >= size or missing:
        wrong = f"{missing[0]} is not set" if missing else f"RANK is {rank}"
        raise UserError(f"the environment says WORLD_SIZE={size}, but {wrong}: start several "
                        "processes with torchrun, or one with WORLD_SIZE unset")


def _meet(device: str, rank: int, size: int) -> "dist.Store":
    """Connect with the other processes; returns the store that they share."""
    try:
        store, _, _ = next(dist.rendezvous("env://", timeout=CONNECT))
        store = _unused(store, rank, size)
        _connect(device, store=dist.PrefixStore("group", store), rank=rank, world_size=size,
                 timeout=CONNECT)
    except (RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(f"cannot connect {size} processes at {where} ({_told(error)}): start all "
                        "of them within five minutes, with torchrun") from error
    return dist.PrefixStore("alexnet", store)


def _unused(store: "dist.Store", rank: int, size: int) -> "dist.Store":
    """A part of the store that these processes, and none from before a restart, have agreed on.

    torchrun's store remembers the addresses of earlier processes, and gloo would wait for those.
    Agents on several machines may count restarts differently (pytorch/pytorch#135712), so process 0
    names the part. It goes on answering greetings, for the first may be one from before.
    """
    me, ends = uuid.uuid4().hex, time.monotonic() + CONNECT.total_seconds()
    store.set(f"greeting {rank}", me)
    if rank:
        me = store.get(f"answer to {me}").decode()
        store.set(f"{me} {rank}", "here")
    while not rank and not store.check([f"{me} {other}" for other in range(1, size)]):
        for other in range(1, size):
            if store.check([key := f"greeting {other}"]):
                store.set(f"answer to {store.get(key).decode()}", me)
        if time.monotonic() > ends:
            raise RuntimeError("not all of them came")
        time.sleep(0.05)
    return dist.PrefixStore(me, store)


def _end_with_agent(agent: int) -> None:
    """Stop when torchrun's agent is gone, which would have stopped this process: save, then end."""
    while os.getppid() == agent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LEAVE)
    os._exit(1)


def _take_gpu() -> str:
    """This process's own GPU, by its number on this machine."""
    local, here = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= here:
        wanted = os.environ.get("LOCAL_WORLD_SIZE", local + 1)
        raise UserError(f"{wanted} processes need {wanted} GPUs, here are {here}: give torchrun "
                        f"--nproc-per-node={here}, or train with --device cpu")
    torch.cuda.set_device(local)
    return f"cuda:{local}"
