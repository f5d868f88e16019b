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


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, then put it in its place in one step."""
    beside = path.with_name(f"{path.name}.part")
    try:
        write(beside)
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        beside.unlink(missing_ok=True)
        raise UserError(f"could not write {path}: {error}; the earlier file is intact") from None


def write_checkpoint(path: Path, tensors: dict[str, Tensor], meta: dict) -> None:
    """Write tensors and their description in the safetensors format, which holds no code."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    write_atomically(path, lambda p: save_file(tensors, p, {"alexnet": json.dumps(meta)}))


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """(tensors, description) of a checkpoint; nothing in the file is ever run as code.

    Raises UserError if there is no such file, or if it is not a checkpoint of this library.
    """
    path = Path(path)
    if path.is_dir():
        path = path / CHECKPOINT
    if not path.is_file():
        raise UserError(f"no checkpoint {path}: give the {CHECKPOINT} of a finished training run")
    try:
        with safe_open(path, "pt") as file:
            meta = json.loads((file.metadata() or {})["alexnet"])
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, meta
    except (SafetensorError, OSError, KeyError, ValueError):
        raise UserError(f"{path} is not a checkpoint of this library, or is damaged: "
                        "give the file that alexnet train wrote") from None


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}
