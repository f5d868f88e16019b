"""Files that survive a kill and run no code: tensors and their description, in safetensors."""

import contextlib
import dataclasses
import json
import os
import stat
import typing
from collections.abc import Callable, Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from alexnet_lib.errors import UserError
from alexnet_lib.old_names import renamed_tensor
from alexnet_lib.optim import Constant
from alexnet_lib.schema import misfit, parse

CHECKPOINT = "last.safetensors"
BEST = "best.safetensors"  # beside it: the net of the epoch with the lowest validation error
HISTORY = "history.json"
FORMAT = 1  # of the descriptions that `training` writes and `weights` reads
STATISTICS = ("mean", "color_values", "color_vectors")  # of the data, beside the weights


# What descriptions say: of every net, of a run that can be resumed, and of predictions.
NET = {"format": int, "config": dict, "classes": list[str], "fingerprint": str, "step": int}
EPOCH = {"epoch": int, "step": int, **dict.fromkeys((
    "lr", "train_loss", "train_error", "val_loss", "val_error", "val_top5_error", "seconds",
    "images_per_s"), float)}
SCHEDULER = dataclasses.make_dataclass("SCHEDULER", {  # the fields of all schedules
    name: kind for each in Constant.__subclasses__()
    for name, kind in typing.get_type_hints(each).items()}.items())
RUN = NET | {"seconds": float, "history": list[EPOCH],  # type: ignore[valid-type]
             "lr_scheduler": SCHEDULER, "lr": list[float], "commands?": list[dict]}
PREDICTIONS = {"predictions": dict, "classes": list[str]}


def check_place(path: str | Path, kind: str | None = None, inputs: Iterable = ()) -> None:
    """UserError if no file can be written there: before the hours of work, not after them.

    kind: of the file to be written, as `kind_of` says; a file of another kind is not replaced.
    inputs: files that the work reads, which are not replaced either.
    """
    path = Path(path)
    try:
        os.fspath(path).encode()  # to UTF-8: safetensors opens no other names
        found = path.lstat().st_mode if os.path.lexists(path) else None
        Path(f"{path}.{'x' * 20}").exists()  # as long as the name of the file beside, at first
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "a name must be UTF-8, without zeros"
        raise UserError(f"could not write {str(path)[:100]}: {why}; choose another name") from None
    if found is not None and stat.S_ISDIR(found):
        raise UserError(f"{path} is a folder: give the name of a file in it")
    if found is not None and not stat.S_ISREG(found):
        raise UserError(f"could not write {path}: it is a link, a device or a pipe, not a file; "
                        "choose another name")
    if not path.parent.is_dir():
        raise UserError(f"could not write {path}: there is no folder {path.parent}; make it, or "
                        "choose another place")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"could not write {path}: the folder {path.parent} is not writable; make "
                        "it so, or choose another place")
    if found is None:
        return
    if any(os.path.exists(other) and os.path.samefile(path, other) for other in inputs):
        raise UserError(f"could not write {path}: the command reads this file; choose another name")
    if kind and (there := kind_of(path)) not in (None, kind):
        raise UserError(f"could not write {path}: it holds something else ({there}, not {kind}); "
                        "choose another name, or remove it")


def kind_of(path: Path) -> str | None:
    """What a file holds: "JSON", "PNG", "ONNX", "a net", "a run" that can be resumed,
    "predictions" or "another kind"; None if it is empty.
    """
    with open(path, "rb") as file:
        head = file.read(512)
    if head[8:9] == b"{":
        with contextlib.suppress(SafetensorError, TypeError, ValueError):
            described, run = _header(path)
            return "predictions" if "predictions" in described else "a run" if run else "a net"
    if head.startswith(b"\x89PNG"):
        return "PNG"
    if head.lstrip()[:1] in (b"{", b"[") and b"\0" not in head:
        return "JSON"
    onnx = head[:1] == b"\x08" and head[2:3] == b"\x12"  # its first two fields
    return "ONNX" if onnx else "another kind" if head else None


def _header(path: Path) -> tuple[typing.Any, bool]:
    """(the description in a file of tensors, whether they are those of a run)."""
    with safe_open(path, "pt") as file:
        described, names = parse((file.metadata() or {}).get("alexnet", "")), list(file.keys())
    return described, any(name.startswith("run.") for name in names)


def write_atomically(path: Path, write: Callable[[Path], object], shared: bool = False) -> None:
    """Let `write` make a file in a folder beside `path`, then put it in its place in one step.

    The file has the permissions of any new file there. shared: several processes may write at the
    same time, so each has a folder of its own. A killed process leaves its folder behind, which
    the next write to `path` removes.
    """
    check_place(path)
    folder = path.with_name(f"{path.name}.{os.getpid()}.part" if shared else f"{path.name}.part")
    beside = folder / path.name
    try:
        remove_unfinished(path, folder)
        folder.mkdir()
        beside.touch()
        mode = beside.stat().st_mode
        write(beside)
        check_place(path, kind_of(beside))
        if beside.stat().st_mode != mode:  # safetensors makes a private file of its own
            beside.chmod(mode)
        with open(beside, "rb+") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())
        os.replace(beside, path)
    except (OSError, SafetensorError) as error:
        kept = "; the earlier file is intact" if path.exists() else ""
        raise UserError(f"could not write {path}: {error}{kept}") from None
    finally:
        with contextlib.suppress(OSError):
            remove_unfinished(path, folder)


def remove_unfinished(path: Path, folder: Path | None = None) -> None:
    """Remove what a killed process left of writing `path`, and nothing else. Raises OSError."""
    folder = folder or path.with_name(f"{path.name}.part")
    if folder.is_symlink() or not folder.is_dir():
        return
    for file in folder.iterdir():
        # Ours, and the one that safetensors writes beside before it renames it.
        if file.name == path.name or file.name.startswith(".tmp"):
            file.unlink()
    folder.rmdir()


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
    if os.path.isdir(path):  # unlike the path's own method, not confused by a name too long
        path = path / CHECKPOINT
    if not os.path.isfile(path):
        ours = path.parent.parts[-2:] == ("data", "weights")
        raise UserError(f"no {what} {path}: " + ("the library comes without weights; take these "
                        "from its repository" if ours else f"give the file that {made_by} wrote"))
    meta = read_description(path, what, made_by)
    try:
        with safe_open(path, "pt") as file:
            names = list(file.keys())
            tensors = {renamed_tensor(name): file.get_tensor(name) for name in names}
        wrong = [name for name, t in tensors.items() if not t.isfinite().all()]
    except (SafetensorError, OSError, RuntimeError):  # the last: of types without arithmetic
        raise damaged(path, "", what, made_by) from None
    if any(t.is_complex() for t in tensors.values()):
        raise damaged(path, "complex numbers", what, made_by)
    if wrong:
        raise UserError(f"{path} holds numbers that are not finite, in {wrong[0]}: its net did not "
                        "train; train it again with a lower --lr")
    return tensors, meta


def read_description(path: Path, what: str = "checkpoint", made_by: str = "alexnet train") -> dict:
    """The description in such a file, every part of which has the type that its readers expect.

    The choices in "config" are left to `config.check_choices`. Raises UserError.
    """
    try:
        meta, resumable = _header(path)
    except (SafetensorError, OSError, ValueError):
        raise damaged(path, "", what, made_by) from None
    if not isinstance(meta, dict):
        raise damaged(path, "", what, made_by)
    if "predictions" not in meta and meta.get("format") != FORMAT:
        raise UserError(f"{path} was written by another version of this library: update it, or "
                        "train again")
    fault = misfit(meta, PREDICTIONS if "predictions" in meta else RUN if resumable else NET)
    if fault or meta.get("step", 0) < 0:
        raise damaged(path, fault or "step must be 0 or more", what, made_by)
    return meta


def damaged(path: str | Path, why: str = "", what: str = "checkpoint",
            made_by: str = "alexnet train") -> UserError:
    """The error about a file that is no `what`, or no whole one; `why`: what was found in it."""
    return UserError(f"{path} is not a {what} of this library, or is damaged"
                     f"{f' ({why})' if why else ''}: give the file that {made_by} wrote")


def read_config(out: str | Path | None) -> dict:
    """The choices (of a `TrainConfig`) of the run whose checkpoint is in that folder, if any."""
    path = Path(out or "", CHECKPOINT)
    if not out or not os.path.isfile(path):
        return {}
    try:
        return read_description(path).get("config", {})
    except UserError:
        return {}  # `read_checkpoint` says what is wrong with it


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}
