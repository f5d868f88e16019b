"""Exercises of notebook 14, Your own photographs."""

import math
from functools import lru_cache

import numpy as np
import torch

from alexnet_lib import course
from alexnet_lib.course.exercises import exercise, expect, filled, number
from alexnet_lib.features import center
from alexnet_lib.research import transfer


@exercise("14-1", "The standard error of a share p among n photographs is sqrt(p (1 - p) / n).")
def how_many_to_test(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2,
           "Pass (points_now, photographs).")
    now, photographs = map(number, answer)
    expect(abs(now - 0.103) > 0.003, "Give the standard error in points, not as a fraction.")
    expect(abs(now - 4) > 0.05, "Five classes share the 15 photographs: how many is that in all? "
           "Here you counted more.")
    expect(abs(now - 10.33) < 0.2, f"{now:g} points isn't it: three of 15 photographs are wrong.")
    expect(abs(photographs - 44) > 2, "At 44, the standard error is six points.")
    expect(abs(photographs - 711) > 12, "That's for 1.5 points. Three points are asked for.")
    expect(174 <= photographs <= 182,
           f"{photographs:g} photographs give {100 * (0.16 / max(photographs, 1)) ** 0.5:.1f} "
           "points.")
    return "Ten points, either way: 15 photographs can't even tell 10% from 30%."


@exercise("14-2", "On log scales, equal steps to the right are equal factors. How many steps of "
          "ten are there from 20 to 500? The logarithm to the base 10 of 25.")
def lay_a_ruler(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2,
           "Pass (factor, photographs).")
    factor, photographs = map(number, answer)
    rows = transfer.records()["probe-227"]
    few, many = (100 * np.mean([row["test_error"] for row in rows[n]]) for n in (20, 500))
    right = (many / few) ** (1 / math.log10(25))
    enough = 500 * (10 / many) ** (math.log(25) / math.log(many / few))
    expect(abs(factor - many / few) > 0.01 or abs(right - many / few) < 0.01,
           "That's for 25 times as many photographs, from 20 to 500.")
    expect(factor < 1, "The error shrinks: the factor is below 1.")
    expect(abs(factor - right) < 0.06, f"With a factor of {factor:g} for ten times as many, 20 "
           f"photographs at {few:.0f}% would lead to "
           f"{few * max(factor, 0.01) ** math.log10(25):.0f}% at 500.")
    expect(photographs > 500, "At 500 it isn't down to 10% yet.")
    expect(enough / 2.5 < photographs < 2.5 * enough,
           f"Follow the line further: at {photographs:g} it would be at "
           f"{many * right ** math.log10(photographs / 500):.0f}%.")
    return ("Many more than anybody wants to take. That's when people borrow from a network that "
            "has seen more than 9,469 photographs, instead of taking more of their own.")


LAYERS = ("pool1", "pool2", "act4", "pool3")


@exercise("14-3", "borrowed.model[:n] holds the first n parts; list(borrowed.model._modules) names "
          "them.")
def which_layer(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (errors, best).")
    errors, best = answer
    found = {name: number(filled(errors, LAYERS)[name]) for name in LAYERS}
    for name, value in found.items():
        expect(value > 1.5, f"{name}: {value:g}% looks like a fraction, or like the error on the "
               "pictures that the probe has learned. Test on new ones, in percent.")
        expect(value < 85, f"{name}: {value:g}% is hardly better than guessing. Does the probe "
               "get features of the same layer for both kinds of pictures?")
    expect(len(set(found.values())) > 1, "The layers should differ: is the network cut off?")
    expect(best in LAYERS, f"Name one of {', '.join(LAYERS)}.")
    expect(found[best] == min(found.values()), f"Your own errors say something else than {best}.")
    return ("The later a layer, the more it knows about photographs of chain saws, and drawn "
            "shapes are none. Which layer to borrow from depends on how far your pictures are "
            "from those of the pretraining.")


@exercise("14-4", "Draw an order of the groups, and hold out one after the other until there are "
          "enough photographs.")
def hold_out(answer):
    generator = np.random.default_rng(5)
    names = np.repeat([f"burst {k}" for k in range(40)], generator.integers(1, 8, 40))
    names = generator.permutation(names).tolist()
    drawn = []
    for seed in range(4):
        held = np.asarray(answer(list(names), 0.2, seed))
        expect(held.shape == (len(names),) and set(held.tolist()) <= {0, 1},
               "Return True or False for each photograph, in their order.")
        held = held.astype(bool)
        torn = [name for name in set(names)
                if len({bool(h) for h, n in zip(held, names, strict=True) if n == name}) > 1]
        expect(not torn, f"{len(torn)} of 40 bursts have photographs on both sides.")
        count = held.sum()
        expect(count >= 0.2 * len(names), f"Only {count} of {len(names)} photographs are held "
               "out; at least a share of 0.2 is asked for.")
        expect(count < 0.2 * len(names) + 7, f"{count} of {len(names)} are held out, more than "
               "needed: stop as soon as there are enough.")
        drawn.append(tuple(held))
    expect(len(set(drawn)) > 1, "Another seed should hold out other bursts.")
    again = np.asarray(answer(list(names), 0.2, 3)).astype(bool)
    expect(tuple(again) == drawn[3], "The same seed should hold out the same bursts every time.")
    return "scikit-learn has it as GroupShuffleSplit. Now your validation error means something."


@lru_cache(1)
def _cat():
    """The network of the notebook, and the cat as it sees it."""
    net = course.trained()
    return net, center(net, course.photographs(256, ["cat"])["cat"][None], [0])[0]


@exercise("14-5", "In each step, add the losses of the picture and of its mirror image "
          "(x.flip(3)), and take the gradient of the sum.")
def church(answer):
    net, cat = _cat()
    picture = np.asarray(answer)
    expect(picture.shape == cat.shape, f"The picture should be {cat.shape}, as `cat` is.")
    expect(picture.dtype == np.uint8, "A file holds whole numbers from 0 to 255: round, clip, and "
           "convert to uint8.")
    far = np.abs(picture.astype(int) - cat.astype(int)).max()
    expect(far <= 6, f"Some values are {far} away from the photograph; 6 is allowed.")
    low = (net.augment.stored - len(cat)) // 2
    mean = net.augment.mean[low:low + len(cat), low:low + len(cat)]
    for name, seen in (("it", picture), ("its mirror image", picture[:, ::-1])):
        x = torch.as_tensor(seen.astype(np.float32)) - mean
        with torch.no_grad():
            probs = net.model(x.permute(2, 0, 1)[None]).softmax(1)[0]
        sure, k = probs[net.classes.index("church")].item(), int(probs.argmax())
        expect(sure >= 0.95, f"The network calls {name} a {net.classes[k]} ({probs[k]:.0%}); "
               f"church has {sure:.0%}.")
    return "Both of them. An attack that has to survive a change can usually be taught to."
