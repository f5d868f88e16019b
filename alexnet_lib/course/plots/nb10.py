"""Figures of notebook 10, when it does not train."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alexnet_lib.course.plots import CYCLE, GRAY, RED

LINES, MARKS = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))), "os^Dv"


def races(curves: dict, guess: float, per_step: dict | None = None, window: int = 15,
          floor: float | None = None, above: float = 0.5) -> Figure:
    """Loss by step, each curve the mean of `window` steps, beside the loss of guessing.

    Args:
        curves: losses of each step, nats, by name. guess: ln(classes). per_step: images in a
            step, by name; then the axis counts images. floor: a loss that none can fall below.
        above: how much above guessing the picture ends, nats.
    """
    figure, axes = plt.subplots(figsize=(9, 3.7))
    for (name, losses), color, line, mark in zip(  # noqa: B905
            curves.items(), CYCLE, LINES, MARKS):
        losses = np.asarray(losses, float)
        losses = losses[np.isfinite(losses)]
        width = max(1, min(window, len(losses)))
        smooth = np.convolve(losses, np.ones(width) / width, "valid")
        at = np.arange(width, len(losses) + 1) * (per_step[name] if per_step else 1)
        axes.plot(at, smooth, color=color, ls=line, lw=2, marker=mark, markersize=6,
                  markevery=(len(at) // 12, max(1, len(at) // 6)), label=name)
    axes.axhline(guess, color=GRAY, lw=1.5)
    axes.text(1.01, guess, f"guessing:\n{guess:.2f}", color=GRAY, va="center",
              transform=axes.get_yaxis_transform(), fontsize=10)
    if floor is not None:
        axes.axhline(floor, color=RED, lw=1.5, ls=":")
        axes.text(1.01, floor, f"no lower:\n{floor:.2f}", color=RED, va="center",
                  transform=axes.get_yaxis_transform(), fontsize=10)
    low = guess - 0.4 if floor is None else floor - 0.15
    axes.set(xlabel="training images seen" if per_step else "step", ylim=(low, guess + above),
             ylabel=f"loss, nats\n(mean of {window} steps)")
    axes.set_xlim(0, None)
    columns = 2 if len(curves) == 4 else 3
    figure.legend(loc="outside lower center", ncols=columns, fontsize=10)
    return figure


def inside(nets: dict[str, list[dict]]) -> Figure:
    """Layer by layer: the size of the output, how much of it depends on the image, the gradient.

    Args:
        nets: rows of `doctor.layers`, by name.
    """
    figure, (size, share, gradient) = plt.subplots(1, 3, figsize=(13, 4.3))
    for (name, rows), color, line, mark in zip(nets.items(), CYCLE, LINES, MARKS):  # noqa: B905
        names = [row["name"] for row in rows]
        look = {"color": color, "ls": line, "marker": mark, "lw": 2, "markersize": 6}
        size.semilogy(names, [row["size"] for row in rows], **look)
        share.semilogy(names, [row["share"] for row in rows], label=name, **look)
        gradient.semilogy(names, [row["grad"] / row["weight"] for row in rows], **look)
    size.set(ylabel="size of the output\n(root mean square)", xlabel="layer",
             title="Forward: the size")
    share.set(ylabel="share of the output that\ndiffers from image to image", xlabel="layer",
              title="Forward: the image")
    gradient.set(ylabel="gradient, as a share of\nthe weights it belongs to", xlabel="layer",
                 title="Backward: the gradient")
    for axes in (size, share, gradient):
        axes.tick_params(axis="x", labelrotation=45)
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    return figure


def off(nets: dict[str, list[dict]]) -> Figure:
    """For each hidden layer, the share of units that are off for every image: bars by net.

    Args:
        nets: rows of `doctor.layers`, by name.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6))
    width = 0.8 / len(nets)
    for i, ((name, rows), color, hatch) in enumerate(zip(  # noqa: B905
            nets.items(), CYCLE, (None, "//", "..", "xx"))):
        rows = rows[:-1]
        at = np.arange(len(rows)) + (i - (len(nets) - 1) / 2) * width
        axes.bar(at, [row["off"] for row in rows], width, color=color, hatch=hatch, ec="white",
                 label=name)
        axes.set_xticks(range(len(rows)), [row["name"] for row in rows])
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.set(ylim=(0, 1.02), ylabel="units off for all images", xlabel="layer")
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
    return figure
