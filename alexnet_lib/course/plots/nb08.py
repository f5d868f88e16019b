"""Figures of notebook 08, dropout."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, plain
from alexnet_lib.research.metrics import epochs_until


def masks(units, mask) -> Figure:
    """The same outputs of a layer under a new mask each time, and halved at test time.

    Args:
        units: (units,) outputs of a layer, 0 or more. mask: (rows, units) of zeros and ones.
    """
    units, mask = np.asarray(units, float), np.asarray(mask)
    rows = len(mask)
    figure, axes = plt.subplots(figsize=(11, 0.36 * (rows + 3) + 0.9))
    lines = np.concatenate([units[None], units * mask, 0.5 * units[None]])
    places = [0, *range(2, rows + 2), rows + 3]
    top = units.max() or 1
    for place, line in zip(places, lines, strict=True):
        axes.bar(np.arange(len(units)), 0.85 * line / top, 0.8, bottom=-place - 0.4, lw=0,
                 color=GRAY if place == 0 else ORANGE if place == rows + 3 else BLUE)
    for row in range(rows):
        gone = np.flatnonzero(mask[row] == 0)
        axes.plot(gone, np.full(len(gone), -row - 2.25), "x", color=RED, ms=4.5, mew=1.1)
    names = ["no mask", *[f"training, mask {row + 1}" for row in range(rows)],
             "test: all, halved"]
    axes.set_yticks([-place - 0.1 for place in places], names)
    axes.set(xlabel="unit (a cross: dropped)", xlim=(-0.8, len(units) - 0.2),
             ylim=(-rows - 3.6, 0.7))
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.alt = ("Rows of small bars, one for each unit. Top: the outputs without a mask. Below: "
                  "the same outputs under several masks, a cross for each dropped unit, each "
                  "time other ones. Bottom: all outputs at half their height.")
    return figure


def sums(trained, test: float, whole: float) -> Figure:
    """What a unit of the next layer receives: a sum for each mask; at test, halved and not halved.

    Args:
        trained: sums under all or many masks. test: with all units, halved. whole: not halved.
    """
    figure, axes = plt.subplots(figsize=(8.5, 3.4))
    trained = np.asarray(trained, float)
    axes.hist(trained, 40, color=BLUE, alpha=0.75, ec="white", lw=0.4,
              weights=np.full(len(trained), 100 / len(trained)),
              label=f"training: {len(trained):,} masks")
    axes.axvline(trained.mean(), color="black", lw=2, label="mean of the masks")
    axes.axvline(test, color=ORANGE, lw=4, ls=(0, (2, 2)), label="test, outputs halved")
    axes.axvline(whole, color=RED, lw=2, ls="-.", label="test, not halved")
    axes.set(xlabel="what a unit of the next layer receives (sum of weight × output)",
             ylabel="masks, %")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("A bell-shaped histogram of the sums under all masks. The sum of the halved "
                  "outputs is at its mean; the sum without halving is far to the right.")
    return figure


def thinned(probabilities, geometric, halved, arithmetic, classes) -> Figure:
    """The answers of all thinned networks, their two means, and the halved network's answer.

    Args:
        probabilities: (nets, classes). geometric, halved, arithmetic: (classes,).
    """
    figure, axes = plt.subplots(figsize=(9, 3.8))
    nets, count = probabilities.shape
    jitter = np.linspace(-0.3, 0.3, nets)
    for k in range(count):
        axes.plot(k + jitter, 100 * probabilities[:, k], ".", color=GRAY, ms=4, alpha=0.6,
                  label=f"one of {nets} thinned networks" if k == 0 else None)
    for values, mark, color, size, name in (
            (arithmetic, "_", PINK, 30, "plain mean of them"),
            (geometric, "o", BLUE, 13, "geometric mean, normalized"),
            (halved, "x", ORANGE, 9, "one network, outputs halved")):
        axes.plot(range(count), 100 * np.asarray(values), mark, color=color, ms=size, mew=2.5,
                  fillstyle="none", label=name)
    axes.set(ylabel="probability, %", ylim=(-3, 103))
    axes.set_xticks(range(count), list(map(plain, classes)))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("For each class, a column of gray dots, the thinned networks' probabilities, "
                  "widely scattered. The cross of the halved network is inside the circle of their "
                  "geometric mean; the bar of the plain mean is elsewhere.")
    return figure


def committee(image, probabilities, halved, classes, truth: int) -> Figure:
    """A picture, what thinned networks answer, and their mean beside the whole network's answer.

    Args:
        image: (S, S, 3) uint8. probabilities: (nets, classes) of the networks asked.
        halved: (classes,) of the network with all units. truth: the right class.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4),
                                                 width_ratios=(0.8, 1.6, 1.2))
    left.imshow(image)
    left.set_title(plain(classes[truth]), fontsize=11)
    left.axis("off")
    shown = np.asarray(probabilities)[:40]
    middle.imshow(100 * shown.T, aspect="auto", cmap="cividis", vmin=0, vmax=100)
    middle.set_yticks(range(len(classes)), list(map(plain, classes)))
    middle.set(xlabel="thinned network" + (" (first 40)" if len(probabilities) > 40 else ""))
    middle.set_title("each one's answer (bright: sure)", fontsize=10.5)
    middle.xaxis.get_major_locator().set_params(integer=True)
    middle.grid(False)
    at = np.arange(len(classes))
    geometric = np.exp(np.log(np.asarray(probabilities) + 1e-12).mean(0))
    for place, values, color, hatch, name in (
            (-0.27, np.mean(probabilities, 0), BLUE, "///", f"mean of {len(probabilities)}"),
            (0, geometric / geometric.sum(), GREEN, "...", "geometric mean"),
            (0.27, np.asarray(halved), ORANGE, "", "whole network, halved")):
        right.barh(at + place, 100 * values, 0.27, color=color, hatch=hatch, ec="white", lw=0,
                   label=name)
    right.set(yticks=at, yticklabels=[], xlim=(0, 105), xlabel="probability, %",
              ylim=(len(classes) - 0.4, -0.6))
    right.legend(loc="lower right", fontsize=9, frameon=True)
    figure.alt = ("Left: a picture. Middle: a column for each thinned network and a row for each "
                  "class, bright where the network is sure. Right: bars for the mean of the "
                  "networks, their geometric mean, and the whole network with halved outputs.")
    return figure


def progress(runs: dict[str, list[dict]], level: float) -> Figure:
    """Training error by epoch for several networks, and where each first falls to `level`.

    Args:
        runs: as for `plots.overfitting`. level: fraction of wrong answers.
    """
    figure, axes = plt.subplots(figsize=(8.5, 3.5))
    for (name, rows), color, line, mark in zip(runs.items(), (BLUE, ORANGE, GREEN),  # noqa: B905
                                               ("-", "--", ":"), "os^"):
        error = 100 * np.array([row["train_error"] for row in rows])
        epochs = np.array([row["epoch"] for row in rows])
        axes.plot(epochs, error, color=color, ls=line, marker=mark, ms=5, lw=2, label=name)
        below = np.flatnonzero(error <= 100 * level)
        if len(below):
            axes.plot(epochs[below[0]], error[below[0]], mark, color=color, ms=13, mec="black",
                      mew=1.5)
    axes.axhline(100 * level, color=GRAY, lw=1)
    axes.text(1, 100 * level + 1, f"{level:.0%}", color=GRAY, va="bottom")
    axes.set(xlabel="epoch", ylabel="error on the\ntraining images, %", ylim=(0, None))
    axes.legend()
    figure.alt = (f"Falling curves of training error, a large mark where each first gets below "
                  f"{level:.0%}: " + ", ".join(runs) + ".")
    return figure


def borders(points, labels, moved, maps: dict, reach) -> Figure:
    """What networks make of a plane with two kinds of points, some of them with the wrong label.

    Args:
        points: (N, 2). labels: (N,) 0 or 1, as in training. moved: (N,) bool, wrong labels.
        maps: by title, (H, W) probability of class 1. reach: (left, right, bottom, top).
    """
    sides = LinearSegmentedColormap.from_list("sides", (BLUE, "white", ORANGE))
    wide = 5.2 if len(maps) < 3 else 3.3
    figure, panels = plt.subplots(1, len(maps), figsize=(wide * len(maps) + 0.8, 4), sharey=True)
    for axes, (title, values) in zip(panels, maps.items(), strict=True):
        shown = axes.imshow(100 * values, origin="lower", extent=reach, cmap=sides, vmin=0,
                            vmax=100, interpolation="bilinear", aspect="auto", alpha=0.6)
        axes.contour(values, [0.5], extent=reach, colors="black", linewidths=2)
        for kind, mark, color in ((0, "o", BLUE), (1, "s", ORANGE)):
            for wrong, size, edge in ((False, 40, "white"), (True, 110, "black")):
                chosen = (labels == kind) & (moved == wrong)
                axes.scatter(*points[chosen].T, marker=mark, c=color, s=size, ec=edge,
                             lw=0.8 if not wrong else 2)
        axes.set_title(title, fontsize=11.5)
        axes.set(xlabel="first input", xlim=reach[:2], ylim=reach[2:])
        axes.grid(False)
    panels[0].set_ylabel("second input")
    figure.colorbar(shown, ax=panels, label="probability of “square”, %")
    figure.alt = ("Circles and squares in a plane, some with a thick rim for a wrong label. Color "
                  "says what the network answers at each position; a black line is the border. "
                  "Panels: " + ", ".join(maps) + ".")
    return figure


def epoch_ratios(runs: dict[str, list[dict]], levels, curve: str) -> np.ndarray:
    """(seeds, levels): the epochs that the first arm needs divided by those of the second.

    NaN where one of the two never got there.

    Args:
        runs: records by arm, with dropout first, then without, from `course.runs`; paired by
            position. levels: fractions of wrong answers. curve: "train_error" or "val_error".
    """
    first, second = runs.values()
    ratios = np.array([[epochs_until(a["curves"][curve], level)
                        / epochs_until(b["curves"][curve], level) for level in levels]
                       for a, b in zip(first, second, strict=False)
                       if "diverged" not in a and "diverged" not in b])
    return np.where(np.isfinite(ratios) & (ratios > 0), ratios, np.nan)


def iterations(ratios: dict[str, np.ndarray], levels) -> Figure:
    """How many times the epochs a network with dropout needs, by the error it is to reach.

    Args:
        ratios: by name, (seeds, levels) of `epoch_ratios`. levels: fractions of wrong answers.
    """
    figure, axes = plt.subplots(figsize=(9.5, 3.9))
    percent = 100 * np.asarray(levels)
    for (name, values), color, mark, shift in zip(ratios.items(), (BLUE, GREEN), "os",  # noqa: B905
                                                  (0.4, -0.4)):
        axes.plot(percent + shift, values.T, mark, color=color, ms=4, alpha=0.45)
        complete = ~np.isnan(values).any(0)
        axes.plot((percent + shift)[complete], values[:, complete].mean(0), color=color, lw=2.5,
                  marker=mark, ms=8, label=f"{name}:\nmean (large), seeds (small)")
    axes.axhline(2, color=ORANGE, ls="--", lw=2, label="the paper: “roughly doubles”")
    axes.axhline(1, color=GRAY, lw=1, label="equally fast")
    axes.set(xlabel="error to be reached, %", ylim=(0.5, None),
             xlim=(percent.max() + 2, percent.min() - 2),
             ylabel="epochs with dropout /\nepochs without")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("For each error to be reached, how many times the epochs dropout needs: small "
                  "points for seeds, lines for means, by " + " and by ".join(ratios) +
                  ". The means are between the gray line at 1 and the dashed line at 2.")
    return figure
