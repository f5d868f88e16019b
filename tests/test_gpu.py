"""What only a GPU can show: there it computes what the CPU does. Left out where there is none."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from alexnet_lib import datasets, training
from alexnet_lib.config import TrainConfig
from alexnet_lib.evaluation import probabilities
from alexnet_lib.layers import LocalResponseNorm
from alexnet_lib.optim import PaperSGD
from alexnet_lib.training import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 64, counts={"train": 128, "val": 32, "test": 10},
                         progress=False)


@pytest.fixture(params=["images on the GPU", "images elsewhere"])
def where(request, monkeypatch):
    """Small data lie on the GPU; larger ones are cut on the CPU, a batch ahead."""
    if request.param == "images elsewhere":
        monkeypatch.setattr(training, "placed", lambda images, device: images)


def trainer(device, data, **choices):
    return Trainer(TrainConfig("shapes", model="alexnet", input_size=59, stored_size=64, width=0.25,
                               batch_size=32, epochs=3, dropout=0.0, colour="paper", device=device,
                               **{"precision": "fp32"} | choices), data, progress=False)


def steps(run, count=5):
    for _ in range(count):
        run.train_step()
    run.collect()
    return run


@pytest.mark.parametrize("mean_at", ["pixel", "centre"])
def test_the_same_batches(data, where, mean_at):
    there, here = (trainer(device, data, mean_at=mean_at).batch() for device in ("cuda", "cpu"))
    torch.testing.assert_close(there[0].cpu(), here[0], rtol=0, atol=1e-2)
    assert torch.equal(there[1].cpu(), here[1])


@pytest.mark.parametrize("variant", ["paper", "2012"])
def test_the_same_steps(data, where, variant):
    there, here = (steps(trainer(device, data, variant=variant)) for device in ("cuda", "cpu"))
    np.testing.assert_allclose(there.losses, here.losses, rtol=0.02)
    sure = [probabilities(run, data.splits["val"].images, 10) for run in (there, here)]
    torch.testing.assert_close(sure[0].cpu(), sure[1], rtol=0, atol=0.02)


def test_bf16_learns(data):
    run = steps(trainer("cuda", data, precision="bf16", init="he", divide=58), 12)
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


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_the_norm_is_torchs(dtype, tolerance, order):
    x = (torch.randn(3, 96, 13, 11) * 30).to("cuda", dtype).to(memory_format=order)
    weight, grads, outs = torch.randn(3, 96, 13, 11, device="cuda"), [], []
    layer = LocalResponseNorm(96, 5, 1e-4, columns=2)

    def torchs(x):  # divides alpha by the window
        return torch.cat([functional.local_response_norm(half, 5, 5e-4, 0.75, 2.0)
                          for half in x.double().chunk(2, 1)], 1)

    for norm in (layer, torchs):
        leaf = x.clone().requires_grad_()
        outs.append(norm(leaf))
        (outs[-1] * weight).sum().backward()
        grads.append(leaf.grad.double())
    torch.testing.assert_close(outs[0].double(), outs[1], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(grads[0], grads[1], rtol=tolerance, atol=tolerance)
