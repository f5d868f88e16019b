"""Where a net looks and what it likes, against captum, plain loops and the net's own answers."""

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
