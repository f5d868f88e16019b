"""Exercises of notebook 03, ReLU vs tanh."""

import math

import torch

from alexnet_lib.course.exercises import exercise, expect, filled, number


@exercise("03-1", "Ten equal slopes multiply to one half: how large is each of them?")
def largest_x(answer):
    x = number(answer)
    expect(x >= 0, "x should be positive. (The slope is the same on both sides of zero.)")
    left = (1 - math.tanh(x) ** 2) ** 10
    expect(abs(x - 0.881) > 0.004, "That halves the gradient at a single unit; there are ten.")
    expect(abs(x - 0.0671) > 0.001, "That is tanh(x) squared. Take the root, then undo the tanh.")
    expect(abs(left - 0.5) < 0.02, f"At x = {x:.3g}, {left:.0%} of the gradient survives.")
    return "About 0.265. A chain of tanh units works only while all of them stay near the center."


@exercise("03-2", "Look at the first fifty steps of each run.")
def diagnosis(answer):
    answer = filled(answer, "ABC", ("too small", "too large", "right"))
    expect(answer["C"] == "right", "Only one of the three gets to 50%.")
    expect(answer["A"] != "too small", "A doesn't move at all. Small steps would move it a little.")
    expect((answer["A"], answer["B"]) == ("too large", "too small"),
           "B moves in the right direction to the end; it just takes its time.")
    return "A flat line from the very start is what a first step that was too large looks like."


@exercise("03-3", "Start from max(0, x) and repair its left side.")
def no_dead_end(answer):
    x = torch.tensor([-1e4, -300.0, -20, -3, -1, -0.3, 0.3, 1, 3, 20, 300, 1e4],
                     requires_grad=True)
    out = answer(x)
    expect(isinstance(out, torch.Tensor) and out.shape == x.shape,
           "Return a tensor of the same shape as x.")
    expect(out.requires_grad, "Use tensors all the way through, so that there is a gradient.")
    slope, = torch.autograd.grad(out.sum(), x)
    expect(bool(torch.isfinite(out).all() and torch.isfinite(slope).all()),
           "At ten thousand or minus ten thousand, it gives infinity or NaN.")
    expect(slope.max() - slope.min() > 1e-3, "That's a straight line: layers would collapse again.")
    worst = int(slope.argmin())
    expect(slope[worst] >= 0.0099,
           f"At x = {x[worst].item():g} the slope is only {slope[worst].item():.2g}.")
    return "No dead ends. Yours has no name yet? The leaky ReLU (2013) was found the same way."


@exercise("03-4", "Run the two races and note how many steps each takes.")
def what_rescued_it(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (steps, rescued_by).")
    steps, by = answer
    names = ("pixels", "initialization")
    found = {name: number(filled(steps, names)[name]) for name in names}
    for name, value in found.items():
        expect(value > 150, f"{value:g} steps is what both changes need together, not the {name} "
               "alone. Check `weights` and `divide`.")
    expect(by in ("pixels", "initialization", "both"),
           'Is it "pixels", "initialization", or "both"?')
    expect(by == "both", f"With the {by} alone, tanh took {found.get(by, 0):g} steps. How many "
           "with both?")
    return ("Both. Large pixels saturate the first layer, and small weights starve every layer. "
            "Fix one, and the other still holds tanh back.")


@exercise("03-5", "The first layer has two units: let one see a - b and the other b - a.")
def exclusive_or(answer):
    expect(isinstance(answer, torch.nn.Module), "Pass the network, an nn.Sequential.")
    kinds = [type(m).__name__ for m in answer.modules() if not list(m.children())]
    expect(kinds == ["Linear", "ReLU", "Linear"], "Keep the three parts (Linear, ReLU, Linear) "
           "and change only the numbers in them.")
    inputs = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    with torch.no_grad():
        out = answer(inputs).flatten()
    expect(len(out) == 4, "The network should have one output.")
    expect(abs(out[0] - out[3]) < 1e-4, "For (0, 0) and (1, 1), the answers should be "
           f"the same; they are {out[0]:.3g} and {out[3]:.3g}.")
    expect(torch.allclose(out, torch.tensor([0.0, 1, 1, 0]), atol=1e-4),
           f"The four answers should be 0, 1, 1, 0; they are "
           f"{', '.join(f'{value:.3g}' for value in out)}.")
    return "relu(a - b) + relu(b - a) = |a - b|: two kinks do what no matrix can."
