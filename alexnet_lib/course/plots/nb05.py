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
    twice = f", and one pixel wins {won.max()} of them" if won.max() > 1 else ""
    top.set_title(f"z = {window}, s = {stride}: {pixels} pixels become {places}{twice}", loc="left",
                  fontsize=11.5)
    top.set(ylabel="response", ylim=(min(0, values.min()), max(values.max() * 1.15, 1)))
    over = max(pixels, (places - 1) * stride + window)
    bottom.axvline(pixels - 0.5, color="black", lw=1.5)
    bottom.set(xlim=(-0.7, over - 0.3), ylim=(-lines + 0.4, 0.6), yticks=[], xlabel="pixel",
               ylabel="windows", xticks=range(0, pixels, 1 if pixels <= 30 else 5))
    for axes in (top, bottom):
        axes.grid(axis="x", visible=False)
    figure.alt = (f"Above: {pixels} pixels as bars, those that win a window filled, with the "
                  "number of windows they win. Below: the windows, side by side or in several "
                  "rows where they overlap, each with its largest number.")
    return figure


def counts(size: int, window: int, stride: int) -> np.ndarray:
    """In how many windows each pixel of a map lies, by the ceil rule: (size, size) integers."""
    starts = np.arange(math.ceil((size - window) / stride) + 1) * stride
    along = sum((np.arange(size) >= a) & (np.arange(size) < a + window) for a in starts)
    return np.outer(along, along)


def cover(size: int, settings: dict[str, tuple[int, int]], outlines: bool = True) -> Figure:
    """In how many windows each pixel of a map lies, and where the first windows are.

    Args:
        size: side of the map in pixels. settings: by title, (window, stride) for each panel.
        outlines: whether the first two windows are drawn, and all panels have one scale of
            color.
    """
    figure, panels = plt.subplots(1, len(settings), figsize=(4.3 * len(settings), 4.4))
    most = max(counts(size, *setting).max() for setting in settings.values())
    for axes, (title, (window, stride)) in zip(panels, settings.items(), strict=True):
        lies_in = counts(size, window, stride)
        top = most if outlines else lies_in.max()
        axes.imshow(lies_in, cmap="cividis", vmin=0, vmax=1.2 * top)
        for (y, x), n in np.ndenumerate(lies_in):
            axes.text(x, y, n, ha="center", va="center", fontsize=9.5,
                      color="white" if n < 0.6 * top else "black")
        for color, line, x in ((ORANGE, "-", 0), (SKY, "--", stride)) if outlines else ():
            axes.add_patch(plt.Rectangle((x - 0.44, -0.44), window - 0.12, window - 0.12,
                                         fill=False, lw=3, ec=color, ls=line))
        axes.set_title(title, fontsize=11.5)
        axes.set(xticks=range(size), yticks=range(size), xlabel="column")
        axes.grid(False)
    panels[0].set_ylabel("row")
    figure.alt = (f"Maps of {size} by {size} pixels. Each pixel carries the number of windows "
                  "that it lies in" + ("; the first two windows are outlined." if outlines
                                       else "."))
    return figure


def survivors(image, response, pooled: dict) -> Figure:
    """An image and one filter's response to it; beside them, what repeated pooling leaves.

    Args:
        image: (S, S, 3) uint8. response: (H, W). pooled: by title, for each
            of two rows, the maps after one, two, ... poolings. All are drawn at one size.
    """
    times = len(next(iter(pooled.values())))
    figure, panels = plt.subplots(len(pooled), 1 + times, squeeze=False,
                                  figsize=(2.6 * (1 + times), 2.95 * len(pooled)))
    panels[0, 0].imshow(image)
    panels[0, 0].set_title("a photograph", fontsize=11)
    top = np.quantile(response, 0.998)
    panels[1, 0].imshow(response, cmap="gray", vmin=0, vmax=top)
    panels[1, 0].set_title("its edges that face left", fontsize=11)
    for row, (name, maps) in enumerate(pooled.items()):
        for number, values in enumerate(maps, 1):
            panels[row, number].imshow(values, cmap="gray", vmin=0, vmax=top)
            panels[row, number].set_title(f"{name}: pooled {number}×", fontsize=11)
    sizes = [image, *next(iter(pooled.values())), response, *list(pooled.values())[1]]
    for axes, values in zip(panels.flat, sizes, strict=True):
        axes.set(xticks=[], yticks=[], xlabel=f"{values.shape[1]} × {values.shape[0]}")
        axes.grid(False)
    figure.alt = ("A coffee cup, an edge filter's map of it, and that map after one, two, and "
                  "three poolings, a row for each kind of pooling. The left rim and the spoon are "
                  "still there after three, in a few coarse pixels, and thicker with overlap.")
    return figure


def shifted(shifts, changes: dict) -> Figure:
    """How much the maps change when the image moves, for several poolings.

    Args:
        shifts: pixels. changes: by name, for each shift, % of the change to another image.
    """
    figure, axes = plt.subplots(figsize=(8.2, 3.9))
    looks = zip(changes.items(), (GRAY, PINK, ORANGE, BLUE, GREEN), "xvsoD",  # noqa: B905
                (":", "-.", "--", "-", "-"))
    for (name, values), color, mark, line in looks:
        axes.plot(shifts, values, color=color, marker=mark, ls=line, lw=2, label=name)
    axes.set(xlabel="pixels that the image moves", xticks=list(shifts), ylim=(0, 103),
             ylabel="change of the maps, in %\nof a swap for another image")
    axes.axhline(100, color="black", lw=1)
    axes.text(0, 98, "as different as another image", va="top", fontsize=9.5)
    axes.set_title("The larger the window, the less the maps change", fontsize=11.5)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("How much pooled maps change when the image moves by 0 to 4 pixels, in percent "
                  "of the change to another image. Four curves rise from zero, steeply at first, "
                  "and keep their order: every second pixel on top, the windows of 5 at the "
                  "bottom.")
    return figure


def wins(response, counts: dict) -> Figure:
    """Which positions of a map get a gradient, and from how many windows.

    Args:
        response: (H, W). counts: by title, (H, W) numbers of windows won.
    """
    figure, panels = plt.subplots(1, 1 + len(counts), figsize=(3.7 * (1 + len(counts)), 4.1))
    panels[0].imshow(response, cmap="gray")
    panels[0].set_title("a corner of the map", fontsize=11)
    labels = {}
    for axes, (title, won) in zip(panels[1:], counts.items(), strict=True):
        axes.imshow(response, cmap="gray", alpha=0.35)
        for n, color, mark, size in ((1, SKY, "o", 26), (2, ORANGE, "s", 34), (3, GREEN, "^", 46),
                                     (4, RED, "*", 110)):
            y, x = np.nonzero(won == n)
            if len(x):
                axes.scatter(x, y, c=color, marker=mark, s=size, ec="black", lw=0.6,
                             label=f"wins {n} window{'s' * (n > 1)}")
        axes.set_title(f"{title}: {np.mean(won == 0):.0%} get no gradient", fontsize=11)
        labels |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(labels.values(), labels.keys(), loc="outside lower center", ncols=4, fontsize=10)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    figure.alt = ("A part of the map, and over it the positions that win windows: with overlap, "
                  "squares win two windows, triangles three, stars four, many of them on the "
                  "bright rim; with windows of 2 by 2 every winner wins one.")
    return figure
