"""The compiled kernels: found, built, kept in a cache, refused there, and done without."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import torch

from alexnet_lib import memory, ops
from alexnet_lib.ops import build, norm

COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


def test_kernels_that_should_compile_do():
    """With a compiler there, a fast path that is missing is an error and not a skipped test."""
    if COMPILER and sys.platform != "win32" and build.wanted():
        assert ops.status().startswith("compiled C++"), ops.status()


@pytest.mark.parametrize("environment, said", [
    ({"PATH": "/nowhere", "CXX": ""}, "no C++ compiler found"),
    ({"ALEXNET_KERNELS": "plain"}, "ALEXNET_KERNELS"),
    ({"CXX": "false"}, "cannot build")])
def test_without_kernels_it_is_plain_and_says_why(environment, said, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    library, status = build._built.__wrapped__()
    assert library is None and said in status


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads the kernels by way of an empty cache in tmp_path, compiled in a hurry."""
    if not COMPILER:
        pytest.skip("needs a C++ compiler")
    monkeypatch.setattr(build, "FLAGS", ("-O0", "-std=c++17", "-fPIC"))
    monkeypatch.setattr(build, "VECTORS", ((),))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: build._load(COMPILER)


def libraries(folder) -> list[Path]:
    return sorted(folder.rglob("kernels-*.so"))


def test_built_once_and_again_when_damaged(tmp_path, load):
    load()
    library, = libraries(tmp_path)
    made = library.stat().st_mtime_ns
    load()
    assert library.stat().st_mtime_ns == made
    library.write_bytes(library.read_bytes()[:5000])  # loading it would kill the process
    load()
    assert library.stat().st_size > 10_000
    assert not list(tmp_path.rglob("build-*"))


def test_what_others_could_have_written_is_not_loaded(tmp_path, load):
    load()
    library, = libraries(tmp_path / "cache")
    made = library.stat().st_ino
    library.chmod(0o666)
    load()
    library, = libraries(tmp_path / "cache")
    assert library.stat().st_ino != made and not library.stat().st_mode & 0o022
    library.parent.chmod(0o777)
    load()
    assert libraries(tmp_path / "home")


def test_a_user_without_a_home(tmp_path, load, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for an unknown user
    load()
    assert libraries(tmp_path)[0].parent.name == f"alexnet-course-{os.getuid()}"


def test_a_cache_that_cannot_be_written(tmp_path, load, monkeypatch):
    for place in ("cache", "home"):
        (tmp_path / place).write_text("not a folder")
    (tmp_path / f"alexnet-course-{os.getuid()}").symlink_to(tmp_path)
    assert load().has_openmp() in (0, 1)
    assert not libraries(tmp_path)


def test_folders_of_killed_compilers_are_removed(tmp_path, load):
    cache = tmp_path / "cache" / "alexnet-course"
    for name, age in (("build-old", 7200), ("build-new", 60)):
        (cache / name).mkdir(parents=True)
        stamp = time.time() - age
        os.utime(cache / name, (stamp, stamp))
    load()
    assert not (cache / "build-old").exists() and (cache / "build-new").exists()


def test_a_library_of_another_layout_or_without_a_function_is_refused(tmp_path, load, monkeypatch):
    class Odd(build.NormSettings):
        _fields_ = [("more", ctypes.c_int64)]

    monkeypatch.setitem(build.FUNCTIONS, "response_norm", Odd)
    with pytest.raises(OSError, match="lays out"):
        load()
    monkeypatch.setitem(build.FUNCTIONS, "response_norm", build.NormSettings)
    monkeypatch.setitem(build.FUNCTIONS, "no_such_function", build.NormSettings)
    with pytest.raises(OSError, match="lacks a function"):
        load()


def test_plain_in_threads_that_overlap():
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with ops.plain():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    with ops.plain():
        thread.start()
        inside.wait(10)
    assert not ops.usable()
    leave.set()
    thread.join()
    assert ops.usable() == (build.library() is not None)


def test_the_kernels_under_sanitizers(tmp_path):
    """AddressSanitizer and UBSan, where the compiler has them: no access outside, no overflow."""
    program = tmp_path / "program"
    flags = ["-O0", "-g1", "-std=c++17", "-fsanitize=address,undefined",
             "-fno-sanitize-recover=undefined", "-ffp-contract=off"]
    probe = tmp_path / "probe.cpp"
    probe.write_text("int main() {}")
    if not COMPILER or subprocess.run([COMPILER, *flags, probe, "-o", program],
                                      capture_output=True).returncode:
        pytest.skip("needs a compiler with sanitizers")
    subprocess.run([COMPILER, *flags, f'-DKERNELS="{build.SOURCE}"',
                    Path(__file__).with_name("sanitized_kernels.cpp"), "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 200  # calls


@pytest.mark.skipif(memory._glibc() is None, reason="needs glibc")
def test_kept_memory_is_not_asked_for_again():
    """Page faults of large tensors made again and again, within and without."""
    program = """
import resource, torch
from alexnet_lib import memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
with memory.kept(), memory.kept():
    faults()
    within = faults()
assert within * 5 < faults(), within
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
before = resident()
with memory.kept():
    torch.ones(100_000_000)
    assert resident() > before + 300e6
assert resident() < before + 100e6
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_gpu_kernel_by_tritons_interpreter():
    """On a machine without a GPU too: Triton runs the kernel step by step, in numpy."""
    pytest.importorskip("triton")
    program = """
import torch
from alexnet_lib.ops.triton_norm import response_norm
from alexnet_lib.layers import local_response_norm
for shape, columns, size, beta, dtype, most in (
        ((1, 96, 3, 5), 2, 5, 0.75, torch.float32, 2e-6),
        ((1, 256, 2, 2), 2, 5, 0.75, torch.float32, 2e-6),
        ((1, 300, 2, 2), 1, 8, 0.6, torch.float32, 2e-6),
        ((1, 150, 1, 2), 1, 16, 0.75, torch.float32, 2e-6),
        ((1, 300, 2, 2), 1, 16, 0.6, torch.bfloat16, 1e-2),
        ((2, 8, 9, 9), 1, 1, 0.75, torch.bfloat16, 1e-2)):
    for layout in (torch.contiguous_format, torch.channels_last):
        x = (30 * torch.randn(shape)).to(dtype).to(memory_format=layout)
        grad = torch.randn_like(x)
        exact = x.double().requires_grad_()
        expected = local_response_norm(exact, size, 1e-3, beta, 2.0, columns)
        expected.backward(grad.double())
        for given, right in ((None, expected), (grad, exact.grad)):
            out = response_norm(x, given, size, 1e-3, beta, 2.0, columns)
            assert out.stride() == x.stride() and out.dtype == dtype
            assert (out - right).norm() / right.norm() < most
x = torch.ones(1, 8, 1, 2)
x[0, 4, 0, 0] = 3e19  # its square is infinite
found = response_norm(x, None, 5, 1e-3, 0.75, 2.0)
torch.testing.assert_close(found, local_response_norm(x, 5, 1e-3, 0.75, 2.0), atol=1e-6, rtol=1e-5)
"""
    subprocess.run([sys.executable, "-c", program], check=True,
                   env={**os.environ, "TRITON_INTERPRET": "1"})


def test_the_gpu_kernel_fits_into_a_t4():
    """Compiled for it, on a machine without a GPU too: 64 KiB of shared memory for each block."""
    triton = pytest.importorskip("triton", minversion="3.3")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from alexnet_lib.ops import triton_norm
    wide = triton_norm.lanes(torch.float32)
    settings = {"INNER": wide - 8, "HALO": 4, "BEFORE": 2, "AFTER": 2, "ROOTS": True,
                "PRECISION": "ieee", "PIXELS": triton_norm.PIXELS, "LANES": wide}
    types = [*["*fp32"] * 3, *["i32"] * 6, *["fp32"] * 3, *["constexpr"] * 9]
    names = triton_norm._normalize.arg_names
    for backward in (False, True):
        source = ASTSource(triton_norm._normalize, dict(zip(names, types, strict=True)),
                           settings | {"BACKWARD": backward})
        made = triton.compile(source, target=GPUTarget("cuda", 75, 32))
        assert made.metadata.shared <= 65536


@pytest.fixture
def gpu(monkeypatch):
    """A pretended GPU: its tensors lie on the CPU. Gives what the Triton kernel was asked."""
    triton_norm = pytest.importorskip("alexnet_lib.ops.triton_norm")
    asked, ones = [], torch.ones

    def response_norm(x, grad, *rest):
        asked.append((x.dtype, grad is not None))
        if x.dtype == torch.bfloat16 and grad is not None:
            raise RuntimeError("out of resource: shared memory")
        return x

    monkeypatch.setattr(torch, "ones", lambda *shape, dtype, device: ones(*shape, dtype=dtype))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(triton_norm, "response_norm", response_norm)
    monkeypatch.delenv("ALEXNET_KERNELS", raising=False)
    norm.gpu_kernels.cache_clear()
    yield asked
    norm.gpu_kernels.cache_clear()


def test_each_type_is_tried_there_and_back(gpu):
    for _ in range(2):  # the second time it is known
        assert norm.gpu_kernels(torch.float32)[0]
        module, said = norm.gpu_kernels(torch.bfloat16)
        assert module is None and "no Triton: RuntimeError" in said
        assert norm.gpu_kernels(torch.float64)[0] is None
    assert gpu == [(torch.float32, False), (torch.float32, True),
                   (torch.bfloat16, False), (torch.bfloat16, True)]


@pytest.mark.parametrize("capability, dtype, word", [((7, 5), torch.float32, "GPU: Triton"),
                                                     ((8, 0), torch.bfloat16, "GPU: plain")])
def test_the_path_described_is_that_of_the_precision(gpu, monkeypatch, capability, dtype, word):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert word in ops.describe()
    assert {asked for asked, _ in gpu} == {dtype}
