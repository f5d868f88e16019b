"""The paper's update rule (section 5) and its ways of lowering the rate."""

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import ops
from alexnet_lib.choices import check_values
from alexnet_lib.errors import UserError


class PaperSGD(torch.optim.Optimizer):
    """Stochastic gradient descent with the rate inside the velocity (paper, section 5).

        v <- momentum * v - weight_decay * lr * w - lr * gradient
        w <- w + v

    The source does the same (src/layer.cu:659-672, src/weights.cu:151-153 and, for the decay,
    192-195). `torch.optim.SGD`
    multiplies the velocity by the rate afterwards: equal while the rate is constant, but when
    the rate drops, here the larger old velocity lives on for some ten steps. A group whose rate
    is 0 is frozen: neither it nor its velocity changes (weights.cu:148).

    Args:
        params: parameters or groups, as for any torch optimizer.
        lr: rate, above or equal to 0. momentum, weight_decay: 0.9 and 0.0005 in the paper.

    Raises UserError for a setting that is negative or not finite, or a momentum of 1 or more.
    """

    def __init__(self, params, lr: float = 0.01, momentum: float = 0.9,
                 weight_decay: float = 0.0005):
        if not (0 <= lr < math.inf and 0 <= momentum < 1 and 0 <= weight_decay < math.inf):
            raise UserError("lr and weight_decay must be finite and not negative, and momentum "
                            f"from 0 to less than 1, not {lr}, {weight_decay} and {momentum}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        """Update every parameter that has a gradient; returns the closure's loss, if any."""
        with torch.enable_grad():
            loss = closure() if closure else None
        together: dict[tuple, list] = {}  # parameters with the same settings, in one call
        for group in self.param_groups:
            settings = group["lr"], group["momentum"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is not None and group["lr"] > 0:
                    # A tensor subclass, as of a model in shards, brings its own operators.
                    plain = type(p) is nn.Parameter or type(p) is torch.Tensor
                    update = ops.paper_sgd if plain else ops.paper_sgd_formula
                    together.setdefault((update, *settings), []).append(
                        (p, self._velocity(p), p.grad))
        for (update, *settings), triples in together.items():
            update(*map(list, zip(*triples, strict=True)), *settings)
        return loss

    def _velocity(self, p: torch.Tensor) -> torch.Tensor:
        state = self.state[p]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(p)
        return state["velocity"]


def parameter_groups(model: nn.Module, lr: float = 0.01, weight_decay: float | None = 0.0005,
                     bias_lr_factor: float = 1.0) -> list[dict]:
    """One group for each layer's weights and one for its biases, in the layers' order.

    Parameters that need no gradient are left out: they stay as they are.
    Biases are not decayed (src/layer.cu:565) and learn at `bias_lr_factor` times the rate: 1 by
    the paper's text, 2 in run #145. A group has `name` ("conv1", ...), `kind` ("weight" or
    "bias") and `base_lr`, which schedules start from. `weight_decay=None` takes the decay that
    the model brings for each layer (`CifarNet.weight_decay`), else 0.0005.
    """
    own = getattr(model, "weight_decay", {}) if weight_decay is None else {}
    groups = []
    for path, p in model.named_parameters():
        if not p.requires_grad:
            continue
        name, kind = path.rsplit(".", 2)[-2:] if "." in path else ("", path)
        rate = lr * bias_lr_factor if kind == "bias" else lr
        decay = 0.0005 if weight_decay is None else weight_decay
        groups.append({"params": [p], "name": name, "kind": kind, "base_lr": rate, "lr": rate,
                       "weight_decay": 0.0 if kind == "bias" else own.get(name, decay)})
    return groups


def update(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, labels: Tensor, *,
           loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy, scale: float = 1,
           precision: AbstractContextManager | None = None) -> tuple[Tensor, Tensor]:
    """One step: forward pass, loss, backward pass and the update of the weights.

    Args:
        x: what the model takes. labels: what `loss(logits, labels)` takes; it gets the logits
            in float32 at least. scale: a factor on the loss for the backward pass alone.
        precision: the context of the forward pass, such as `config.autocast(config)`.

    Returns: the loss before the update, without its graph, and the logits. The gradients stay
    in the parameters until the next step.
    """
    with precision or nullcontext():
        logits = model(x)
    value = loss(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)
    optimizer.zero_grad(set_to_none=True)
    (value * scale).backward()
    optimizer.step()
    return value.detach(), logits.detach()


@dataclass
class Constant:
    """The rate stays as it is.

    These rules are asked at the start of an epoch, and all but `Plateau` follow from its number:
    a run that goes on, or goes on longer, needs no more. PyTorch's schedulers give the same rates
    (tests/test_optim.py), but hold the optimizer and count by themselves.
    """

    def update(self, optimizer: torch.optim.Optimizer, epoch: int, val_error: float | None) -> None:
        """Set the rates for the epoch that begins, 0-based; `val_error` is that of the last."""

    def noise_again(self, epoch: int) -> bool:
        """Whether color noise that had ended is back in that epoch, 0-based."""
        return False


@dataclass
class Plateau(Constant):
    """The paper's: divide the rate by 10 when the validation error stops improving (section 5).

    The paper did so by hand, three times. Here: after `patience` epochs without an error at
    least `threshold` (a fraction of 1) below the best, at most `drops` times. The first `warm`
    epochs do not count: a net may begin late.
    """

    patience: int = 5
    drops: int = 3
    threshold: float = 0.001
    warm: int = 0
    best: float = field(default=float("inf"), repr=False)
    waited: int = field(default=0, repr=False)
    dropped: int = field(default=0, repr=False)

    def update(self, optimizer, epoch, val_error):
        if val_error is not None:
            # The best moves only with an improvement: a slow fall adds up to one.
            if val_error < self.best - self.threshold:
                self.best, self.waited = val_error, 0
            elif epoch > self.warm:
                self.waited += 1
            if self.waited >= self.patience and self.dropped < self.drops:
                self.dropped, self.waited = self.dropped + 1, 0
        _scale(optimizer, lambda group: 0.1 ** self.dropped)


@dataclass
class Steps(Constant):
    """Divide the rate by 10 at given fractions of the run.

    In a short run two drops do not share an epoch: the earlier one comes an epoch sooner. The
    first epoch always has the whole rate; a drop for which there is no other is left out.
    """

    epochs: int
    at: tuple[float, ...] = (25 / 91, 51 / 91, 79 / 91)

    def update(self, optimizer, epoch, val_error):
        begins, after = [], self.epochs
        for fraction in reversed(self.at):
            after = min(int(fraction * self.epochs + 1e-9), after - 1)
            begins.append(after)
        drops = sum(0 < begin <= epoch for begin in begins)
        _scale(optimizer, lambda group: 0.1 ** drops)


@dataclass
class Run145(Constant):
    """The log of run #145, 91 epochs, stretched to `epochs` (layer-params-145.cfg:165-182).

    Weights 0.01, then 0.001 from epoch 25, 1e-4 from 51, 1e-5 from 79; conv1's weights 1e-5
    already from 67 and frozen, with its biases, from 72; all other biases keep their rate.
    """

    epochs: int

    def update(self, optimizer, epoch, val_error):
        def since(logged: int) -> bool:
            return epoch >= max(1, round(logged / 91 * self.epochs))

        def factor(group: dict) -> float:
            if group["name"] == "conv1" and since(72):
                return 0.0
            if group["kind"] == "bias":
                return 1.0
            late = since(67) if group["name"] == "conv1" else since(79)
            return 0.001 if late else 0.1 ** (since(25) + since(51))

        _scale(optimizer, factor)


@dataclass
class Restart(Constant):
    """Run #145 and what came after: at the end of its 91 epochs the rate goes up again.

    Weights 0.001 from epoch 91, with color noise once more, 1e-4 from 107, 1e-5 from 124, the end
    at 135 (layer-params-145.cfg:192-203); the whole stretched to `epochs`. conv1 stays frozen
    (`:195`), and the noise ends again at 124 (`:200`). Of the biases the log says nothing, but the
    file shows their last state: the first rate (`:18-19`).
    """

    epochs: int

    def update(self, optimizer, epoch, val_error):
        at = self._logged(epoch)
        if at < 91:
            Run145(91).update(optimizer, at, val_error)
        else:
            late = 0.1 ** (1 + (at >= 107) + (at >= 124))
            _scale(optimizer, lambda group: 0.0 if group["name"] == "conv1" else
                   1.0 if group["kind"] == "bias" else late)

    def noise_again(self, epoch):
        return 91 <= self._logged(epoch) < 124

    def _logged(self, epoch: int) -> float:
        """The log's epoch, of 135, that this one stands for."""
        return epoch * 135 / self.epochs


# Nets learn by steps: two epochs of Imagenette are 132 steps, two of 300 photographs are four. In
# a run of fewer than SHORT_RUN steps a plateau waits for PATIENCE of them at least, and not yet in
# the first START, where a fresh net may show nothing.
SHORT_RUN, PATIENCE, START = 5000, 130, 300


def lr_scheduler(name: str, epochs: int, steps_per_epoch: int | None = None) -> Constant:
    """The schedule of that name for a run of `epochs`.

    "145", "restart", "constant"; "plateau" with a patience of 5 epochs in 90, and of 2 at least:
    a run too short to wait would never drop; where `steps_per_epoch` is known and the run is short,
    it counts steps as well (see `PATIENCE`); "steps" drops every rate where run #145 dropped its
    weights'; "cifar" drops at 120/140 and 130/140 of the run (layer-params-18pct.cfg:3-4).
    Raises UserError.
    """
    check_values({"lr_scheduler": name}, {"lr_scheduler": str})
    if name == "cifar":
        return Steps(epochs, (120 / 140, 130 / 140))
    if name == "plateau":
        patience = max(2, round(epochs * 5 / 90))
        if steps_per_epoch is None or epochs * steps_per_epoch >= SHORT_RUN:
            return Plateau(patience)
        return Plateau(max(patience, math.ceil(PATIENCE / steps_per_epoch)),
                       warm=math.ceil(START / steps_per_epoch))
    if name == "constant":
        return Constant()
    return {"145": Run145, "steps": Steps, "restart": Restart}[name](epochs)


def first_drop(rule: Constant, epochs: int) -> int | None:
    """The first epoch, from 0, in which that schedule may lower the weights' rate, if any does.

    A plateau may do so when the error has not improved since the first epoch.
    """
    group = {"params": [torch.zeros(1)], "name": "fc6", "kind": "weight", "base_lr": 1.0, "lr": 1.0}
    rule, optimizer = copy.deepcopy(rule), torch.optim.SGD([group], 1.0)
    for epoch in range(epochs):
        rule.update(optimizer, epoch, 1.0 if epoch else None)
        if optimizer.param_groups[0]["lr"] < 1:
            return epoch
    return None


def _scale(optimizer, factor) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor(group)


def current_lr(optimizer) -> float:
    """The rate of the weights of the second layer that learns; the source froze conv1 early."""
    weights = [group for group in optimizer.param_groups if group["kind"] == "weight"]
    return weights[min(1, len(weights) - 1)]["lr"]
