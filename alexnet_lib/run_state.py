"""What the checkpoint of a run holds, and how a run goes back to it."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from alexnet_lib.checkpoints import FORMAT, STATISTICS, damaged, part, read_checkpoint
from alexnet_lib.config import check_described
from alexnet_lib.errors import UserError
from alexnet_lib.resume import check_same_run

if TYPE_CHECKING:
    from alexnet_lib.training import Trainer


def net(run: "Trainer") -> tuple[dict[str, Tensor], dict]:
    """(tensors, description) of the net as it is, for `weights.load_model`."""
    tensors = {f"model.{name}": t for name, t in run.model.state_dict().items()}
    tensors |= {f"data.{name}": torch.as_tensor(np.asarray(getattr(run.dataset, name)))
                for name in STATISTICS}
    return tensors, {
        "format": FORMAT, "config": dataclasses.asdict(run.config), "classes": run.classes,
        "fingerprint": run.dataset.fingerprint, "step": run.step}


def whole(run: "Trainer") -> tuple[dict[str, Tensor], dict]:
    """(tensors, description) of all that the run needs to go on."""
    tensors, meta = net(run)
    tensors |= {f"optimizer.{group['name']}.{group['kind']}.{name}": t
                for group in run.optimizer.param_groups
                for name, t in run.optimizer.state.get(group["params"][0], {}).items()}
    # As tensors: a description of a million numbers would be too long for the format.
    tensors |= {"run.losses": torch.tensor(run.losses, dtype=torch.float64),
                "run.num_errors": torch.tensor(run.num_errors, dtype=torch.int32)}
    return tensors, meta | {
        "seconds": run.seconds, "history": run.history, "commands": run.commands,
        "lr_scheduler": dataclasses.asdict(run.lr_scheduler),
        "lr": [group["lr"] for group in run.optimizer.param_groups],
    }


def restore(run: "Trainer") -> None:
    """Put the checkpoint at `run.path` back into the run. Raises UserError if it does not fit."""
    try:
        _restore(run)
    except UserError:
        raise
    except (ArithmeticError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise damaged(run.path, "its parts do not fit together") from error


def _restore(run: "Trainer") -> None:
    tensors, meta = read_checkpoint(run.path)
    if meta["fingerprint"] != run.dataset.fingerprint:
        raise UserError(f"{run.path} was trained on other data than {run.config.data!r}: "
                        "choose the same --data, or another --out")
    before = check_described(meta["config"], run.path)
    check_same_run(run.path, before, run.config, len(meta.get("history", ())))
    if "run.losses" not in tensors:
        raise UserError(f"{run.path} was written by an earlier version of this library, or is "
                        "no checkpoint but an exported net: choose another --out, and --init-from "
                        "to begin with its weights")
    run.model.load_state_dict(part(tensors, "model."))
    # What is new had its default then.
    run.lr_scheduler = type(run.lr_scheduler)(**meta["lr_scheduler"])
    run.lr_scheduler.update(run.optimizer, 1, None)  # what it cannot work with is refused here
    for group, lr in zip(run.optimizer.param_groups, meta["lr"], strict=True):
        group["lr"], weight = lr, group["params"][0]
        for name, t in part(tensors, f"optimizer.{group['name']}.{group['kind']}.").items():
            run.optimizer.state[weight][name] = torch.empty_like(weight).copy_(t)
    run.step, run.seconds = meta["step"], meta["seconds"]
    run.history = meta["history"]
    run.commands = meta.get("commands", []) + run.commands
    run.losses, run.num_errors = (
        tensors[f"run.{name}"].tolist() for name in ("losses", "num_errors"))
    if not len(run.losses) == len(run.num_errors) == run.step:
        raise damaged(run.path, f"step must be {len(run.losses)}")
