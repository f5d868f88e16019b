"""Checks of the data, which need no net."""

import math
from hashlib import blake2b

import numpy as np
from scipy.optimize import linear_sum_assignment

from alexnet_lib import datasets
from alexnet_lib.course.doctor.finding import LOOK, OK, WRONG, Finding

BYTES = 1 << 30  # of images that are searched for duplicates, in each split


def labels(dataset: datasets.Dataset) -> Finding:
    """Are the labels whole numbers from 0 to one less than there are classes, one per image?"""
    classes, numbers = len(dataset.classes), {}

    def wrong(message: str) -> Finding:
        return Finding("labels", WRONG, message, numbers, fatal=True)

    for split, part in dataset.splits.items():
        given = np.asarray(part.labels)
        if len(given) != len(part.images):
            return wrong(f"{split} has {len(part.images)} images and {len(given)} labels: give one "
                         "label to each image")
        if not len(given):
            return wrong(f"{split} is empty: add images, or leave the split out")
        if not np.issubdtype(given.dtype, np.integer):
            return wrong(f"{split} has labels of type {given.dtype}: give the number of the class, "
                         "as int64")
        numbers[split] = [int(given.min()), int(given.max())]
    low, high = min(a for a, _ in numbers.values()), max(b for _, b in numbers.values())
    if low == 1 and high == classes:
        return wrong(f"they count from 1 to {classes}, not from 0 to {classes - 1}: subtract 1")
    if low < 0 or high >= classes:
        return wrong(f"they go from {low} to {high}, but with {classes} classes they must lie in "
                     f"0 to {classes - 1}")
    return Finding("labels", OK, f"{low} to {high}, for {classes} classes", numbers)


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
                       f"image{hint}: add images, or remove the class", numbers)
    for split, n in counts.items():
        if (n == 0).any():
            missing = np.flatnonzero(n == 0)
            return Finding("class sizes", LOOK, f"{_named(dataset, missing)} without an image in "
                           f"{split}{_from_one(missing)}: that split says nothing about it",
                           numbers)
    tiny = np.flatnonzero(train < few)
    if len(tiny):
        return Finding("class sizes", LOOK, f"{_named(dataset, tiny)} with fewer than {few} "
                       "training images: too few to learn much", numbers)
    share = train.max() / train.sum()
    if train.max() > 10 * np.median(train) or share > max(0.5, 1.5 / classes):
        return Finding("class sizes", LOOK, f"{share:.0%} of the training images are "
                       f"{dataset.classes[int(train.argmax())]!r}: always answering that is right "
                       "as often. Look at the scores of each class", numbers)
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

    def wrong(message: str) -> Finding:
        return Finding("images", WRONG, message, numbers, fatal=True)

    for split, part in dataset.splits.items():
        if not len(part.images):
            continue
        some = sample(part.images, count)
        if not np.isfinite(some).all():
            return wrong(f"{split} holds values that are not numbers")
        if some.max() <= 1.5 and some.max() > 0:
            return wrong(f"{split}'s values go from {some.min():g} to {some.max():g}: store them "
                         "as 0-255")
        own = some.reshape(len(some), -1).std(1)  # of each image over its pixels
        blank[split] = float((own < 1).mean())
        numbers[split] = {"contrast": float(np.median(own)), "brightest": float(some.max()),
                          "blank": blank[split], "between images": float(some.std(0).mean())}
        if len(some) > 1 and numbers[split]["between images"] < 0.5 and blank[split] < 0.5:
            return wrong(f"all images of {split} are the same: is one file read again and again?")
    worst = max(blank, key=blank.get)
    if blank[worst] > 0.5:
        return wrong(f"{blank[worst]:.0%} of the images in {worst} are blank (one value "
                     "everywhere): check how they are read")
    if blank[worst] > 0.01:
        return Finding("images", LOOK, f"{blank[worst]:.0%} of the images in {worst} are blank: "
                       "check whether their files are intact", numbers)
    contrast, brightest = (numbers["train"][name] for name in ("contrast", "brightest"))
    if brightest < 64:
        return Finding("images", LOOK, f"no value of the training images is above {brightest:.0f} "
                       "of 255. That happens with 16-bit files that use only 10 or 12 bits: scale "
                       "their values to the full range, 0-65535", numbers)
    if contrast < 8:
        return Finding("images", LOOK, f"contrast of only {contrast:.0f} gray levels: look at some "
                       "images, there is little to see in them", numbers)
    return Finding("images", OK, f"{dataset.size} px, contrast {numbers['train']['contrast']:.0f} "
                   "gray levels", numbers)


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
                       f"{leaked[split]} images of {split} ({share:.1%}) are also in another "
                       "split: remove them, or the error will look too good", numbers)
    if contrary:
        return Finding("duplicates", LOOK, f"{contrary} images occur twice, "
                       "with different labels: check which is right", numbers)
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
        return Finding("class order", LOOK, "there is no val split: nothing to compare with")
    k, name = len(dataset.classes), "class order"
    (x, y), (vx, vy) = (thumbnails(dataset.splits[s], count) for s in ("train", "val"))
    half = len(x) // 2
    if not half:
        return Finding(name, OK, "can't tell from a single training image")
    center, spread = x[:half].mean(0), x[:half].std(0) + 1e-6
    x, vx = (np.c_[(part - center) / spread, np.ones(len(part))] for part in (x, vx))
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
        return Finding(name, OK, "can't tell: the class doesn't show in thumbnails. The names "
                       "of folders are compared at loading", numbers)
    if val_right > base + 0.4 * (right - base):
        return Finding(name, OK, "train and val look alike, class by class", numbers)
    told = renamed(vy, val_guess, k, base)
    if told:
        a, b = told[0]
        return Finding(name, WRONG, f"val's {dataset.classes[a]!r} looks like train's "
                       f"{dataset.classes[b]!r}, and {len(told) - 1} more: number the classes of "
                       "all splits from one list", numbers)
    return Finding(name, LOOK, "train's and val's classes don't look alike: are val's labels "
                   "right, and its images of the same kind?", numbers)


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
    taken = dict(enumerate(linear_sum_assignment(table, maximize=True)[1].tolist()))
    fits = np.mean([taken[t] == g for t, g in zip(truth.tolist(), guess.tolist(), strict=True)])
    better = fits > max(2 * np.mean(truth == guess), base + 4 * math.sqrt(base / len(truth)))
    present = set(truth.tolist())
    return [(a, b) for a, b in taken.items() if a != b and a in present] if better else []
