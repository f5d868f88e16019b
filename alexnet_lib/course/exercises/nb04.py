"""Exercises of notebook 04, local response normalization."""

import math

import torch
from torch import nn

from alexnet_lib.course.exercises import exercise, expect, number, tensor
from alexnet_lib.layers import local_response_norm


@exercise("04-1", "Count the maps on both sides and the map itself. Then ask which library divides "
                  "alpha.")
def other_peoples_code(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2
           and all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in answer),
           "Fill in both pairs: (maps, alpha).")
    (maps, alpha), (tf_maps, tf_alpha) = [map(number, pair) for pair in answer]
    expect(maps == 5, f"PyTorch's first argument is the whole window. It isn't {maps:g} maps.")
    expect(tf_maps != 5, "TensorFlow's 5 is a radius: it reaches five maps to each side.")
    expect(tf_maps == 11, f"TensorFlow's window isn't {tf_maps:g} maps wide. Count the middle one.")
    for name, value, right in (("PyTorch", alpha, 2e-5), ("TensorFlow", tf_alpha, 1e-4)):
        expect(math.isclose(value, right, rel_tol=1e-6),
               f"{name}'s alpha isn't {value:g} in the printed formula. Does {name} multiply the "
               "sum by alpha, or by something smaller?")
    return ("Neither is the paper's layer. The first is the program's; the second hears ten "
            "neighbors instead of four. You'll meet both.")


@exercise("04-2", "Near zero a curve is a / k**beta; far out it goes like a**(1 - 2 * beta).")
def four_curves(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2
           and isinstance(answer[0], dict) and set(answer[0]) == set("ABCD"),
           "Fill in A, B, C and D, and the turning point.")
    changed, turning_point = answer
    kinds = ["alpha", "beta", "k", "nothing"]
    expect(all(name in kinds for name in changed.values()),
           'Use "alpha", "beta", "k" and "nothing" once each.')
    expect(sorted(changed.values()) == kinds, "Each of the four belongs to one curve.")
    expect(changed["A"] == "alpha", "One unit doesn't hear even itself. Its curve is a straight "
           "line.")
    expect(changed["D"] == "k", "Which setting makes a *quiet* unit quieter from the start?")
    expect(changed["B"] == "beta", "One curve levels off and never turns down. Which power does "
           "that?")
    expect(turning_point is not ... and turning_point is not None, "And the turning point?")
    at = number(turning_point)
    expect(abs(at - 52) > 3, "That's how loud the unit is there *after* normalization.")
    expect(170 <= at <= 235, f"Not at {at:g}: look for the highest point of the paper's curve.")
    return ("The top is at sqrt(2 k / alpha) = 200. Beyond it, a unit that shouts louder is heard "
            "less. In the program, the top is at 447.")


@exercise("04-3", "A square gets 58 * 58 times smaller; PyTorch divides its alpha by 5.")
def brought_back(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2
           and not {None, ...} & {*answer}, "Fill in both numbers.")
    share, alpha = map(number, answer)
    expect(share < 40, f"{share:.0f}% is what `x` gives. Pass `x / 58`.")
    expect(abs(share) < 0.01, f"It's not {share:g}%. Is that really `x / 58`, and a loudness over "
           "0.5?")
    right = 2e-5 * 58 ** 2 * 5
    expect(not math.isclose(alpha, right / 5, rel_tol=0.02), "That would be right in the printed "
           "formula, but PyTorch divides its alpha by 5.")
    expect(not math.isclose(alpha, right * 5, rel_tol=0.02), "You started from 1e-4 and multiplied "
           "by 5, but 2e-5 is already 1e-4 / 5.")
    expect(not math.isclose(alpha, 2e-5 * 58 * 5, rel_tol=0.02), "The responses get 58 times "
           "smaller. It's their squares that are summed.")
    expect(math.isclose(alpha, right, rel_tol=0.02), f"With {alpha:g} the loudness is "
           f"{alpha / right:.2g} times what it should be.")
    return "0.34, not 0.0001. Without that change, the layer just divides by 1.68."


@exercise("04-4", "Make each column an image of its own with reshape, and undo it afterwards.")
def two_columns(answer):
    x = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(0)) * 100
    given = x.clone()
    out = tensor(answer(given), (2, 8, 3, 4))
    expect(torch.equal(given, x), "Leave the input as it is.")

    def like(alpha, columns):
        right = local_response_norm(x, alpha=alpha, columns=columns)
        return torch.allclose(out, right, rtol=1e-4, atol=1e-3)

    expect(not like(2e-5, 1), "Maps 3 and 4 hear each other. They belong to different columns.")
    expect(not like(1e-4, 2), "That's the printed strength. The program's is a fifth of it.")
    expect(not like(4e-6, 2), "You divided alpha by 5, and PyTorch did it again.")
    right = local_response_norm(x, alpha=2e-5, columns=2)
    fine = (out - right).abs().amax((0, 2, 3)) < 1e-3
    expect(fine.any(), "No feature map is right yet. Check k, beta and alpha.")
    expect(fine.all(), "These feature maps aren't right yet: "
           + ", ".join(str(i) for i in range(8) if not fine[i]) + ".")
    return "A reshape tells two graphics cards apart, and it costs nothing: no number moves."


@exercise("04-5", "Compare with RMSNorm: which power, how wide a window, which factor, which k?")
def as_rms_norm(answer):
    for channels in (3, 8, 96):
        layer = answer(channels)
        expect(isinstance(layer, nn.LocalResponseNorm), "Return an nn.LocalResponseNorm.")
        expect(layer.beta == 0.5, "A root is a power of 0.5. That's beta.")
        expect(layer.k < 1e-2, f"k = {layer.k:g} shifts the mean square. RMSNorm adds next to "
               "nothing.")
        expect(layer.size >= 2 * channels - 1, f"A window of {layer.size} reaches "
               f"{layer.size // 2} channels to each side. With {channels} channels, the first one "
               "doesn't hear the last.")
        x = torch.randn(4, channels, 1, 1, generator=torch.Generator().manual_seed(1)) * 5
        right = x / x.square().mean(1, keepdim=True).sqrt()
        ratio = (layer(x) / right).mean().item()
        expect(abs(ratio - 1) < 0.01, f"With {channels} channels, your results are {ratio:.3g} "
               "times RMSNorm's. PyTorch divides alpha by the width of the window; RMSNorm divides "
               "the sum by the number of channels.")
    return "Same family: all that changed in seven years is three numbers and the window's width."
