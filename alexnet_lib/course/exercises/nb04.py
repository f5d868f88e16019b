"""Exercises of notebook 04, local response normalization."""

import torch

from alexnet_lib.course.exercises import exercise, expect, number, tensor
from alexnet_lib.layers import local_response_norm


@exercise("04-1", "Sum the squares of the maps i - n//2 ... i + n//2 that exist, then put the sum "
                  "into the formula.")
def normalize(answer):
    a = [30.0, 0.0, 200.0, 50.0, 100.0, 10.0, 80.0]

    def right(i, n=5):
        total = sum(v * v for v in a[max(0, i - n // 2):i + n // 2 + 1])
        return a[i] / (2 + 1e-4 * total) ** 0.75

    def close(i):
        return abs(number(answer(a, i)) - right(i)) < 1e-6 * right(i)

    expect(not abs(number(answer(a, 2)) - a[2] / (2 + 2e-5 * 53_400) ** 0.75) < 1e-3,
           "That is the source's alpha, divided by n; here the printed formula is asked for.")
    expect(close(2), "For map 2 the squares sum to 53,400 (its own is one of them), the bracket is "
           "7.34, and 200 becomes 44.85.")
    expect(close(0), "Map 0 has no neighbors before it: its window is maps 0, 1 and 2. Mind that "
           "a[-1] is the last number of a list.")
    expect(close(6), "The last map's window is maps 4, 5 and 6.")
    try:
        three = number(answer(a, 2, 3))
    except TypeError:
        three = None
    expect(three is None or abs(three - right(2, 3)) < 1e-6, "With n = 3 the window reaches one "
           "map to each side.")
    return "Windows that are cut off at the ends need no special case: what is not there adds 0."


@exercise("04-2", "In the printed formula, the bracket adds alpha times the sum of squares; in "
                  "torch's, alpha / n times it. Dividing by s makes a square s*s times smaller.")
def torchs_alpha(answer):
    expect(abs(number(answer(1e-4, 5, 1)) / 5e-4 - 1) < 1e-6,
           "torch divides its alpha by n = 5, so it must be given 5e-4 to use 1e-4.")
    expect(abs(number(answer(1e-4, 3, 1)) / 3e-4 - 1) < 1e-6, "With n = 3 it is 3e-4.")
    expect(abs(number(answer(1e-4, 5, 10)) / 5e-2 - 1) < 1e-6,
           "Inputs 10 times smaller have squares 100 times smaller: alpha must be 100 times "
           "larger, 0.05.")
    return "With pixels divided by 58, as torchvision does, it is 1.7, and not 1e-4."


@exercise("04-3", "Split the maps into columns with reshape, so that a column becomes an image of "
                  "its own, then sum five shifted copies of the squares.")
def columns(answer):
    x = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(0)) * 100
    given = x.clone()
    out = tensor(answer(given), (2, 8, 3, 4))
    expect(torch.equal(given, x), "The input must not be changed.")
    one = local_response_norm(x, columns=1)
    expect(not torch.allclose(out, one, rtol=1e-4),
           "Maps 3 and 4 see each other here; they belong to different columns.")
    expect(not torch.allclose(out, local_response_norm(x, alpha=2e-5, columns=2), rtol=1e-4),
           "That is the source's strength; the printed alpha is not divided by 5.")
    right = local_response_norm(x, columns=2)
    per_pixel = (out - right).abs().amax((0, 2, 3)) < 1e-3
    expect(per_pixel.any(), "No map is right yet: compare with the three lines of torch above.")
    expect(per_pixel.all(), "These maps are not right yet: "
           + ", ".join(str(i) for i in range(8) if not per_pixel[i]) + ".")
    return "One reshape, and the two graphics cards are apart."


@exercise("04-4", "f(y) = y**-2 - s is zero where y = s**-0.5; Newton's step is y - f(y) / f'(y), "
                  "and f'(y) = -2 * y**-3.")
def newton_step(answer):
    expect(abs(number(answer(0.5, 4.0)) - 0.5) < 1e-6,
           "At the exact value, y = 0.5 for s = 4, the step must change nothing.")
    expect(abs(number(answer(0.4, 4.0)) - 0.472) < 1e-6,
           "From 0.4 the step for s = 4 leads to 0.472.")
    try:
        at_zero = number(answer(0.0, 4.0)), number(answer(0.5, 0.0))
    except ZeroDivisionError:
        at_zero = ()
    expect(at_zero == (0, 0.75), "There is still a division by y or by s: multiply it out.")
    y = 0.07
    for _ in range(6):
        y = number(answer(y, 100.0))
    expect(abs(y - 0.1) < 1e-6, "Six steps from 0.07 for s = 100 should lead to 0.1.")
    return "With the guess 0x5f3759df - (bits >> 1) this was famous long before 2012."
