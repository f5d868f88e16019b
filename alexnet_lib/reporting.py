"""What a run says about itself: the lines that are printed and the provenance in its record."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet_lib.datasets import signature
from alexnet_lib.devices import machine

if TYPE_CHECKING:
    from alexnet_lib.training import Trainer


def describe(run: "Trainer") -> str:
    """One line about what will be trained, on what, and which choices were made."""
    c = run.config
    params = sum(p.numel() for p in run.model.parameters())
    return (f"{type(run.model).__name__} {c.variant}, input {c.input_size}, {params:,} parameters; "
            f"{c.data}: {len(run.batches.images):,} training images, {c.num_classes} classes; "
            f"batch {c.batch_size}, rate {c.lr:g}, {c.epochs} epochs, schedule {c.lr_scheduler}; "
            f"{c.device}, {c.precision}{_together(run)}")


def epoch_line(row: dict, epochs: int, classes: int) -> str:
    """One line about a finished epoch."""
    top5 = f"top-5 {row['val_top5_error']:.1%}  " if shows_top5(classes) else ""
    return (f"epoch {row['epoch']}/{epochs}  rate {row['lr']:g}  "
            f"train loss {row['train_loss']:.3f} error {row['train_error']:.1%}  "
            f"val error {row['val_error']:.1%}  {top5}"
            f"{row['images_per_s']:.0f} images/s")


def shows_top5(classes: int) -> bool:
    """Whether the top-5 error says anything: of five classes or fewer no answer is wrong."""
    return classes > 5


def provenance(run: "Trainer") -> dict:
    """Where a result comes from: command, data, seed, device, versions, date, training seconds."""
    here = machine(run.config.device)
    return here | {
        "command": run.commands[0]["command"],
        "data": signature(run.config.data, run.dataset.fingerprint),
        "seeds": run.config.seed,
        "device": f"{here['device']}, {run.config.precision}{_together(run)}",
        "seconds": round(run.seconds + sum(row["seconds"] for row in run.history)),
    }


def _together(run: "Trainer") -> str:
    return f", {run.group.size} processes" if run.group.size > 1 else ""


def command_line(argv: list[str]) -> str:
    """What somebody would type to run this again, without the folders of this machine."""
    program = Path(argv[0])
    if program.name.startswith("ipykernel"):
        return "in a notebook"  # its arguments are those of the kernel
    named = program.name if program.name != "__main__.py" else f"python -m {program.parent.name}"
    return f"{named} {shlex.join(argv[1:])}".rstrip()
