"""Files that survive a kill and run no code: tensors and their description, in safetensors."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet_lib.errors import UserError

CHECKPOINT = "last.safetensors"
FORMAT = 1  # of the descriptions that `training` writes and `weights` reads
STATISTICS = ("mean", "colour_values", "colour_vectors")  # of the data, beside the weights


def check_place(path: str | Path) -> None:
    """UserError if no file can be written there: before the hours of work, not after them."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the name of a file in it")
    if not path.parent.is_dir():
        raise UserError(f"could not write {path}: there is no folder {path.parent}; make it, or "
                        "choose another place")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"could not write {path}: the folder {path.parent} is not writable; make "
                        "it so, or choose another place")


def write_atomically(path: Path, write: Callable[[Path], object], shared: bool = False) -> None:
    """Let `write` make a file beside `path`, then put it in its place in one step.

    shared: processes may do so at the same time, so each has a file of its own beside. (Else the
    one that a killed process left is simply written over.)
    """
    check_place(path)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part" if shared else f"{path.name}.part")
    try:
        write(beside)
        with open(beside, "rb+") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        kept = "; the earlier file is intact" if path.exists() else ""
        raise UserError(f"could not write {path}: {error}{kept}") from None


def write_checkpoint(path: Path, tensors: dict[str, Tensor], meta: dict) -> None:
    """Write tensors and their description in the safetensors format, which holds no code."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_atomically(path, lambda p: save_file(tensors, p, {"alexnet": json.dumps(meta)}))


def read_checkpoint(path: str | Path, what: str = "checkpoint",
                    made_by: str = "alexnet train") -> tuple[dict[str, Tensor], dict]:
    """(tensors, description) of a checkpoint; nothing in the file is ever run as code.

    Raises UserError, which calls the file `what`, if there is none or if it is something else.
    """
    path = Path(path)
    if path.is_dir():
        path = path / CHECKPOINT
    if not path.is_file():
        raise UserError(f"no {what} {path}: give the file that {made_by} wrote")
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {})["alexnet"])
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, meta
    except (SafetensorError, OSError, KeyError, ValueError):
        raise UserError(f"{path} is not a {what} of this library, or is damaged: "
                        f"give the file that {made_by} wrote") from None


def kept_choices(out: str | Path | None) -> dict:
    """The choices (of a `TrainConfig`) of the run whose checkpoint is in that folder, if any."""
    path = Path(out or "", CHECKPOINT)
    if not out or not path.is_file():
        return {}
    try:
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["alexnet"])["config"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return {}  # `read_checkpoint` says what is wrong with it


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}
