"""Exercises of notebook 06, two GPUs."""

import torch

from alexnet_lib import AlexNet, layer_table
from alexnet_lib.course.exercises import exercise, expect, filled, number, tensor


@exercise("06-1", "Go through conv2 to fc8, one by one: does this layer see the other column's "
                  "maps in run 132?")
def own_column(answer):
    try:
        names = {str(name) for name in answer}
    except TypeError:
        names = set()
    expect(names and not isinstance(answer, str), 'Give a set of names, such as {"conv2"}.')
    strange = names - {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"}
    expect(not strange, f"The network has no layer called {', '.join(sorted(strange))}.")
    expect("conv1" not in names, "conv1 sees the image, which belongs to no column.")
    expect("conv4" not in names, "conv4 is where they talk in run 132.")
    expect("conv3" in names, "conv3 talks in the paper's network, but not in run 132.")
    expect(not names & {"fc6", "fc7", "fc8"}, "The fully connected layers read everything.")
    expect({"conv2", "conv5"} <= names, "One that keeps to its column is still missing.")
    return "conv4 reads 64,896 numbers where conv3 reads 43,264: more to send, and a higher error."


@exercise("06-2", "Compare each panel with the first: which bars changed, and by what factor?")
def who_changed_what(answer):
    answer = filled(answer, "ABCD", ("image", "bytes", "units", "kernels"))
    expect(len(set(answer.values())) == 4, "Use each of the four once.")
    expect(answer["C"] == "kernels", "Only one panel has bars where the paper has none.")
    expect(answer["A"] == "units", "In one panel some bars have doubled. Which layers are those?")
    expect(answer["D"] == "bytes", "One of B and D shrinks every bar by the same factor; the other "
           "leaves fc7 and fc8 alone.")
    return ("Feature maps grow with the image; fully connected layers don't. Today, mixed "
            "precision sends half the bytes, as D does.")


@exercise("06-3", "Call split_error(net_with(layer), x, labels) for each of the four.")
def spoilers(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (errors, spoilers).")
    errors, names = answer
    layers = ("response normalization", "max pooling", "dropout", "batch normalization")
    found = {name: number(filled(errors, layers)[name]) for name in layers}
    for name in ("response normalization", "max pooling"):
        expect(0 <= found[name] < 1e-3, f"{name}: {found[name]:.2g} is too much for a layer that "
               "treats each image on its own. Give split_error a fresh net_with(...).")
    for name in ("dropout", "batch normalization"):
        expect(found[name] > 1e-3, f"{name}: {found[name]:.2g} is hardly a difference. Is the "
               "network in training mode, and does it have this layer?")
    expect(isinstance(names, (set, list, tuple)), "`spoilers` should be a set of names.")
    expect(set(names) == set(layers) - {"response normalization", "max pooling"},
           "Compare your names with your numbers: rounding alone stays below a ten-thousandth.")
    return ("Batch normalization lets images influence each other. Dropout doesn't, but it draws "
            "a new mask in every pass.")


@exercise("06-4", "A gradient that stands for more images must count for more.")
def average(answer):
    shares = [torch.tensor([4.0, 0.0]), torch.tensor([8.0, 4.0])]
    given = tensor(answer(shares, [3, 1]), (2,))
    expect(not torch.allclose(given, torch.tensor([6.0, 2.0])),
           "With 4 as the mean of three images and 8 from a single one, the mean isn't 6.")
    expect(torch.allclose(given, torch.tensor([5.0, 1.0])),
           "(4, 0) is the mean of three images, (8, 4) comes from one. You gave "
           f"({given[0]:g}, {given[1]:g}) for all four.")
    g = torch.Generator().manual_seed(1)
    images = torch.randn(128, 5, generator=g)
    parts = images.split([42, 43, 43])
    given = tensor(answer([part.mean(0) for part in parts], [42, 43, 43]), (5,))
    expect(torch.allclose(given, images.mean(0), atol=1e-5),
           "With 42, 43, and 43 images, it isn't the mean of all 128.")
    return ("With 42, 43, and 43 images, a plain mean is off by so little that nobody would "
            "notice. Those are the bugs that stay.")


@exercise("06-5", "Make a list of (work of the slower card, numbers that cross, name), one entry "
                  "for each cut, and take the smallest.")
def best_cut(answer):
    made = [{"name": name, "macs": macs, "units": units} for name, macs, units in
            (("a", 10, 5), ("b", 0, 2), ("c", 0, 3), ("d", 10, 1))]
    for what, rows in (("For layers with 10, 0, 0, and 10 multiply-adds and 5, 2, 3, and 1 outputs",
                        made),
                       ("For AlexNet", layer_table(AlexNet())),
                       ("Without the trick", layer_table(AlexNet(columns=1))),
                       ("For images of 91 pixels", layer_table(AlexNet(input_size=91)))):
        given = answer(rows)
        expect(isinstance(given, (tuple, list)) and len(given) == 2,
               "Return two things: (name, numbers that cross).")
        name, crossing = str(given[0]), number(given[1])
        slower, crossed = _cuts(rows)[_best(rows)], {row["name"]: row["units"] for row in rows}
        expect(name in _cuts(rows), f"{what}: {name!r} can't be the last layer on the first card.")
        expect(_cuts(rows)[name] <= slower, f"{what}: with a cut after {name}, the slower card "
               f"has {_cuts(rows)[name] / slower:.3g} times the work it could have.")
        expect(crossed[name] <= crossed[_best(rows)], f"{what}: a cut after {name} divides the "
               "work well, but another one does, too, and sends less.")
        expect(crossing == crossed[name], f"{what}: a cut after {name} sends {crossed[name]:,} "
               f"numbers per image, not {crossing:,.0f}.")
    return ("Cut after pool2: 43,264 numbers, a single exchange. But while one card works, the "
            "other waits, unless you feed in a few images at a time. That's pipeline-parallel "
            "training.")


def _cuts(rows) -> dict[str, int]:
    """The slower card's multiply-adds, by the last layer on the first card."""
    work = [row["macs"] for row in rows]
    return {row["name"]: max(sum(work[:k]), sum(work[k:]))
            for k, row in enumerate(rows[:-1], 1)}


def _best(rows) -> str:
    units, cuts = {row["name"]: row["units"] for row in rows}, _cuts(rows)
    return min(cuts, key=lambda name: (cuts[name], units[name]))
