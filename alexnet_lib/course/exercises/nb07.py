"""Exercises of notebook 07, data augmentation."""

import itertools

import torch

from alexnet_lib.course.exercises import exercise, expect, filled, number, tensor


@exercise("07-1", "Pad first: 32 + 4 + 4 pixels. Then count positions as for 224 of 256.")
def counts(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Give both numbers.")
    inputs, percent = map(number, answer)
    expect(inputs != 128, "8 pixels to spare make 9 positions, from 0 to 8.")
    expect(inputs != 81, "Each position also has a mirror.")
    expect(inputs == 162, f"(a) is not {inputs:g}. After padding the picture is 40 pixels wide.")
    expect(not 0.03 < percent < 0.05, "(b) asks for a percentage.")
    expect(percent < 50, "In 90 epochs the network sees at most 90 of the 2178 inputs.")
    expect(3.9 < percent < 4.2, f"(b) is not {percent:g}%. How many of 2178 are 90?")
    return "The network never sees most of its 2178 inputs. What helps is that each one is new."


@exercise("07-2", "Start at the left edge, and work out how many positions of a crop show pixel 0.")
def curves(answer):
    names = ("RandomCrop(224)", "RandomCrop(96)", "RandomCrop(256, padding=32)",
             "RandomResizedCrop(224)", "worst at the edge")
    answer = filled(answer, names, tuple("ABCD"))
    crop, small, padded, resized, edge = (answer[name] for name in names)
    expect(resized == "B", "Parts of random size leave no corners. Which curve is round?")
    expect(small == "A", "A crop of 96 covers 96 of 256 rows, so no pixel is in most crops.")
    expect((crop, padded) == ("D", "C"), "With 32 pixels of padding, half of the crops show pixel "
           "0; without, 1 of 33 does.")
    expect(edge == "A", "Read all four curves at pixel 10: which is lowest?")
    return "A transform also says which part of a picture matters."


@exercise("07-3", "Call error(center, moved(known.images, pixels), known.labels) five times.")
def forgotten(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Give errors and layers.")
    errors, layers = answer
    expect(isinstance(errors, (tuple, list)) and len(errors) == 5 and ... not in errors,
           "Give five errors: for 0, 1, 2, 3, and 4 pixels.")
    errors = [number(value) for value in errors]
    expect(max(errors) > 1, "Give the errors in percent.")
    expect(errors[4] - errors[0] > 5, "At 4 pixels, the error should be far above the one at 0: "
           "pass the moved images to the network `center`.")
    expect(errors[1] < errors[4], "The error grows with the distance; is your list in order?")
    expect(layers in ("convolutions", "pooling", "fully connected layers"),
           'Is it "convolutions", "pooling" or "fully connected layers"?')
    expect(layers != "convolutions", "A kernel uses the same weights at every position.")
    expect(layers != "pooling", "Pooling has no weights.")
    return "Convolutions carry a shift along; fc6 meets it with weights made for other positions."


@exercise("07-4", "Write down what each mirror makes of b, d, p, and q, as a list of four numbers.")
def relabel(answer):
    for label, h, v in itertools.product(range(4), (False, True), (False, True)):
        how = " and ".join(["left-right"] * h + ["upside down"] * v) or "not at all"
        found = number(answer(label, h, v))
        expect(found == label ^ (h + 2 * v),
               f"{'bdpq'[label]}, mirrored {how}, is not number {found:g}.")
    return "Mirrors with the right labels are free data. Now run learn_from_b(relabel)."


@exercise("07-5", "Paste first, then measure the part of the picture that was covered.")
def cutmix(answer):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 3, 8, 8, generator=generator)
    labels = torch.eye(3)
    for top, left, side, share in ((0, 0, 4, 16 / 64), (2, 3, 2, 4 / 64), (6, 5, 4, 6 / 64)):
        given, known = images.clone(), labels.clone()
        found = answer(given, known, top, left, side)
        expect(isinstance(found, (tuple, list)) and len(found) == 2, "Return images and labels.")
        mixed, blended = tensor(found[0], (3, 3, 8, 8)), tensor(found[1], (3, 3))
        expect(torch.equal(given, images) and torch.equal(known, labels),
               "The pictures or labels that came in have changed: clone them first.")
        inside = torch.zeros(8, 8, dtype=torch.bool)
        inside[top:top + side, left:left + side] = True
        expect(torch.equal(mixed[..., ~inside], images[..., ~inside]),
               "Outside of the square, nothing should change. `top` counts rows.")
        expect(torch.equal(mixed[..., inside], images.roll(-1, 0)[..., inside]),
               "Inside the square, each picture should show the next one (the last, the first).")
        expect(torch.allclose(blended.sum(1), torch.ones(3), atol=1e-4),
               "The labels of a picture should still sum to 1.")
        expect(torch.allclose(blended[0], torch.tensor([1 - share, share, 0.0]), atol=1e-4),
               f"{share:.1%} of the first picture comes from the second, but its label "
               f"says {blended[0, 1]:.1%}. Only the part inside the picture counts.")
        expect(torch.allclose(blended[2], torch.tensor([share, 0.0, 1 - share]), atol=1e-4),
               "The labels should be mixed with those of the next picture, as the pixels are.")
    return "That's CutMix. In 2012, the fade mixed the pixels and left the label alone."
