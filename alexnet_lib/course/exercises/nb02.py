"""Exercises of notebook 02, the architecture."""

import torch
from torch import nn
from torch.nn import functional

from alexnet_lib.course.exercises import exercise, expect, number


@exercise("02-1", "Count the steps that fit behind the first place, round up, and add that place.")
def places(answer):
    expect(number(answer(227, 11, 4)) == 55, "On 227 pixels, 11 wide, stride 4: 55 places.")
    expect(number(answer(224, 11, 4)) == 55,
           "On 224 pixels the quarter of a place counts as a whole one: round up.")
    expect(number(answer(27, 5, 1, 2)) == 27, "Padding adds pixels at both ends: 27 stay 27.")
    expect(number(answer(13, 3, 2)) == 6, "Pooling 3/2 makes 6 of 13.")
    return "55, 27, 13, 6: all sizes of the net follow from this line."


@exercise("02-2", "Each filter has kernel x kernel weights for every map that it sees, and a bias.")
def parameters(answer):
    expect(number(answer(3, 96, 11)) == 34_944, "conv1: 96 filters of 11 x 11 x 3, with biases, "
           "make 34,944.")
    expect(number(answer(96, 256, 5, 2)) == 307_456,
           "conv2 in two columns makes 307,456: a filter sees half of the maps.")
    expect(number(answer(256, 384, 3)) == 885_120, "conv3 hears both columns: 885,120.")
    return "Columns halve the weights, but not the biases."


@exercise("02-3", "Go forward from 55, layer by layer, and round up; there are four combinations.")
def paddings(answer):
    try:
        conv2, conv5 = (int(number(padding)) for padding in answer)
    except (TypeError, ValueError):
        expect(False, "Give two whole numbers, as (1, 1).")
    conv3 = -(-(28 + 2 * conv2 - 4) // 2)  # 55 places, pooled to 28
    expect(conv3 == 13, f"conv3 then has {conv3} x {conv3} places; it should keep 13 x 13.")
    size = -(-(conv3 + 2 * conv5 - 2) // 2)
    expect(size == 6, f"That ends at {size} x {size}.")
    return "So did run #147: 55, 28, 26, 13, 13, 13, 11, 6."


def _in_order(convolutions, x):
    """What these five give for x with the paper's ReLUs and poolings between them."""
    for place, convolution in enumerate(convolutions, 1):
        x = convolution(x).relu()
        x = functional.max_pool2d(x, 3, 2) if place in (1, 2, 5) else x
    return x


@exercise("02-4", "Begin with nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2).")
def features(answer):
    expect(isinstance(answer, nn.Module), "An nn.Sequential is asked for.")
    out = answer(torch.zeros(1, 3, 227, 227))
    expect(tuple(out.shape) == (1, 256, 6, 6),
           f"The result should be (1, 256, 6, 6); this is {tuple(out.shape)}.")
    kinds = [m for m in answer.modules() if isinstance(m, nn.Conv2d)]
    expect([m.out_channels for m in kinds] == [96, 256, 384, 384, 256],
           "The five convolutions have 96, 256, 384, 384, 256 maps.")
    expect([m.kernel_size[0] for m in kinds] == [11, 5, 3, 3, 3],
           "The windows are 11, 5, 3, 3, 3 pixels wide.")
    expect([m.groups for m in kinds] == [1, 2, 1, 2, 2],
           "conv2, conv4 and conv5 hear their own column only: groups=2; the others hear all.")
    pools = [m for m in answer.modules() if isinstance(m, nn.MaxPool2d)]
    expect(len(pools) == 3 and all(m.kernel_size in (3, (3, 3)) for m in pools),
           "There are three poolings of 3 x 3 pixels.")
    count = sum(p.numel() for p in answer.parameters())
    expect(count == 2_334_080, f"It should have 2,334,080 parameters, this has {count:,}.")
    x = torch.randn(1, 3, 227, 227, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        given, right = answer(x), _in_order(kinds, x)
    expect(torch.allclose(given, right, rtol=1e-3, atol=1e-3 * float(right.abs().max())),
           "The sizes are right, but not the numbers. A ReLU follows each of the five "
           "convolutions; a pooling follows conv1, conv2 and conv5.")
    return "2,334,080 parameters: all of the paper's convolutions."
