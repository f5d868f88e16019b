"""Fast paths: kernels.cpp on a CPU, compiled at first use, and kernels_gpu.py.

Every function here has a plain twin in PyTorch, which runs instead where there is no C++ compiler,
and against which the tests compare it: `layers`, `augment` and `optim` ask `usable` first.
ALEXNET_KERNELS=plain in the environment asks for the plain code everywhere.
"""

import contextlib
import ctypes
import functools
import hashlib
import itertools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor

from alexnet_lib.devices import pick_precision

SOURCE = Path(__file__).with_name("kernels.cpp")
# Sums may be reordered, which vectors need; infinities and NaN keep their meaning.
FLAGS = ("-O3", "-std=c++17", "-fPIC", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math",
         "-fno-signed-zeros", "-fassociative-math", "-freciprocal-math")
# Tried in this order, from all that the chip can do to what every compiler knows. OpenMP's own
# functions are found in the library that PyTorch has loaded: one pool of threads, not two.
VECTORS = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",),
           ())
THREADS = (("-fopenmp",), ("-Xpreprocessor", "-fopenmp"), ())
DTYPES = (torch.bfloat16, torch.float32, torch.float64)

_switched_off = False


class _Settings(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_long) for name in ("images", "channels", "height", "width")),
                *((name, ctypes.c_int) for name in ("channels_last", "columns", "size", "spatial")),
                *((name, ctypes.c_double) for name in ("alpha", "beta", "k"))]


class _Pool(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("images", "channels", "height", "width",
                                                   "out_height", "out_width", "window", "stride")]


class _Cut(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_long) for name in ("images", "stored", "size", "mean_top")),
                ("mean_follows", ctypes.c_int), ("divisor", ctypes.c_float)]


def usable(*tensors: Tensor) -> bool:
    """Whether kernels.cpp can take these tensors; compiles it at the first call."""
    if _switched_off or torch.compiler.is_compiling():
        return False
    return all(t.device.type == "cpu" and t.dtype in DTYPES
               for t in tensors) and _library() is not None


def norm_for(x: Tensor, size: int, spatial: bool) -> Callable | None:
    """A fast `response_norm` for x on its device, or None: then plain PyTorch must do."""
    if usable(x):
        return response_norm
    if _switched_off or torch.compiler.is_compiling() or not x.is_cuda or spatial:
        return None
    gpu, _ = _gpu_kernels(x.dtype)
    return gpu.response_norm if gpu and size <= gpu.WIDEST else None


def told() -> str:
    """What runs here, and where it is not the fast path, why: for `alexnet info`."""
    _library()
    if torch.cuda.is_available():
        bf16 = pick_precision("auto", "cuda") == "bf16"
        _, gpu = _gpu_kernels(torch.bfloat16 if bf16 else torch.float32)
        return f"CPU: {_told['cpu']}; GPU: {gpu}"
    return _told["cpu"]


@contextlib.contextmanager
def plain():
    """Within this context the plain PyTorch code runs, to compare with."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def response_norm(x: Tensor, grad: Tensor | None, size: int, alpha: float, beta: float, k: float,
                  columns: int = 1, spatial: bool = False) -> Tensor:
    """Response normalisation of x, or, given `grad`, the gradient with respect to x.

    x, grad: (batch, channels, height, width), one of DTYPES, on the CPU. spatial: over
    size x size pixels of a map instead of over maps. Computed in float32, or in float64 for that.
    Returns a tensor of the shape, type and memory format of x.
    """
    memory = (torch.contiguous_format if x.is_contiguous() else torch.channels_last)
    x = x.contiguous(memory_format=memory)
    out = torch.empty_like(x)
    settings = _Settings(*x.shape, memory == torch.channels_last, columns, size, spatial,
                         alpha, beta, k)
    if grad is not None:
        grad = grad.to(x.dtype).contiguous(memory_format=memory)
    if x.numel():
        _library().response_norm(x.element_size(), ctypes.byref(settings), _at(x), _at(grad),
                                 _at(out))
    return out


def max_pool(x: Tensor, window: int, stride: int, side: tuple[int, int],
             keep: bool) -> tuple[Tensor, Tensor | None]:
    """Max pooling without padding; `side` is (height, width) of the output.

    x: (batch, channels, height, width), one of DTYPES. Returns the output, in channels-last
    memory, and if `keep`, for `max_pool_backward`, the winners: ``(batch, *side, channels)`` uint8.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    out = x.new_empty(x.shape[0], *side, x.shape[1])
    winner = torch.empty(out.shape, dtype=torch.uint8) if keep else None
    _library().max_pool(x.element_size(), ctypes.byref(_Pool(*x.shape, *side, window, stride)),
                        _at(x), _at(out), _at(winner))
    return out.permute(0, 3, 1, 2), winner


def max_pool_backward(grad: Tensor, winner: Tensor, shape: torch.Size, window: int,
                      stride: int) -> Tensor:
    """The gradient of `max_pool` with respect to its input, which had `shape`."""
    grad = grad.contiguous(memory_format=torch.channels_last)
    dx = torch.empty(shape, dtype=grad.dtype, memory_format=torch.channels_last)
    pool = _Pool(*shape, *grad.shape[2:], window, stride)
    _library().max_pool_backward(grad.element_size(), ctypes.byref(pool), _at(grad), _at(winner),
                                 _at(dx))
    return dx


def cut(images, index, top, left, flip, size: int, mean: Tensor, mean_follows: bool,
        shift: Tensor | None, divisor: float, dtype: torch.dtype) -> Tensor:
    """`augment.crop` of RGB images, less the mean, plus a shift per image, divided; in one pass.

    images: (N, S, S, 3) uint8, contiguous array or tensor. mean: (S, S, 3) float32. shift: (B, 3)
    or None. Returns (B, 3, size, size) of `dtype` (float32, bfloat16), in channels-last memory.
    Raises ValueError for a mean of another shape or type, IndexError for a place outside.
    """
    count, stored = len(images), images.shape[1]
    if not (tuple(images.shape[1:]) == tuple(mean.shape) == (stored, stored, 3)
            and mean.is_contiguous() and mean.dtype == torch.float32):
        raise ValueError(f"a mean of {tuple(mean.shape)}, {mean.dtype}, for images of "
                         f"{tuple(images.shape[1:])}: give one of their shape, in one piece")
    index, top, left = (torch.as_tensor(a, dtype=torch.int64).contiguous()
                        for a in (index, top, left))
    flip = torch.as_tensor(flip).to(torch.uint8).contiguous()
    if index.numel() and not (0 <= int(index.min()) <= int(index.max()) < count
                              and int(torch.minimum(top, left).min()) >= 0
                              and int(torch.maximum(top, left).max()) <= stored - size):
        raise IndexError(f"an image or a place outside {count} images of {stored} pixels")
    start = (images.data_ptr() if isinstance(images, Tensor)
             else images.__array_interface__["data"][0])
    places = start + index * (stored * stored * 3)
    out = torch.empty(len(index), size, size, 3, dtype=dtype)
    settings = _Cut(len(index), stored, size, (stored - size) // 2, mean_follows, divisor)
    shift = None if shift is None else shift.float().contiguous()
    _library().cut(out.element_size(), ctypes.byref(settings), _at(places), _at(top), _at(left),
                   _at(flip), _at(mean), _at(shift), _at(out))
    return out.permute(0, 3, 1, 2)


def paper_sgd(weight: Tensor, velocity: Tensor, gradient: Tensor, momentum: float, decay: float,
              rate: float) -> None:
    """One step of the paper's update rule, in place; float32, all three of the same strides."""
    _library().paper_sgd(_at(weight), _at(velocity), _at(gradient),
                         ctypes.c_long(weight.numel()), *map(ctypes.c_float,
                                                             (momentum, decay, rate)))
    # Else a backward pass through the weights as they were would not notice.
    torch.autograd.graph.increment_version((weight, velocity))


def _at(tensor: Tensor | None):
    return None if tensor is None else ctypes.c_void_p(tensor.data_ptr())


_UNWANTED = "plain PyTorch (ALEXNET_KERNELS=plain)"
_told = {"cpu": "plain PyTorch"}


def _wanted() -> bool:
    return os.environ.get("ALEXNET_KERNELS") != "plain"


@functools.cache
def _library() -> ctypes.CDLL | None:
    """The compiled kernels, or None; `_told` says which and why."""
    if not _wanted():
        _told["cpu"] = _UNWANTED
        return None
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), "c++", "g++",
                                                    "clang++"))), None)
    if compiler is None or sys.platform == "win32":
        _told["cpu"] = "plain PyTorch (no C++ compiler found: install g++ or clang++)"
        return None
    try:
        library = _load(compiler)
    except (OSError, subprocess.SubprocessError) as error:
        _told["cpu"] = f"plain PyTorch ({Path(compiler).name} cannot build kernels.cpp: {error})"
        return None
    _told["cpu"] = f"compiled C++ ({Path(compiler).name})"
    return library


@functools.cache
def _gpu_kernels(dtype: torch.dtype) -> tuple[ModuleType | None, str]:
    """The module of Triton kernels if they run on this GPU in this type, or None; and what to tell.

    Tried on a small tensor, there and back: a chip may have room for the tiles of one type only.
    """
    if not _wanted():
        return None, _UNWANTED
    try:
        from alexnet_lib import kernels_gpu
        if dtype not in kernels_gpu.DTYPES:
            return None, f"plain PyTorch ({dtype})"
        x = torch.ones(1, 2, 3, 3, dtype=dtype, device="cuda")
        for grad in (None, x):
            kernels_gpu.response_norm(x, grad, 5, 1e-4, 0.75, 2.0)
    except Exception as error:  # whatever a driver or a compiler may say: it is not needed
        return None, f"plain PyTorch (no Triton: {type(error).__name__})"
    return kernels_gpu, "Triton"


def _load(compiler: str) -> ctypes.CDLL:
    """Compile kernels.cpp if it has not been before on such a machine, and load it."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    recipe = (SOURCE.read_bytes(), version, _processor(), FLAGS, VECTORS, THREADS)
    name = f"kernels-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}.so"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alexnet-course"
    with contextlib.suppress(OSError):  # not there, or damaged: built again
        return ctypes.CDLL(str(cache / name))
    with tempfile.TemporaryDirectory() as scratch:
        library = _build(compiler, Path(scratch))
        with contextlib.suppress(OSError):  # without a cache, the next process compiles again
            cache.mkdir(parents=True, exist_ok=True)
            ours = cache / f"{name}.{os.getpid()}"
            shutil.copy(library._name, ours)
            os.replace(ours, cache / name)
        return library


def _build(compiler: str, scratch: Path) -> ctypes.CDLL:
    """The library made with the first flags that this compiler and this machine know."""
    failed = OSError("no set of flags works")
    for i, (vectors, threads) in enumerate(itertools.product(VECTORS, THREADS)):
        made, library = scratch / f"{i}.o", scratch / f"{i}.so"
        try:
            subprocess.run([compiler, *FLAGS, *vectors, *threads, "-c", SOURCE, "-o", made],
                           capture_output=True, check=True, timeout=120)
            loose = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
            subprocess.run([compiler, "-shared", *loose, made, "-o", library],
                           capture_output=True, check=True, timeout=120)
            return ctypes.CDLL(str(library))
        except (OSError, subprocess.SubprocessError) as error:
            failed = error
    raise failed


def _processor() -> str:
    """What this processor can do, as text: code made for one may not run on another."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.machine() + platform.processor()
