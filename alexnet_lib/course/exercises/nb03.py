"""Exercises of notebook 03, ReLU vs tanh."""

import math

import torch

from alexnet_lib.course.exercises import exercise, expect, number, tensor


@exercise("03-1", "Each unit multiplies by its slope, 1 - tanh(x)**2; begin with one unit.")
def gradient_left(answer):
    expect(abs(number(answer([0.0])) - 1) < 1e-6, "At x = 0 the slope of tanh is 1: all is left.")
    expect(abs(number(answer([1.0])) - 0.419974) < 1e-4, "At x = 1 the slope is 0.42.")
    expect(abs(number(answer([-1.0])) - 0.419974) < 1e-4,
           "At x = -1 it is 0.42, too: the slope does not know the sign.")
    expect(abs(number(answer([1.0, 1.0, 1.0])) - 0.074075) < 1e-4,
           "Three units at x = 1 leave 0.42 x 0.42 x 0.42 = 0.074.")
    expect(abs(number(answer([0.0, 2.0, -1.0])) - 0.029672) < 1e-4,
           "The units may stand at different places: 1 x 0.0707 x 0.42 = 0.0297.")
    return "It is a product: one unit on the flat part is enough to stop the gradient."


@exercise("03-2", "Write out W2 (W1 x + b1) + b2: what stands before x, what stands alone?")
def one_matrix(answer):
    generator = torch.Generator().manual_seed(3)
    w1, b1 = torch.randn(4, 3, generator=generator), torch.randn(4, generator=generator)
    w2, b2 = torch.randn(2, 4, generator=generator), torch.randn(2, generator=generator)
    given = answer(w1, b1, w2, b2)
    expect(isinstance(given, (tuple, list)) and len(given) == 2, "Return two things: (W, b).")
    w, b = tensor(given[0], (2, 3)), tensor(given[1], (2,))
    expect(torch.allclose(w, w2 @ w1, atol=1e-4), "What stands before x is W2 W1, in this order.")
    expect(not torch.allclose(b, b2, atol=1e-4),
           "The first layer's biases go through the second layer, too.")
    expect(torch.allclose(b, w2 @ b1 + b2, atol=1e-4), "What stands alone is W2 b1 + b2.")
    return "Twenty such layers are still one matrix. The activation is what makes a net of them."


@exercise("03-3", "Each net may choose its own rate: the best of each, then divide.")
def speedup(answer):
    inf = math.inf
    relu, tanh = {0.01: 40, 0.02: 25, 0.04: inf}, {0.01: 200, 0.02: 150, 0.04: 100}
    got = number(answer(relu, tanh))
    expect(got != 6, "That compares at one rate, the best of ReLU. tanh may choose another.")
    expect(abs(got - 1 / 4) > 1e-9, "The other way round: how many times as long does tanh take?")
    expect(abs(got - 4) < 1e-9, "ReLU's best is 25 steps, tanh's best is 100: four times.")
    expect(abs(number(answer({1: 50, 2: inf}, {1: 100, 2: 90, 4: 120})) - 1.8) < 1e-9,
           "The two may have been tried at different rates: 90 / 50 = 1.8.")
    expect(number(answer({1: 50}, {1: inf})) == inf,
           "If tanh never comes in, at any rate, the answer is infinite.")
    return "The paper's words are that the rates were chosen independently."


@exercise("03-4", "A map is dead if it is zero for every image and everywhere; count those.")
def dead(answer):
    maps = torch.zeros(4, 7, 2, 2)
    maps[0, 0, 1, 1], maps[3, 2, 0, 0], maps[1, 5, 0, 1], maps[:, 4] = 2.0, 0.1, 3.0, 1.0
    got = number(answer(maps))
    expect(got != 93, "That counts zeros. A unit that is silent for some images is not dead.")
    expect(got != 4, "Those are the living ones.")
    expect(got != 21, "That counts pairs of image and map; no image at all may wake a dead one.")
    expect(got != 5, "That looks at the first image only.")
    expect(got == 3, "Of these seven maps three are zero everywhere, for all four images.")
    expect(number(answer(maps[:1])) == 5, "For the first image alone, five of seven are silent.")
    return "A dead map gets no gradient: it cannot wake by itself."


@exercise("03-5", "The first layer has two units: let one see a - b and the other b - a.")
def exclusive_or(answer):
    expect(isinstance(answer, torch.nn.Module), "An nn.Sequential is asked for.")
    kinds = [type(m).__name__ for m in answer.modules() if not list(m.children())]
    expect(kinds == ["Linear", "ReLU", "Linear"], "Keep the three parts: Linear, ReLU, Linear; "
           "only the numbers in them change.")
    inputs = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    with torch.no_grad():
        out = answer(inputs).flatten()
    expect(len(out) == 4, "One output is asked for.")
    expect(abs(out[0] - out[3]) < 1e-4, "For (0, 0) and (1, 1) the answer should be the "
           f"same; it is {out[0]:.3g} and {out[3]:.3g}.")
    expect(torch.allclose(out, torch.tensor([0.0, 1, 1, 0]), atol=1e-4),
           f"The four answers should be 0, 1, 1, 0; they are "
           f"{', '.join(f'{value:.3g}' for value in out)}.")
    return "relu(a - b) + relu(b - a) = |a - b|: two kinks make what no matrix can."
