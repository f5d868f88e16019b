"""Where a net looks and what it likes, against captum, plain loops and the net's own answers."""

import dataclasses

import numpy as np
import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam

from alexnet_lib import course, datasets, features
from alexnet_lib.config import TrainConfig
from alexnet_lib.course import seeing
from alexnet_lib.errors import UserError
from alexnet_lib.training import Trainer


@pytest.fixture(scope="module")
def net():
    data = datasets.load("shapes", 72, counts={"train": 24, "val": 10, "test": 12}, progress=False)
    return Trainer(TrainConfig(data="shapes", input_size=67, stored_size=72, width=0.1,
                               variant="2012", device="cpu", precision="fp32"), data,
                   progress=False)


@pytest.fixture(scope="module")
def x(net):
    images, _ = datasets.shapes.render(0, 3, 72)
    return net.augment.view(images, range(3))


def test_grad_cam_is_captums(net, x):
    theirs = LayerGradCam(net.model.eval(), features.named(net, "act5"))
    maps = theirs.attribute(x, target=torch.tensor([3, 1, 4]), relu_attributions=True)
    torch.testing.assert_close(seeing.grad_cam(net, x, [3, 1, 4]),
                               LayerAttribution.interpolate(maps, (67, 67), "bilinear")[:, 0])


def test_grad_cam_by_small_steps(net, x):
    """The weight of a map is what its score gains where all of the map grows, by place."""
    model, maps = net.model.double().eval(), []
    hook = features.named(net, "pool3").register_forward_hook(lambda *seen: maps.append(seen[2]))
    with torch.no_grad():
        model(x[:1].double())
        hook.remove()
        [at], step = maps, 1e-5
        raised = torch.cat([at + step * (torch.arange(len(at[0])) == k)[:, None, None]
                            for k in range(len(at[0]))])
        gains = (model.classifier(raised) - model.classifier(at)) / step / at[0, 0].numel()
    model.float()
    for k in range(10):
        found = (gains[:, k, None, None] * at[0]).sum(0).relu().float()
        torch.testing.assert_close(
            seeing.grad_cam(net, x[:1], k, layer="pool3"),
            LayerAttribution.interpolate(found[None, None], (67, 67), "bilinear")[0],
            rtol=1e-3, atol=1e-5)
    assert gains.max() > 1e-3


def test_grad_cam_of_the_shipped_net_finds_something():
    net = course.trained()
    photo = course.photographs(net.config.stored_size)["rocket"][None]
    with torch.no_grad():  # as in a notebook
        found = seeing.grad_cam(net, net.augment.view(photo, [0]), 4)
    assert found.shape == (1, 227, 227) and found.min() >= 0 and found.max() > 0


@pytest.mark.parametrize("how, told", [({"classes": 10}, "has 10 .* there is no 10"),
                                       ({"classes": 0, "layer": "fc7"}, "fc7 gives no feature"),
                                       ({"classes": 0, "layer": "act9"}, "no layer 'act9' here")])
def test_what_grad_cam_refuses(net, x, how, told):
    with pytest.raises(UserError, match=told):
        seeing.grad_cam(net, x, **how)


def middle(out):
    return float(out[out.shape[0] // 2, out.shape[1] // 2] if out.dim() else out)


@pytest.mark.parametrize("layer, units", [("conv2", [1, 0]), ("fc8", [3, 3, 7])])
def test_an_optimized_image_excites_its_unit_more_than_drawings_do(net, layer, units):
    made = seeing.optimized(net, layer, units, steps=30)
    side = 51 if layer == "conv2" else 67  # the receptive field, or the whole input
    assert made.shape == (len(units), side, side, 3) and made.dtype == np.uint8
    mean = net.augment.mean.mean((0, 1)).round().byte()
    stored = mean.expand(len(units), 72, 72, 3).clone().numpy()
    at = (66 - side + 1) // 2 + 2 if layer == "conv2" else 2
    stored[:, at:at + side, at:at + side] = made
    drawings = datasets.shapes.render(0, 100, 72)[0]
    theirs = features.responses(net, drawings, layer)
    for k, out in zip(units, features.responses(net, stored, layer), strict=True):
        assert middle(out[k]) > np.quantile([middle(one[k]) for one in theirs], 0.99)


def fine(images) -> float:
    """The share of the energy above a quarter cycle a pixel."""
    images = torch.as_tensor(images).permute(0, 3, 1, 2).double()
    power = torch.fft.fft2(images - images.mean((2, 3), keepdim=True)).abs().square()
    frequency = torch.fft.fftfreq(images.shape[-1])
    return float(power[..., torch.hypot(frequency[:, None], frequency) > 0.25].sum() / power.sum())


def test_each_choice_of_an_optimized_image_does_something(net):
    def made(**how):
        return seeing.optimized(net, "conv2", [0, 1], steps=20, **how)
    usual = made()
    assert np.array_equal(usual, made())
    for how in ({"fourier": False}, {"color": False}, {"jitter": 0}, {"seed": 1}):
        assert not np.array_equal(usual, made(**how))
    assert fine(usual) < 0.7 * fine(made(fourier=False, color=False, jitter=0))


def test_a_net_is_shown_what_it_was_trained_on(net):
    config = dataclasses.replace(net.config, input_divisor=58.0)
    data = datasets.load("shapes", 72, counts={"train": 24, "val": 10, "test": 12}, progress=False)
    divided, given = Trainer(config, data, progress=False), []
    features.named(divided, "conv1").register_forward_pre_hook(
        lambda layer, inputs: given.append(inputs[0].detach()))
    assert seeing.optimized(divided, "conv2", [1], steps=20).std() > 8
    assert torch.cat(given).abs().max() <= 255 / 58


def test_gray_nets_get_gray_images():
    data = datasets.load("shapes", 72, counts={"train": 24, "val": 10, "test": 12}, progress=False)
    gray = Trainer(TrainConfig(data="shapes", input_size=67, stored_size=72, width=0.1,
                               in_channels=1, device="cpu", precision="fp32"), data,
                   progress=False)
    made = seeing.optimized(gray, "conv1", [0, 2], steps=3)
    assert made.shape == (2, 11, 11, 3) and np.ptp(made, axis=3).max() == 0


def test_convolutions_alone_and_units_that_are_not_there(net):
    alone = dataclasses.make_dataclass("Net", ["model", "config", "augment"])(
        net.model.features, net.config, net.augment)
    assert np.array_equal(seeing.optimized(alone, "conv3", [2], steps=2),
                          seeing.optimized(net, "conv3", [2], steps=2))
    with pytest.raises(UserError, match="there is no 10"):
        seeing.optimized(net, "fc8", [10], steps=1)
    with pytest.raises(UserError, match="no layer 'conv6' here"):
        seeing.optimized(net, "conv6", [0])
