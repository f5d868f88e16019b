"""Keeping freed memory for the next step, and noticing that there is too little."""

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

# Of mallopt, <malloc.h>: each setting's number, its value while freed memory is kept, and the one
# that glibc adapts itself to after a few large blocks. Threads other than the first allocate from
# heaps of 64 MiB, which are given back when empty unless the padding at their top is as large.
_SETTINGS = {"mmap_threshold": (-3, None, 32 * 2**20), "mmap_max": (-4, 0, 65536),
             "trim_threshold": (-1, 2**31 - 1, 64 * 2**20), "top_pad": (-2, 64 * 2**20, 2**17)}
_lock, _depth = threading.Lock(), 0


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Within this context the process keeps the memory that it frees.

    glibc gives every large block back to the system at once, and asks for it again in the next
    step. Fresh pages must be zeroed and mapped one by one, 4 KiB at a time, which can take longer
    than computing what is then written to them. At the end all is given back, and glibc's settings
    are those of the environment or its usual ones. May be nested, and entered by several threads.
    In threads other than the first, only blocks of less than 64 MiB are kept, unless the process
    was started with MALLOC_ARENA_MAX=1. Does nothing where the C library is another.
    """
    global _depth
    libc = _glibc()
    if libc is None:
        yield
        return
    with _lock:
        _depth += 1
        for number, value, _ in _SETTINGS.values():
            if value is not None:
                libc.mallopt(number, value)
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for name, (number, _, usual) in _SETTINGS.items():
                    libc.mallopt(number, _from_environment(name, usual))
                libc.malloc_trim(0)
                libc.free(libc.malloc(2**17))  # the top of a thread's heap goes at its next free


def _from_environment(name: str, usual: int) -> int:
    """A setting of malloc's, as the process was started; mallopt itself cannot be asked."""
    tunables = dict(pair.partition("=")[::2]
                    for pair in os.environ.get("GLIBC_TUNABLES", "").split(":"))
    given = tunables.get(f"glibc.malloc.{name}") or os.environ.get(f"MALLOC_{name.upper()}_")
    try:
        return min(int(given, 0), 2**31 - 1) if given else usual
    except ValueError:
        return usual


def fits_in_memory(step: Callable[[], object]) -> bool:
    """Whether there was memory enough for it. Nothing of a failed step is kept alive."""
    try:
        step()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error says that there was not enough memory."""
    # torch.OutOfMemoryError is a RuntimeError; the CPU's has no type of its own.
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in (
            "out of memory", "can't allocate memory", "not enough memory",  # the last: Windows
            "CUBLAS_STATUS_ALLOC_FAILED", "Storage size calculation overflowed"))


def available(device: str = "cpu") -> int | None:
    """Bytes that this process can still take on the device.

    Where only Linux would know, it is the memory of the machine or, on Windows, None.
    """
    if device.startswith("cuda"):
        import torch  # not yet there when the course looks for what is missing
        now, _ = torch.cuda.mem_get_info(device)
        return now + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)

    def table(file: str) -> dict[str, int]:
        with contextlib.suppress(OSError, ValueError):
            rows = (line.split() for line in Path(file).read_text().splitlines())
            return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) > 1}
        return {}

    def number(file: str) -> int | None:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            return int(Path(file).read_text().split()[0])
        return None

    free: list[int] = []
    with contextlib.suppress(AttributeError, OSError, ValueError):
        free.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
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
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
