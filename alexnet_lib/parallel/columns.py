"""The paper's two columns, each in a process of its own (section 3.2).

They talk where the paper's two GPUs do, into conv3, fc6, fc7 and fc8 (layers-145.cfg:137,151,240,
249,268,277,297), and nowhere else.
"""

import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib.errors import UserError
from alexnet_lib.layers import LocalResponseNorm
from alexnet_lib.models import AlexNet
from alexnet_lib.optim import PaperSGD, parameter_groups, update

from .processes import Group, run_processes


def layers(net: AlexNet) -> dict[str, nn.Module]:
    """The layers of an AlexNet by name, in order."""
    return dict(net.features.named_children()) | dict(net.classifier.named_children())


def connected_layers(net: AlexNet) -> list[str]:
    """The layers that read the maps of both columns: conv3, fc6, fc7, fc8.

    conv1 does not count: it reads the image, which both columns have.
    """
    weighted = {name: layer for name, layer in layers(net).items() if hasattr(layer, "weight")}
    return [name for name, layer in weighted.items()
            if name != "conv1" and getattr(layer, "groups", 1) == 1]


class _Gather(torch.autograd.Function):
    """Forth: both columns' maps. Back: the sum of what both columns' next layers ask of mine."""

    @staticmethod
    def forward(ctx, mine, to, sent, name):
        rank = _my_column()
        ctx.settings = to, sent, name, rank, mine.shape
        theirs = swap(mine if to != rank else None,
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
        asked = swap(theirs, grad.new_empty(shape) if to != rank else None, sent, (name, "back"))
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


def swap(out: Tensor | None, into: Tensor | None, sent: Counter, entry: tuple) -> Tensor | None:
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
    alone, as in the source. Each column normalizes its own maps and draws its own dropout masks.

    Args:
        net: an `AlexNet(columns=2)`; its weights are copied.
        rank: 0 or 1.

    `sent` counts the bytes that this process has sent, by (layer, "forth" or "back"). Weights have
    the same names as in the net; `join_columns` puts them together again.
    """

    features: nn.ModuleDict
    classifier: nn.ModuleDict

    def __init__(self, net: AlexNet, rank: int):
        super().__init__()
        if not isinstance(net, AlexNet) or net.columns != 2:
            raise UserError("a Column is half of an AlexNet with two columns: build the net with "
                            "columns=2")
        if rank not in (0, 1):
            raise UserError(f"there are columns 0 and 1, no column {rank}")
        self.rank, self.connected, self.sent = rank, connected_layers(net), Counter[tuple]()
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
        mine: dict[str, nn.Module] = {**self.features, **self.classifier}
        for name in self.order:
            if name in self.connected:
                x = gather_columns(x, 0 if name == self.last else None, self.sent, name)
            if name in mine:
                x = mine[name](x)
        return x

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy in column 0; in column 1 a zero whose backward pass joins in."""
        return logits.sum() if self.rank else F.cross_entropy(logits, labels)


def _half(layer: nn.Module, rank: int, whole: bool) -> nn.Module:
    """A column's part of a layer: half of what it makes."""
    if isinstance(layer, LocalResponseNorm):
        return LocalResponseNorm(layer.channels // 2, layer.size, layer.alpha, layer.beta, layer.k)
    if whole or not hasattr(layer, "weight"):
        return deepcopy(layer)
    with torch.device("meta"):  # its own first weights are not needed
        if isinstance(layer, nn.Conv2d):
            half: nn.Module = nn.Conv2d(  # of sides (a, b), which the annotations do not say
                layer.in_channels // layer.groups, layer.out_channels // 2,
                layer.kernel_size, layer.stride, layer.padding)  # type: ignore[arg-type]
        else:
            outputs, inputs = layer.get_parameter("weight").shape
            half = nn.Linear(inputs, outputs // 2)
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
    return _train(group, net, F.cross_entropy, batches, lr)


def _train(group: Group, net: nn.Module, loss: Callable, batches: list, lr: float) -> dict:
    optimizer = PaperSGD(parameter_groups(net, lr), lr)
    found: dict = {"losses": [], "gradients": {}, "seconds": []}
    for x, labels in batches:
        begun = time.perf_counter()
        value, _ = update(net, optimizer, x.to(group.device), labels.to(group.device), loss=loss)
        found["gradients"] = found["gradients"] or {
            name: p.grad.cpu().clone() for name, p in net.named_parameters() if p.grad is not None}
        found["losses"].append(value.item())
        found["seconds"].append(time.perf_counter() - begun)
    return found | {"weights": {name: t.cpu() for name, t in net.state_dict().items()}}


def run_columns(function: Callable, *args, timeout: float = 120.0, threads: int = 1) -> list:
    """What `function(group, *args)` returns in column 0 and in column 1; see `run_processes`."""
    return run_processes(2, function, *args, timeout=timeout, threads=threads)
