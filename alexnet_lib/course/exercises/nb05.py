"""Exercises of notebook 05, overlapping pooling."""

import torch
from torch import nn
from torch.nn import functional as F

from alexnet_lib import course
from alexnet_lib.course.exercises import exercise, expect, filled, number, tensor


@exercise("05-1", "Which positions of the row lie in two windows? Put the large numbers there.")
def two_winners(answer):
    expect(isinstance(answer, (list, tuple)) and not {None, ...} & set(answer)
           and sorted(map(number, answer)) == list(range(1, 10)),
           "Use each of the numbers 1 to 9 once, in a list.")
    row = torch.tensor([[float(value) for value in answer]], requires_grad=True)
    nn.MaxPool1d(3, 2)(row).sum().backward()
    learn = [int(value) for value in row[0][row.grad[0] > 0]]
    expect(len(learn) == 2, f"Here {', '.join(map(str, learn))} get a gradient; that's "
           f"{len(learn)} numbers, not 2.")
    return f"{learn[0]} and {learn[1]} win two windows each, and seven numbers get no gradient."


@exercise("05-2", "The stride is the distance after which the pattern repeats. Follow the first "
                  "row from the left: where does the second window begin, where does the first "
                  "one end?")
def whose_windows(answer):
    pairs = {name: tuple(int(number(side)) for side in pair)
             for name, pair in filled(answer, "ABC").items()}
    right = {"A": (4, 3), "B": (2, 3), "C": (5, 2)}
    for name, pair in pairs.items():
        expect(len(pair) == 2, f"{name} is a pair: (z, s).")
        expect(pair != right[name][::-1], f"{name} has z and s the wrong way around.")
        expect(pair[1] == right[name][1],
               f"In {name}, the pattern doesn't repeat every {pair[1]} pixels.")
        expect(pair[0] >= right[name][0], f"In {name}, the first window is wider than {pair[0]}.")
        expect(pair[0] == right[name][0], f"In {name}, the first window is narrower than "
               f"{pair[0]}: count the pixels before and after an overlap.")
    return "B skips every third row and column, so the network never sees what happens there."


@exercise("05-3", "`change(nn.AvgPool2d(3, 2, ceil_mode=True), 1)` is the first number, and "
                  "`gradient(nn.AvgPool2d(3, 2, ceil_mode=True), many)` helps with the second.")
def the_mean(answer):
    answer = filled(answer, ("change", "no gradient", "steadier"))
    silent, moves = number(answer["no gradient"]), number(answer["change"])
    expect(answer["steadier"] in ("maximum", "mean"), '"steadier" is "maximum" or "mean".')
    expect(silent < 5, f"{silent:g}% is not the mean's share. Which pixels does a mean ignore?")
    if course.data == "shapes":  # the numbers of other pictures are not known here
        expect(abs(moves - 28.3) > 0.8, "That's how much the maximum's maps change.")
        expect(29 < moves < 32, f"{moves:g}% is not how much means of 3 x 3 change when the "
               "image moves by one pixel.")
        expect(answer["steadier"] == "maximum", f"The mean's maps change by {moves:.1f}%, the "
               "maximum's by 28.3%.")
    return ("By itself, the mean changes less, but it also makes different images more alike, and "
            "that counts for more. In return, every pixel gets a little of the gradient.")


@exercise("05-4", "Try a few n: the half width is t · 0.59 / √n, with the t of that n.")
def how_many_seeds(answer):
    seeds = number(answer)
    expect(seeds == int(seeds) and seeds >= 2, "Use a whole number of seeds, at least two.")
    expect(seeds != 5, "Five give a half width of 0.73 points, more than 0.4.")
    expect(seeds > 10, f"With {seeds:g} seeds, the interval around 0.4 would still reach below "
           "zero.")
    expect(seeds < 12, f"{seeds:g} would do, but fewer would, too.")
    return ("Eleven of each, if you're lucky: an effect of exactly 0.4 then has about an even "
            "chance of showing. With five, it has to be larger than 0.7 points.")


def _change(pool) -> float:
    """Change of pooled random textures by a shift of one pixel, as a share of a swap's."""
    noise = torch.rand(40, 8, 58, 58, generator=torch.Generator().manual_seed(0))
    wide = F.relu(F.avg_pool2d(noise, 5, 1) - 0.53)
    here, moved = (tensor(pool(wide[..., d:d + 50])) for d in (0, 1))
    return ((here - moved).norm() / (here - here.roll(1, 0)).norm().clamp_min(1e-9)).item()


@exercise("05-5", "Which step of max pooling makes the jumps: taking the largest, or skipping "
                  "every second window? Skip none at first (stride 1), smooth the result, and "
                  "only then take every second pixel.")
def steady(answer):
    point = torch.zeros(36, 1, 30, 30)
    for i in range(36):
        point[i, 0, 12 + i // 6, 12 + i % 6] = 1
    out = tensor(answer(point))
    expect(out.dim() == 4 and out.shape[:2] == (36, 1), "Return maps like x: (images, channels, "
           f"height, width). This is {tuple(out.shape)}.")
    expect(all(13 <= side <= 16 for side in out.shape[2:]), "Height and width should be about "
           f"half of 30; they are {tuple(out.shape[2:])}.")
    weakest = out.amax((1, 2, 3)).min().item()
    expect(weakest > 0.4, f"A lone pixel of brightness 1 comes out as {weakest:.2f} at its worst "
           "position. It should be 0.4 at least.")
    lines = torch.zeros(2, 1, 30, 30)
    for i in range(2):
        lines[i, 0, :, 12 + i] = lines[i, 0, :, 18 + i] = 1
    for middle in tensor(answer(lines))[:, 0, 7]:
        peaks = (middle >= 0.6 * middle.max()).int()
        expect((peaks.diff() == 1).sum() + peaks[0] == 2, "Two bright lines six pixels apart melt "
               "into one. Don't just take a larger window.")
    ratio = _change(answer) / _change(nn.MaxPool2d(3, 2, ceil_mode=True))
    expect(ratio < 0.92, f"On our textures its maps change {ratio:.2f} times as much as those of "
           "max pooling with z = 3. Get below 0.92.")
    return (f"Yours moves {ratio:.2f} times as much as the paper's pooling. Richard Zhang "
            "published this in 2019: blur before you skip.")
