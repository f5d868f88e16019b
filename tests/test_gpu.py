"""What only a GPU can show: there it computes what the CPU does. Left out where there is none."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from alexnet_lib import batches, cli, datasets, features, training
from alexnet_lib.config import TrainConfig
from alexnet_lib.course import seeing
from alexnet_lib.evaluation import probabilities
from alexnet_lib.layers import (
    Conv2d,
    LocalResponseNorm,
    MaxPool,
    SpatialResponseNorm,
    local_response_norm,
)
from alexnet_lib.models import AlexNet
from alexnet_lib.ops import norm
from alexnet_lib.optim import PaperSGD
from alexnet_lib.training import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 64, counts={"train": 128, "val": 32, "test": 10},
                         progress=False)


@pytest.fixture(params=["images on the GPU", "images elsewhere"])
def where(request, monkeypatch):
    """Small data are kept on the GPU; larger ones are brought there a batch ahead."""
    if request.param == "images elsewhere":
        monkeypatch.setattr(batches, "placed", lambda images, device: images)


def trainer(device, data, **choices):
    return Trainer(TrainConfig("shapes", model="alexnet", input_size=59, stored_size=64, width=0.25,
                               batch_size=32, epochs=3, dropout=0.0, color="paper", device=device,
                               **{"precision": "fp32"} | choices), data, progress=False)


def steps(run, count=5):
    for _ in range(count):
        run.train_step()
    run.collect()
    return run


@pytest.mark.parametrize("mean_at", ["pixel", "center"])
def test_the_same_batches(data, where, mean_at):
    there, here = (trainer(device, data, mean_at=mean_at).batch() for device in ("cuda", "cpu"))
    torch.testing.assert_close(there[0].cpu(), here[0], rtol=0, atol=1e-2)
    assert torch.equal(there[1].cpu(), here[1])


@pytest.mark.parametrize("variant", ["paper", "2012"])
def test_the_same_steps(data, where, variant):
    there, here = (steps(trainer(device, data, variant=variant)) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there.losses, here.losses, rtol=0.02)
    sure = [probabilities(run, data.splits["val"].images, 10) for run in (there, here)]
    torch.testing.assert_close(sure[0].cpu(), sure[1], rtol=0, atol=0.05)


def test_bf16_learns(data):
    run = steps(trainer("cuda", data, precision="bf16", init="he", input_divisor=58), 12)
    assert np.mean(run.losses[-4:]) < np.mean(run.losses[:4])


def test_the_same_update():
    weights = [torch.randn(40, 30), torch.randn(7)]
    pairs = [[torch.nn.Parameter(w.to(device)) for w in weights] for device in ("cuda", "cpu")]
    for parameters in pairs:
        optimizer = PaperSGD([{"params": [p]} for p in parameters], lr=0.1)
        for k in range(3):
            for p in parameters:
                p.grad = torch.sin(p.detach() + k)
            optimizer.step()
    for there, here in zip(*pairs, strict=True):
        torch.testing.assert_close(there.detach().cpu(), here.detach(), rtol=1e-4, atol=1e-5)


def exactly(layer, x):
    """What `layer` gives for x, by the plain formula."""
    settings = layer.alpha, layer.beta, layer.k
    if isinstance(layer, SpatialResponseNorm):
        return norm.formula(x, layer.size, *settings, spatial=True)
    return local_response_norm(x, layer.size, *settings, layer.columns)


NORMS = [LocalResponseNorm(96, 5, 1e-4, columns=2), LocalResponseNorm(96, 3, 5e-5, beta=0.6),
         LocalResponseNorm(256), LocalResponseNorm(300, 16), SpatialResponseNorm(5)]
TYPES = [(torch.float32, 1e-5), (torch.bfloat16, 8e-3), (torch.float16, 1e-3)]


def compared(layer, x, grad, tolerance):
    """Output and gradient against the plain formula in float64, on the CPU."""
    leaf, exact = x.clone().requires_grad_(), x.double().cpu().requires_grad_()
    out, right = layer(leaf), exactly(layer, exact)
    assert out.dtype == x.dtype and out.stride() == x.stride()
    out.backward(grad)
    right.backward(grad.double().cpu())
    for found, expected in ((out, right), (leaf.grad, exact.grad)):
        assert (found.cpu() - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize("dtype, tolerance", TYPES)
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layer", NORMS, ids=repr)
def test_the_norm_is_the_formula(layer, order, dtype, tolerance):
    x = (torch.randn(3, getattr(layer, "channels", 96), 13, 11) * 30).to("cuda", dtype)
    x = x.to(memory_format=order)
    compared(layer, x, torch.randn_like(x), tolerance)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layer", NORMS, ids=repr)
def test_the_plain_formula_is_the_cpus(layer, order):
    """Where there is no Triton it must do."""
    x = torch.randn(3, getattr(layer, "channels", 96), 13, 11).double() * 30
    grad = torch.randn_like(x)
    settings = layer._settings()
    found = [(norm.formula(*of, *settings) if len(of) == 1 else
              norm.gradient_formula(*of, *settings))
             for device in ("cuda", "cpu")
             for of in ((x.to(device).to(memory_format=order),),
                        (grad.to(device), x.to(device).to(memory_format=order)))]
    for there, here in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(there.cpu(), here)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_derivative_of_the_plain_formula_is_the_cpus(order):
    """PyTorch's own, through `avg_pool2d`."""
    x = torch.randn(3, 96, 13, 11).double() * 30
    leaves = [x.to(device).to(memory_format=order).requires_grad_() for device in ("cuda", "cpu")]
    for leaf in leaves:
        norm.formula(leaf, 5, 1e-3, 0.75, 1.0, spatial=True).sin().sum().backward()
    torch.testing.assert_close(leaves[0].grad.cpu(), leaves[1].grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_triton_is_what_runs(dtype):
    kernels, said = norm.gpu_kernels(dtype)
    assert kernels and said == "Triton"


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 3e19])
@pytest.mark.parametrize("layer", NORMS, ids=repr)
def test_what_is_not_finite_stays_where_it_belongs(layer, value):
    x = torch.randn(2, getattr(layer, "channels", 96), 9, 9, device="cuda")
    x[0, 40, 4, 4] = value
    leaf, exact = x.clone().requires_grad_(), x.cpu().requires_grad_()
    out, right = layer(leaf), exactly(layer, exact)
    torch.testing.assert_close(out.cpu(), right, equal_nan=True, rtol=1e-4, atol=1e-4)
    out.sum().backward()
    right.sum().backward()
    assert not (leaf.grad.cpu().isnan() & ~exact.grad.isnan()).any()


def test_fp16_autocast_does_not_overflow():
    x = torch.full((1, 96, 4, 4), 970.0, device="cuda")  # its square is beyond float16
    with torch.autocast("cuda", torch.float16):
        out = LocalResponseNorm(96)(x.half())
    torch.testing.assert_close(out.float(), exactly(LocalResponseNorm(96), x.half().float()),
                               rtol=2e-3, atol=0)


def test_empty_batches_pass():
    for layer in (LocalResponseNorm(96), SpatialResponseNorm(5), MaxPool(3, 2)):
        x = torch.zeros(0, 96, 7, 7, device="cuda", requires_grad=True)
        layer(x).sum().backward()
        assert x.grad.shape == x.shape


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_pool_is_the_cpus(order):
    x = torch.randn(2, 16, 14, 13).to(memory_format=order)
    x[0, 3, 5, 5] = torch.nan
    there, here = (x.to(device).requires_grad_() for device in ("cuda", "cpu"))
    outs = [MaxPool(3, 2)(t) for t in (there, here)]
    for out in outs:
        out.nan_to_num().sum().backward()
    torch.testing.assert_close(outs[0].cpu(), outs[1], rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(there.grad.cpu(), here.grad)


@pytest.mark.parametrize("dtype, tolerance", [(torch.bfloat16, 1e-2), (torch.float16, 2e-3)])
def test_groups_one_by_one_are_a_grouped_convolution(dtype, tolerance):
    torch.manual_seed(0)
    conv = Conv2d(16, 24, 3, padding=1, groups=2).cuda().to(dtype)
    x = torch.randn(2, 16, 9, 9, device="cuda", dtype=dtype)
    x = x.to(memory_format=torch.channels_last)
    exact = torch.nn.Conv2d(16, 24, 3, padding=1, groups=2).double()
    exact.load_state_dict({name: t.double() for name, t in conv.state_dict().items()})
    pairs = [(net, leaf.requires_grad_()) for net, leaf in
             ((conv, x.clone()), (exact, x.double().cpu()))]
    outs = [net(leaf) for net, leaf in pairs]
    for out in outs:
        out.sin().sum().backward()
    assert outs[0].is_contiguous(memory_format=torch.channels_last)
    found, right = ((out, leaf.grad, *(p.grad for p in net.parameters()))
                    for out, (net, leaf) in zip(outs, pairs, strict=True))
    for one, other in zip(found, right, strict=True):
        assert (one.cpu() - other).norm() <= tolerance * other.norm()


def test_second_derivatives():
    x = torch.randn(1, 8, 3, 3, dtype=torch.float64, device="cuda", requires_grad=True)
    assert torch.autograd.gradgradcheck(LocalResponseNorm(8), x)


def test_compiled_whole(data):
    """`torch.compile` takes the net in one piece, and it computes the same."""
    torch.manual_seed(0)
    net = AlexNet(num_classes=10, input_size=67, width=0.25).cuda().eval()
    x = torch.randn(4, 3, 67, 67, device="cuda") * 30
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(net, fullgraph=True)(x), net(x), rtol=1e-3,
                                   atol=1e-3)


def test_a_run_goes_on_elsewhere(data, tmp_path):
    """Killed on the GPU and resumed on the CPU, and the other way round."""
    whole = None
    for first, second in (("cpu", "cpu"), ("cuda", "cpu"), ("cpu", "cuda"), ("cuda", "cuda")):
        out = str(tmp_path / f"{first}-{second}")
        config = trainer(first, data, out=out).given
        training.train(config, data, progress=False, on_step=lambda run: run.step == 5)
        run = training.train(dataclasses.replace(config, device=second), data, resume=True,
                             progress=False)
        assert run.finished and run.step == 12
        whole = whole or run
        np.testing.assert_allclose(run.losses, whole.losses, rtol=0.03)


def test_a_batch_that_does_not_fit_is_halved():
    """In a process that may take 3 GB of the card."""
    program = """
import torch
from alexnet_lib import datasets, training
from alexnet_lib.config import TrainConfig
from alexnet_lib.research.workloads import synthetic
torch.cuda.set_per_process_memory_fraction(3e9 / torch.cuda.get_device_properties(0).total_memory)
training.train(TrainConfig("imagenet", model="alexnet", batch_size=4096, lr=1e-4, epochs=1,
                           device="cuda"), synthetic(4096), progress=False)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.getcwd()})
    last = done.stderr.strip().splitlines()[-1]
    assert "batch of 4096 does not fit" in last and "--batch-size" in last


def test_features_are_the_cpus(data):
    runs = [trainer(device, data) for device in ("cuda", "cpu")]
    images = data.splits["val"].images
    maps = [features.responses(run, images, "conv2") for run in runs]
    torch.testing.assert_close(maps[0], maps[1], rtol=0.02, atol=0.05)
    assert features.top_patches(runs[0], images, "conv2", 2)
    pictures = [seeing.optimized(run, "conv2", [0], steps=3).astype(int) for run in runs]
    assert np.abs(pictures[0] - pictures[1]).mean() < 5
    where = [seeing.grad_cam(run, run.augment.view(images, range(2)), 1) for run in runs]
    torch.testing.assert_close(where[0], where[1], rtol=0.05, atol=0.05)


def test_the_commands(tmp_path, monkeypatch):
    """train, evaluate and filters, as a user types them; the net is on the GPU by itself."""
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path))

    def alexnet(*words):
        done = CliRunner().invoke(cli.cli, list(map(str, words)), catch_exceptions=False)
        assert done.exit_code == 0, done.output

    out, report = tmp_path / "run", tmp_path / "report.json"
    alexnet("train", "--data", "shapes", "--epochs", 1, "--limit", 512, "--out", out)
    net = "--checkpoint", out, "--data", "shapes"
    alexnet("evaluate", *net, "--views", 10, "--json", report)
    assert 0 <= json.loads(report.read_text())["top1_error"] < 0.9
    alexnet("filters", *net, "--out", tmp_path / "filters")


def test_one_process_of_torchrun(tmp_path):
    """Gradients go through NCCL, with one card as with many."""
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1",
         "-m", "alexnet_lib", "train", "--data", "shapes", "--epochs", "1", "--limit", "256",
         "--out", str(tmp_path / "run")],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "ALEXNET_DATA_ROOT": str(tmp_path)})
    assert done.returncode == 0, done.stderr[-2000:]
