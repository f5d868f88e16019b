"""What a run may change when it goes on, and what to type for the rest."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from alexnet_lib.choices import TrainConfig, having
from alexnet_lib.config import resolve
from alexnet_lib.errors import UserError


def check_same_run(path: Path, before: TrainConfig, now: TrainConfig, done: int) -> None:
    """Raises UserError unless a run that was begun with `before` may go on with `now`.

    path: of the checkpoint. done: epochs that are finished. More epochs are fine where the
    learning rate does not depend on their number.
    """
    changed = {name: f"{name} {getattr(before, name)} -> {value}"
               for name, value in vars(now).items()
               if name not in having("may_change") and value != getattr(before, name)}
    if now.epochs > before.epochs and not stretched(now):
        changed.pop("epochs", None)
    if not changed:
        return
    listed = ", ".join(changed.values())
    cure = "resume with the same options, or choose another --out"
    if not set(changed) & set(having("changes")):
        more: dict[str, Any] = {"epochs": max(1, now.epochs - done)} if "epochs" in changed else {}
        cure = ("resume with the same options, or begin another run with its weights: "
                + start_line(path, dataclasses.replace(now, **more)))
    raise UserError(f"{path} is of another configuration ({listed}): {cure}")


def stretched(config: TrainConfig) -> bool:
    """Whether the learning rate, or the color noise, depends on how many epochs the run has."""
    noise_ends = config.color != "none" and config.color_until < 1
    return noise_ends or config.lr_scheduler not in ("constant", "plateau")


def for_more(path: Path, config: TrainConfig) -> str:
    """What to type when a finished run should learn more."""
    if stretched(config):
        return start_line(path, config)
    return (f"alexnet train --resume --epochs {2 * config.epochs} "
            f"--out {shlex.quote(str(path.parent))}")


def start_line(path: Path, config: TrainConfig) -> str:
    """The command of a new run with these choices that begins with the weights in `path`."""
    number, out = 2, path.parent
    while out.exists():
        out, number = out.with_name(f"{path.parent.name}-{number}"), number + 1
    words = ["alexnet", "train", "--init-from", str(path), "--out", str(out)]
    given = {name: getattr(config, name) for name in (
        "data", "epochs", "batch_size", "lr", "lr_scheduler")}
    given["init_from"] = str(path)
    for field in dataclasses.fields(config):  # what is not chosen for the data anyway
        value, name = getattr(config, field.name), field.name
        if name not in (*having("may_change"), "num_classes") and value != getattr(
                resolve(TrainConfig(**given)), name):
            given[name] = value
    del given["init_from"]
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)
