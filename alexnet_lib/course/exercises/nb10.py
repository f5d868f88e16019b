"""Exercises of notebook 10, when it does not train."""

import math

import torch
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, number, tensor


def _near(a, b, rel=1e-3):
    return abs(a - b) <= rel * max(abs(b), 1e-6)


@exercise("10-1", "Say each class with the probability that it really has: the loss is the mean of "
                  "-ln p over the images.")
def guessing(answer):
    expect(_near(number(answer([100] * 10)), math.log(10)), "Ten classes of 100 images each: "
           "ln 10 = 2.303.")
    value = number(answer([900, 100]))
    expect(not _near(value, math.log(2)), "900 images of one class and 100 of the other: who knows "
           "that does better than ln 2.")
    expect(not _near(value, -math.log(0.9)), "Always the large class with p = 0.9? The hundred "
           "others count, too, and cost -ln 0.1 each.")
    expect(_near(value, 0.325083), "900 and 100: 0.9 times -ln 0.9 plus 0.1 times -ln 0.1 = 0.325, "
           "in nats.")
    expect(_near(number(answer([50, 50, 0])), math.log(2)),
           "A class without images is never said, and costs nothing: 0 times ln 0 counts as 0.")
    return "That is the entropy of the labels. A loss that stands there has learned how many, not "\
           "which."


@exercise("10-2", "The best outputs of the first softmax are 1 for the right class and 0 for all "
                  "others. What does the second softmax make of them?")
def floor(answer):
    value = number(answer(10))
    expect(not _near(value, 0, 1e-3) and abs(value) > 1e-3, "One softmax can come to 0; the second "
           "one sees numbers between 0 and 1.")
    expect(_near(value, math.log(math.e + 9) - 1), "Ten classes: the second softmax gives "
           "e / (e + 9) = 0.232 to the right class.")
    expect(_near(number(answer(1000)), math.log(math.e + 999) - 1),
           "A thousand classes: e / (e + 999).")
    return "With 1000 classes the loss goes from 6.91 to 5.91 at best: easily taken for a plateau."


@exercise("10-3", "Take the standard deviation over the images, first axis, of each unit; then the "
                  "root mean square of those, over that of all outputs.")
def image_share(answer):
    g = torch.Generator().manual_seed(0)
    out = torch.randn(50, 8, 3, 3, generator=g)

    def right(x):
        return (x.var(0, unbiased=False).mean().sqrt() / x.square().mean().sqrt()).item()

    same = torch.ones(50, 1, 1, 1) * torch.randn(1, 8, 3, 3, generator=g)
    value = float(tensor(answer(same)).mean())
    expect(abs(value) < 1e-3, f"Every image gives the same outputs here, though the units differ: "
           f"the share is 0, not {value:.2f}. Which axis are the images on?")
    value = float(tensor(answer(out + 10)).mean())
    expect(not _near(value, right(out), 0.03), "Compare with the size of the outputs *including* "
           "their mean: 10 is most of it here.")
    expect(_near(value, right(out + 10), 0.03), f"Outputs of 10 with a spread of 1 over the "
           f"images: about 0.1, not {value:.3f}.")
    uneven = out * torch.arange(8.0)[None, :, None, None] ** 2
    expect(_near(float(tensor(answer(uneven)).mean()), right(uneven), 0.03),
           "Where units differ in size, take root mean squares in both places.")
    return "One number for each layer, and the reason of most flat losses in it."


@exercise("10-4", "One layer multiplies the image's part by about std times the root of its "
                  "inputs. Layers follow each other: multiply.")
def kept(answer):
    expect(_near(number(answer([(0.01, 2304)])), 0.48), "conv3 with 0.01 and 2304 inputs: "
           "0.01 * 48 = 0.48.")
    small = number(answer([(0.01, 2304), (0.01, 1728), (0.01, 1728)]))
    expect(_near(small, 0.01 ** 3 * 48 * 1728), "conv3 to conv5 with 0.01: 0.48 * 0.416 * 0.416 = "
           f"0.083, not {small:.3f}.")
    expect(_near(number(answer([(0.03, 2304), (0.03, 1728), (0.03, 1728)])), 27 * small),
           "0.03 in three layers must give 3 * 3 * 3 times as much.")
    expect(_near(number(answer([(0.01, 2304), (0.03, 1728)])), 0.48 * 0.03 * 1728 ** 0.5),
           "Each layer has a std of its own: 0.01 and then 0.03 make 0.48 * 1.247 = 0.60.")
    return "0.083 against 2.24: a factor of 27, from one digit in a file."


def _pictures():
    """16 pictures of 59 pixels, 0-255 less the mean, and their labels."""
    from alexnet_lib.datasets import shapes
    images, labels = shapes.render(0, 16, 59)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    return x - x.mean(0), torch.as_tensor(labels).long()


def _net(variant="2012", silent=None):
    from alexnet_lib.models import AlexNet
    torch.manual_seed(0)
    net = AlexNet(10, input_size=59, width=0.1, variant=variant)
    if silent:
        net.features.get_submodule(silent).bias.data.fill_(-1e5)
    return net


def _own(silent: int, *end, last=1.0, lift=0.0) -> nn.Module:
    """A net of another making: of 40 units so many are off, the last weights times `last`, the
    outputs `lift` higher."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 8, 11, 4), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
                        nn.Linear(8 * 6 * 6, 40), nn.ReLU(), nn.Dropout(), nn.Linear(40, 10), *end)
    net[4].bias.data[:silent] = -1e5
    net[7].weight.data *= last
    net[7].bias.data += lift
    return net


def _patients():
    """(net, what its inputs are divided by, what it suffers from, what to say if it is missed)."""
    yield (_own(25), 1, "not the net", "A net with 25 of 40 units off: that is much, but 15 are "
           "alive")
    yield _own(40), 1, "dead", "A net with all 40 units of its hidden full layer off"
    yield (_own(0, nn.Softmax(1), last=0.001), 1, "two softmaxes", "A net that ends in a softmax, "
           "which makes small differences between the images still smaller")
    yield _own(0, nn.Softmax(1)), 1, "two softmaxes", "A net that ends in a softmax"
    yield (_own(0, nn.LogSoftmax(1)), 1, "not the net", "A net that ends in a log-softmax, which "
           "is harmless")
    yield (_own(0, lift=60), 1, "not the net", "A net whose outputs are all above 0, but do not "
           "sum to 1")
    yield _net(), 1, "not the net", "The net of 2012, fresh, with pixels of 0 to 255"
    yield _net("paper"), 58, "faded", "The paper's weights with divided inputs"
    yield _net(silent="conv4"), 1, "dead", "The net of 2012, all of whose conv4 is off"


@exercise("10-5", "Begin with what is surest: do the outputs sum to 1? Then look inside, as in the "
                  "sections above: is a layer off, how much of the image arrives?")
def diagnosis(answer):
    names = ("two softmaxes", "dead", "faded", "not the net")
    pictures, labels = _pictures()
    for net, divide, illness, told in _patients():
        net.train()
        found = answer(net, pictures / divide, labels)
        expect(found in names, f"Return one of {', '.join(map(repr, names))}.")
        expect(found == illness, f"{told}: this is {illness!r}; you say {found!r}."
               + _advice(illness, found))
    return "Four nets that look alike from outside, told apart in one pass each."


def _advice(illness: str, found: str) -> str:
    """Why one takes the one for the other."""
    return {("faded", "not the net"): " The net comes in training mode: dropout makes its outputs "
                                      "differ, whatever the image. And ask how they differ from "
                                      "image to image, not from class to class.",
            ("two softmaxes", "faded"): " Look at what the net puts out before you look inside.",
            ("dead", "faded"): " In a faded net a little of the image arrives; here a layer is "
                               "zero for every image.",
            ("faded", "dead"): " Its units are on, for every image alike.",
            ("dead", "not the net"): " Look at every hidden layer, of whatever kind."
            }.get((illness, found), "")
