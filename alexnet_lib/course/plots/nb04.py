"""Figures of notebook 04, local response normalization."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK


def row(before, after, alone, window=None) -> Figure:
    """The responses of a row of feature maps at one position, before and after normalization.

    Args:
        before, after: (maps,). alone: (maps,), after normalization if all others were silent.
        window: (first, last) feature map to mark, or None.
    """
    before, after, alone = np.asarray(before), np.asarray(after), np.asarray(alone)
    at = np.arange(len(before))
    figure, axes = plt.subplots(figsize=(9.5, 3.6))
    if window:
        axes.axvspan(window[0] - 0.5, window[1] + 0.5, color=ORANGE, alpha=0.18, lw=0,
                     label="all who see\nmap 4")
    axes.bar(at, before, 0.8, color="white", ec=GRAY, hatch="///", label="before, $a$")
    axes.bar(at, after, 0.5, color=BLUE, label="after, $b$")
    axes.hlines(alone, at - 0.42, at + 0.42, color="black", lw=2,
                label="with silent\nneighbors")
    axes.set(xlabel="feature map", ylabel="response", xticks=at,
             ylim=(min(0, before.min() * 1.1), max(1, before.max() * 1.1)))
    loudest = int(before.argmax())
    share = 100 * after / np.where(alone, alone, 1)
    share[alone == 0] = np.inf
    hurt = int(share.argmin())
    axes.set_title(f"Its neighbors take {100 - share[hurt]:.0f}% from map {hurt}, and "
                   f"{100 - share[loudest]:.0f}% from the loud map {loudest}", fontsize=11)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("Twelve pairs of bars, before and after, each with a black line at the height "
                  "it would have with silent neighbors. Map 4 is by far the loudest, and it comes "
                  "close to its line. So do the maps far from it. In the shaded maps around it, "
                  "the bars end at a third to a half of their lines.")
    return figure


def windows(matrix, columns: int) -> Figure:
    """Which feature maps share a window: a square for each pair, one band for each column.

    Args:
        matrix: (maps, maps // columns), from `layers.window_matrix`.
    """
    matrix = np.asarray(matrix)
    maps, per = matrix.shape
    whole = np.zeros((maps, maps))
    for c in range(columns):
        whole[c * per:(c + 1) * per, c * per:(c + 1) * per] = matrix[c * per:(c + 1) * per]
    figure, axes = plt.subplots(figsize=(7, 5))
    for i, j in zip(*np.nonzero(whole), strict=True):
        axes.add_patch(plt.Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, lw=0,
                                     color=(BLUE, ORANGE)[int(i) // per % 2]))
    for i, total in enumerate(whole.sum(1).astype(int)):
        axes.text(maps - 0.2, i, f"{total} maps", va="center", fontsize=9.5)
    for c in range(1, columns):
        for line in (axes.axhline, axes.axvline):
            line(c * per - 0.5, color="black", lw=1.2, ls="--")
    for c in range(columns):
        axes.text(maps + 1.6, (c + 0.5) * per - 0.5, f"column {c + 1}", rotation=-90, va="center",
                  bbox={"boxstyle": "round", "fc": (BLUE, ORANGE)[c % 2], "alpha": 0.4, "lw": 0})
    axes.set(xlim=(-0.6, maps + 2.4), ylim=(maps - 0.4, -0.6), aspect="equal",
             xticks=range(maps), yticks=range(maps), xlabel="map in its window",
             ylabel="map that is normalized")
    axes.set_title(f"Maps {per - 1} and {per} are side by side and never meet", fontsize=11)
    axes.xaxis.set_label_coords(maps / 2 / (maps + 3), -0.08)
    axes.grid(False)
    figure.alt = ("A table of 12 by 12 with squares along the diagonal, two to each side. No "
                  "square crosses the dashed lines between the columns. Numbers beside the rows "
                  "say how many maps each window holds: 3, 4, 5, 5, 4, 3 in either column.")
    return figure


# (k, alpha, beta) of the curves of exercise 04-2.
CURVES = {"A": (2, 0, 0.75), "B": (2, 1e-4, 0.5), "C": (2, 1e-4, 0.75), "D": (8, 1e-4, 0.75)}


def alone(curves: dict[str, tuple[float, float, float]], highest: float = 600) -> Figure:
    """What normalization makes of a unit whose neighbors are silent, with several settings.

    Args:
        curves: by label, (k, alpha, beta). highest: the largest response drawn.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.2))
    a = np.linspace(0, highest, 601)
    styles = zip(curves.items(), (BLUE, ORANGE, GREEN, PINK), ("-", "--", "-.", ":"))  # noqa: B905
    for (name, (k, alpha, beta)), color, line in styles:
        b = a / (k + alpha * a ** 2) ** beta
        axes.plot(a, b, color=color, ls=line, lw=2.2)
        end = np.flatnonzero(b <= 120)[-1]
        axes.annotate(name, (a[end], b[end]), xytext=(6, 0), textcoords="offset points",
                      color=color, weight="bold", va="center", annotation_clip=False)
    axes.set(xlabel="response of a lone unit, $a$", ylabel="after normalization, $b$",
             xlim=(0, highest), ylim=(0, 122))
    figure.alt = ("Four curves that rise from zero. A is a straight line and soon leaves the "
                  "picture. B rises steeply and bends toward a level near 100. C rises as "
                  "steeply, is highest at a response of 200, then falls. D starts less steeply "
                  "and is highest at 400.")
    return figure


def when_it_acts(loudness: dict, k: float = 2.0, beta: float = 0.75) -> Figure:
    """How loud the windows are in several networks, below what that does to a response.

    Args:
        loudness: by name, alpha times the sum of squares of many windows; any shape.
    """
    bins = np.logspace(-8, 3, 89)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9.5, 5.8), sharex=True,
                                         height_ratios=(1, 1.3))
    top.plot(bins, (k + bins) ** -beta, color="black", lw=2)
    top.annotate(f"divided by {k ** beta:.2f}, whatever the neighbors do",
                 (2e-8, k ** -beta - 0.04), va="top")
    top.annotate("the neighbors\ntake over", (8, 0.35), va="center")
    top.set(ylabel="factor $b\\,/\\,a$", ylim=(0, 0.68))
    for axes in (top, bottom):
        axes.axvline(k, color=GRAY, ls="--", lw=1.5)
    top.annotate(f"$k$ = {k:g} ", (k, 0.05), ha="right", color=GRAY)
    styles = zip(loudness.items(), (ORANGE, GREEN, BLUE), ("--", "-.", "-"))  # noqa: B905
    for (name, values), color, line in styles:
        values = np.clip(np.asarray(values).ravel(), bins[0], bins[-1])
        weights = np.full(len(values), 100 / len(values))
        bottom.hist(values, bins, weights=weights, color=color, alpha=0.25)
        bottom.hist(values, bins, weights=weights, histtype="step", color=color, ls=line, lw=2,
                    label=name)
    top.set_title("Only a trained filter on large pixels is loud enough for its neighbors to hear",
                  fontsize=11)
    bottom.set(xscale="log", ylabel="windows, %", xlim=(1e-8, 1e3),
               xlabel="loudness of a window, $\\alpha \\sum a^2$")
    bottom.margins(y=0.4)
    bottom.legend(loc="upper left")
    figure.alt = ("Above, the factor that a response is multiplied by, against the loudness of its "
                  "window: level at 0.59, then falling once the loudness nears k = 2. Below, three "
                  "histograms of loudness. Untrained with normalized pixels: around four "
                  "millionths. Untrained with pixels of 0 to 255: around a hundredth. Trained "
                  "with pixels of 0 to 255: around one half, with a tail beyond ten.")
    return figure


def maps(image, before, after, alone: float, names, title: str) -> Figure:
    """Neighboring feature maps of one photograph, before and after, and the share they keep.

    Brightness is the root of the response, or faint edges would be black.

    Args:
        image: (S, S, 3) uint8. before, after: (maps, H, W), not negative. alone: k**-beta, taken
            out of `after`. names: of the maps. title: what to see.
    """
    before, after = np.asarray(before), np.asarray(after) / alone
    share = np.divide(100 * after, before, out=np.full_like(before, np.nan), where=before > 0)
    count = len(before)
    figure = plt.figure(figsize=(12, 5.6))
    figure.suptitle(title, fontsize=12)
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.6))
    picture = left.subplots()
    picture.imshow(image)
    picture.axis("off")
    panels = right.subplots(3, count)
    top = np.sqrt(np.quantile(before, 0.995))
    for line, (values, colors, high, label) in zip(panels, (
            (np.sqrt(before), "gray", top, "before"), (np.sqrt(after), "gray", top, "after"),
            (share, "cividis", 100, "share kept, %")), strict=True):
        for axes, value in zip(line, values, strict=True):
            drawn = axes.imshow(value, cmap=colors, vmin=0, vmax=high)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        line[0].set_ylabel(label, fontsize=11)
    right.colorbar(drawn, ax=list(panels[2]), shrink=0.9, aspect=10)
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize=11)
    return figure
