"""Figures of notebook 15: a run, its error beside ours, the first layer's kernels."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE
from alexnet_lib.course.plots.nb12 import as_pictures, tiles


def run(losses, recorded, classes: int = 10) -> Figure:
    """The loss of each step, its mean over the last twentieth of the run, and our recorded runs.

    losses: nats, by step. recorded: `runs` of a record of `course.capstone`, with their losses at
    equal distances over the whole run.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6))
    losses, width = np.asarray(losses, float), max(1, len(losses) // 20)
    done = 100 * np.arange(1, len(losses) + 1) / len(losses)
    smooth = np.convolve(losses, np.ones(width) / width, "valid")
    for number, one in enumerate(recorded):
        at = 100 * np.arange(1, len(one["losses"]) + 1) / len(one["losses"])
        axes.plot(at, one["losses"], color=ORANGE, lw=1.6, ls="--",
                  label=None if number else f"ours, {len(recorded)} seeds")
    axes.plot(done, losses, color=BLUE, lw=0.6, alpha=0.3)
    axes.plot(done[width - 1:], smooth, color=BLUE, lw=2.2, label="this run")
    axes.axhline(math.log(classes), color=GRAY, lw=1, ls=":")
    axes.text(100, math.log(classes), "guessing", color=GRAY, ha="right", va="bottom", fontsize=10)
    axes.set(xlabel="share of the training done, %", ylabel="training loss, nats", xlim=(0, 100),
             ylim=(0, max(2.9, math.log(classes) + 0.4)))
    axes.legend(loc="lower left")
    figure.alt = ("Training loss against the share of the training done. This run in blue, our "
                  "recorded runs dashed in orange; a dotted line marks the loss of guessing.")
    return figure


def errors(mine, recorded, what: str) -> Figure:
    """An error with its interval, and below it those of our recorded runs.

    mine: (error, low, high), percent. recorded: `runs` of a record. what: the data's name.
    """
    rows = [("this run", mine, BLUE, "o")]
    rows += [(f"ours, seed {one['seed']}", (one["test_error"], *one["interval"]), ORANGE, "s")
             for one in recorded]
    figure, axes = plt.subplots(figsize=(9, 0.45 * len(rows) + 1.3))
    for at, (_, (error, low, high), color, mark) in enumerate(rows):
        axes.plot([low, high], [at, at], color=color, lw=2.5, solid_capstyle="butt")
        axes.plot(error, at, mark, color=color, ms=8)
        axes.text(high, at, f"  {error:.1f}", va="center", fontsize=10)
    axes.set(yticks=range(len(rows)), ylim=(len(rows) - 0.5, -0.5),
             xlabel=f"test error on {what}, ten crops, %")
    axes.set_yticklabels([name for name, *_ in rows])
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.1)
    figure.alt = ("Test errors as dots with their 95% intervals as bars: this run on top, our "
                  "recorded runs below it.")
    return figure


def kernels(sheets: dict, across: int = 8) -> Figure:
    """Sheets of first-layer kernels side by side, each kernel on its own scale, gray where it is 0.

    sheets: by title, (maps, 3, side, side).
    """
    figure, panels = plt.subplots(1, len(sheets), squeeze=False,
                                  figsize=(12, 12 / len(sheets) * len(next(iter(
                                      sheets.values()))) / across**2 + 0.4))
    for panel, (title, weights) in zip(panels[0], sheets.items(), strict=True):
        panel.imshow(tiles(as_pictures(weights), across), interpolation="nearest")
        panel.set_title(title, fontsize=11)
        panel.axis("off")
    figure.alt = ("Sheets of small square kernels in color, side by side: "
                  + "; ".join(title.replace("\n", " ") for title in sheets) + ".")
    return figure


def lettered(start, end, other) -> Figure:
    """Four sheets of kernels of our run, lettered for exercise 15-5.

    start, end: conv1 before and after; other: the initial weights of another seed.
    """
    figure = kernels({"A": end, "B": end - other, "C": start, "D": end - start})
    figure.alt = ("Four sheets of 32 small kernels, lettered A to D. They differ in how much snow "
                  "covers their edges and blobs of color.")
    return figure
