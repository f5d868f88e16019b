"""The compiled kernels: found, built, kept, and done without; batches and the update rule."""

import contextlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from alexnet_lib import kernels, memory
from alexnet_lib.augment import Augment
from alexnet_lib.optim import PaperSGD

ASK = "from alexnet_lib import kernels; print(kernels.told())"


def told(tmp_path, **environment) -> str:
    """What a fresh process says about its fast paths, with an empty cache of its own."""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), **environment}
    return subprocess.run([sys.executable, "-c", ASK], env=env, capture_output=True, text=True,
                          check=True).stdout.strip()


@pytest.fixture
def compiled():
    if not kernels.usable():
        pytest.skip(kernels.told())


def test_without_a_compiler_it_is_plain(tmp_path):
    said = told(tmp_path, PATH=str(tmp_path), CXX="")
    assert "plain PyTorch (no C++ compiler found" in said
    assert "ALEXNET_KERNELS" in told(tmp_path, ALEXNET_KERNELS="plain")


def test_a_compiler_that_fails_is_told(tmp_path):
    broken = shutil.which("false")
    assert "cannot build" in told(tmp_path, PATH=str(tmp_path), CXX=broken)


def test_built_once_and_again_when_damaged(tmp_path, compiled):
    assert "compiled C++" in told(tmp_path)
    library, = tmp_path.rglob("*.so")
    made = library.stat().st_mtime_ns
    assert "compiled C++" in told(tmp_path)
    assert library.stat().st_mtime_ns == made
    library.write_bytes(library.read_bytes()[:100])
    assert "compiled C++" in told(tmp_path)
    assert library.stat().st_size > 1000


def test_a_cache_that_cannot_be_written(tmp_path, compiled):
    (tmp_path / "alexnet-course").write_text("not a folder")
    assert "compiled C++" in told(tmp_path)


STORED, SIZE = 40, 33
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, STORED, STORED, 3), dtype=np.uint8)
VECTORS = np.linalg.qr(RNG.normal(size=(3, 3)))[0]


@pytest.mark.parametrize("colour", ["none", "paper", "2012"])
@pytest.mark.parametrize("mean_at", ["pixel", "centre"])
@pytest.mark.parametrize("options", [{}, {"crop": False}, {"flip": False}, {"per": 32},
                                     {"grey": True}, {"dtype": torch.bfloat16}])
def test_batches_are_the_plain_ones(compiled, colour, mean_at, options):
    augment = Augment(SIZE, IMAGES.mean(0), [4e3, 300, 50], VECTORS, colour=colour,
                      mean_at=mean_at, **options)
    index = torch.from_numpy(RNG.permutation(30)[:24])

    def both():
        for images in (IMAGES, torch.from_numpy(IMAGES)):
            yield augment.train(images, index, torch.Generator().manual_seed(1))
        yield augment.view(IMAGES, index, 7)

    fast = list(both())
    with kernels.plain():
        plain = list(both())
    # One bfloat16 apart where the two round to different sides: 1 from 128 on.
    tolerance = 1.0 if options.get("dtype") else 1e-4
    for ours, theirs in zip(fast, plain, strict=True):
        assert ours.dtype == theirs.dtype and ours.stride() == theirs.stride()
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance)
        assert tolerance < 1 or (ours != theirs).float().mean() < 0.01


@pytest.mark.parametrize("size", [1, 2, STORED])
def test_batches_of_extreme_sizes(compiled, size):
    augment = Augment(size, IMAGES.mean(0), mean_at="centre")
    fast = augment.train(IMAGES, range(30), torch.Generator().manual_seed(2))
    with kernels.plain():
        plain = augment.train(IMAGES, range(30), torch.Generator().manual_seed(2))
    torch.testing.assert_close(fast, plain)


@pytest.mark.parametrize("index, top", [([30], 0), ([-1], 0), ([0], STORED), ([0], -1)])
def test_places_outside_are_refused(compiled, index, top):
    mean = torch.zeros(STORED, STORED, 3)
    with pytest.raises(IndexError):
        kernels.cut(IMAGES, index, [top], [0], [False], SIZE, mean, True, None, 1.0, torch.float32)


@pytest.mark.parametrize("mean", [
    torch.zeros(STORED - 1, STORED, 3), torch.zeros(STORED, STORED - 1, 3),
    torch.zeros(STORED, STORED), torch.zeros(STORED, STORED, 3, dtype=torch.float64),
    torch.zeros(STORED, 3, STORED).transpose(1, 2)])
def test_a_mean_that_does_not_fit_is_refused(compiled, mean):
    with pytest.raises(ValueError, match="a mean of"):
        kernels.cut(IMAGES, [0], [0], [0], [False], SIZE, mean, True, None, 1.0, torch.float32)


def test_the_update_rule_is_the_plain_one(compiled):
    torch.manual_seed(0)
    start = [torch.randn(7), torch.randn(5, 3), torch.randn(4, 3, 2, 2)]
    start[2] = start[2].to(memory_format=torch.channels_last)

    def trained() -> list[torch.Tensor]:
        weights = [w.clone().requires_grad_() for w in start]
        optimizer = PaperSGD(weights, 0.1)
        for step in range(5):
            for w in weights:
                w.grad = (w.detach() * (step - 1)).sin()
            optimizer.step()
        return [w.detach() for w in weights] + [optimizer.state[w]["velocity"] for w in weights]

    fast = trained()
    with kernels.plain():
        plain = trained()
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
        assert ours.stride() == theirs.stride()


def test_gradients_laid_out_otherwise_are_taken_too(compiled):
    weight = torch.ones(3, 4, requires_grad=True)
    weight.grad = torch.arange(12.0).reshape(4, 3).t()
    PaperSGD([weight], 0.1, 0, 0).step()
    torch.testing.assert_close(weight.detach(), 1 - 0.1 * weight.grad)


@pytest.mark.parametrize("fast", [True, False])
def test_going_back_through_weights_that_have_changed_is_an_error(compiled, fast):
    with contextlib.nullcontext() if fast else kernels.plain():
        first, second = (torch.randn(4, 4, requires_grad=True) for _ in range(2))
        optimizer = PaperSGD([first, second], 0.1)
        loss = (torch.randn(2, 4) @ first @ second).square().sum()
        loss.backward(retain_graph=True)
        optimizer.step()
        assert first._version == second._version > 0
        assert optimizer.state[first]["velocity"]._version > 0
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


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
from alexnet_lib.kernels_gpu import response_norm
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
"""
    subprocess.run([sys.executable, "-c", program], check=True,
                   env={**os.environ, "TRITON_INTERPRET": "1"})


def test_the_gpu_kernel_fits_into_a_t4():
    """Compiled for it, on a machine without a GPU too: 64 KiB of shared memory for each block."""
    triton = pytest.importorskip("triton", minversion="3.3")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from alexnet_lib import kernels_gpu
    wide = kernels_gpu.lanes(torch.float32)
    settings = {"INNER": wide - 8, "HALO": 4, "BEFORE": 2, "AFTER": 2, "ROOTS": True,
                "PRECISION": "ieee", "PIXELS": kernels_gpu.PIXELS, "LANES": wide}
    types = [*["*fp32"] * 3, *["i32"] * 6, *["fp32"] * 3, *["constexpr"] * 9]
    names = kernels_gpu._normalise.arg_names
    for backward in (False, True):
        source = ASTSource(kernels_gpu._normalise, dict(zip(names, types, strict=True)),
                           settings | {"BACKWARD": backward})
        made = triton.compile(source, target=GPUTarget("cuda", 75, 32))
        assert made.metadata.shared <= 65536


@pytest.fixture
def gpu(monkeypatch):
    """A pretended GPU: its tensors lie on the CPU. Gives what the Triton kernel was asked."""
    kernels_gpu = pytest.importorskip("alexnet_lib.kernels_gpu")
    asked, ones = [], torch.ones

    def response_norm(x, grad, *rest):
        asked.append((x.dtype, grad is not None))
        if x.dtype == torch.bfloat16 and grad is not None:
            raise RuntimeError("out of resource: shared memory")
        return x

    monkeypatch.setattr(torch, "ones", lambda *shape, dtype, device: ones(*shape, dtype=dtype))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(kernels_gpu, "response_norm", response_norm)
    monkeypatch.delenv("ALEXNET_KERNELS", raising=False)
    kernels._gpu_kernels.cache_clear()
    yield asked
    kernels._gpu_kernels.cache_clear()


def test_each_type_is_tried_there_and_back(gpu):
    for _ in range(2):  # the second time it is known
        assert kernels._gpu_kernels(torch.float32)[0]
        module, told = kernels._gpu_kernels(torch.bfloat16)
        assert module is None and "no Triton: RuntimeError" in told
        assert kernels._gpu_kernels(torch.float64)[0] is None
    assert gpu == [(torch.float32, False), (torch.float32, True),
                   (torch.bfloat16, False), (torch.bfloat16, True)]


@pytest.mark.parametrize("capability, dtype, word", [((7, 5), torch.float32, "GPU: Triton"),
                                                     ((8, 0), torch.bfloat16, "GPU: plain")])
def test_told_is_the_path_of_the_precision_that_is_chosen(gpu, monkeypatch, capability, dtype,
                                                          word):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert word in kernels.told()
    assert {asked for asked, _ in gpu} == {dtype}
