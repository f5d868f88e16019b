"""Exercises of notebook 05, overlapping pooling."""

import torch
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, tensor


def _list(answer) -> list[float]:
    try:
        return [float(value) for value in answer]
    except TypeError:
        expect(False, "A list of numbers is asked for.")


def _pool(row, z, s):
    return nn.MaxPool1d(z, s, ceil_mode=True)(torch.tensor([row]))[0]


@exercise("05-1", "Start windows at 0, s, 2s, ...; the last one may hang over the end.")
def pool_row(answer):
    row = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0]
    expect(_list(answer(row, 2, 2)) != [3, 4, 9],
           "With z = s = 2 the last window holds the 2 alone: it counts, by the ceil rule.")
    expect(_list(answer(row, 3, 2)) == [4, 5, 9], "3 1 4 1 5 9 2 with z = 3, s = 2 gives 4, 5, 9.")
    expect(_list(answer(row, 2, 2)) == [3, 4, 9, 2], "With z = s = 2 it gives 3, 4, 9, 2.")
    below = [-3.0, -1.0, -4.0, -1.0, -5.0, -9.0]
    expect(_list(answer(below, 3, 2)) == [-1, -1, -5],
           "What hangs over the end is not there; it is no zero. -3 -1 -4 -1 -5 -9 gives "
           "-1, -1, -5.")
    expect(_list(answer(row, 3, 3)) == [4, 9, 2], "With z = s = 3 it gives 4, 9, 2.")
    return "Rounding up costs nothing: a window that hangs over takes the largest of what is there."


@exercise("05-2", "For each window, find the place of its largest number, and add that window's "
                  "gradient there.")
def backward(answer):
    row, z, s = [1.0, 7.0, 2.0, 0.0, 3.0], 3, 2
    expect(_list(answer(row, z, s, [10.0, 1.0])) == [0, 10, 0, 0, 1],
           "1 7 2 0 3: the windows are won by the 7 and the 3, which get 10 and 1.")
    row = [1.0, 2.0, 7.0, 0.0, 3.0]
    given = _list(answer(row, z, s, [10.0, 1.0]))
    expect(given != [0, 0, 1, 0, 0], "The 7 wins both windows; the second gradient overwrites the "
           "first. They add up.")
    expect(given == [0, 0, 11, 0, 0], "1 2 7 0 3: the 7 wins both windows and gets 10 + 1.")
    expect(_list(answer([5.0, 5.0, 5.0, 5.0], 2, 2, [1.0, 1.0])) == [1, 0, 1, 0],
           "Of equal numbers the first gets the gradient, and alone: 5 5 5 5 gives 1 0 1 0.")
    expect(_list(answer([4.0, 1.0, 0.0, 6.0, 8.0, 2.0], 2, 2, [1.0, 2.0, 3.0]))
           == [1, 0, 0, 2, 3, 0], "4 1 0 6 8 2 in pairs: the 4, the 6 and the 8 win.")
    expect(_list(answer([1.0, 2.0, 0.0, 5.0], 3, 2, [1.0, 2.0])) == [0, 1, 0, 2],
           "1 2 0 5 with z = 3, s = 2: the last window, 0 5, hangs over, and the 5 wins it.")
    return "That is all that learning knows of the other places: nothing."


@exercise("05-3", "Widen the map at the right and the bottom, then take the largest of nine "
                  "shifted copies, x[..., i::2, j::2].")
def overlapping(answer):
    g = torch.Generator().manual_seed(0)
    odd = torch.randn(2, 3, 7, 9, generator=g)
    out = tensor(answer(odd))
    expect(tuple(out.shape) == (2, 3, 3, 4),
           f"A map of 7 x 9 pixels becomes 3 x 4; this is {tuple(out.shape)}.")
    expect(torch.equal(out, nn.MaxPool2d(3, 2)(odd)), "The size is right, but not the numbers: "
           "window (i, j) begins at pixel (2i, 2j) and is 3 x 3 pixels large.")
    even = torch.randn(1, 2, 8, 6, generator=g)
    out = tensor(answer(even))
    expect(tuple(out.shape) == (1, 2, 4, 3), "A map of 8 x 6 pixels becomes 4 x 3: round up. This "
           f"is {tuple(out.shape)}.")
    right = nn.MaxPool2d(3, 2, ceil_mode=True)
    expect(torch.equal(out, right(even)), "At 8 x 6 pixels, windows hang over the border; the "
           "numbers there are not right.")
    expect(torch.equal(tensor(answer(even - 10)), right(even - 10)),
           "Where all numbers are below zero, a border of zeros wins. Take minus infinity.")
    return "Nine copies and a maximum; no loop over the pixels."
