"""Exercises of notebook 12: filters and features."""

import torch
import torch.nn.functional as F

from alexnet_lib.course.exercises import exercise, expect, number, tensor
from alexnet_lib.features import color_selectivity


@exercise("12-1", "Take the mean over red, green and blue: that is the gray part, three times.")
def color_share(answer):
    pixel = torch.tensor([2.0, 1.0, 0.0]).view(1, 3, 1, 1)
    first = tensor(answer(pixel))
    expect(first.shape == (1,), "One number for each map: sum over channels, height and width.")
    expect(abs(number(first[0]) - 0.4) < 1e-4,
           "Of (2, 1, 0), the gray part (1, 1, 1) has the energy 3 of 5: its color is 0.4.")
    expect(abs(number(tensor(answer(torch.ones(1, 3, 2, 2)))[0])) < 1e-4,
           "A gray kernel has no color.")
    weights = torch.randn(7, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    found = tensor(answer(weights))
    expect(found.shape == (7,), "One number for each of the maps: sum over height and width, too.")
    expect(torch.allclose(found, color_selectivity(weights), atol=1e-4),
           "Sum the squares over a whole kernel first, and divide then.")
    return "And noise has two thirds: one of three directions is gray."


@exercise("12-2", "Field and jump begin at 1; go through the steps one by one.")
def field_and_jump(answer):
    expect(tuple(answer([(11, 4)])) == (11, 4), "conv1: field 11, jump 4.")
    expect(tuple(answer([(11, 4), (3, 2)])) == (19, 8),
           "pool1: two jumps of 4 more than 11, and then neighbors are 8 apart.")
    steps = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2)]
    expect(tuple(answer(steps)) == (195, 32), "pool3 of the paper's net sees 195 pixels.")
    expect(tuple(answer([])) == (1, 1), "Without a layer, a pixel sees itself.")
    return "195 of 227: before fc6 no unit sees the whole picture."


@exercise("12-3", "All distances, the k smallest of each row, their labels.")
def precision_at(answer):
    known = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    labels, asked = torch.tensor([0, 0, 1, 1]), torch.tensor([[2.9], [0.4]])
    one = number(answer(known, labels, asked, torch.tensor([1, 0]), 1))
    expect(one == 1, "The nearest of 2.9 is 3 and of 0.4 is 0: both have the right label.")
    two = number(answer(known, labels, asked, torch.tensor([1, 0]), 2))
    expect(two == 0.75, "The two nearest of 2.9 are 3 and 1, with labels 1 and 0: half right.")
    wrong = number(answer(known, labels, asked, torch.tensor([0, 1]), 1))
    expect(wrong == 0, "Compare with the truth of each question.")
    return "The same, on 4096 numbers instead of one, is Fig. 4 of the paper."


@exercise("12-4", "Cover one square of a copy, ask, take the difference; then the next one.")
def occlusion(answer):
    x = torch.zeros(1, 2, 4, 6)
    x[0, :, 0, 5] = 3.0
    before = x.clone()
    found = tensor(answer(lambda batch: batch.sum(), x, 2))
    expect(found.shape == (2, 3), "4 x 6 pixels have 2 x 3 squares of two pixels.")
    expect(torch.equal(x, before), "The picture itself was covered: work on x.clone().")
    expect(found[0, 2] != -6, "It is to be the fall: the whole picture's number less the other.")
    expect(found[0, 2] == 6 and found.sum() == 6,
           "Only the square at the top right matters, and it costs 6: 3 in each of two channels.")
    even = tensor(answer(lambda batch: batch.sum(), torch.ones(1, 1, 6, 6), 3))
    expect(torch.equal(even, torch.full((2, 2), 9.0)), "Uncover each square before the next one.")
    return "An ordinary picture needs some hundred questions, and no gradient."


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


@exercise("12-5", "The highest answer of each picture and where it stands; the k highest of those; "
                  "then from the place in the map back to pixels.")
def strongest(answer):
    def asked(maps, steps, side, k):
        found = answer(maps, steps, side, k)
        expect(isinstance(found, (list, tuple)) and all(
            isinstance(row, (list, tuple)) and len(row) == 5 for row in found),
            "A list of (picture, top, left, bottom, right) is asked for.")
        return [tuple(int(number(value)) for value in row) for row in found]

    maps = torch.full((4, 5, 5), -3.0)
    maps[0, 1, 3], maps[0, 0, 0], maps[1, 2, 2], maps[3, 4, 1] = 7.0, 6.0, 1.0, 9.0
    found = asked(maps, [(3, 1, 0)], 7, 3)
    expect(len(found) == 3, f"k is 3, and there are {len(found)}.")
    expect([row[0] for row in found] != [3, 0, 0], "Each picture may be there once, with its "
           "highest place.")
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
    return "Cut out, these are the rows of pieces above, for a unit of any layer."


def _expect_box(found: tuple, steps, side: int, row: int, column: int) -> None:
    """Refuse another box than the unit's, and say of what kind the mistake is."""
    right = _seen(steps, side, row, column)
    told = f"Steps {steps}, the unit in row {row}, column {column} of the map: "
    expect(found[2] - found[0] == right[2] - right[0] or found[0] >= 0 and found[2] <= side,
           f"{told}there are no pixels outside of 0 to {side}: cut the frame off at the border.")
    expect(found == right, f"{told}it sees {right} (top, left, bottom, right; the last two "
           f"not included), and you have {found}. The first unit begins at the pixel 0 less the "
           "padding of every layer, times the jump before it.")
