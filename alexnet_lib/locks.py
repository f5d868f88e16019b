"""A lock on a file, for what only one process may do at a time."""

from pathlib import Path

from filelock import FileLock, Timeout

from alexnet_lib.errors import UserError


class Lock:
    """Keeps others out from `acquire` to `release`, or until the process ends.

    Args:
        file: the file to lock. None makes a lock that nobody else can hold.
        busy: what `acquire` says if another process or thread holds it.

    On a disk without locks nobody is kept out.
    """

    def __init__(self, file: Path | None = None, busy: str = ""):
        # Any thread may release it: a dashboard trains in a new one each time.
        self._lock = FileLock(file, thread_local=False) if file else None
        self.busy = busy

    def acquire(self, wait: bool = False) -> bool:
        """Take the lock; returns whether it keeps others out.

        Unless you `wait`, raises UserError if another holds it.
        """
        try:
            if self._lock is not None and not self._lock.is_locked:
                self._lock.acquire(timeout=-1 if wait else 0)
        except Timeout:
            raise UserError(self.busy) from None
        except (OSError, NotImplementedError):
            return False
        return True

    def release(self) -> None:
        """Let others in. Does nothing if the lock is not held."""
        if self._lock is not None:
            self._lock.release(force=True)
