"""Compiling kernels.cpp at first use, keeping the result in a cache, and loading it."""

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from alexnet_lib.errors import UserError

SOURCE = Path(__file__).with_name("kernels.cpp")
DTYPES = (torch.bfloat16, torch.float32, torch.float64)
# Sums may be reordered, which vectors need; infinities and NaN keep their meaning.
FLAGS = ("-O3", "-std=c++17", "-fPIC", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math",
         "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math")
# Tried in this order, from all that the chip can do to what every compiler knows. OpenMP's own
# functions are found in the library that PyTorch has loaded: one pool of threads, not two.
VECTORS = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",),
           ())
THREADS = (("-fopenmp",), ("-Xpreprocessor", "-fopenmp"), ())
SECONDS = 120  # that one call of the compiler may take

UNWANTED = "plain PyTorch (ALEXNET_KERNELS=plain)"


class NormSettings(ctypes.Structure):
    """`Settings` of kernels.cpp."""
    _fields_ = [*((name, ctypes.c_int64) for name in (
                    "images", "channels", "height", "width", "channels_last", "columns", "before",
                    "after", "spatial", "threads")),
                *((name, ctypes.c_double) for name in ("alpha", "beta", "k"))]


class PoolSettings(ctypes.Structure):
    """`Pool` of kernels.cpp."""
    _fields_ = [(name, ctypes.c_int64) for name in (
        "images", "channels", "height", "width", "out_height", "out_width", "window", "stride",
        "threads")]


class BatchSettings(ctypes.Structure):
    """`Batch` of kernels.cpp."""
    _fields_ = [*((name, ctypes.c_int64) for name in (
                    "images", "stored", "size", "mean_top", "mean_moves", "threads")),
                ("divisor", ctypes.c_double)]


class UpdateSettings(ctypes.Structure):
    """`Update` of kernels.cpp."""
    _fields_ = [*((name, ctypes.c_int64) for name in ("count", "threads")),
                *((name, ctypes.c_double) for name in ("lr", "momentum", "weight_decay"))]


FUNCTIONS = {"response_norm": NormSettings, "max_pool": PoolSettings,
             "max_pool_backward": PoolSettings, "make_batch": BatchSettings,
             "paper_sgd": UpdateSettings}

_plain_lock = threading.Lock()
_plain_depth = 0


@contextlib.contextmanager
def plain() -> Iterator[None]:
    """Within this context the plain formulas run, in all threads, to compare with."""
    global _plain_depth
    with _plain_lock:
        _plain_depth += 1
    try:
        yield
    finally:
        with _plain_lock:
            _plain_depth -= 1


_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True  # OpenMP's other threads stayed in the parent: to wait for them would hang


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def switched_off() -> bool:
    """Whether some thread is within `plain`."""
    return _plain_depth > 0


def usable(*tensors: Tensor) -> bool:
    """Whether the compiled kernels can take these tensors; compiles them at the first call."""
    return (not switched_off() and all(t.device.type == "cpu" and t.dtype in DTYPES
                                       for t in tensors) and library() is not None)


def spelled_out(x: Tensor) -> bool:
    """Whether PyTorch's own operators must do, since something looks into them or replaces them.

    So it is for exporters and tracers, whose files must run without this library, for
    `torch.func` and forward-mode derivatives, for tensor subclasses and for memory that only
    mkldnn can read.
    """
    if isinstance(x, torch.fx.Proxy):
        return False  # stands for a tensor in a graph: the operator is a node of it
    if type(x) not in (Tensor, torch.nn.Parameter) or _exporting():
        return True
    if torch.compiler.is_compiling():
        return False
    return (x.is_mkldnn or torch.jit.is_tracing() or torch._C._are_functorch_transforms_active()
            or torch.autograd.forward_ad.unpack_dual(x).tangent is not None)


def check_dense(x: Tensor) -> None:
    """UserError for a sparse tensor."""
    if x.layout != torch.strided and not x.is_mkldnn:
        raise UserError(f"this layer takes dense tensors, not {x.layout}: call x.to_dense() first")


def _exporting() -> bool:
    if hasattr(torch.compiler, "is_exporting"):
        return torch.compiler.is_exporting()
    return torch.compiler.is_compiling()  # an old torch cannot tell the two apart


def call(name: str, settings: ctypes.Structure, element_size: int, *tensors: Tensor | None) -> None:
    """Run a kernel on tensors whose shapes, types and memory formats its caller has checked."""
    settings.threads = 1 if _forked else torch.get_num_threads()
    getattr(library(), name)(element_size, ctypes.byref(settings), *map(pointer, tensors))


def pointer(tensor: Tensor | None) -> ctypes.c_void_p | None:
    """Where the numbers of a tensor begin."""
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())


def status() -> str:
    """What computes on the CPU: compiler and threads, or why it is one thread or plain PyTorch."""
    found, said = _built()
    if found is None:
        return said
    if not found.has_openmp():
        threads = "1 thread: its OpenMP is not the one that PyTorch has loaded; install g++"
    elif _forked:
        threads = "1 thread: this process was forked"
    else:
        count = torch.get_num_threads()
        threads = f"{count} threads" if count > 1 else "1 thread, as PyTorch is set"
    return f"compiled C++ ({said}, {threads})"


def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they cannot be had."""
    return _built()[0]


def wanted() -> bool:
    """Whether ALEXNET_KERNELS leaves the fast paths on."""
    return os.environ.get("ALEXNET_KERNELS") != "plain"


@functools.cache
def _built() -> tuple[ctypes.CDLL | None, str]:
    """The compiled kernels and their compiler; or None, and why there are none.

    A compiler whose code runs on all threads comes before one whose code runs on one: clang, by
    default, calls another OpenMP library than the one that PyTorch for Linux brings.
    """
    if not wanted():
        return None, UNWANTED
    if sys.platform == "win32":
        return None, "plain PyTorch (the kernels are not compiled on Windows)"
    library, said = None, "plain PyTorch (no C++ compiler found: install g++ or clang++)"
    for compiler in _compilers():
        try:
            found, version = _load(compiler), _version(compiler).decode(errors="replace")
        except (OSError, subprocess.SubprocessError) as error:
            if library is None:
                said = f"plain PyTorch ({Path(compiler).name} cannot build kernels.cpp: {error})"
            continue
        if library is None or found.has_openmp():
            library, said = found, re.sub(r" ?\(.*?\)", "", version.partition("\n")[0])
        if found.has_openmp():
            break
    return library, said


def _compilers() -> list[str]:
    """Where the compilers lie: the one that CXX names, or all that are there."""
    chosen = shutil.which(os.environ.get("CXX", ""))
    return [chosen] if chosen else list(filter(None, map(shutil.which, ("c++", "g++", "clang++"))))


@functools.cache
def _version(compiler: str) -> bytes:
    return subprocess.run([compiler, "--version"], capture_output=True, check=True,
                          timeout=SECONDS).stdout


def _load(compiler: str) -> ctypes.CDLL:
    """The library for this compiler and processor, from the cache or newly compiled."""
    recipe = (SOURCE.read_bytes(), _version(compiler), _processor(), FLAGS, VECTORS, THREADS)
    stem = f"kernels-{_digest(repr(recipe).encode())}"
    cache = _private_cache()
    for file in cache.glob(f"{stem}-*.so") if cache else ():
        # The name holds the digest of the content: a truncated library would kill the process.
        with contextlib.suppress(OSError):
            if _ours_alone(file) and file.stem == f"{stem}-{_digest(file.read_bytes())}":
                return _bound(file)
    with _scratch(cache) as folder:
        made = _compile(compiler, folder)
        library = _bound(made)
        with contextlib.suppress(OSError):  # without a cache, the next process compiles again
            if cache:
                with open(made, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(made, cache / f"{stem}-{_digest(made.read_bytes())}.so")
        return library


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _private_cache() -> Path | None:
    """A folder that nobody else can write to, since what lies there is run; or None."""
    homes = (os.environ.get("XDG_CACHE_HOME"), os.path.expanduser("~/.cache"))
    places = [Path(home, "alexnet-course") for home in homes if home and os.path.isabs(home)]
    for place in (*places, Path(tempfile.gettempdir(), f"alexnet-course-{os.getuid()}")):
        with contextlib.suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _ours_alone(place) and os.access(place, os.W_OK):
                return place
    return None


def _ours_alone(path: Path) -> bool:
    """Whether the path itself, not what a link names, is this user's and no one else can write."""
    found = path.lstat()
    return (found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            and not stat.S_ISLNK(found.st_mode))


@contextlib.contextmanager
def _scratch(cache: Path | None) -> Iterator[Path]:
    """A folder to compile in; those of processes killed more than an hour ago are removed."""
    for old in cache.glob("build-*") if cache else ():
        with contextlib.suppress(OSError):
            if old.lstat().st_mtime < time.time() - 3600:
                shutil.rmtree(old)
    with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as folder:
        yield Path(folder)


def _compile(compiler: str, folder: Path) -> Path:
    """The library made with the first flags that this compiler and this machine know."""
    failed: Exception = OSError("no set of flags works")
    probe = folder / "probe.cpp"  # a moment's work shows which flags and which OpenMP are there
    probe.write_text("void probe(int* x) {\n#pragma omp parallel\n*x = 1;\n}\n")
    for vectors, threads in itertools.product(VECTORS, THREADS):
        flags = (*FLAGS, *vectors, *threads)
        try:
            ctypes.CDLL(str(_shared(compiler, flags, probe, folder)))
            library = _shared(compiler, flags, SOURCE, folder)
            _bound(library)
            return library
        except subprocess.CalledProcessError as error:
            failed = OSError(_complaint(error.stderr.decode(errors="replace")))
        except (OSError, subprocess.SubprocessError) as error:
            failed = error
    raise failed


def _shared(compiler: str, flags: tuple[str, ...], source: Path, folder: Path) -> Path:
    """A shared library, under a new name: what is loaded is not replaced.

    Linked without the OpenMP flags, which would add the compiler's own library.
    """
    handle, made = tempfile.mkstemp(".o", dir=folder)
    os.close(handle)
    library = Path(made).with_suffix(".so")
    loose = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    for step in ([*flags, "-c", str(source), "-o", made],
                 ["-shared", *loose, made, "-o", str(library)]):
        subprocess.run([compiler, *step], capture_output=True, check=True, timeout=SECONDS)
    return library


def _complaint(words: str) -> str:
    """The line of a compiler's messages that says what is wrong."""
    lines = words.splitlines() or ["no message"]
    return next((line for line in lines if "error" in line), lines[-1]).strip()


def _bound(file: Path) -> ctypes.CDLL:
    """The library, if it has all functions and lays out their settings as Python does."""
    library = ctypes.CDLL(str(file))
    try:
        library.settings_size.restype = ctypes.c_int64
        for name, settings in FUNCTIONS.items():
            getattr(library, name).restype = None
            if library.settings_size(name.encode()) != ctypes.sizeof(settings):
                raise OSError(f"{file.name} lays out the settings of {name} in another way")
    except AttributeError as error:
        raise OSError(f"{file.name} lacks a function: {error}") from None
    return library


def _processor() -> str:
    """What this processor can do, as text: code made for one may not run on another."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.machine() + platform.processor()
