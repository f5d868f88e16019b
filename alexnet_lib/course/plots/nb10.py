"""Figures of notebook 10, when it does not train."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter

from alexnet_lib.course.plots import CYCLE, GRAY, RED

LINES, MARKS = ("-", "--", "-.", ":"), "os^D"


def _smooth(losses, window: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps, mean loss of the last `window` steps) of the losses that are finite."""
    losses = np.asarray(losses, float)
    losses = losses[np.isfinite(losses)]
    width = max(1, min(window, len(losses)))
    return (np.arange(width, len(losses) + 1),
            np.convolve(losses, np.ones(width) / width, "valid"))


def races(curves: dict, guess: float, window: int = 15, low: float = -0.4,
          high: float = 0.5) -> Figure:
    """Loss by step, each curve the mean of `window` steps, beside the loss of guessing.

    Args:
        curves: losses of each step, nats, by name. guess: ln(classes).
        low, high: where the picture begins and ends, in nats from the loss of guessing.
    """
    figure, axes = plt.subplots(figsize=(9, 3.7))
    for (name, losses), color, line, mark in zip(  # noqa: B905
            curves.items(), CYCLE, LINES, MARKS):
        steps, mean = _smooth(losses, window)
        axes.plot(steps, mean, color=color, ls=line, lw=2, marker=mark, markersize=6,
                  markevery=(len(steps) // 12, max(1, len(steps) // 6)), label=name)
    axes.axhline(guess, color=GRAY, lw=1.5)
    axes.text(1.01, guess, f"guessing:\n{guess:.2f}", color=GRAY, va="center",
              transform=axes.get_yaxis_transform(), fontsize=10)
    axes.set(xlabel="step", ylim=(guess + low, guess + high),
             ylabel="loss, nats" + (f"\n(mean of {window} steps)" if window > 1 else ""))
    axes.set_xlim(0, None)
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    return figure


def plateau(curves: dict, guess: float) -> Figure:
    """A net that sits at the loss of guessing, and one that leaves: see `races`."""
    figure = races(curves, guess)
    figure.axes[0].set_title("One waits a while and leaves; the other stays")
    figure.alt = ("Two loss curves by step and a gray line at the loss of guessing. Both start "
                  "above the line and come down to it within about a hundred steps. The dashed "
                  "one goes on falling. The solid one stays just above the line to the end.")
    return figure


def memorized(curves: dict, guess: float) -> Figure:
    """Losses of nets that try to memorize one batch: see `races`."""
    figure = races(curves, guess, window=3, low=-guess - 0.1, high=3)
    figure.axes[0].set_title("A working network memorizes sixteen images, whatever their labels")
    figure.alt = ("Loss on sixteen images by step. The healthy net drops to zero, and so does the "
                  "one with shuffled labels, after a bump. The net with the paper's weights and "
                  "normalized pixels stops at the line of guessing. The net with the learning "
                  "rate 0.1 leaves the picture at the top.")
    return figure


def inside(nets: dict[str, list[dict]], titles=("Forward: the outputs", "Forward: the image",
                                                "Backward: the gradient")) -> Figure:
    """Layer by layer: the size of the output, how much of it depends on the image, the gradient.

    Args:
        nets: rows of `doctor.layers`, by name. titles: of the three panels.
    """
    figure, (size, share, gradient) = plt.subplots(1, 3, figsize=(13, 4.3))
    for (name, rows), color, line, mark in zip(nets.items(), CYCLE, LINES, MARKS):  # noqa: B905
        names = [row["name"] for row in rows]
        look = {"color": color, "ls": line, "marker": mark, "lw": 2, "markersize": 6}
        size.semilogy(names, [row["size"] for row in rows], **look)
        share.semilogy(names, [row["share"] for row in rows], label=name, **look)
        gradient.semilogy(names, [row["grad"] / row["weight"] for row in rows], **look)
    size.set_ylabel("size of the output\n(root mean square)")
    share.set_ylabel("share that differs\nfrom image to image")
    gradient.set_ylabel("gradient over weights\n(root mean squares)")
    for axes, title in zip((size, share, gradient), titles, strict=True):
        axes.set_title(title)
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(axis="x", labelrotation=45)
        axes.set_xlabel("layer")
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    figure.alt = ("Three panels, layer by layer from conv1 to fc8, on logarithmic scales: the "
                  "size of each layer's output, the share of it that differs from image to image, "
                  "and the gradient over the weights. One line for each net.")
    return figure


def over_time(nets: dict[str, list], chosen=("conv2", "conv5", "fc7", "fc8")) -> Figure:
    """Image share and gradient of some layers while nets train: a column for each net.

    Args:
        nets: by title, a list of (step, rows of `doctor.layers`). chosen: the layers drawn.
    """
    figure, panels = plt.subplots(2, len(nets), figsize=(4 * len(nets), 5.6), sharey="row",
                                  squeeze=False)
    measures = (lambda row: row["share"], "share that differs\nfrom image to image"), (
        lambda row: row["grad"] / row["weight"], "gradient\nover weights")
    for column, (title, seen) in zip(panels.T, nets.items(), strict=True):
        column[0].set_title(title, fontsize=11)
        column[1].set_xlabel("step")
        for axes, (measure, _) in zip(column, measures, strict=True):
            for layer, color, line, mark in zip(  # noqa: B905
                    chosen, CYCLE, LINES, MARKS):
                values = [measure(row) for _, rows in seen for row in rows if row["name"] == layer]
                axes.plot([step for step, _ in seen], np.maximum(values, 1e-8), color=color,
                          ls=line, lw=2, marker=mark, ms=4, label=layer)
            axes.set_yscale("log")
    for axes, (_, label), low in zip(panels[:, 0], measures, (1e-5, 1e-6), strict=True):
        axes.set(ylabel=label, ylim=(low, 10))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=len(chosen), fontsize=10)
    figure.alt = ("Two rows of panels against the step, on logarithmic scales, a column for each "
                  "net and a line for each of conv2, conv5, fc7 and fc8. Upper row: the share of "
                  "a layer's output that differs from image to image. Lower row: the gradient "
                  "over the weights. Faded: the image share stays far below one percent in all "
                  "but conv2, and the gradients sink. Dead: lines drop to the lower edge within "
                  "a few dozen steps. Healthy: the shares rise and draw together, and the "
                  "gradient of conv2 grows.")
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
    axes.set(ylim=(0, 1.02), ylabel="units off for all images", xlabel="layer",
             title="Too large a step switches a whole layer off")
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
    figure.alt = ("Bars for each hidden layer and net: the share of units that are off for all "
                  "images. The two nets whose steps were too large have a layer near 100%. The "
                  "slow net has next to none off, and the net that learns has lost more than half "
                  "of fc7.")
    return figure


def gallery(curves: dict, guess: float, healthy, columns: int = 4) -> Figure:
    """Loss curves side by side, each titled by its diagnosis, with a healthy one in gray.

    Args:
        curves: losses of each step, nats, by title. guess: ln(classes). healthy: losses, nats.
    """
    rows = -(-len(curves) // columns)
    figure, panels = plt.subplots(rows, columns, figsize=(3.2 * columns, 2.6 * rows), sharey=True,
                                  squeeze=False)
    for axes, (title, losses) in zip(panels.flat, curves.items(), strict=True):
        axes.plot(*_smooth(healthy, 15), color=GRAY, lw=1.5, ls="--")
        _small(axes, title, losses, guess)
    for axes in panels[:, 0]:
        axes.set_ylabel("loss, nats")
    for axes in panels[-1]:
        axes.set_xlabel("step")
    figure.alt = (f"{len(curves)} small panels, each with one loss curve in color, the healthy "
                  "net's in dashed gray and the line of guessing. "
                  + "; ".join(title.replace("\n", ", ") for title in curves) + ".")
    return figure


def _small(axes: Axes, title: str, losses, guess: float) -> None:
    axes.axhline(guess, color=GRAY, lw=1)
    axes.plot(*_smooth(losses, 15), color=RED if "dead" in title else CYCLE[0], lw=2)
    axes.set_title(title, fontsize=10)
    axes.set(ylim=(guess - 0.4, guess + 0.6))
    axes.set_xlim(0, None)


def patients(nets: dict, guess: float) -> Figure:
    """Nets to be diagnosed: the loss above, below it what the instruments say.

    Args:
        nets: by letter, (losses of each step in nats, list of (step, rows of `doctor.layers`)).
        guess: ln(classes).
    """
    figure, panels = plt.subplots(2, len(nets), figsize=(3.2 * len(nets), 5), sharey="row")
    for (upper, lower), (letter, (losses, seen)) in zip(panels.T, nets.items(), strict=True):
        _small(upper, letter, losses, guess)
        upper.plot(range(1, len(losses) + 1), losses, color=CYCLE[0], lw=0.6, alpha=0.5)
        steps = [step for step, _ in seen]
        lower.plot(steps, [rows[-1]["share"] for _, rows in seen], color=CYCLE[0], marker="o",
                   label="image share at the output")
        lower.plot(steps, [max(row["off"] for row in rows[:-1]) for _, rows in seen], color=RED,
                   ls="--", marker="s", label="units off in the worst layer")
        lower.set(ylim=(-0.03, 1.03), xlabel="step")
        lower.yaxis.set_major_formatter(PercentFormatter(1))
    panels[0, 0].set_ylabel("loss, nats")
    figure.legend(*lower.get_legend_handles_labels(), loc="outside lower center", ncols=2,
                  fontsize=10)
    figure.alt = ("Four nets, A to D, in columns. Above: the loss of each step and its mean. "
                  "Below: the image share at the output and the share of units that are off in "
                  "the worst layer. A: exactly at guessing from the first step, without noise. "
                  "B: leaps above the picture and comes back to the line; the image share drops "
                  "to 0% and the units off rise to 100%. C: starts above the line and sinks "
                  "slowly; few units off. D: noisy around the line; an image share above 0%, no "
                  "layer all off.")
    return figure
