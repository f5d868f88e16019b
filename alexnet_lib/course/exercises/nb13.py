"""Exercises of notebook 13, the paper and the 2012 source."""

import torch
import torch.nn.functional as F

from alexnet_lib.course.exercises import exercise, expect, number, tensor
from alexnet_lib.layers import local_response_norm
from alexnet_lib.optim import PaperSGD, Run145, parameter_groups


def _pair(answer) -> tuple[int, int]:
    try:
        images, wrong = answer
        return images, wrong
    except (TypeError, ValueError):
        expect(False, "Two numbers are asked for: how many images, and how many of them wrong.")


@exercise("13-1", "For 50,000, then for 150,000: is error * n a whole number, up to the rounding?")
def pictures(answer):
    expect(_pair(answer(0.406640)) == (50_000, 20_332),
           "0.406640 is run 145 on the validation images: 20,332 of 50,000.")
    images, _ = _pair(answer(0.374727))
    expect(images == 150_000, "0.374727 * 50,000 = 18,736.35 is no whole number; so it must be "
           "150,000. (Six digits are rounded: allow for half a unit of the sixth, no more.)")
    for error, wrong in ((0.374727, 56_209), (0.182953, 27_443), (0.420340, 21_017),
                         (0.182287, 27_343)):
        images, found = _pair(answer(error))
        expect(images == (150_000 if wrong in (56_209, 27_443, 27_343) else 50_000),
               f"{error:.6f}: take 50,000 wherever it fits, else 150,000.")
        expect(found == wrong, f"{error:.6f} of {images:,} images are {wrong:,}: round to the "
               "nearest whole number.")
    return "An error is a count; its digits give it away."


class _Net(torch.nn.Module):
    """Just names: what `parameter_groups` needs."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.ModuleDict({f"conv{i}": torch.nn.Linear(1, 1) for i in (1, 2)})


@exercise("13-2", "First the exceptions: conv1 frozen, then biases; the rest are weights.")
def logged_rate(answer):
    rule, plan, rates = PaperSGD(parameter_groups(_Net(), 0.01, bias_lr_factor=2.0)), Run145(91), {}
    for epoch in range(91):
        plan.update(rule, epoch, None)
        rates |= {(g["name"], g["kind"], epoch): g["lr"] for g in rule.param_groups}
    hints = {("conv2", "weight"): "weights fall at 25, 51 and 79, and have the new rate in that "
                                  "epoch already",
             ("conv2", "bias"): "the biases' rate never falls",
             ("conv1", "weight"): "conv1's weights fall to 1e-5 at 67 and are frozen from 72 on",
             ("conv1", "bias"): "conv1's biases keep their rate until they are frozen, at 72"}
    for (name, kind), hint in hints.items():
        for epoch in range(91):
            given, right = number(answer(name, kind, epoch)), rates[name, kind, epoch]
            expect(abs(given - right) <= 1e-9 * max(right, 1e-3),
                   f"{name}, {kind}, epoch {epoch}: {given:g}, but {hint}.")
    expect(abs(number(answer("fc8", "weight", 70)) - 1e-4) < 1e-9,
           "fc8 follows the rule of all layers but conv1.")
    return "Six lines of notes, typed while the net was training."


@exercise("13-3", "Count the pixels that the last window lacks, and add so many zeros at the right "
                  "and the bottom.")
def ceil_conv(answer):
    g = torch.Generator().manual_seed(0)
    for height, width, k, stride in ((224, 224, 11, 4), (227, 227, 11, 4), (30, 21, 5, 3),
                                     (16, 17, 3, 2), (12, 12, 5, 1)):
        x = torch.randn(2, 3, height, width, generator=g)
        weight = torch.randn(4, 3, k, k, generator=g)
        below, right = (-(n - k) % stride for n in (height, width))
        expected = F.conv2d(F.pad(x, (0, right, 0, below)), weight, stride=stride)
        out = tensor(answer(x, weight, stride))
        said = f"{height} x {width} pixels, window {k}, stride {stride}"
        expect(out.shape == expected.shape, f"{said}: the result should be "
               f"{tuple(expected.shape[2:])}, not {tuple(out.shape[2:])}. Only as many zeros as "
               "the last window lacks, and none if it fits.")
        expect(torch.allclose(out, expected, rtol=1e-4, atol=1e-3), f"{said}: the size is right, "
               "the numbers are not. The first window begins at the first pixel; the zeros are "
               "at the right and the bottom.")
    return "With 224, 11 and 4 this is the 55 that nobody could explain."


@exercise("13-4", "Count the classes above the right one, and those equal to it.")
def top1_error(answer):
    probs = torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.4, 0.4, 0.2]])
    first = number(answer(probs[:1], torch.tensor([0])))
    expect(abs(first) < 1e-6, "One image, the right class in front: an error of 0.")
    for label in (0, 1):
        expect(abs(number(answer(probs[1:2], torch.tensor([label]))) - 0.5) < 1e-6,
               "Two classes in front, one of them right: half an error, whichever it is.")
    expect(abs(number(answer(probs[1:2], torch.tensor([2]))) - 1) < 1e-6,
           "If another class is above the right one, it is wrong.")
    low = torch.tensor([[0.6, 0.2, 0.2]])
    expect(abs(number(answer(low, torch.tensor([1]))) - 1) < 1e-6,
           "A tie behind the first place is no merit.")
    expect(abs(number(answer(torch.full((20, 10), 0.1), torch.zeros(20, dtype=torch.long))) - 0.9)
           < 1e-6, "A net that says the same of ten classes is wrong in 90 %, whatever the labels.")
    mixed = number(answer(probs, torch.tensor([1, 0, 1, 2])))
    expect(abs(mixed - 0.75) < 1e-6, "The mean over the images: 1, 0.5, 0.5 and 1 make 0.75.")
    return "Now a dead net is as bad as it is."


@exercise("13-5", "Squares of the signed responses, windows of five within each column, divide; "
                  "the ReLU last.")
def first_norm(answer):
    a = torch.randn(2, 96, 3, 4, generator=torch.Generator().manual_seed(0)) * 300
    out = tensor(answer(a.clone()), tuple(a.shape))
    expect((out >= 0).all(), "After all of it there is a ReLU: nothing is below zero.")

    def same(**settings):
        before = settings.pop("relu_first", False)
        given = a.relu() if before else a
        made = local_response_norm(given, **({"alpha": 2e-5, "columns": 2} | settings)).relu()
        return torch.allclose(out, made, rtol=1e-4, atol=1e-3)

    expect(not same(alpha=1e-4), "That is the printed strength. The source divides α by n.")
    expect(not same(alpha=4e-6), "α is divided by n twice: 1e-4 / 5 is enough.")
    expect(not same(relu_first=True), "That is the paper's order. The source normalizes the "
           "signed responses, and a negative one silences its neighbors, too.")
    expect(not same(columns=1), "Maps 47 and 48 stand on different cards and do not see each "
           "other.")
    expect(same(), "The numbers are not right. In the bracket: k = 2, and 1e-4 / 5 times the sum "
           "of five squares; its power is 0.75.")
    return "Layer 1 of the net that won."
