"""The folder of a run: made, locked for one run at a time, and cleared of unfinished files."""

import contextlib
import os
from pathlib import Path

from alexnet_lib import datasets
from alexnet_lib.checkpoints import (
    BEST,
    CHECKPOINT,
    HISTORY,
    check_place,
    read_description,
    remove_unfinished,
)
from alexnet_lib.errors import UserError
from alexnet_lib.locks import Lock


def enter(out: str | None, resume: bool | str, data: str) -> tuple[bool, Lock]:
    """Whether the run in that folder is resumed, and the folder's lock, which is held from now on.

    resume: True, False, or "auto", which resumes if there is a checkpoint. Makes the folder.
    data: the name of the data, in whose folder no run begins. Raises UserError if the folder
    cannot be written, if another run is at work there, if there is nothing to resume, or if a
    checkpoint would be overwritten.
    """
    if out is None:
        if resume:
            raise UserError("--resume needs --out, the folder of the run to go on with")
        return False, Lock()
    path = Path(out) / CHECKPOINT
    if resume is True and not path.exists():
        raise UserError(f"nothing to resume: no {path}; leave out --resume to start, or say "
                        "--resume auto")
    if not path.exists():  # a run that an earlier version began in there goes on
        check_outside(out, data)
    prepare_folder(out)
    check_place(path)
    if resume and path.exists():
        read_description(path)  # a damaged one is told before the data are read
    lock = Lock(path.with_name(".lock"), f"another run is at work in {out}: wait for its end, or "
                "choose another --out")
    lock.acquire()
    if not resume and path.exists():
        lock.release()
        raise UserError(f"{path} exists already: add --resume to go on, or choose another --out")
    for name in (CHECKPOINT, BEST, HISTORY):
        with contextlib.suppress(OSError):
            remove_unfinished(path.with_name(name))
    return path.exists(), lock


def check_outside(out: str | Path, data: str) -> None:
    """UserError if the folder `out` lies in the data, where its files would be taken for some."""
    if (root := datasets.folder_of(data)) and Path(out).resolve().is_relative_to(root):
        raise UserError(f"{out} lies in the data, {root}: choose an --out outside of it")


def prepare_folder(out: str | Path, option: str = "--out") -> None:
    """Make the folder that `option` names; UserError if it cannot be written."""
    probe = Path(out) / ".probe"
    if os.path.lexists(out) and not os.path.isdir(out):
        raise UserError(f"{out} is a file, not a folder: choose another {option}")
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have done it
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror}; choose another "
                        f"{option}") from None
