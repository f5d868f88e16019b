"""torchvision's AlexNet through our evaluation, against torchvision's own way."""

import errno
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import AlexNet_Weights, alexnet

from alexnet_lib import datasets, pretrained
from alexnet_lib.datasets import shapes
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import probabilities

WEIGHTS = AlexNet_Weights.IMAGENET1K_V1


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return alexnet().eval()


@pytest.fixture
def delivered(monkeypatch, net):
    """As if the weights had been downloaded: those of `net`."""
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url",
                        lambda *args, **kwargs: net.state_dict())


def test_the_same_answers_as_by_torchvisions_own_transforms(tmp_path, net, delivered):
    images, _ = shapes.render(0, 3, 300)
    ours = pretrained.torchvision_alexnet("cpu")
    ours.config.precision = "fp32"
    theirs, stored = [], []
    for i, image in enumerate(images):
        Image.fromarray(image[:, :270]).save(tmp_path / f"{i}.png")  # not square
        with torch.no_grad():
            picture = Image.open(tmp_path / f"{i}.png")
            theirs.append(net(WEIGHTS.transforms()(picture)[None])[0].softmax(0))
        stored.append(datasets.prepare_image(tmp_path / f"{i}.png", 256))
    # The stored image is the same one, rounded to bytes.
    torch.testing.assert_close(probabilities(ours, np.stack(stored)), torch.stack(theirs),
                               rtol=0.01, atol=1e-6)
    ten = pretrained.among(ours, ("church", "tench"))
    answers = probabilities(ten, np.stack(stored))
    two = torch.stack(theirs)[:, [497, 0]]
    torch.testing.assert_close(answers, two / two.sum(1, keepdim=True), rtol=0.01, atol=1e-6)
    assert ten.classes == ("church", "tench") and len(ours.classes) == 1000
    assert probabilities(ours, np.stack(stored)).shape == (3, 1000)  # left as it was
    torch.testing.assert_close(probabilities(pretrained.among(ten, ("tench",)), np.stack(stored)),
                               torch.ones(3, 1))


def test_classes_that_imagenet_has_not(delivered):
    with pytest.raises(UserError, match="does not know the class 'disc'"):
        pretrained.among(pretrained.torchvision_alexnet("cpu"), ("tench", "disc"))


@pytest.mark.parametrize("error, word", [
    (OSError("no route"), "try again with a network"), (RuntimeError("invalid hash"), "damaged"),
    (OSError(errno.ENOSPC, "full"), "make room, or set TORCH_HOME"),
    (PermissionError(errno.EACCES, "denied"), "writable, or set TORCH_HOME")])
def test_a_download_that_fails_is_told(monkeypatch, error, word):
    def fail(*args, **kwargs):
        raise error
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(UserError, match=word):
        pretrained.torchvision_alexnet("cpu")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 and no more"])
def test_a_damaged_file_in_the_cache_is_not_loaded(tmp_path, monkeypatch, content):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / Path(WEIGHTS.url).name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"alexnet-owt-\w+\.pth is damaged \(.*: delete it, and it"):
        pretrained.torchvision_alexnet("cpu")


def test_a_whole_file_in_the_cache_is_taken(tmp_path):
    file = tmp_path / f"some-net-{hashlib.sha256(b'weights').hexdigest()[:8]}.pth"
    pretrained._check_cached(file)  # not there yet
    file.write_bytes(b"weights")
    pretrained._check_cached(file)
