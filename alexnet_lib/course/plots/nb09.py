"""Figures of training runs under way and done (notebook 09)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, RED, SKY


def progress(losses, history: list[dict], steps: int, epochs: int, classes: int,
             figure: Figure | None = None) -> Figure:
    """A run so far: loss by step and errors by epoch, on axes that hold the whole run.

    Args:
        losses: of each step so far, nats. history: rows of `training.Trainer.history`.
        steps: in an epoch. epochs: of the whole run. classes: how many.
        figure: to draw in; without one, it is made without pyplot, so that a thread may draw.
    """
    if figure is None:
        figure = Figure(figsize=(10, 3.4), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    at = np.arange(1, len(losses) + 1) / steps
    left.plot(at, losses, color=SKY, lw=0.8, label="each minibatch")
    smooth = max(1, min(len(losses) // 5, 31))
    if smooth > 1:
        mean = np.convolve(losses, np.ones(smooth) / smooth, "valid")
        left.plot(at[smooth - 1:], mean, color=BLUE, lw=2, label=f"mean of the last {smooth}")
    left.axhline(np.log(classes), color=GRAY, ls="--", lw=1, label=f"guessing: ln {classes}")
    high = max([np.log(classes) * 1.3, *losses[-1:]])
    left.set(ylabel="loss, nats", ylim=(0, high))
    for key, color, mark, line, name in (
            ("train_error", ORANGE, "s", "--", "training, as it trained"),
            ("val_error", BLUE, "o", "-", "validation")):
        right.plot([row["epoch"] for row in history], [100 * row[key] for row in history],
                   marker=mark, ms=4, ls=line, color=color, label=name)
    for before, after in zip(history, history[1:]):  # noqa: B905
        if after["lr"] < before["lr"]:
            right.axvline(before["epoch"], color=GRAY, ls=":", lw=1)
            right.annotate(f"rate {after['lr']:.2g}", (before["epoch"], 78), color=GRAY,
                           rotation=90, ha="right", va="top", fontsize=9)
    right.set(ylabel="error, %", ylim=(0, 100))
    for panel in (left, right):
        panel.set(xlabel="epoch", xlim=(0, epochs))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3,
                     fontsize=8.5, columnspacing=1, handlelength=1.6)  # nothing may hide a peak
    return figure


def step_lengths(rules: dict[str, list[float]], drop: int) -> Figure:
    """How long each step is, by update rule; the rate drops after step `drop`."""
    figure, axes = plt.subplots(figsize=(8, 3.2))
    for (name, lengths), color, mark in zip(rules.items(), (BLUE, ORANGE), "os"):  # noqa: B905
        axes.plot(np.arange(1, len(lengths) + 1), lengths, color=color, marker=mark, ms=4, lw=1.5,
                  label=name)
    axes.axvline(drop + 0.5, color=GRAY, lw=1)
    axes.annotate("the rate drops\nto a tenth", (drop + 5, max(map(max, rules.values()))),
                  color=GRAY, va="top")
    axes.set(xlabel="step", ylabel="length of the step", ylim=(0, None))
    axes.legend(loc="lower left", bbox_to_anchor=(0.12, 0.02))
    return figure


def rates(groups: dict[str, list[float]]) -> Figure:
    """Learning rates by epoch, a line for each group of parameters; a rate of 0 ends its line."""
    figure, axes = plt.subplots(figsize=(9, 3.6))
    looks = zip((BLUE, SKY, ORANGE, RED), ("-", "--", "-", "--"), (4, 1.8, 4, 1.8), strict=True)
    for (name, values), (color, line, width) in zip(groups.items(), looks, strict=True):
        values = np.where(np.array(values) > 0, values, np.nan)
        epochs = np.arange(len(values))
        axes.step(epochs, values, where="post", color=color, ls=line, lw=width, label=name)
        last = int(np.flatnonzero(~np.isnan(values))[-1])
        if last < len(values) - 1:
            axes.plot(last, values[last], "X", color=color, mec="black", ms=10)
            axes.annotate("frozen", (last + 1, values[last]), (6, 8), textcoords="offset points",
                          color=GRAY)
    axes.set(xlabel="epoch", ylabel="learning rate", yscale="log", xlim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
