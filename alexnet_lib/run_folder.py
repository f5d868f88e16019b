"""The folder of a run: made, locked for one run at a time, and cleared of unfinished files."""

import contextlib
import os
from pathlib import Path

from filelock import FileLock, Timeout

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


class RunLock:
    """Keeps other runs out of a folder from `acquire` to `release`, or until the process ends.

    out: the folder, or None, which needs no lock. On a disk without locks there is none.
    """

    def __init__(self, out: str | None = None):
        self.out = out
        # Any thread may release it: a dashboard trains in a new one each time.
        self._lock = FileLock(Path(out) / ".lock", timeout=0, thread_local=False) if out else None

    def acquire(self) -> None:
        """Raises UserError if another run works in the folder."""
        if self._lock is None or self._lock.is_locked:
            return
        try:
            self._lock.acquire()
        except Timeout:
            raise UserError(f"another run is at work in {self.out}: wait for its end, or choose "
                            "another --out") from None
        except (OSError, NotImplementedError):
            self._lock = None

    def release(self) -> None:
        """Let others in; does nothing if it is not held."""
        if self._lock is not None:
            self._lock.release(force=True)


def enter(out: str | None, resume: bool | str, data: str) -> tuple[bool, RunLock]:
    """Whether the run in that folder is resumed, and the folder's lock, which is held from now on.

    resume: True, False, or "auto", which resumes if there is a checkpoint. Makes the folder.
    data: the name of the data, in whose folder no run begins. Raises UserError if the folder
    cannot be written, if another run is at work there, if there is nothing to resume, or if a
    checkpoint would be overwritten.
    """
    if out is None:
        if resume:
            raise UserError("--resume needs --out, the folder of the run to go on with")
        return False, RunLock()
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
    lock = RunLock(out)
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
