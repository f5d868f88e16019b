"""Exercises of notebook 12: filters and features."""

import torch
import torch.nn.functional as F

from alexnet_lib.course.exercises import exercise, expect, filled, number, tensor

CONVOLUTIONS = {"conv1": 11, "conv2": 5, "conv3": 3, "conv4": 3, "conv5": 3}


def _pool3_sees(kernels: dict[str, int]) -> int:
    """The receptive field of pool3, in pixels, for these kernels of the convolutions."""
    seen = jump = 1
    for kernel, stride in ((kernels["conv1"], 4), (3, 2), (kernels["conv2"], 1), (3, 2),
                           *((kernels[name], 1) for name in ("conv3", "conv4", "conv5")), (3, 2)):
        seen, jump = seen + (kernel - 1) * jump, jump * stride
    return seen


@exercise("12-1", "By how many pixels does the field grow if a kernel grows by one?")
def one_kernel(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (layer, kernel).")
    layer, kernel = answer
    expect(layer in CONVOLUTIONS, "Choose one of conv1 to conv5: pool3 is to stay as it is.")
    kernel = number(kernel)
    expect(kernel == int(kernel) > 0, "A kernel is a whole number of units wide.")
    seen = _pool3_sees(CONVOLUTIONS | {layer: int(kernel)})
    expect(seen == 227, f"With a kernel of {kernel:g} in {layer}, a unit of pool3 sees {seen} "
           "pixels.")
    return "And the later the layer, the more a single step of its kernel is worth."


@exercise("12-2", "Grain is the initialization; subtract that, and the grain is gone.")
def four_sheets(answer):
    answer = filled(answer, "ABCD", ("start", "early learned", "end learned", "end"))
    expect(len(set(answer.values())) == 4, "Each of the four is there once.")
    expect(answer["B"] == "start", "One sheet is nothing but grain.")
    expect(answer["D"] == "end", "One sheet has patterns and grain: nothing was subtracted there.")
    expect(answer["A"] == "early learned", "Coarse patterns come first, sharp ones later.")
    return "Blurs come early, stripes late, and the grain was there before either."


@exercise("12-3", "Call seeing.optimized four times, and switch off one trick in three of them.")
def which_trick(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2,
           "Pass (grains, matters_most).")
    grains, most = answer
    names = ("all", "fourier", "color", "jitter")
    grains = {name: number(value) for name, value in filled(grains, names).items()}
    expect(all(0 <= value <= 1 for value in grains.values()),
           "`grain` gives a share, between 0 and 1.")
    expect(len(set(grains.values())) == 4, "Two of your images are the same: is a trick off in "
           "each of the last three?")
    expect(grains["all"] < 0.1, f"With all three tricks the grain is {grains['all']:.0%}: leave "
           "`seeing.optimized` its usual settings there.")
    expect(grains["jitter"] > 0.12, f"Without jitter you have {grains['jitter']:.0%}. Pass "
           "jitter=0, with the usual number of steps.")
    expect(most in ("fourier", "color", "jitter"), 'Is it "fourier", "color", or "jitter"?')
    expect(most == "jitter", f"Without {most} the grain is {grains.get(most, 0):.0%}, without "
           f"jitter {grains['jitter']:.0%}.")
    return ("Jitter. Grain works at exactly one position, and the next shift spoils it; a pattern "
            "survives.")


@exercise("12-4", "Cover one square of a copy, ask, take the difference; then the next one.")
def occlusion(answer):
    x = torch.zeros(1, 2, 4, 6)
    x[0, :, 0, 5] = 3.0
    before = x.clone()
    found = tensor(answer(lambda batch: batch.sum(), x, 2))
    expect(found.shape == (2, 3), "4 x 6 pixels have 2 x 3 squares of two pixels.")
    expect(torch.equal(x, before), "The picture itself was covered: work on x.clone().")
    expect(found[0, 2] != -6, "Return the fall: the number of the whole picture minus that of "
           "the covered one.")
    expect(found[0, 2] == 6 and found.sum() == 6,
           "Only the square at the top right matters, and it costs 6: 3 in each of two channels.")
    even = tensor(answer(lambda batch: batch.sum(), torch.ones(1, 1, 6, 6), 3))
    expect(torch.equal(even, torch.full((2, 2), 9.0)), "Uncover each square before the next one.")
    return "An ordinary picture takes a few hundred questions, and no gradient."


def _seen(steps, side: int, row: int, column: int) -> tuple:
    """The pixels that one unit sees, by the gradient of a net whose weights are all 1."""
    x = torch.zeros(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    out = x
    for kernel, stride, padding in steps:
        ones = torch.ones(1, 1, kernel, kernel, dtype=torch.float64)
        out = F.conv2d(out, ones, stride=stride, padding=padding)
    grad, = torch.autograd.grad(out[0, 0, row, column], x)
    ys, xs = (grad[0, 0].sum(1 - k).nonzero().flatten().tolist() for k in (0, 1))
    return ys[0], xs[0], ys[-1] + 1, xs[-1] + 1


@exercise("12-5", "The highest answer of each picture and its position; the k highest of those; "
                  "then from the position in the map back to pixels.")
def strongest(answer):
    def asked(maps, steps, side, k):
        found = answer(maps, steps, side, k)
        expect(isinstance(found, (list, tuple)) and all(
            isinstance(row, (list, tuple)) and len(row) == 5 for row in found),
            "Return a list of (picture, top, left, bottom, right).")
        return [tuple(int(number(value)) for value in row) for row in found]

    maps = torch.full((4, 5, 5), -3.0)
    maps[0, 1, 3], maps[0, 0, 0], maps[1, 2, 2], maps[3, 4, 1] = 7.0, 6.0, 1.0, 9.0
    found = asked(maps, [(3, 1, 0)], 7, 3)
    expect(len(found) == 3, f"k is 3, and there are {len(found)}.")
    expect([row[0] for row in found] != [3, 0, 0], "Each picture may be there once, with its "
           "highest answer.")
    expect([row[0] for row in found] == [3, 0, 1], "Highest answers of 9 in picture 3, 7 in "
           f"picture 0, 1 in picture 1: strongest first. You have {[row[0] for row in found]}.")
    expect(found[0][1:] != (1, 4, 4, 7), "Rows and columns are exchanged: maps are (pictures, "
           "rows, columns).")
    _expect_box(found[0][1:], [(3, 1, 0)], 7, 4, 1)
    conv1 = [(11, 4, 0)]
    for steps, side in ((conv1, 227), ([*conv1, (3, 2, 0)], 227), ([(3, 1, 1)], 8),
                        ([(5, 2, 2), (3, 2, 1)], 21),
                        ([*conv1, (3, 2, 0), (5, 1, 2)], 227),
                        ([*conv1, (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1)], 227)):
        places = side
        for kernel, stride, padding in steps:
            places = (places + 2 * padding - kernel) // stride + 1
        for row, column in ((places // 2, places // 2 - 1), (0, places - 1), (places - 1, 1)):
            maps = torch.zeros(2, places, places)
            maps[1, row, column] = 1
            (found,) = asked(maps, steps, side, 1)
            _expect_box(found[1:], steps, side, row, column)
    return "Cut out, these are the rows of favorites above, for a unit of any layer."


def _expect_box(found: tuple, steps, side: int, row: int, column: int) -> None:
    """Refuse another box than the unit's, and say of what kind the mistake is."""
    right = _seen(steps, side, row, column)
    told = f"Steps {steps}, the unit in row {row}, column {column} of the map: "
    expect(found[2] - found[0] == right[2] - right[0] or found[0] >= 0 and found[2] <= side,
           f"{told}there are no pixels outside 0 to {side}: cut the frame off at the border.")
    expect(found == right, f"{told}it sees {right} (top, left, bottom, right; the last two "
           f"not included), and you have {found}. The first unit begins at pixel 0 minus the "
           "padding of every layer times the jump before it.")
