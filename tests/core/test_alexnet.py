"""Read this first: what the library promises, each promise against something independent."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib import AlexNet, LocalResponseNorm, MaxPool, PaperSGD, TrainConfig, load, train
from alexnet_lib.layers import local_response_norm


def test_the_norm_is_the_formula_of_the_paper():
    """Section 3.3, summed in a loop; PyTorch's layer divides its alpha by the window."""
    a = torch.randn(2, 8, 3, 3, dtype=torch.float64) * 30
    k, n, alpha, beta = 2, 5, 1e-4, 0.75
    b = torch.empty_like(a)
    for i in range(8):
        window = a[:, max(0, i - n // 2):min(8, i + n // 2 + 1)]
        b[:, i] = a[:, i] / (k + alpha * window.square().sum(1)) ** beta
    for norm in (local_response_norm, LocalResponseNorm(8, n, alpha, beta, k),
                 nn.LocalResponseNorm(n, n * alpha, beta, k)):
        torch.testing.assert_close(norm(a), b)


def test_pooling_overlaps_and_rounds_up():
    """Section 3.4: windows of 3 every 2 pixels; of 8 pixels the last window is cut off."""
    x = torch.randn(1, 2, 8, 8)
    assert torch.equal(MaxPool(3, 2)(x), F.max_pool2d(x, 3, 2, ceil_mode=True))
    assert MaxPool(3, 2)(x).shape == (1, 2, 4, 4)


def test_the_net_has_the_papers_sizes():
    """Section 3.5: every layer's output, 60 million parameters, and two columns that meet in conv3
    and the full layers only."""
    net = AlexNet()
    shapes, x = {}, torch.zeros(1, 3, 227, 227)
    for name, layer in net.features.named_children():
        shapes[name] = tuple((x := layer(x)).shape[1:])
    assert [shapes[f"conv{i}"] for i in range(1, 6)] == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]
    assert shapes["pool3"] == (256, 6, 6)
    assert sum(p.numel() for p in net.parameters()) == 60_965_224
    kernels = {name: p.shape[1] for name, p in net.named_parameters() if p.dim() == 4}
    assert list(kernels.values()) == [3, 48, 256, 192, 192]


def test_the_update_rule_is_that_of_section_5():
    """v <- 0.9 v - 0.0005 lr w - lr g; w <- w + v. The rate is within v."""
    w = nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64))
    optimizer, by_hand, v = PaperSGD([w], lr=0.01), w.detach().clone(), torch.zeros(2)
    for step in range(3):
        w.grad = torch.full_like(w, 1.0 + step)
        optimizer.step()
        v = 0.9 * v - 0.0005 * 0.01 * by_hand - 0.01 * (1.0 + step)
        by_hand = by_hand + v
    torch.testing.assert_close(w.detach(), by_hand)


def test_a_fresh_net_guesses_and_a_few_steps_teach_it():
    data = load("shapes", 32, counts={"train": 64, "val": 16, "test": 16}, progress=False)
    run = train(TrainConfig("shapes", model="cifar", input_size=32, stored_size=32, epochs=12,
                            batch_size=32, lr=0.01, lr_scheduler="constant", input_divisor=58,
                            init="he", precision="fp32", device="cpu"), data, progress=False)
    assert run.losses[0] == pytest.approx(math.log(10), abs=0.5)
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]
