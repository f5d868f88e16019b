"""Keeping freed memory for the next step: a CPU training step spends half its time without it.
And noticing that there is too little.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _MMAP_MAX = -3, -1, -4  # of mallopt, <malloc.h>
_depth = 0


@contextlib.contextmanager
def kept():
    """Within this context the process keeps the memory that it frees.

    glibc gives every large block back to the system at once, and asks for it again in the next
    step. Fresh pages must be zeroed and mapped one by one, 4 KiB at a time, which takes longer
    than computing what is then written to them. At the end all is given back. May be nested; does
    nothing where the C library is another.
    """
    global _depth
    libc = _glibc()
    if libc is None:
        yield
        return
    _depth += 1
    libc.mallopt(_MMAP_MAX, 0)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:  # what glibc adapts itself to after a few large blocks
            libc.mallopt(_MMAP_MAX, 65536)
            libc.mallopt(_MMAP_THRESHOLD, 32 * 2**20)
            libc.mallopt(_TRIM_THRESHOLD, 64 * 2**20)
            libc.malloc_trim(0)


def total(device: str = "cpu") -> int | None:
    """Bytes of memory that this process may use on the device; None if the system does not say."""
    if device.startswith("cuda"):
        import torch  # not yet there when the course looks for what is missing
        return torch.cuda.get_device_properties(device).total_memory
    sizes = []
    try:
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))  # a container's limit
    except (AttributeError, OSError, ValueError):
        pass
    return min(sizes, default=None)


def fitted(step: Callable[[], object]) -> bool:
    """Whether there was memory enough for it. Nothing of a failed step is kept alive."""
    try:
        step()
    except (MemoryError, RuntimeError) as error:
        if not too_little(error):
            raise
        return False
    return True


def too_little(error: Exception) -> bool:
    """Whether the error says that there was not enough memory."""
    # torch.OutOfMemoryError is a RuntimeError; the CPU's has no type of its own.
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in (
            "out of memory", "can't allocate memory", "not enough memory",  # the last: Windows
            "CUBLAS_STATUS_ALLOC_FAILED", "Storage size calculation overflowed"))


def available() -> int | None:
    """Bytes that this process can still take; None where the system does not say (not Linux)."""
    def table(file: str) -> dict[str, int]:
        with contextlib.suppress(OSError, ValueError):
            rows = (line.split() for line in Path(file).read_text().splitlines())
            return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
        return {}

    def number(file: str) -> int | None:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            return int(Path(file).read_text().split()[0])

    free = []
    if (kilobytes := table("/proc/meminfo").get("MemAvailable")) is not None:
        free.append(1024 * kilobytes)
    group = "/sys/fs/cgroup/memory"  # of a container; what it keeps of files can be given up
    limit, taken = number(f"{group}.max"), number(f"{group}.current")
    if limit is not None and taken is not None:
        free.append(limit - taken + table(f"{group}.stat").get("file", 0))
    if (pages := number("/proc/self/statm")) is not None:
        import resource
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free.append(limit - pages * resource.getpagesize())
    return max(0, min(free)) if free else None


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
