"""Exercises of notebook 06, two GPUs."""

import torch
import torch.nn.functional as F

from alexnet_lib.course import scaling
from alexnet_lib.course.exercises import exercise, expect, number, tensor

ALEXNET = scaling.Cost(724_406_816, 2_334_080, 58_631_144, 43_264, 17_408, 96)


@exercise("06-1", "Go through conv2 ... fc8. Which of them are still confined to their column?")
def own_column(answer):
    try:
        names = {str(name) for name in answer}
    except TypeError:
        names = set()
    expect(names and not isinstance(answer, str), "A set of names is asked for, as {\"conv2\"}.")
    strange = names - {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"}
    expect(not strange, f"These are no layers of the net: {', '.join(sorted(strange))}.")
    expect("conv1" not in names, "conv1 sees the image, which belongs to no column.")
    expect("conv4" not in names, "conv4 is where they talk in run #132.")
    expect("conv3" in names, "conv3 talks in the paper's net, but not in run #132.")
    expect(not names & {"fc6", "fc7", "fc8"}, "The full layers read everything, in both nets.")
    expect({"conv2", "conv5"} <= names, "conv2 and conv5 keep to their column in both nets.")
    return "conv4 reads 64,896 numbers where conv3 reads 43,264: more to send, and a worse net."


@exercise("06-2", "Both columns' maps are read, one half of them by the column that lacks it; and "
                  "likewise for the other half.")
def crossing(answer):
    for maps, side, images in ((256, 13, 128), (384, 13, 1), (64, 5, 32)):
        right, given = 8 * maps * side * side * images, number(answer(maps, side, images))
        what = f"{maps} maps of {side} x {side}, {images} image{'s' * (images > 1)}: "
        expect(given != right / 8, what + "these are numbers, one way. In bytes? And back?")
        expect(given != right / 4, what + "a number takes 4 bytes.")
        expect(given != right / images or images == 1, what + "that is for one image.")
        expect(given != right / 2, what + "half. Either the way back is missing, or one of the "
               "two directions: both columns send their half.")
        expect(given != right * 2, what + "twice too much. Each column needs only the half that "
               "it does not have.")
        expect(given == right, what + f"{right:,} bytes cross in a step, not {given:,.0f}.")
    return "44 MB for conv3 in a step of 128 images; all four places together make 60 MB."


@exercise("06-3", "Cut x in two along the maps, weight and bias along the kernels; torch.cat puts "
                  "the results together.")
def grouped(answer):
    g = torch.Generator().manual_seed(0)
    for maps, kernels, size, padding in ((6, 10, 3, 1), (4, 4, 5, 2), (2, 6, 3, 0)):
        x = torch.randn(2, maps, 7, 7, generator=g)
        weight = torch.randn(kernels, maps // 2, size, size, generator=g)
        bias = torch.randn(kernels, generator=g)
        right = F.conv2d(x, weight, bias, padding=padding, groups=2)
        given = tensor(answer(x, weight, bias, padding), tuple(right.shape))
        half = kernels // 2
        fair = torch.allclose(given - bias[:, None, None], given, atol=1e-6)
        swapped = F.conv2d(x.roll(maps // 2, 1), weight, bias, padding=padding, groups=2)
        expect(not torch.allclose(given, swapped, atol=1e-4),
               "The columns are crossed: the first half of the kernels sees the first half of "
               "the maps.")
        expect(fair or not torch.allclose(given, right - bias[:, None, None], atol=1e-4),
               "The bias is missing.")
        expect(torch.allclose(given[:, :half], right[:, :half], atol=1e-4),
               "The shape is right, the first column is not: kernels 0 to n/2 over maps 0 to m/2.")
        expect(torch.allclose(given, right, atol=1e-4),
               "The first column is right, the second is not.")
    return "So groups=2 and two processes are the same thing."


@exercise("06-4", "A gradient that stands for more images must count for more.")
def average(answer):
    shares = [torch.tensor([4.0, 0.0]), torch.tensor([8.0, 4.0])]
    given = tensor(answer(shares, [3, 1]), (2,))
    expect(not torch.allclose(given, torch.tensor([6.0, 2.0])),
           "4 from three images and 8 from one: the mean over the four is not 6.")
    expect(torch.allclose(given, torch.tensor([5.0, 1.0])),
           "(4, 0) is the mean of three images, (8, 4) that of one: together (5, 1). You gave "
           f"({given[0]:g}, {given[1]:g}).")
    g = torch.Generator().manual_seed(1)
    images = torch.randn(128, 5, generator=g)
    parts = images.split([42, 43, 43])
    given = tensor(answer([part.mean(0) for part in parts], [42, 43, 43]), (5,))
    expect(torch.allclose(given, images.mean(0), atol=1e-5),
           "Three shares of 42, 43 and 43 images do not come out as the mean of the 128.")
    return "128 images over three processes: 42, 43, 43. Without weights, nobody would notice."


@exercise("06-5", "Try 2 GPUs, 3, 4, ...; step_time gives (computing, exchanging) in seconds.")
def even(answer):
    fast = scaling.Machine(5e13, 50e9, 5e-6)
    cases = [("columns", 1024, fast, 6), ("data", 1024, fast, 6), ("data", 8192, fast, 37),
             ("mix", 1024, fast, 13), ("data", 128, scaling.Machine(2.5e11, 6e9), 15)]
    for way, images, machine, _ in cases:
        right = next(n for n in range(2, images + 1)
                     if _exchanges_longer(machine, way, n, images))
        given = number(answer(ALEXNET, machine, way, images))
        what = f"{way}, minibatch {images}, a GPU of {machine.macs_per_s:g} multiply-adds/s: "
        expect(given > 1, what + "one GPU exchanges nothing; begin with 2.")
        expect(given != right - 1, what + f"with {right - 1} GPUs, exchanging still takes less "
               "time than computing.")
        expect(given <= right, what + f"{given:g} GPUs are too many: it happens earlier.")
        expect(given == right, what + f"with {given:g} GPUs, exchanging takes less time than "
               "computing.")
    return "From there on, more than half of the money is spent on waiting."


def _exchanges_longer(machine, way, gpus, images):
    computing, exchanging = scaling.step_time(ALEXNET, machine, way, gpus, images)
    return exchanging >= computing
