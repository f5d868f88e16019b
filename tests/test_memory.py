"""Memory that is kept between steps, in every thread; and threads that do not spin."""

import os
import subprocess
import sys
import threading

import pytest

from alexnet_lib import memory

GLIBC = pytest.mark.skipif(memory._glibc() is None, reason="needs glibc")
FAULTS = """
import random, resource, sys, threading, torch
from alexnet_lib import memory
def faults(sizes, who):
    "Page faults of the last of some steps that make tensors of so many MB and free them."
    for _ in range(5):
        before = resource.getrusage(who).ru_minflt
        tensors = [torch.ones(int(size * 250_000)) for size in sizes]
        random.Random(0).shuffle(tensors)
        while tensors:
            tensors.pop()
    return resource.getrusage(who).ru_minflt - before
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
"""


def run(program: str, **environment: str) -> None:
    subprocess.run([sys.executable, "-c", FAULTS + program], check=True,
                   env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


@GLIBC
def test_kept_memory_is_not_asked_for_again():
    """Page faults of large tensors made again and again, within and without."""
    run("""
who = resource.RUSAGE_SELF
with memory.keep_freed_memory(), memory.keep_freed_memory():
    within = faults([40] * 5, who), faults([300, 150], who)
assert max(within) * 50 < faults([40] * 5, who), within
before = resident()
with memory.keep_freed_memory():
    torch.ones(100_000_000)
    assert resident() > before + 300e6
assert resident() < before + 100e6
""")


@GLIBC
@pytest.mark.parametrize("environment, sizes", [
    ({}, "[1] * 20 + [10] * 20 + [50] * 5"), ({"MALLOC_ARENA_MAX": "1"}, "[10] * 20 + [150] * 2")])
def test_kept_memory_in_a_thread(environment, sizes):
    """Threads have heaps of 64 MiB, which are given back each time if nothing is done."""
    run("""
def work():
    sizes, who = SIZES, resource.RUSAGE_THREAD
    without, before = faults(sizes, who), resident()
    with memory.keep_freed_memory():
        within = faults(sizes, who)
        held = resident()
    assert within * 50 < without, (within, without)
    assert held > before + 200e6 and resident() < before + 100e6, (before, held, resident())
thread = threading.Thread(target=work)
raised = []
threading.excepthook = raised.append
thread.start()
thread.join()
sys.exit(str(raised[0].exc_value) if raised else 0)
""".replace("SIZES", sizes), **environment)


class Malloc:
    """glibc's settings, as `mallopt` left them."""

    def __init__(self):
        self.settings = {}
        self.malloc = self.free = self.malloc_trim = lambda *_: None

    def mallopt(self, number, value):
        self.settings[number] = value


@pytest.fixture
def malloc(monkeypatch):
    made = Malloc()
    monkeypatch.setattr(memory, "_glibc", lambda: made)
    monkeypatch.setattr(memory, "_depth", 0)
    for name in (*os.environ,):
        if name.startswith(("MALLOC_", "GLIBC_TUNABLES")):
            monkeypatch.delenv(name)
    return made


@pytest.mark.parametrize("environment, expected", [
    ({}, {}), ({"MALLOC_TRIM_THRESHOLD_": "1000", "MALLOC_MMAP_MAX_": "0x10"}, {-1: 1000, -4: 16}),
    ({"GLIBC_TUNABLES": "glibc.malloc.check=1:glibc.malloc.top_pad=4096",
      "MALLOC_TOP_PAD_": "1"}, {-2: 4096}),
    ({"MALLOC_TOP_PAD_": "many", "MALLOC_TRIM_THRESHOLD_": str(2**40)}, {-1: 2**31 - 1})])
def test_afterwards_settings_are_those_of_the_environment(malloc, monkeypatch, environment,
                                                          expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with memory.keep_freed_memory(), memory.keep_freed_memory():
        pass
    usual = {-1: 64 * 2**20, -2: 128 * 2**10, -3: 32 * 2**20, -4: 65536}
    assert malloc.settings == usual | expected


def test_memory_is_kept_until_the_last_thread_leaves(malloc):
    within, leave = threading.Barrier(3), threading.Event()

    def work():
        with memory.keep_freed_memory():
            within.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    with memory.keep_freed_memory():
        within.wait(10)
    assert memory._depth == 2 and malloc.settings[-4] == 0
    leave.set()
    for thread in threads:
        thread.join()
    assert memory._depth == 0 and malloc.settings[-4] == 65536


@pytest.mark.parametrize("before, given, expected", [
    ("", None, "passive"), ("sys.modules['torch'] = sys;", None, None), ("", "active", "active")])
def test_threads_that_wait_do_not_spin(before, given, expected):
    """Where the library is imported before torch; a choice of the user's stays."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", f"import os, sys; {before} import alexnet_lib; "
         "print(os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)"], text=True,
        check=True, capture_output=True,
        env=environment | ({"OMP_WAIT_POLICY": given} if given else {}))
    assert done.stdout.split() == [str(expected), str(bool(before))]
