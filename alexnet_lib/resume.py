"""What a run may change when it goes on, and what to type for the rest."""

import dataclasses
import json
import shlex
from pathlib import Path

from alexnet_lib.config import TrainConfig, resolve
from alexnet_lib.errors import UserError
from alexnet_lib.weights import OF_NET

# These do not change what the steps compute, only where they run and when they end.
FREE = ("out", "save_minutes", "data", "device", "until_error", "early_stop")


def check_same_run(path: Path, before: dict, now: TrainConfig, done: int) -> None:
    """Raises UserError unless a run that was begun with `before` may go on with `now`.

    path: of the checkpoint. done: epochs that are finished. More epochs are fine where the
    learning rate does not depend on their number.
    """
    # A choice that came later than the checkpoint had its default then.
    usual, changed = (json.loads(json.dumps(dataclasses.asdict(c))) for c in (TrainConfig(), now))
    before = usual | before
    changed = {name: value for name, value in changed.items()
               if name not in FREE and value != before[name]}
    if now.epochs > before["epochs"] and not stretched(now):
        changed.pop("epochs", None)
    if not changed:
        return
    listed = ", ".join(f"{name} {before[name]} -> {value}" for name, value in changed.items())
    cure = "resume with the same options, or choose another --out"
    if not set(changed) & set(OF_NET):
        more = {"epochs": max(1, now.epochs - done)} if "epochs" in changed else {}
        cure = ("resume with the same options, or begin another run with its weights: "
                + start_line(path, dataclasses.replace(now, **more)))
    raise UserError(f"{path} is of another configuration ({listed}): {cure}")


def stretched(config: TrainConfig) -> bool:
    """Whether the learning rate, or the color noise, depends on how many epochs the run has."""
    noise_ends = config.colour != "none" and config.colour_until < 1
    return noise_ends or config.schedule not in ("constant", "plateau")


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
    words = ["alexnet", "train", "--start", str(path), "--out", str(out)]
    given = {name: getattr(config, name) for name in (
        "data", "epochs", "batch_size", "lr", "schedule")}
    given["start"] = str(path)
    for field in dataclasses.fields(config):  # what is not chosen for the data anyway
        value, name = getattr(config, field.name), field.name
        if name not in (*FREE, "num_classes") and value != getattr(
                resolve(TrainConfig(**given)), name):
            given[name] = value
    del given["start"]
    for name, value in given.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)
