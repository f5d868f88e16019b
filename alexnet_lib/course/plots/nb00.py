"""Figures of notebook 00, the first run."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, RED, SKY, plain


def first_run(losses, history: list[dict], images, truth, guess, probability, classes) -> Figure:
    """A whole training run at a glance: loss by step, error by epoch, and what the net says.

    Args:
        losses: training loss of each step, nats. history: rows of `training.Trainer.history`.
        images: (N, S, S, 3) uint8, 0-255; N is at most 12. truth, guess: (N,) class numbers.
        probability: (N,) of the guess, 0-1. classes: names.
    """
    figure = plt.figure(figsize=(11, 6.2))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1))
    left, right = top.subplots(1, 2)
    left.plot(losses, color=SKY, lw=0.8, label="each minibatch")
    if len(losses) > 30:
        left.plot(np.arange(len(losses))[15:-15], np.convolve(losses, np.ones(31) / 31, "valid"),
                  color=BLUE, lw=2, label="mean of 31")
    left.axhline(np.log(len(classes)), color=GRAY, ls="--", lw=1)
    left.annotate(f"guessing: ln {len(classes)}", (len(losses), np.log(len(classes))),
                  color=GRAY, ha="right", va="bottom")
    left.set(xlabel="step (minibatch of 128)", ylabel="loss, nats", title="Training loss")
    left.legend()
    epochs = [row["epoch"] for row in history]
    for key, color, mark, name in (("train_error", ORANGE, "s", "training, with dropout"),
                                   ("val_error", BLUE, "o", "validation")):
        right.plot(epochs, [100 * row[key] for row in history], marker=mark, color=color,
                   label=name)
    right.set(xlabel="epoch", ylabel="error, %", title="Wrong answers", ylim=(0, 100))
    right.legend()
    places = bottom.subplots(2, 6).ravel()
    for axes in places:
        axes.axis("off")
    for axes, picture, t, g, p in zip(places[:len(images)], images, truth, guess, probability,
                                      strict=True):
        axes.imshow(picture)
        said = f"{classes[g]} {p:.0%}" if t == g else f"✗ {classes[g]}, not {classes[t]}"
        axes.set_title(plain(said), fontsize=10, color="black" if t == g else RED)
    return figure
