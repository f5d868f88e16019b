"""Figures of notebook 05, overlapping pooling."""

import math

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY


def row(values, window: int, stride: int) -> Figure:
    """Windows over a row of pixels, by the ceil rule, and the largest number of each.

    Args:
        values: (pixels,). Parts of windows that hang over the end are hatched.
    """
    values = np.asarray(values, float)
    pixels = len(values)
    places = max(1, math.ceil((pixels - window) / stride) + 1)
    places = min(places, (pixels - 1) // stride + 1)  # none begins outside
    lines = min(places, max(2, -(-window // stride)))
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(10, 3.4 + 0.25 * lines), sharex=True,
                                         height_ratios=(2.2, 0.6 + 0.55 * lines))
    won = np.zeros(pixels, int)
    for place in range(places):
        start = place * stride
        end = min(start + window, pixels)
        winner = start + int(np.argmax(values[start:end]))
        won[winner] += 1
        line = -(place % lines)
        color = (BLUE, ORANGE, GREEN, PINK, SKY, RED)[place % max(2, lines) % 6]
        bottom.barh(line, end - start, left=start - 0.5, height=0.72, color=color, alpha=0.55,
                    ec="black", lw=1)
        if start + window > end:
            bottom.barh(line, start + window - end, left=end - 0.5, height=0.72, fc="none",
                        hatch="////", ec=GRAY, lw=0.8)
        bottom.text(start - 0.5 + (end - start) / 2, line, f"{values[winner]:g}", ha="center",
                    va="center", fontsize=10)
    bars = top.bar(range(pixels), values, 0.8, color="white", ec=GRAY)
    for bar, times in zip(bars, won, strict=True):
        if times:
            bar.set(facecolor=SKY if times == 1 else BLUE, edgecolor="black",
                    hatch=None if times == 1 else "///")
    top.bar_label(bars, ["" if n == 0 else f"{n}×" for n in won], fontsize=9.5)
    names = (("wins no window", "white", None), ("wins one", SKY, None),
             ("wins several", BLUE, "///"))
    top.legend([plt.Rectangle((0, 0), 1, 1, fc=color, ec="black", hatch=hatch)
                for _, color, hatch in names], [name for name, *_ in names], ncols=3, fontsize=9.5,
               loc="lower right", bbox_to_anchor=(1, 1))
    top.set_title(f"z = {window}, s = {stride}: {pixels} pixels become {places}", loc="left",
                  fontsize=11)
    top.set(ylabel="response", ylim=(min(0, values.min()), max(values.max() * 1.15, 1)))
    over = max(pixels, (places - 1) * stride + window)
    bottom.axvline(pixels - 0.5, color="black", lw=1.5)
    bottom.set(xlim=(-0.7, over - 0.3), ylim=(-lines + 0.4, 0.6), yticks=[], xlabel="pixel",
               ylabel="windows", xticks=range(0, pixels, 1 if pixels <= 30 else 5))
    for axes in (top, bottom):
        axes.grid(axis="x", visible=False)
    return figure


def cover(size: int, settings) -> Figure:
    """In how many windows each pixel of a map lies, and where the first windows are.

    Args:
        size: side of the map in pixels. settings: (window, stride) for each panel.
    """
    figure, panels = plt.subplots(1, len(settings), figsize=(4.6 * len(settings), 4.5))
    for axes, (window, stride) in zip(np.atleast_1d(panels), settings, strict=True):
        starts = np.arange(math.ceil((size - window) / stride) + 1) * stride
        along = sum((np.arange(size) >= a) & (np.arange(size) < a + window) for a in starts)
        counts = np.outer(along, along)
        axes.imshow(counts, cmap="cividis", vmin=0, vmax=5)
        for (y, x), n in np.ndenumerate(counts):
            axes.text(x, y, n, ha="center", va="center", fontsize=9.5,
                      color="white" if n < 3 else "black")
        for number, x in enumerate((0, stride)):
            axes.add_patch(plt.Rectangle((x - 0.5 + 0.06, -0.44), window - 0.12, window - 0.12,
                                         fill=False, lw=3, ec=(ORANGE, SKY)[number],
                                         ls=("-", "--")[number]))
        axes.set_title(f"z = {window}, s = {stride}: {len(starts)} x {len(starts)} windows",
                       fontsize=10.5)
        axes.set(xticks=range(size), yticks=range(size), xlabel="pixel", ylabel="pixel")
        axes.grid(False)
    return figure


def over_a_map(image, response, pooled: dict) -> Figure:
    """An image, one filter's response to it, and the response after several poolings.

    Args:
        image: (S, S, 3) uint8. response: (H, W). pooled: arrays by title.
    """
    figure, panels = plt.subplots(1, 2 + len(pooled), figsize=(2.75 * (2 + len(pooled)), 3.2))
    panels[0].imshow(image)
    panels[0].set_title("the image", fontsize=10.5)
    top = np.quantile(response, 0.998)
    shown = {"an edge filter and ReLU": response} | pooled
    for axes, (title, values) in zip(panels[1:], shown.items(), strict=True):
        axes.imshow(values, cmap="gray", vmin=0, vmax=top)
        axes.set_title(title, fontsize=10.5)
    for axes, values in zip(panels, (image, *shown.values()), strict=True):
        axes.set(xticks=[], yticks=[], xlabel=f"{values.shape[1]} x {values.shape[0]} pixels")
        axes.grid(False)
    return figure


def shifted(shifts, changes: dict) -> Figure:
    """How much of the maps changes when the image moves, for several poolings.

    Args:
        shifts: pixels. changes: by name, for each shift, % of the change to another image.
    """
    figure, axes = plt.subplots(figsize=(8.2, 3.9))
    looks = zip(changes.items(), (GRAY, PINK, ORANGE, BLUE, GREEN), "xvsoD",  # noqa: B905
                (":", "-.", "--", "-", "-"))
    for (name, values), color, mark, line in looks:
        axes.plot(shifts, values, color=color, marker=mark, ls=line, lw=2, label=name)
    axes.set(xlabel="the image moves by, pixels", xticks=list(shifts), ylim=(0, None),
             ylabel="change of the maps,\n% of that to another image")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def wins(response, counts: dict) -> Figure:
    """Which places of a map get a gradient, and from how many windows.

    Args:
        response: (H, W). counts: by title, (H, W) numbers of windows won.
    """
    figure, panels = plt.subplots(1, 1 + len(counts), figsize=(3.7 * (1 + len(counts)), 4.1))
    panels[0].imshow(response, cmap="gray")
    panels[0].set_title("a map", fontsize=10.5)
    labels = {}
    for axes, (title, won) in zip(panels[1:], counts.items(), strict=True):
        axes.imshow(response, cmap="gray", alpha=0.35)
        for n, color, mark, size in ((1, SKY, "o", 26), (2, ORANGE, "s", 34), (3, GREEN, "^", 46),
                                     (4, RED, "*", 110)):
            y, x = np.nonzero(won == n)
            if len(x):
                axes.scatter(x, y, c=color, marker=mark, s=size, ec="black", lw=0.6,
                             label=f"wins {n} window{'s' * (n > 1)}")
        axes.set_title(f"{title}: {np.mean(won == 0):.0%} of the places get nothing", fontsize=10.5)
        labels |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=4, fontsize=10)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    return figure
