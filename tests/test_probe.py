"""Looking into layers, against a pass that is done layer by layer."""

import pytest
import torch
from torch import nn

from alexnet_lib.probe import probe


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Linear(4, 2))


def test_outputs_by_name_in_order_of_computation(net):
    x, steps = torch.randn(5, 3), []
    for layer in net:
        steps.append((steps[-1] if steps else x).clone())
        steps[-1] = layer(steps[-1])
    with probe({"last": net[2], "first": net[0]}) as seen:
        net(torch.zeros(5, 3))
        net(x)  # the last pass counts
    assert list(seen) == ["first", "last"] and torch.equal(seen["last"], steps[2])
    net(torch.zeros(5, 3))  # out of the context, nobody looks
    assert torch.equal(seen["last"], steps[2])


def test_a_look_comes_before_a_layer_in_place(net):
    x = torch.randn(5, 3)
    with probe({0: net[0]}, lambda layer, inputs, output: (inputs[0], output.min().item())) as seen:
        net(x)
    assert torch.equal(seen[0][0], x) and seen[0][1] == net[0](x).min().item() < 0


def test_hooks_end_with_an_error(net):
    with pytest.raises(RuntimeError), probe({"a": net[0], "b": net[2]}) as seen:
        net(torch.randn(5, 7))
    assert seen == {} and not any(layer._forward_hooks for layer in net)
