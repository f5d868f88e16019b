"""What a disk can do to a program, for tests."""

import contextlib
import os
import resource
from pathlib import Path


@contextlib.contextmanager
def full_disk(room: int):
    """The system refuses whatever would make a file larger than `room` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def read_only(folder: Path):
    """Nothing can be written there; whoever is root becomes nobody for a while."""
    folder.chmod(0o555)
    if root := os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
