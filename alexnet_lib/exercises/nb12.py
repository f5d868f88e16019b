"""Exercises of notebook 12: filters and features."""

import torch

from alexnet_lib.exercises import exercise, expect, number, tensor
from alexnet_lib.features import colour_selectivity


@exercise("12-1", "Take the mean over red, green and blue: that is the grey part, three times.")
def colour_share(answer):
    pixel = torch.tensor([2.0, 1.0, 0.0]).view(1, 3, 1, 1)
    first = tensor(answer(pixel))
    expect(first.shape == (1,), "One number for each map: sum over channels, height and width.")
    expect(abs(number(first[0]) - 0.4) < 1e-4,
           "Of (2, 1, 0), the grey part (1, 1, 1) has the energy 3 of 5: its colour is 0.4.")
    expect(abs(number(tensor(answer(torch.ones(1, 3, 2, 2)))[0])) < 1e-4,
           "A grey kernel has no colour.")
    weights = torch.randn(7, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    found = tensor(answer(weights))
    expect(found.shape == (7,), "One number for each of the maps: sum over height and width, too.")
    expect(torch.allclose(found, colour_selectivity(weights), atol=1e-4),
           "Sum the squares over a whole kernel first, and divide then.")
    return "And noise has two thirds: one of three directions is grey."


@exercise("12-2", "Field and jump begin at 1; go through the steps one by one.")
def field_and_jump(answer):
    expect(tuple(answer([(11, 4)])) == (11, 4), "conv1: field 11, jump 4.")
    expect(tuple(answer([(11, 4), (3, 2)])) == (19, 8),
           "pool1: two jumps of 4 more than 11, and then neighbours are 8 apart.")
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
