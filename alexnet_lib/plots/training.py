"""Figures of training runs under way and done (notebook 09)."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alexnet_lib.plots import BLUE, GREY, ORANGE, SKY


def progress(losses, history: list[dict], steps: int, epochs: int, classes: int) -> Figure:
    """A run so far: loss by step and errors by epoch, on axes that hold the whole run.

    Made without pyplot, so that a training thread may draw it.

    Args:
        losses: of each step so far, nats. history: rows of `training.Trainer.history`.
        steps: in an epoch. epochs: of the whole run. classes: how many.
    """
    figure = Figure(figsize=(10, 3.4), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    at = np.arange(1, len(losses) + 1) / steps
    left.plot(at, losses, color=SKY, lw=0.8, label="each minibatch")
    smooth = max(1, min(len(losses) // 5, 31))
    if smooth > 1:
        mean = np.convolve(losses, np.ones(smooth) / smooth, "valid")
        left.plot(at[smooth - 1:], mean, color=BLUE, lw=2, label=f"mean of the last {smooth}")
    left.axhline(np.log(classes), color=GREY, ls="--", lw=1, label=f"guessing: ln {classes}")
    high = max([np.log(classes) * 1.3, *losses[-1:]])
    left.set(ylabel="loss, nats", ylim=(0, high))
    for key, colour, mark, line, name in (
            ("train_error", ORANGE, "s", "--", "training, as it trained"),
            ("val_error", BLUE, "o", "-", "validation")):
        right.plot([row["epoch"] for row in history], [100 * row[key] for row in history],
                   marker=mark, ms=4, ls=line, color=colour, label=name)
    for before, after in zip(history, history[1:]):  # noqa: B905
        if after["lr"] < before["lr"]:
            right.axvline(before["epoch"], color=GREY, ls=":", lw=1)
            right.annotate(f"rate {after['lr']:.2g}", (before["epoch"], 100), color=GREY,
                           rotation=90, ha="right", va="top", fontsize=9)
    right.set(ylabel="error, %", ylim=(0, 100))
    for panel in (left, right):
        panel.set(xlabel="epoch", xlim=(0, epochs))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.legend(frameon=False, loc="upper right")
    return figure
