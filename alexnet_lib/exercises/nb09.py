"""Exercises of notebook 09, training the full network."""

import numpy as np

from alexnet_lib.exercises import exercise, expect, number


def _close(a, b) -> bool:
    return abs(number(a) - b) < 1e-9


@exercise("09-1", "Two lines: the velocity from the old weight, then the weight.")
def paper_step(answer):
    given = answer(1.0, 0.0, 0.5, 0.01)
    expect(np.size(given) == 2, "Return two numbers: (w, v).")
    expect(not _close(given[0], -0.005005), "The other way round: first the weight.")
    expect(not _close(given[0], 1.005), "Downhill is against the gradient: mind the signs.")
    expect(_close(given[1], -0.005005), "From w = 1, v = 0, gradient 0.5, rate 0.01: v is "
           "-0.000005 - 0.005.")
    expect(_close(given[0], 0.994995), "The weight takes the new velocity: 1 - 0.005005.")
    w, v = answer(2.0, 0.1, -1.0, 0.1, 0.5, 0.01)
    expect(_close(v, 0.148) and _close(w, 2.148), "With w = 2, v = 0.1, gradient -1, rate 0.1, "
           "momentum 0.5 and decay 0.01, v is 0.05 - 0.002 + 0.1.")
    return "So does every weight of the net, 60 million of them, 843,000 times."


@exercise("09-2", "The first step is 1, the second 1 + m, the third 1 + m + m * m, ...")
def gain(answer):
    expect(not _close(answer(0.9), 1.9), "That is the second step; there are many more.")
    expect(_close(answer(0.9), 10) or not 9.9 < number(answer(0.9)) < 10, "Nearly: so many steps "
           "come close to where the sum ends. What is 1 + m + m * m + ... without end?")
    expect(_close(answer(0.9), 10), "With 0.9 it is 10: 1 + 0.9 + 0.81 + ...")
    expect(_close(answer(0.0), 1), "Without momentum every step is the first.")
    expect(_close(answer(0.5), 2), "With 0.5 it is 2.")
    return "Momentum 0.99 would be 100: who raises the momentum must lower the rate."


@exercise("09-3", "All images there are to look at, divided by those of a second, then of a day.")
def days(answer):
    got = number(answer(1_281_167, 90, 243))
    expect(abs(got - 1_281_167 / 243 / 86400) > 1e-6, "That is one cycle.")
    expect(abs(got - 131.8) > 0.2, "That is in hours.")
    expect(abs(got - 5.492) < 0.01, "ImageNet, 90 cycles, 243 images a second: 5.49 days.")
    expect(abs(number(answer(86_400, 2, 4)) - 0.5) < 1e-9, "86,400 images twice, 4 a second: half "
           "a day.")
    return "This is claim C17, from the other side."


@exercise("09-4", "Go through the errors; remember the best and how long it has been the best.")
def drops_after(answer):
    def got(*given):
        found = answer(*given)
        expect(np.ndim(found) == 1, "A list of epochs is asked for.")
        return [int(epoch) for epoch in found]

    errors = [60, 50, 45, 44, 45, 46, 44, 45, 45]
    expect(got(errors, 3) != [6], "Epochs count from 1.")
    expect(got(errors, 3) == [7], "60 50 45 44 45 46 44 45 45 with patience 3: epochs 5, 6 and 7 "
           "are no better than the 44 of epoch 4.")
    expect(got([9, 8, 7, 6], 1) == [], "An error that always falls needs no drop.")
    expect(got([5, 5, 5, 5, 5], 2) == [3, 5], "5 5 5 5 5 with patience 2: after a drop the waiting "
           "begins anew.")
    expect(got([5] * 20, 2) == [3, 5, 7], "At most three drops.")
    expect(got([5, 6, 4, 6, 6], 2) == [5], "5 6 4 6 6 with patience 2: a new best ends "
           "the waiting.")
    return "The authors did it by looking. A program has more patience."


@exercise("09-5", "The paper's velocity is minus the rate times PyTorch's. What stays at the drop?")
def factor(answer):
    expect(not _close(answer(0.01, 0.001), 0.1), "The other way round: the new rate is smaller, so "
           "the velocity has to be larger for the same step.")
    expect(_close(answer(0.01, 0.001), 10), "From 0.01 to 0.001 PyTorch's velocity must be "
           "multiplied by 10.")
    expect(_close(answer(0.02, 0.005), 4), "From 0.02 to 0.005: by 4.")
    return "One multiplication, and the two rules walk together again."
