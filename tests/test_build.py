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


def test_the_gpu_kernels_by_tritons_interpreter():
    """On a machine without a GPU too: Triton runs the kernels step by step, in numpy."""
    pytest.importorskip("triton")
    program = """
import torch
from alexnet_lib.ops import norm
from alexnet_lib.ops.triton_norm import response_norm
torch.manual_seed(0)
for shape, columns, size, beta, dtype, most, spatial in (
        ((1, 96, 3, 5), 2, 5, 0.75, torch.float32, 2e-6, False),
        ((1, 30, 9, 7), 1, 8, 0.6, torch.float32, 2e-6, False),
        ((1, 30, 2, 2), 3, 16, 0.6, torch.bfloat16, 1e-2, False),
        ((2, 8, 9, 9), 1, 1, 0.75, torch.float16, 1e-3, False),
        ((2, 6, 13, 11), 1, 5, 0.75, torch.float32, 2e-6, True),
        ((2, 6, 3, 2), 1, 7, 0.6, torch.bfloat16, 1e-2, True)):
    for layout in (torch.contiguous_format, torch.channels_last):
        for value in (None, 3e19, torch.inf, torch.nan):
            x = (30 * torch.randn(shape)).to(dtype).to(memory_format=layout)
            grad = torch.randn_like(x)
            settings = 1e-3, beta, 2.0, columns, spatial
            if value:
                x[0, 4, 1, 1] = value  # the square of the first is infinite, too
            exact = x.float().double().requires_grad_()
            formula = norm.formula(exact, size, *settings)
            right = (formula, norm.gradient_formula(grad.double(), exact, size, *settings))
            reach = norm._reach(x, size, columns, spatial)
            for given, expected in zip((None, grad), right, strict=True):
                out = response_norm(x, given, *reach, *settings)
                assert out.stride() == x.stride() and out.dtype == dtype
                if value:  # float64 can square 3e19
                    expected = (norm.formula(x.float(), size, *settings) if given is None else
                                norm.gradient_formula(grad.float(), x.float(), size, *settings))
                    assert torch.equal(out.isnan(), expected.isnan())
                    out, expected = out.nan_to_num(), expected.nan_to_num()
                assert (out - expected).norm() / expected.norm() < most
"""
    subprocess.run([sys.executable, "-c", program], check=True,
                   env={**os.environ, "TRITON_INTERPRET": "1"})


@pytest.mark.parametrize("capability", [75, 90])
def test_the_gpu_kernels_compile(capability):
    """For a T4, which Colab lends, and for an H100, on a machine without a GPU too."""
    triton = pytest.importorskip("triton", minversion="3.3")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from alexnet_lib.ops import triton_norm
    kernel = triton_norm._normalize
    for mode in (triton_norm.FORWARD, triton_norm.TERMS, triton_norm.BACKWARD):
        settings = {"BEFORE": 2, "AFTER": 2, "SPATIAL": mode is triton_norm.TERMS, "MODE": mode,
                    "ROOTS": mode is triton_norm.FORWARD, "WIDE": False, "BLOCK": 1024}
        types = [*["*fp16"] * 2, "*fp32", "*fp16", *["i32"] * 4, *["fp32"] * 3,
                 *["constexpr"] * len(settings)]
        source = ASTSource(kernel, dict(zip(kernel.arg_names, types, strict=True)), settings)
        assert triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["ptx"]


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
