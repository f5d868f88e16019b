"""Exercises of notebook 02, the architecture."""

import torch
from torch import nn
from torch.nn import functional

from alexnet_lib.course.exercises import exercise, expect, filled, number

LAYERS = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3")


@exercise("02-1", "For each layer, take the pixels plus the padding, subtract the window, divide "
                  "by the stride, round down, and add 1. conv2 to conv5 keep their size.")
def sides(answer):
    expect(isinstance(answer, (list, tuple)) and len(answer) == 8, "Give eight whole numbers.")
    expect(not {None, ...} & set(answer), "Give eight whole numbers.")
    given = [number(side) for side in answer]
    expect(given[0] != 55, "55 is what the 2012 program makes of 224. Your colleague uses plain "
           "PyTorch.")
    for name, side, right in zip(LAYERS, given, (54, 26, 26, 12, 12, 12, 12, 5), strict=True):
        expect(side == right, f"It goes wrong at {name}: from the number before it, the formula "
                              f"doesn't give {side:g}.")
    return "5 x 5 x 256 = 6400. Add the three missing rows and columns, and you're back at 9216."


@exercise("02-2", "Divide each convolution's parameters by the total of its network. Only the "
                  "layers whose kernels see half of the channels change with the columns.")
def above_one_percent(answer):
    expect(isinstance(answer, dict) and set(answer) == {"two columns", "one column"},
           'Fill in "two columns" and "one column".')
    expect(all(isinstance(names, (list, tuple, set)) for names in answer.values()),
           'Give a list of names for each, like ["conv1", "conv2"].')
    for columns, right in (("two columns", {"conv3", "conv4"}),
                           ("one column", {"conv3", "conv4", "conv5"})):
        given = set(answer[columns])
        expect(not any(str(name).startswith("fc") for name in given),
               "The paper's sentence is about the convolutional layers.")
        expect(not given - right, f"With {columns}, no more than 1% is in "
               f"{', '.join(sorted(given - right))}. Divide by the total of this network.")
        expect(given == right, f"With {columns}, there's at least one more.")
    return ("conv3 has 1.45% and conv4 1.09%. “About 1%” would have been fair; “no more than” "
            "isn't.")


@exercise("02-3", "In both tables, add up `params` or `macs` of the rows whose names begin with "
                  "conv. After averaging, how many inputs does fc6 have if each map gives one?")
def doubled(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (growth, fc6_averaged).")
    growth, averaged = answer
    names = ("conv parameters", "conv work", "fc6 parameters")
    found = [number(filled(growth, names)[name]) for name in names]
    expect(abs(found[0] - 1) < 1e-6, "A kernel is used at more positions, but it's the same "
           f"kernel. You say its parameters grow {found[0]:.3g} times.")
    expect(abs(found[1] - 2) > 0.1, "The image is twice as wide and twice as high: count the "
           "positions again.")
    expect(abs(found[1] - 4.18) < 0.15, f"The convolutions' work doesn't grow {found[1]:.3g} "
           "times. Compare `macs`.")
    expect(abs(found[2] - 4.694) < 0.02, f"fc6's parameters don't grow {found[2]:.3g} times. "
           "Compare its rows in the two tables.")
    expect(averaged is not None and averaged is not ..., "Now work out fc6 after averaging.")
    expect(number(averaged) != 4096 * 256, "Almost. Each of the 4096 units has a bias, too.")
    expect(number(averaged) == 4096 * 257, "With one number for each of the 256 maps, fc6 has "
           f"256 inputs; that doesn't make {number(averaged):,.0f} parameters.")
    return ("Convolutions don't care how large the image is; fc6 is what ties the network to one "
            "size. Averaging sets it free, with a 36th of the parameters.")


@exercise("02-4", "Count the large orange bars at the end of each panel, then add up their "
                  "heights.")
def who_is_who(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (networks, most).")
    networks, most = answer
    kinds = ("AlexNet", "VGG-16", "ResNet-18")
    networks = filled(networks, "ABC", kinds)
    expect(len(set(networks.values())) == 3, "Use each of AlexNet, VGG-16 and ResNet-18 once.")
    expect(networks["A"] == "AlexNet", "You've seen one of these panels before, as two charts.")
    expect(networks["C"] == "ResNet-18", "ResNet-18 has a single fully connected layer, reading "
           "512 numbers. Where could that be?")
    expect(most is not None and most is not ..., "And which has the largest share?")
    expect(most in (*kinds, *"ABC"), 'Answer with "A", "B" or "C".')
    expect(most not in ("B", "VGG-16"), "B has the tallest bar, but the question is about all "
           "fully connected layers together.")
    expect(most in ("A", "AlexNet"), "One bar isn't enough. Add up the bars of all fully "
           "connected layers in each panel.")
    return ("96% in AlexNet, 89% in VGG-16, and 4% in ResNet-18: in three years, that half was "
            "gone.")


def _in_order(convolutions, x):
    """What these five give for x with the paper's ReLUs and poolings between them."""
    for place, convolution in enumerate(convolutions, 1):
        x = convolution(x).relu()
        x = functional.max_pool2d(x, 3, 2) if place in (1, 2, 5) else x
    return x


@exercise("02-5", "You need thirteen modules: five convolutions, each with a ReLU, and "
                  "nn.MaxPool2d(3, 2) after conv1, conv2, and conv5. A column that nobody sees "
                  "has a gradient of 0.")
def features(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (features, unseen).")
    net, unseen = answer
    expect(isinstance(net, nn.Module), "Pass an nn.Sequential.")
    x = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        given = net(x)
    expect(given.shape[1:] != (256, 6, 6), "That turns 224 pixels into 6 x 6, so it rounds up or "
           "pads. Build the plain one, which drops what doesn't fit.")
    expect(tuple(given.shape) == (1, 256, 5, 5),
           f"The result should be (1, 256, 5, 5); yours is {tuple(given.shape)}.")
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    expect([m.out_channels for m in convs] == [96, 256, 384, 384, 256],
           "The five convolutions have 96, 256, 384, 384 and 256 kernels.")
    expect([m.kernel_size[0] for m in convs] == [11, 5, 3, 3, 3],
           "The kernels are 11, 5, 3, 3 and 3 pixels wide.")
    expect([m.groups for m in convs] == [1, 2, 1, 2, 2],
           "Look again at which convolutions see only their own column.")
    pools = [m for m in net.modules() if isinstance(m, nn.MaxPool2d)]
    expect(len(pools) == 3 and all(m.kernel_size in (3, (3, 3)) for m in pools),
           "There are three poolings of 3 x 3 pixels.")
    with torch.no_grad():
        right = _in_order(convs, x)
    expect(torch.allclose(given, right, rtol=1e-3, atol=1e-3 * float(right.abs().max())),
           "The sizes are right, but the numbers aren't. Where are the ReLUs and the poolings?")
    expect(unseen is not None and unseen is not ..., "Now count the columns of pixels.")
    expect(number(unseen) != 1, "conv1 alone drops one. The poolings after it drop more.")
    expect(number(unseen) == 5, f"{number(unseen):g} isn't the number of columns whose gradient "
           "is zero.")
    return ("Five columns and five rows of every photograph never reach the answer, and nothing "
            "warns you. With 227 pixels, or by the rule of 2012, none are lost.")
