"""Checks of a trained net, on data that it should know."""

import math

import numpy as np
import torch

from alexnet_lib import datasets
from alexnet_lib.config import autocast
from alexnet_lib.course.doctor.data import renamed
from alexnet_lib.course.doctor.finding import OK, WRONG, Finding
from alexnet_lib.course.doctor.net import in_mode
from alexnet_lib.weights import LoadedModel


def class_order(known: tuple[str, ...], dataset: datasets.Dataset) -> Finding:
    """Has a trained net learned the classes of these data, in this order?"""
    known, given = list(known), list(dataset.classes)
    if known == given:
        return Finding("classes of the net", OK, f"its {len(known)} classes, in its order")
    if sorted(known) == sorted(given):
        n, a, b = next((n, a, b) for n, (a, b) in enumerate(zip(known, given, strict=True))
                       if a != b)
        return Finding("classes of the net", WRONG, f"another order: class {n} is {a!r} for the "
                       f"network and {b!r} in the data; sort them as the network does")
    return Finding("classes of the net", WRONG, f"the network knows {len(known)} classes, the "
                   f"data have {len(given)}, and they differ: use the data it was trained on")


@torch.no_grad()
def permuted(net: LoadedModel, dataset: datasets.Dataset, count: int = 512) -> Finding:
    """Is a trained net right, and if not: would it be, were the classes named otherwise?"""
    split = "val" if "val" in dataset.splits else "train"
    part, k = dataset.splits[split], len(dataset.classes)
    which = np.sort(np.random.default_rng(0).permutation(len(part))[:count])
    guess = []
    with in_mode(net.model, False):
        for index in torch.from_numpy(which).split(64):
            with autocast(net.config):
                guess.append(net.model(net.augment.view(part.images, index)).argmax(1).cpu())
    guess, truth = torch.cat(guess).numpy(), np.asarray(part.labels)[which]
    right, base = float((guess == truth).mean()), float(np.bincount(truth).max() / len(truth))
    numbers = {"right": right, "by chance": base}
    told = f"{right:.0%} of {len(truth)} images of {split} are right"
    if pairs := renamed(truth, guess, k, base):
        a, b = pairs[0]
        return Finding("answers", WRONG, f"{told}; more would be with other class names: "
                       f"it calls {dataset.classes[a]!r} {dataset.classes[b]!r}, and "
                       f"{len(pairs) - 1} more. The order of the classes has changed", numbers)
    if right < base + 3 * math.sqrt(base * (1 - base) / len(truth)):
        return Finding("answers", WRONG, f"{told}, no more than by always answering the same: "
                       "this network has learned nothing; run the doctor without --checkpoint",
                       numbers)
    return Finding("answers", OK, told, numbers)
