"""Why does it not train? Quick checks of data, net and rate; each gives a `Finding`.

`examine` runs them all, in under a minute on two CPU cores with small images. What each looks for
and where its limits come from is shown, one cause at a time, in notebook 10.
"""

import contextlib
import copy
import dataclasses
import importlib.metadata
import math
import platform
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import datasets, kernels
from alexnet_lib.augment import Augment
from alexnet_lib.errors import UserError
from alexnet_lib.layers import Dropout
from alexnet_lib.optim import PaperSGD, parameter_groups
from alexnet_lib.training import (
    Loaded,
    TrainConfig,
    autocast,
    build_augment,
    build_model,
    fit_to_data,
    resolve,
    seeded,
)

OK, LOOK, WRONG = "ok", "look", "wrong"
HANDFUL = 16     # images to learn by heart
STEPS = 100      # at most, on the handful, at each rate
SECONDS = 8.0    # at most, at each rate; no further rate is tried after three times as long
IMAGES = 64      # that the layers are measured on; a quarter of it above LARGE pixels
LARGE = 128
BYTES = 1 << 30  # of images that are searched for duplicates, in each split
# Standard deviation of the inputs that each initialisation is made for: 0-255 less the mean
# has about 70, and "he" keeps the size of its input, which should be about 1.
INPUT_STD = {"he": (0.1, 10.0), "other": (15.0, 250.0)}
# A gradient beside the weights it belongs to: too small, too large (see `gradients`).
VANISHED, EXPLODED = 2e-4, 1e3


@dataclass(frozen=True)
class Finding:
    """What one check found. verdict: "ok", "look" (may be meant so) or "wrong"; words: what was
    found and, unless all is well, what to do. numbers: what it rests on, fit for JSON."""

    name: str
    verdict: str
    words: str
    numbers: dict = field(default_factory=dict)


def examine(config: TrainConfig, dataset: datasets.Dataset | None = None,
            net: nn.Module | Loaded | None = None,
            say: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """All checks, in the order in which their causes should be mended.

    Args:
        config: of the run that does not train. dataset: instead of loading `config.data`.
        net: a fresh net of your own, called as `net(images)`, instead of the one that `config`
            describes; or a trained one, from `training.load_model`, for which the checks of the
            first step and of the rate are left out.
        say: gets a line before each part that takes time.

    Raises UserError for a configuration that cannot be.
    """
    trained = isinstance(net, Loaded)
    config = net.config if trained else resolve(config)
    found = [environment(config)]
    say("reading the data")
    if dataset is None:
        dataset = datasets.load(config.data, config.stored_size, skip_broken=config.skip_broken)
    if config.limit is not None:
        train = dataset.splits["train"]
        some = datasets.Split(train.images[:config.limit], train.labels[:config.limit])
        dataset = dataclasses.replace(dataset, splits=dataset.splits | {"train": some})
    found += examine_data(dataset)
    broken = [f.name for f in found if f.verdict == WRONG and f.name in ("labels", "images")]
    if broken:
        return [*found, Finding("net", LOOK, f"not looked at: mend the {broken[0]} first")]
    found += [] if config.num_classes is None else [class_count(config, dataset)]
    if found[-1].verdict == WRONG and not trained:
        return found
    say("looking into the net")
    if trained:
        return found + examine_trained(net, dataset)
    return found + examine_fresh(fit_to_data(config, dataset), dataset, net, say)


def examine_data(dataset: datasets.Dataset) -> list[Finding]:
    """The checks that need no net."""
    found = [labels(dataset)]
    if found[0].verdict != WRONG:
        found.append(class_sizes(dataset))
    found.append(images(dataset))
    if found[-1].verdict != WRONG and found[0].verdict != WRONG:
        found += [duplicates(dataset), same_meaning(dataset)]
    return found


def examine_fresh(config: TrainConfig, dataset: datasets.Dataset, model: nn.Module | None = None,
                  say: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """The checks of a net before its first step, and of its first steps on a handful of images."""
    own, device = model is not None, config.device
    model = copy.deepcopy(model) if own else build_model(config)
    model = model.to(device)
    train = dataset.splits["train"]
    augment = build_augment(config, dataset.mean, dataset.colour_values, dataset.colour_vectors)
    found = [input_scale(drawn_batch(augment, train), None if own else config)]
    x, y = batch(augment, train, device, IMAGES // (4 if config.input_size > LARGE else 1))
    found += [probabilities_out(model, x, len(dataset.classes)), evaluation_mode(model, x)]
    if "finite" in found[-2].words or "one number" in found[-2].words:
        return found
    with autocast(config):
        rows = layers(model, x, y)
        found += [first_loss(model, x, y, len(dataset.classes)), depends_on_image(rows)]
    found += [dead_units(rows), gradients(rows)]
    say("learning a handful of images by heart")
    x, y = batch(augment, train, device, HANDFUL)
    return found + learning(model, x, y, config, rows)


def examine_trained(net: Loaded, dataset: datasets.Dataset) -> list[Finding]:
    """The checks of a trained net on data that it should know."""
    found = [class_order(net.classes, dataset)]
    train = dataset.splits["train"]
    x, y = batch(net.augment, train, net.config.device)
    found += [input_scale(x), probabilities_out(net.model, x),
              evaluation_mode(net.model, x, trained=True)]
    if found[0].verdict != WRONG:
        with autocast(net.config):
            rows = layers(net.model, x, y)
        found += [depends_on_image(rows), dead_units(rows)]
        found.append(permuted(net, dataset))
    return found


# The environment.

def environment(config: TrainConfig | None = None) -> Finding:
    """Versions, device and fast paths, for an issue form; "look" if a GPU lies idle."""
    numbers = {name: _version(name) for name in ("alexnet-course", "torch", "torchvision",
                                                 "numpy")}
    numbers = {"python": platform.python_version(), **numbers,
               "system": f"{platform.system()} {platform.machine()}",
               "device": torch.cuda.get_device_name() if torch.cuda.is_available()
               else "mps" if torch.backends.mps.is_available() else "cpu",
               "threads": torch.get_num_threads(), "kernels": kernels.told()}
    if config is not None:
        numbers |= {"asked for": f"{config.device}, {config.precision}"}
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        why = ("this torch is built without CUDA" if torch.version.cuda is None else
               "torch cannot use it")
        return Finding("environment", LOOK, f"there is an NVIDIA driver, but {why}: install torch "
                       "as pytorch.org says for your CUDA", numbers)
    return Finding("environment", OK, f"python {numbers['python']}, torch {numbers['torch']}, "
                   f"{numbers['device']}", numbers)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


# The data.

def labels(dataset: datasets.Dataset) -> Finding:
    """Are the labels whole numbers from 0 to one less than there are classes, one per image?"""
    classes, name = len(dataset.classes), "labels"
    numbers = {}
    for split, part in dataset.splits.items():
        given = np.asarray(part.labels)
        if len(given) != len(part.images):
            return Finding(name, WRONG, f"{split} has {len(part.images)} images and {len(given)} "
                           "labels: give one label to each image")
        if not len(given):
            return Finding(name, WRONG, f"{split} is empty: add images, or leave the split out")
        if not np.issubdtype(given.dtype, np.integer):
            return Finding(name, WRONG, f"{split} has labels of type {given.dtype}: give the "
                           "number of the class, as int64")
        numbers[split] = [int(given.min()), int(given.max())]
    low, high = min(a for a, _ in numbers.values()), max(b for _, b in numbers.values())
    if low == 1 and high == classes:
        return Finding(name, WRONG, f"they count from 1 to {classes}, not from 0 to {classes - 1}: "
                       "subtract 1", numbers)
    if low < 0 or high >= classes:
        return Finding(name, WRONG, f"they go from {low} to {high}, but with {classes} classes "
                       f"they must lie in 0 to {classes - 1}", numbers)
    return Finding(name, OK, f"{low} to {high}, for {classes} classes", numbers)


def class_sizes(dataset: datasets.Dataset, few: int = 10) -> Finding:
    """Has every class images, and none hardly any?"""
    classes = len(dataset.classes)
    counts = {split: np.bincount(part.labels, minlength=classes)
              for split, part in dataset.splits.items()}
    numbers = {split: dict(zip(map(str, dataset.classes), map(int, n), strict=True))
               for split, n in counts.items()} if classes <= 100 else {}
    train = counts["train"]
    empty = np.flatnonzero(train == 0)
    if len(empty):
        hint = _from_one(empty)
        return Finding("class sizes", WRONG, f"{_named(dataset, empty)} without a single training "
                       f"image{hint}: add images, or drop the class", numbers)
    for split, n in counts.items():
        if (n == 0).any():
            missing = np.flatnonzero(n == 0)
            return Finding("class sizes", LOOK, f"{_named(dataset, missing)} without an image in "
                           f"{split}{_from_one(missing)}: nothing will be measured there", numbers)
    tiny = np.flatnonzero(train < few)
    if len(tiny):
        return Finding("class sizes", LOOK, f"{_named(dataset, tiny)} with fewer than {few} "
                       "training images: they can hardly be learned", numbers)
    share = train.max() / train.sum()
    if train.max() > 10 * np.median(train) or (classes > 2 and share > 0.5):
        return Finding("class sizes", LOOK, f"{share:.0%} of the training images are "
                       f"{dataset.classes[int(train.argmax())]!r}: who always says so is right as "
                       "often. Look at the scores of each class", numbers)
    return Finding("class sizes", OK, f"{train.min():,} to {train.max():,} training images in "
                   f"each of {classes} classes", numbers)


def _from_one(missing) -> str:
    return " (do labels count from 1?)" if list(missing) == [0] else ""


def _named(dataset, which, most: int = 3) -> str:
    names = ", ".join(str(dataset.classes[i]) for i in which[:most])
    return (f"class {names}" if len(which) == 1 else f"{len(which)} classes ({names}"
            f"{', ...' if len(which) > most else ''})")


def images(dataset: datasets.Dataset, count: int = 256) -> Finding:
    """Do the images show something, and not all the same? Looks at `count` of each split."""
    blank, numbers = {}, {}
    for split, part in dataset.splits.items():
        if not len(part.images):
            continue
        some = sample(part.images, count)
        if not np.isfinite(some).all():
            return Finding("images", WRONG, f"{split} holds values that are not numbers")
        if some.max() <= 1.5 and some.max() > 0:
            return Finding("images", WRONG, f"{split}'s values go from {some.min():g} to "
                           f"{some.max():g}: store them as 0-255", numbers)
        own = some.reshape(len(some), -1).std(1)  # of each image over its pixels
        blank[split] = float((own < 1).mean())
        numbers[split] = {"contrast": float(np.median(own)), "blank": blank[split],
                          "between images": float(some.std(0).mean())}
        if len(some) > 1 and numbers[split]["between images"] < 0.5 and blank[split] < 0.5:
            return Finding("images", WRONG, f"those of {split} are all alike: is one file read "
                           "again and again?", numbers)
    worst = max(blank, key=blank.get)
    if blank[worst] > 0.5:
        return Finding("images", WRONG, f"{blank[worst]:.0%} of those in {worst} are blank (one "
                       "value everywhere): look at how they are read", numbers)
    if blank[worst] > 0.01:
        return Finding("images", LOOK, f"{blank[worst]:.0%} of those in {worst} are blank: look "
                       "whether their files are whole", numbers)
    return Finding("images", OK, f"{dataset.size} px, contrast {numbers['train']['contrast']:.0f} "
                   "grey levels", numbers)


def sample(array, count: int, seed: int = 0) -> np.ndarray:
    """`count` of the images, drawn from a seed, as float32."""
    which = np.sort(np.random.default_rng(seed).permutation(len(array))[:count])
    return np.stack([np.asarray(array[int(i)], np.float32) for i in which])


def duplicates(dataset: datasets.Dataset) -> Finding:
    """Is an image, byte for byte, in two splits, or there twice with two labels? By hash."""
    seen: dict[bytes, tuple[str, int]] = {}
    searched = copies = contrary = 0
    leaked: dict[str, int] = {}
    for split in sorted(dataset.splits, key=lambda name: name != "train"):
        part = dataset.splits[split]
        most = min(len(part), max(1, BYTES // part.images[0].nbytes))
        searched += most
        for i in range(most):
            mark = blake2b(np.ascontiguousarray(part.images[i]), digest_size=8).digest()
            here = split, int(part.labels[i])
            if mark not in seen:
                seen[mark] = here
                continue
            where, label = seen[mark]
            copies += where == split == "train"
            contrary += label != here[1]
            if where != split:
                leaked[split] = leaked.get(split, 0) + 1
    numbers = {"searched": searched, "in another split": sum(leaked.values()),
               "copies in train": copies, "with another label": contrary}
    if leaked:
        split = max(leaked, key=leaked.get)
        share = leaked[split] / len(dataset.splits[split])
        return Finding("duplicates", WRONG if share > 0.01 else LOOK,
                       f"{leaked[split]} images of {split} ({share:.1%}) are in another split, "
                       "too: take them out, or its error says nothing", numbers)
    if contrary:
        return Finding("duplicates", LOOK, f"{contrary} images are there twice, "
                       "with different labels: look which is right", numbers)
    if copies > 0.05 * len(dataset.splits["train"]):
        return Finding("duplicates", LOOK, f"{copies} training images are copies of "
                       "others: keep one of each", numbers)
    return Finding("duplicates", OK, f"no image in two splits, of {searched:,} searched", numbers)


def same_meaning(dataset: datasets.Dataset, count: int = 2000) -> Finding:
    """Does a number stand for the same class in train and val?

    Fits the labels of half of the training images by least squares to thumbnails of 8 x 8 pixels,
    then asks about the other half and about val. Who finds the classes in one and not in the
    other has met another order of the classes. Where thumbnails do not show the class, it cannot
    tell, and says so.
    """
    if "val" not in dataset.splits:
        return Finding("class order", LOOK, "there is no val: nothing to measure by")
    k, name = len(dataset.classes), "class order"
    (x, y), (vx, vy) = (thumbnails(dataset.splits[s], count) for s in ("train", "val"))
    half = len(x) // 2
    centre, spread = x[:half].mean(0), x[:half].std(0) + 1e-6
    x, vx = (np.c_[(part - centre) / spread, np.ones(len(part))] for part in (x, vx))
    a = x[:half]
    ridge = 0.1 * len(a) * np.eye(a.shape[1])
    weights = np.linalg.solve(a.T @ a + ridge, a.T @ np.eye(k)[y[:half]])
    guess, val_guess = (x[half:] @ weights).argmax(1), (vx @ weights).argmax(1)
    base = max(np.bincount(y).max() / len(y), np.bincount(vy).max() / len(vy))
    right, val_right = (guess == y[half:]).mean(), (val_guess == vy).mean()
    doubt = 4 * math.sqrt(base * (1 - base) / min(len(guess), len(vy)))
    numbers = {"right in train": float(right), "right in val": float(val_right),
               "by chance": float(base)}
    if right < base + max(doubt, 0.05):
        return Finding(name, OK, "cannot tell: thumbnails do not show the class. The names "
                       "of folders are compared at loading", numbers)
    if val_right > base + 0.4 * (right - base):
        return Finding(name, OK, "what thumbnails show of train's classes holds for val", numbers)
    told = renamed(vy, val_guess, k, base)
    if told:
        a, b = told[0]
        return Finding(name, WRONG, f"val's {dataset.classes[a]!r} looks like train's "
                       f"{dataset.classes[b]!r}, and {len(told) - 1} more: number the classes of "
                       "all splits from one list", numbers)
    return Finding(name, LOOK, "what thumbnails show of train's classes does not hold for val: "
                   "are its labels right, its images of the same kind?", numbers)


def thumbnails(part: datasets.Split, count: int, side: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """(N, side * side * 3) means of blocks of pixels, and labels, of `count` images."""
    which = np.random.default_rng(0).permutation(len(part))[:count]
    found = np.empty((len(which), side * side * 3))
    for row, i in enumerate(which):
        image = np.asarray(part.images[int(i)], np.float32)
        edge = np.linspace(0, len(image), side + 1).astype(int)[:-1]
        blocks = np.add.reduceat(np.add.reduceat(image, edge, 0), edge, 1)
        found[row] = blocks.ravel()
    return found, np.asarray(part.labels)[which]


def renamed(truth: np.ndarray, guess: np.ndarray, k: int, base: float) -> list[tuple[int, int]]:
    """(true class, what it is taken for) where the two differ, if one renaming of the classes
    explains most answers; else nothing."""
    table = np.zeros((k, k))
    np.add.at(table, (truth, guess), 1)
    table /= table.sum(0).clip(1) ** 0.5  # a class that is guessed for everything is no partner
    taken, rest = {}, table.copy()
    for _ in range(k):
        a, b = np.unravel_index(rest.argmax(), rest.shape)
        taken[int(a)] = int(b)
        rest[a], rest[:, b] = -1, -1
    fits = np.mean([taken[t] == g for t, g in zip(truth.tolist(), guess.tolist(), strict=True)])
    better = fits > max(2 * np.mean(truth == guess), base + 4 * math.sqrt(base / len(truth)))
    present = set(truth.tolist())
    return [(a, b) for a, b in taken.items() if a != b and a in present] if better else []


def class_count(config: TrainConfig, dataset: datasets.Dataset) -> Finding:
    """Has the net an output for each class of the data?"""
    asked, found = config.num_classes, len(dataset.classes)
    if asked != found:
        return Finding("class count", WRONG, f"the net has {asked} outputs, the data have {found} "
                       "classes: leave out --num-classes, or choose other data")
    return Finding("class count", OK, f"{found} outputs, {found} classes")


def class_order(known: tuple[str, ...], dataset: datasets.Dataset) -> Finding:
    """Has a trained net learned the classes of these data, in this order?"""
    known, given = list(known), list(dataset.classes)
    if known == given:
        return Finding("classes of the net", OK, f"its {len(known)} classes, in its order")
    if sorted(known) == sorted(given):
        n, a, b = next((n, a, b) for n, (a, b) in enumerate(zip(known, given, strict=True))
                       if a != b)
        return Finding("classes of the net", WRONG, f"another order: class {n} is {a!r} to the net "
                       f"and {b!r} in the data; sort them as the net has them")
    return Finding("classes of the net", WRONG, f"the net knows {len(known)} classes, the data "
                   f"have {len(given)}, and not the same: give the data it was trained on")


# What goes in.

def drawn_batch(augment: Augment, train: datasets.Split, count: int = IMAGES) -> Tensor:
    """A training batch, augmented: (count, C, size, size)."""
    index = torch.randperm(len(train), generator=seeded(0, 0, 0))[:count]
    return augment.train(train.images, index, seeded(0, 1, 0))


def batch(augment: Augment, part: datasets.Split, device: str, count: int = IMAGES):
    """Centre crops of `count` images, class after class in turn, and their labels (count,)."""
    known = np.asarray(part.labels)
    order = np.random.default_rng(0).permutation(len(known))
    turn = np.empty(len(known), int)  # how many of the image's class came before it
    met: dict[int, int] = {}
    for i in order:
        turn[i] = met[int(known[i])] = met.get(int(known[i]), -1) + 1
    index = torch.from_numpy(order[np.argsort(turn[order], kind="stable")][:count].copy())
    x = augment.view(part.images, index)
    return x, torch.as_tensor(known[index.numpy()], dtype=torch.int64, device=device)


def input_scale(x: Tensor, config: TrainConfig | None = None) -> Finding:
    """Have the net's inputs the scale that its first weights are made for?

    Args:
        x: a training batch. config: resolved; None for a net whose weights are of another kind.
    """
    x = x.float()
    std, mean = x.std().item(), x.mean().item()
    numbers = {"std": std, "mean": mean, "min": x.min().item(), "max": x.max().item()}
    told = f"inputs of std {std:.3g}, mean {mean:.3g}"
    if not math.isfinite(std) or std == 0:
        return Finding("input scale", WRONG, f"{told}: look at the images, and at what divides "
                       "them", numbers)
    if config is not None:
        low, high = INPUT_STD.get(config.init or "", INPUT_STD["other"])
        init = config.init or config.variant
        if std < low:
            return Finding("input scale", WRONG, f"{told}: too small for the first weights of "
                           f"{init!r}, which are made for std {low:g} to {high:g}: take --divide 1 "
                           "(0-255 less the mean)" + ("" if init == "he" else ", or --init he"),
                           numbers)
        if std > high:
            return Finding("input scale", WRONG, f"{told}: too large for the first weights of "
                           f"{init!r}, which are made for std {low:g} to {high:g}: take "
                           + ("--divide 58, or --init 2012" if init == "he" else "--divide 1"),
                           numbers)
    if abs(mean) > 0.5 * std:
        return Finding("input scale", LOOK, f"{told}: is the mean taken off?", numbers)
    return Finding("input scale", OK, told, numbers)


# The net.

def probabilities_out(model: nn.Module, x: Tensor, classes: int | None = None) -> Finding:
    """Does the net end in a softmax, which the loss would then take a second time?"""
    name = "softmax"
    with in_mode(model, False), torch.no_grad():
        out = model(x).float()
    if out.dim() != 2 or (classes or out.shape[-1]) != out.shape[-1]:
        return Finding(name, WRONG, f"the net gives {tuple(out.shape)} for {len(x)} images: one "
                       "row for each image, one number for each class is wanted")
    if not out.isfinite().all():
        return Finding(name, WRONG, "the net gives numbers that are not finite: see the scales of "
                       "its layers")
    if (out >= 0).all() and torch.allclose(out.sum(1), torch.ones(len(out), device=out.device),
                                           atol=1e-3):
        k = out.shape[1]
        floor = math.log(math.e + k - 1) - 1
        return Finding(name, WRONG, "the net's outputs are probabilities already (they sum to 1), "
                       "and the loss takes a softmax, too: give it the numbers before the softmax. "
                       f"As it is, the loss cannot fall below {floor:.2f}", {"floor": floor})
    if torch.allclose(out.logsumexp(1), torch.zeros(len(out), device=out.device), atol=1e-3):
        return Finding(name, OK, "outputs are log-probabilities; a second log-softmax changes "
                       "nothing")
    return Finding(name, OK, "outputs are not yet probabilities, as the loss wants them")


@torch.no_grad()
def evaluation_mode(model: nn.Module, x: Tensor, trained: bool = False) -> Finding:
    """Does the net answer alike each time, as it should when it is measured?

    trained: the net is about to be measured, so it should be in evaluation mode already.
    """
    name, was = "evaluation", model.training

    def spread(training: bool) -> float:
        with in_mode(model, training):
            one, two = model(x).float(), model(x).float()
        return ((one - two).square().mean().sqrt() / one.std().clamp(min=1e-12)).item()

    numbers = {"change in eval mode": spread(False), "change in train mode": spread(True)}
    if numbers["change in eval mode"] > 1e-3:
        return Finding(name, WRONG, "in evaluation mode the same images get different answers: "
                       "something still draws at random. F.dropout needs training=self.training",
                       numbers)
    with in_mode(model, False):
        together, alone = model(x[:4]).float(), model(x[:1]).float()
    apart = (together[:1] - alone).abs().max() / together.std().clamp(min=1e-12)
    if apart > 0.05:
        return Finding(name, WRONG, "an image's answer depends on the images beside it: batch "
                       "statistics are used in evaluation mode", numbers)
    if trained and was and numbers["change in train mode"] > 1e-3:
        return Finding(name, WRONG, "the net stands in training mode, where dropout drops units: "
                       "call net.eval() before you measure", numbers)
    return Finding(name, OK, "in evaluation mode each image has one answer", numbers)


@torch.no_grad()
def first_loss(model: nn.Module, x: Tensor, y: Tensor, classes: int) -> Finding:
    """Is the first loss near that of guessing, ln(classes)?"""
    with in_mode(model, False):
        out = model(x).float()
    loss, guess = F.cross_entropy(out, y).item(), math.log(classes)
    numbers = {"loss": loss, "guessing": guess, "std of outputs": out.std().item()}
    told = f"{loss:.2f}; guessing among {classes} classes costs ln {classes} = {guess:.2f}"
    if not math.isfinite(loss):
        return Finding("first loss", WRONG, f"it is {loss}: see the scales of inputs and layers",
                       numbers)
    if loss > guess + 0.7:
        return Finding("first loss", WRONG if loss > guess + 2 else LOOK, f"{told}: the outputs "
                       f"are too large (std {out.std():.2g}). Take smaller inputs or first weights",
                       numbers)
    if loss < 0.7 * guess:
        return Finding("first loss", LOOK, f"{told}: a fresh net cannot know this much. Is it "
                       "fresh? Does the image hold its label?", numbers)
    return Finding("first loss", OK, told, numbers)


def layers(model: nn.Module, x: Tensor, y: Tensor) -> list[dict]:
    """What each layer with weights does at this moment, from the first to the last.

    Returns rows with `name`; `size`, the root mean square of its outputs, before the activation;
    `by_image`, the part of it that differs from image to image (standard deviation over images,
    root mean square over units); `share`, the second over the first; `off`, the share of units
    (maps of a convolution) that are not above 0 for any image, at any place; `weight` and `grad`,
    root mean squares of its weights and of the gradient of the loss with respect to them.
    Measured in evaluation mode, without dropout's noise; the model is left as it was.
    """
    rows: dict[str, dict] = {}
    weighted = {path: layer for path, layer in model.named_modules()
                if isinstance(layer, (nn.Conv2d, nn.Linear))}
    short = {path: path.rsplit(".", 1)[-1] for path in weighted}
    names = short if len(set(short.values())) == len(short) and not any(
        name.isdigit() for name in short.values()) else {path: path for path in weighted}

    def record(path):
        def hook(layer, inputs, output):  # measured at once: a ReLU in place would change it
            out = output.detach().float()
            units = out.transpose(0, 1).flatten(1) if out.dim() > 2 else out.reshape(
                -1, out.shape[-1]).T
            size = out.square().mean().sqrt().item()
            by_image = out.var(0, unbiased=False).mean().sqrt().item()
            rows[path] = {"name": names[path], "size": size, "by_image": by_image,
                          "share": by_image / size if size else 0.0,
                          "off": (units <= 0).all(1).float().mean().item()}
        return hook

    hooks = [layer.register_forward_hook(record(path)) for path, layer in weighted.items()]
    try:
        with in_mode(model, False), torch.enable_grad():
            loss = F.cross_entropy(model(x).float(), y)
            used = [path for path in rows if weighted[path].weight.requires_grad]
            grads = torch.autograd.grad(loss, [weighted[path].weight for path in used],
                                        allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    if not rows:
        raise UserError("the net has no nn.Conv2d or nn.Linear: there is nothing to look into")
    found = dict(zip(used, grads, strict=True))
    for path, row in rows.items():
        row["weight"] = weighted[path].weight.detach().float().square().mean().sqrt().item()
        grad = found.get(path)
        row["grad"] = 0.0 if grad is None else grad.float().square().mean().sqrt().item()
    return list(rows.values())


def depends_on_image(rows: list[dict]) -> Finding:
    """Does the net's output depend on the image, or only on the biases?"""
    share = rows[-1]["share"]
    numbers = {row["name"]: row["share"] for row in rows}
    told = f"{share:.2g} of the output's size differs from image to image"
    if not math.isfinite(share):
        return Finding("image in the output", WRONG, "the outputs are not finite", numbers)
    if share > 0.01:
        return Finding("image in the output", OK, told, numbers)
    kept = [(after["share"] / before["share"] if before["share"] else 0.0, after["name"])
            for before, after in zip(rows, rows[1:], strict=False)]
    where = min(kept)[1] if kept else rows[-1]["name"]
    return Finding("image in the output", WRONG if share < 2e-3 else LOOK, f"{told}: the rest is "
                   "biases, the same for all images. The image fades from layer to layer, most in "
                   f"{where}. What helps: inputs that are not divided, and larger first weights "
                   "(--init 2012); or --divide 58 with --init he",
                   numbers)


def dead_units(rows: list[dict], most: float = 0.6) -> Finding:
    """Are many units off for every image, so that no gradient reaches them?"""
    hidden = rows[:-1] or rows
    worst = max(hidden, key=lambda row: row["off"])
    numbers = {row["name"]: row["off"] for row in hidden}
    told = f"at most {worst['off']:.0%} of a layer's units are off for all images ({worst['name']})"
    if worst["off"] >= most:
        return Finding("dead units", WRONG if worst["off"] > 0.95 else LOOK, f"{worst['off']:.0%} "
                       f"of {worst['name']} is off for all images: a rate that is too high does "
                       "this, or first biases below 0", numbers)
    return Finding("dead units", OK, told, numbers)


def gradients(rows: list[dict]) -> Finding:
    """Does a gradient reach every layer, neither vanished nor exploded?

    By layer, the gradient's size is divided by that of the weights: a step at the rate r changes
    the weights by r times this.
    """
    ratio = {row["name"]: row["grad"] / row["weight"] if row["weight"] else math.inf
             for row in rows}
    bad = [name for name, value in ratio.items() if not math.isfinite(value)]
    if bad:
        return Finding("gradients", WRONG, f"that of {bad[0]} is not finite", ratio)
    low, high = min(ratio, key=ratio.get), max(ratio, key=ratio.get)
    told = f"{ratio[low]:.1e} ({low}) to {ratio[high]:.1e} ({high}) of the weights"
    if ratio[low] == 0:
        return Finding("gradients", WRONG, f"none reaches {low}: are its weights frozen, or all "
                       "units after it off?", ratio)
    if ratio[high] > EXPLODED:
        return Finding("gradients", WRONG, f"{told}: too large in {high}; smaller inputs or first "
                       "weights, or a lower rate", ratio)
    if ratio[low] < VANISHED:
        return Finding("gradients", WRONG, f"{told}: next to nothing reaches {low}; larger inputs "
                       "or first weights", ratio)
    return Finding("gradients", OK, told, ratio)


@contextlib.contextmanager
def in_mode(model: nn.Module, training: bool):
    """Within this context the model is in training mode or not; afterwards each part as before."""
    before = [(part, part.training) for part in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for part, was in before:
            part.training = was


# The first steps.

def by_heart(model: nn.Module, x: Tensor, y: Tensor, lr: float, config: TrainConfig | None = None,
             steps: int = STEPS, seconds: float | None = None) -> list[float]:
    """Loss by step, in nats, of a copy of the net that learns this one batch without dropout.

    Ends early at a loss that is not finite, when the batch is learned (the loss is below a
    twentieth of that of guessing), and after `seconds` (SECONDS).
    """
    config = config or TrainConfig()
    model = without_dropout(copy.deepcopy(model)).train()
    named = model if all("." in name for name, _ in model.named_parameters()) else (
        nn.Sequential(model))
    optimizer = PaperSGD(parameter_groups(named, lr, config.weight_decay,
                                          config.bias_lr_factor or 1.0), lr, config.momentum)
    losses, ends = [], time.monotonic() + (SECONDS if seconds is None else seconds)
    while len(losses) < steps and (len(losses) < 3 or time.monotonic() < ends):
        with autocast(config):
            out = model(x)
        loss = F.cross_entropy(out.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]) or np.mean(losses[-5:]) < 0.05 * guessing(y):
            break
    return losses


def without_dropout(model: nn.Module) -> nn.Module:
    """The model, each dropout layer set to drop nothing."""
    for part in model.modules():
        if isinstance(part, (Dropout, nn.Dropout, nn.Dropout2d)):
            part.p = 0.0
    return model


def guessing(y: Tensor) -> float:
    """The lowest loss, in nats, without looking at the images: the entropy of their labels."""
    share = torch.bincount(y).float() / len(y)
    return -torch.xlogy(share, share).sum().item()


def outcome(losses: list[float], guess: float, steps: int = STEPS) -> str:
    """"learned", "falling", "stuck", "not finite" or "no time", from the losses of `by_heart`."""
    if not math.isfinite(losses[-1]):
        return "not finite"
    best = np.convolve(losses, np.ones(5) / 5, "valid").min() if len(losses) >= 5 else losses[-1]
    if best < 0.5 * guess:
        return "learned"
    if len(losses) < min(steps, 30):
        return "no time"
    return "falling" if best < 0.95 * guess else "stuck"


def learning(model: nn.Module, x: Tensor, y: Tensor, config: TrainConfig,
             rows: list[dict] | None = None) -> list[Finding]:
    """Can it learn these images by heart at its rate? Could it at another one? Two findings."""
    guess, lr = guessing(y), config.lr
    if guess == 0:
        return [Finding("by heart", LOOK, "all images of the handful are of one class")]
    tried = {}

    def attempt(rate: float) -> str:
        losses = by_heart(model, x, y, rate, config)
        tried[rate] = {"outcome": outcome(losses, guess), "steps": len(losses),
                       "loss": losses[-1] if math.isfinite(losses[-1]) else None}
        return tried[rate]["outcome"]

    begun, own = time.monotonic(), attempt(lr)
    for factor in (0.1, 10) if own == "learned" else (0.1, 10, 0.01, 100):
        helped = own != "learned" and "learned" in [row["outcome"] for row in tried.values()]
        late = time.monotonic() - begun > 2 * SECONDS
        if own != "no time" and not late and not (helped and factor in (0.01, 100)):
            attempt(lr * factor)
    return [memory(tried, lr, guess, len(y), rows), rate(tried, lr)]


def memory(tried: dict, lr: float, guess: float, count: int, rows: list[dict] | None) -> Finding:
    """The finding about learning `count` images by heart at the rate `lr`."""
    found, name = tried[lr], "by heart"
    numbers = {"guessing": guess, **found}
    if found["outcome"] == "learned":
        return Finding(name, OK, f"learns {count} images in {found['steps']} steps", numbers)
    if found["outcome"] == "no time":
        return Finding(name, LOOK, f"only {found['steps']} steps in {SECONDS:.0f} s: try it on a "
                       "GPU, or with a smaller --input-size or --width", numbers)
    if found["outcome"] == "not finite":
        return Finding(name, WRONG, f"the loss is not finite after {found['steps']} steps: see the "
                       "rate", numbers)
    told = (f"after {found['steps']} steps on {count} images the loss is {found['loss']:.2f}; not "
            f"looking at them costs {guess:.2f}")
    if found["outcome"] == "falling":
        return Finding(name, LOOK, f"{told}: it falls, but late", numbers)
    if any(row["outcome"] == "learned" for row in tried.values()):
        return Finding(name, WRONG, f"{told}: see the rate", numbers)
    if rows:
        weakest = min(rows, key=lambda row: row["grad"] / row["weight"] if row["weight"] else 0)
        told += (f". The weakest gradient is that of {weakest['name']}, "
                 f"{weakest['grad'] / max(weakest['weight'], 1e-30):.1e} of its weights")
    return Finding(name, WRONG, told + ": mend what is wrong above", numbers)


def rate(tried: dict, lr: float) -> Finding:
    """The finding about the rate, from what the same net did at several."""
    numbers = {f"{r:g}": row for r, row in sorted(tried.items())}
    told = ", ".join(f"{r:g} {row['outcome']}"
                     + (f" in {row['steps']} steps" if row["outcome"] == "learned" else "")
                     for r, row in sorted(tried.items()))
    own = tried[lr]["outcome"]
    outcomes = [row["outcome"] for row in tried.values()]
    good = [r for r, row in tried.items() if row["outcome"] == "learned"]
    if not good and own == "stuck" and "not finite" not in outcomes:  # far too low, perhaps
        good = [r for r, row in tried.items() if row["outcome"] == "falling" and r > 50 * lr]
    if own in ("learned", "no time"):
        return Finding("rate", OK if own == "learned" else LOOK, told, numbers)
    if not good:
        if set(outcomes) == {"not finite"}:
            return Finding("rate", WRONG, f"{told}: far too high, or the inputs too large", numbers)
        return Finding("rate", LOOK, f"{told}: no rate helps, the cause is another one", numbers)
    best = min(good, key=lambda r: (tried[r]["steps"], tried[r]["loss"]))
    which = "too high" if best < lr else "too low"
    near = own == "falling" and 0.05 < best / lr < 20
    return Finding("rate", LOOK if near else WRONG, f"{told}: {lr:g} is {which}; take "
                   f"--lr {best:g}", numbers)


# A trained net.

@torch.no_grad()
def permuted(net: Loaded, dataset: datasets.Dataset, count: int = 512) -> Finding:
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
        return Finding("answers", WRONG, f"{told}; more would be if classes were named otherwise: "
                       f"{dataset.classes[a]!r} is taken for {dataset.classes[b]!r}, and "
                       f"{len(pairs) - 1} more. The order of the classes has changed", numbers)
    if right < base + 3 * math.sqrt(base * (1 - base) / len(truth)):
        return Finding("answers", WRONG, f"{told}, no more than by always saying the same: this "
                       "net has learned nothing; run the doctor without --checkpoint", numbers)
    return Finding("answers", OK, told, numbers)


def summary(found: list[Finding]) -> str:
    """One line: how many findings are wrong, and with which to begin."""
    wrong = [f.name for f in found if f.verdict == WRONG]
    look = [f.name for f in found if f.verdict == LOOK]
    if wrong:
        return f"wrong: {', '.join(wrong)}. Begin with the first; one cause makes many findings"
    if look:
        return f"nothing is wrong; look at: {', '.join(look)}"
    return "nothing is wrong: let it train. The loss stays flat for the first 50 to 300 steps"


def by_layer(found: list[Finding]) -> list[tuple]:
    """(layer, share that depends on the image, gradient over weights, share of units off); None
    where it was not measured."""
    numbers = {f.name: f.numbers for f in found}
    shares, grads, off = (numbers.get(name, {}) for name in ("image in the output", "gradients",
                                                              "dead units"))
    return [(name, share, grads.get(name), off.get(name)) for name, share in shares.items()]


def as_json(found: list[Finding]) -> list[dict]:
    """The findings as plain dicts; numbers that are not finite become None."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(v) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value
    return [plain(dataclasses.asdict(f)) for f in found]
