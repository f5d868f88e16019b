"""Figures of notebook 00: the challenge, a photograph, the first run."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, RED, SKY, plain

# Top-5 errors in per cent of ILSVRC's classification task: winners by year, and the field of 2012
# (Russakovsky and others, “ImageNet Large Scale Visual Recognition Challenge”, 2015, and the
# challenge's results page of 2012; 2015 by He and others, 2015).
WINNERS = {2010: 28.2, 2011: 25.8, 2012: 15.3, 2013: 11.7, 2014: 6.7, 2015: 3.6}
SECOND = {2012: 26.2}


def winners() -> Figure:
    """The challenge's winners by year, with the second of 2012: top-5 error in per cent."""
    figure, axes = plt.subplots(figsize=(8, 3.4))
    for year, error in WINNERS.items():
        axes.bar(year, error, 0.6, color=ORANGE if year == 2012 else SKY)
        axes.text(year, error + 0.6, f"{error:g}%", ha="center")
    axes.bar([year + 0.38 for year in SECOND], list(SECOND.values()), 0.14, color=GRAY)
    axes.text(2012.5, SECOND[2012], f" second in 2012: {SECOND[2012]}%", va="center", color=GRAY)
    axes.text(2012, 6.5, "AlexNet", ha="center", va="center", fontweight="bold", rotation=90)
    axes.set(ylabel="wrong after five guesses, %", ylim=(0, 33))
    axes.set_title("In 2012, the error nearly halved", fontsize=12)
    axes.grid(axis="x", visible=False)
    figure.alt = ("Top-5 errors of the challenge's winners as bars: 28.2% in 2010, 25.8% in "
                  "2011, 15.3% in 2012 (AlexNet; the second had 26.2%), and 11.7, 6.7, "
                  "and 3.6% in the three years after.")
    return figure


def answers(images, probabilities, classes, count: int = 5) -> Figure:
    """Photographs, each with a net's most probable answers as bars.

    Args:
        images: (N, S, S, 3) uint8, 0-255. probabilities: (N, classes), 0-1. classes: names.
        count: answers shown of each.
    """
    figure, panels = plt.subplots(2, len(images), figsize=(3.4 * len(images), 4.6),
                                  height_ratios=(1.7, 1), squeeze=False)
    for column, (image, row) in enumerate(zip(images, np.asarray(probabilities), strict=True)):
        above, below = panels[:, column]
        above.imshow(image)
        above.axis("off")
        best = np.argsort(-row)[:count][::-1]
        below.barh(range(count), 100 * row[best], color=[SKY] * (count - 1) + [BLUE])
        below.set_yticks(range(count), [plain(classes[k]) for k in best])
        below.set(xlim=(0, 100), xlabel="probability, %")
        below.grid(axis="y", visible=False)
    figure.alt = ("Photographs in a row, and below each the five most probable answers of the "
                  "network as horizontal bars, the longest at the top.")
    return figure


def grown(before, after) -> Figure:
    """The kernels of a net's first layer before training, and what training added to them.

    Args:
        before, after: (kernels, 3, side, side), of the same net.
    """
    rows = {"before": before, "added by\ntraining": after - before}
    figure, panels = plt.subplots(2, len(before), figsize=(0.46 * len(before) + 0.9, 1.35))
    for (name, kernels), axes in zip(rows.items(), panels, strict=True):
        for kernel, panel in zip(np.asarray(kernels), axes, strict=True):
            panel.imshow(0.5 + 0.5 * kernel.transpose(1, 2, 0) / np.abs(kernel).max())
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    figure.alt = ("Two rows of small square kernels. Above: colored noise, the same in all. "
                  "Below, what training added: soft dark and light edges and stripes at many "
                  "angles.")
    return figure


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
    left.set(xlabel="step (one minibatch of 128)", ylabel="loss, nats",
             title="The loss: hesitation, then a fall")
    left.legend()
    epochs = [row["epoch"] for row in history]
    for key, color, mark, name in (("train_error", ORANGE, "s", "training, with dropout"),
                                   ("val_error", BLUE, "o", "validation")):
        right.plot(epochs, [100 * row[key] for row in history], marker=mark, color=color,
                   label=name)
    right.set(xlabel="epoch", ylabel="error, %", ylim=(0, 100),
              title="Wrong answers: from nine in ten to almost none")
    right.legend()
    places = bottom.subplots(2, 6).ravel()
    for axes in places:
        axes.axis("off")
    for axes, picture, t, g, p in zip(places[:len(images)], images, truth, guess, probability,
                                      strict=True):
        axes.imshow(picture)
        said = f"{classes[g]} {p:.0%}" if t == g else f"✗ {classes[g]}, not {classes[t]}"
        axes.set_title(plain(said), fontsize=10, color="black" if t == g else RED)
    figure.alt = ("Top left: the loss by step hesitates around the dashed line of guessing, "
                  "ln 10, then falls. Top right: training and validation error by epoch, "
                  "falling from 90%. Below: twelve pictures with the network's answers; "
                  "wrong ones have a red cross.")
    return figure
