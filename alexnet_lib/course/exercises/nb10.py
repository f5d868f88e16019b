"""Exercises of notebook 10, when it does not train."""

import math

import torch
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, number


def _near(a, b, rel=1e-3):
    return abs(a - b) <= rel * max(abs(b), 1e-6)


@exercise("10-1", "Predict each class with the probability that it really has; the loss is the "
                  "mean of -ln p over the images.")
def guessing(answer):
    expect(_near(number(answer([100] * 10)), math.log(10)), "For ten classes of 100 images "
           "each, it's ln 10 = 2.303.")
    value = number(answer([900, 100]))
    expect(not _near(value, math.log(2)), "You know that there are 900 images of one class and "
           "100 of the other, so you can do better than ln 2.")
    expect(not _near(value, -math.log(0.9)), "Do you always predict the large class, with "
           "p = 0.9? The hundred others count, too, and cost -ln 0.1 each.")
    expect(_near(value, 0.325083), "With 900 and 100 images, nine in ten cost -ln 0.9, and one in "
           "ten costs -ln 0.1 (in nats).")
    expect(_near(number(answer([50, 50, 0])), math.log(2)),
           "A class without images is never predicted and costs nothing: 0 times ln 0 counts as 0.")
    return ("That's 0.325, exactly where your loss sits: the network knows how many cats there "
            "are, but has never looked at one. This number is the entropy of the labels.")


NAMES = {"two softmaxes", "learning rate too high", "learning rate too low", "labels shuffled"}


@exercise("10-2", "Look at the first step, then at the red line, then at where the loss is going.")
def four_patients(answer):
    expect(isinstance(answer, dict) and set(answer) == set("ABCD"), "Fill in A, B, C and D.")
    expect(all(isinstance(name, str) and name in NAMES for name in answer.values()),
           f"Use only {', '.join(map(repr, sorted(NAMES)))}.")
    expect(answer["B"] == "learning rate too high", "B's loss leaps off the chart at once, and "
           "then nothing of the image reaches the output.")
    expect(answer["A"] == "two softmaxes", "A starts exactly at guessing, with hardly any noise. "
           "What keeps its outputs so close together?")
    expect(answer["C"] == "learning rate too low", "C is the only one that gets somewhere. Give it "
           "time.")
    expect(answer["D"] == "labels shuffled", "D starts like the healthy network, and the image "
           "keeps reaching its output. So what makes no sense to D?")
    return ("The instruments give three of them away. You find D only by ruling out the rest, "
            "or by looking at images beside their labels.")


STUCK = {"init": "paper", "hidden_bias": 1.0, "lr": 0.01, "batch_size": 32, "lrn": True,
         "variant": "2012", "width": 0.25, "input_size": 59, "input_divisor": 58}


@exercise("10-3", "The learning rate can't bring the image back. Which setting changes all the "
                  "weights to fit normalized pixels?")
def rescued(answer):
    config, losses = getattr(answer, "config", None), getattr(answer, "losses", None)
    expect(config is not None and losses is not None, "Pass what `race` returns.")
    changed = [name for name, value in STUCK.items() if getattr(config, name) != value]
    expect(len(changed) == 1, "Nothing has changed: this is the stuck run." if not changed else
           f"You have changed {' and '.join(changed)}. If it works, which of them did it?")
    expect(len(losses) <= 400, f"It took {len(losses)} steps; 400 are allowed.")
    expect(len(losses) >= 20 and sum(losses[-20:]) / 20 < math.log(10) - 0.2,
           f"With a different {changed[0]}, its loss is still near guessing after "
           f"{len(losses)} steps.")
    return f"Rescued by {changed[0]} alone, after {len(losses)} steps."


def _plain(seed: int) -> nn.Sequential:
    """A plain net with weights far too small, and biases of 1."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3),
                        nn.ReLU(), nn.Flatten(), nn.Linear(16 * 25, 50), nn.ReLU(),
                        nn.Linear(50, 10, bias=False))
    with torch.no_grad():
        for layer in net[0], net[3], net[6]:
            layer.weight.normal_(0, 0.01)
            layer.bias.fill_(1)
    return net


@exercise("10-4", "Push x through the layers one at a time: set the bias to 0, divide the weights "
                  "by the std of the output, and go on with the new output.")
def calibrated(answer):
    for scale in (1.0, 70.0):
        net = _plain(0)
        x = scale * torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(1))
        before = [p.detach().clone() for p in net.parameters()]
        given = answer(net, x.clone())
        expect(isinstance(given, nn.Module), "Return the net.")
        expect(all(p.requires_grad for p in given.parameters()), "The weights must still be able "
               "to learn: keep requires_grad.")
        out = x
        for n, layer in enumerate(given):
            with torch.no_grad():
                out = layer(out)
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                expect(layer.bias is None or not layer.bias.any(), "Set every bias to 0.")
                std = out.std().item()
                expect(_near(std, 1, 0.02), f"With pixels of std {scale:g}, the output of layer "
                       f"{n} has a std of {std:.3g}, not 1.")
        for old, new in zip(before, given.parameters(), strict=True):
            if new.dim() > 1:
                ratio = (new / old).flatten()
                expect((ratio / ratio.mean() - 1).abs().max() < 1e-3 and ratio.mean() > 0,
                       "Rescale each layer's weights by one factor; don't draw new ones.")
    return "Pixels of std 1 or 70, it's all the same to this network. He would be impressed."


def _pictures():
    """16 images of 59 pixels, 0-255 minus the mean, and their labels."""
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
    yield (_own(25), 1, "not the net", "A network with 25 of 40 units off: that's a lot, but 15 "
           "are alive")
    yield _own(40), 1, "dead", "A network whose hidden layer has all 40 units off"
    yield (_own(0, nn.Softmax(1), last=0.001), 1, "two softmaxes", "A network that ends in a "
           "softmax, which makes small differences between images even smaller")
    yield _own(0, nn.Softmax(1)), 1, "two softmaxes", "A network that ends in a softmax"
    yield (_own(0, nn.LogSoftmax(1)), 1, "not the net", "A network that ends in a log-softmax, "
           "which is harmless")
    yield (_own(0, lift=60), 1, "not the net", "A network whose outputs are all above 0, but "
           "don't sum to 1")
    yield _net(), 1, "not the net", "The untrained network of 2012, with pixels from 0 to 255"
    yield _net("paper"), 58, "faded", "The paper's weights with normalized pixels"
    yield _net(silent="conv4"), 1, "dead", "The network of 2012 with all of conv4 off"


@exercise("10-5", "Begin with the surest sign: do the outputs sum to 1? Then look inside, as in "
                  "the sections above: is a layer off? How much of the image reaches the output?")
def diagnosis(answer):
    names = ("two softmaxes", "dead", "faded", "not the net")
    pictures, labels = _pictures()
    for net, divide, illness, told in _patients():
        net.train()
        found = answer(net, pictures / divide, labels)
        expect(found in names, f"Return one of {', '.join(map(repr, names))}.")
        expect(found == illness, f"{told}: this is {illness!r}, but you return {found!r}."
               + _advice(illness, found))
    return "You told apart networks that look alike from the outside, in a single pass each."


def _advice(illness: str, found: str) -> str:
    """Why one takes the one for the other."""
    return {("faded", "not the net"): " The network comes in training mode, so dropout makes its "
                                      "outputs differ, whatever the image. Measure how they "
                                      "differ from image to image, not from class to class.",
            ("two softmaxes", "faded"): " Look at the outputs before you look inside.",
            ("dead", "faded"): " In a faded network, a little of the image reaches the output. "
                               "Here, a layer is zero for every image.",
            ("faded", "dead"): " Its units are on, for all images alike.",
            ("dead", "not the net"): " Look at every hidden layer, of whatever kind."
            }.get((illness, found), "")
