"""Devices by name, with pretended GPUs."""

import pytest
import torch

from alexnet_lib.config import TrainConfig, resolve
from alexnet_lib.devices import device_name, pick_device, pick_precision
from alexnet_lib.errors import UserError


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs: an old one and one that multiplies bf16."""
    def number(device=None):
        return torch.device(device or "cuda").index or 0

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name",
                        lambda device=None: ("T4", "H100")[number(device)])
    monkeypatch.setattr(torch.cuda, "get_device_capability",
                        lambda device=None: ((7, 5), (9, 0))[number(device)])


def test_a_gpu_is_asked_by_its_number(gpus):
    assert [pick_device(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == [
        "cuda", "cuda", "cuda:1", "cpu"]
    assert [device_name(name) for name in ("auto", "cuda:0", "cuda:1")] == ["T4", "T4", "H100"]
    assert [pick_precision("auto", name) for name in ("cuda", "cuda:0", "cuda:1")] == [
        "fp32", "fp32", "bf16"]


def test_a_gpu_that_is_not_there(gpus, monkeypatch):
    with pytest.raises(UserError, match="no device 'cuda:2' here: use cuda:0 to cuda:1$"):
        pick_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UserError, match="no device 'cuda:1' here: use cuda:0$"):
        pick_device("cuda:1")


@pytest.mark.parametrize("name", ["tpu", "cuda:one", "cuda:-1", "", "meta"])
def test_what_is_no_device(gpus, name):
    with pytest.raises(UserError, match=f"no device '{name}' here: use cuda or") as error:
        pick_device(name)
    assert "\n" not in str(error.value)


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no device 'cuda:1' here: use"):
        pick_device("cuda:1")


def test_small_nets_run_in_fp32_on_a_cpu(gpus, monkeypatch):
    """Where the hardware multiplies bf16, whatever hardware this is."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert pick_precision("auto", "cpu") == "bf16"
    assert pick_precision("auto", "cpu", small=True) == "fp32"
    assert pick_precision("bf16", "cpu", small=True) == "bf16"  # who asks for it gets it
    assert pick_precision("auto", "cuda:1", small=True) == "bf16"


@pytest.mark.parametrize("chosen, expected", [
    ({"data": "shapes"}, "fp32"), ({"data": "shapes", "input_size": 227}, "bf16"),
    ({"data": "imagenet"}, "bf16"), ({"data": "cifar10", "model": "cifar"}, "bf16"),
    ({"data": "shapes", "precision": "bf16"}, "bf16")])
def test_the_precision_of_a_run_goes_by_its_net(chosen, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert resolve(TrainConfig(device="cpu", **chosen)).precision == expected
