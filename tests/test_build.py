"""The compiled kernels: found, built, kept in a cache, refused there, and done without."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from alexnet_lib import ops
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


@pytest.fixture
def compilers(tmp_path, monkeypatch):
    """Makes pretended compilers, given whether their code has OpenMP; None fails."""
    def make(**openmp):
        monkeypatch.delenv("CXX", raising=False)
        monkeypatch.setattr(shutil, "which", lambda name: name if name in openmp else None)
        monkeypatch.setattr(build, "_version", lambda name:
                            f"{name} (Debian 1-2) 1.2\nmore".encode())

        def load(name):
            if openmp[name] is None:
                raise OSError("no such thing")
            return SimpleNamespace(has_openmp=lambda: int(openmp[name]))

        monkeypatch.setattr(build, "_load", load)
        monkeypatch.setattr(build, "_built", built := build._built.__wrapped__)
        return built()[1]
    return make


@pytest.mark.parametrize("openmp, said", [
    ({"g++": True, "clang++": False}, "g++ 1.2"), ({"c++": False, "g++": True}, "g++ 1.2"),
    ({"c++": None, "clang++": False}, "clang++ 1.2"), ({"c++": False, "g++": None}, "c++ 1.2"),
    ({"c++": None}, "plain PyTorch (c++ cannot build kernels.cpp: no such thing)")])
def test_a_compiler_with_pytorchs_openmp_comes_first(compilers, openmp, said):
    assert compilers(**openmp) == said


def test_the_compiler_that_cxx_names_is_the_only_one(compilers, monkeypatch):
    compilers(**{"g++": True, "clang++": False})
    monkeypatch.setenv("CXX", "clang++")
    assert "clang++ 1.2, 1 thread: its OpenMP" in build.status()


def test_threads_are_told_and_why_there_is_one(compilers, monkeypatch):
    compilers(**{"g++": True})
    for count, said in ((2, "2 threads"), (1, "1 thread, as PyTorch is set")):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        assert build.status() == f"compiled C++ (g++ 1.2, {said})"
    monkeypatch.setattr(build, "_forked", True)
    assert "1 thread: this process was forked" in build.status()


def test_why_a_compiler_fails_is_one_line(load, monkeypatch):
    monkeypatch.setattr(build, "FLAGS", ("-std=no-such-standard",))
    with pytest.raises(OSError, match="error") as failed:
        load()
    assert "no-such-standard" in str(failed.value) and "\n" not in str(failed.value)


@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_a_compiler_uses_pytorchs_openmp_or_one_thread(name):
    """Never a second OpenMP beside it; and the answers are right."""
    if not shutil.which(name) or not build.wanted():
        pytest.skip(f"needs {name}")
    program = """
import sys, torch
torch.set_num_threads(2)
from alexnet_lib import LocalResponseNorm, ops
norm, x = LocalResponseNorm(16), torch.randn(4, 16, 9, 9)
found = norm(x)
with ops.plain():
    torch.testing.assert_close(found, norm(x))
said = ops.status()
assert ", 2 threads)" in said or ", 1 thread: its OpenMP" in said, said
if sys.platform == "linux":
    used = {line.split()[-1] for line in open("/proc/self/maps") if "omp" in line}
    assert len(used) == 1, used
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "CXX": name})


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


@pytest.mark.parametrize("struct, settings", [
    ("Settings", build.NormSettings), ("Pool", build.PoolSettings),
    ("Batch", build.BatchSettings), ("Update", build.UpdateSettings)])
def test_settings_have_the_same_fields_in_both_languages(struct, settings):
    """Their sizes are compared at run time; two fields that are swapped would not show there."""
    body = re.search(rf"^struct {struct} {{(.*?)^}};", build.SOURCE.read_text(), re.M | re.S)[1]
    body = re.sub("//.*", "", body)
    kinds = {"int64_t": ctypes.c_int64, "double": ctypes.c_double}
    fields = [(name, kinds[kind]) for kind, names in re.findall(r"(\w+) ([\w, \n]+);", body)
              for name in re.split(r",\s*", names)]
    assert fields == settings._fields_ and settings in build.FUNCTIONS.values()


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
