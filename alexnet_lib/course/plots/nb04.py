"""Figures of notebook 04, local response normalization."""

import json
from pathlib import Path
from textwrap import wrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, SKY


def row(before, after, alone: float, window=None) -> Figure:
    """The responses of a row of maps at one place, before and after the normalization.

    Args:
        before, after: (maps,). alone: k**-beta, what a response is multiplied by where the
            whole window is silent. window: (first, last) map of a window to mark, or None.
    """
    before, after = np.asarray(before), np.asarray(after)
    at = np.arange(len(before))
    figure, axes = plt.subplots(figsize=(9.5, 3.6))
    if window:
        axes.axvspan(window[0] - 0.5, window[1] + 0.5, color=ORANGE, alpha=0.18, lw=0,
                     label="a window")
    axes.bar(at, before, 0.8, color="white", ec=GRAY, hatch="///", label="before, $a$")
    axes.bar(at, after, 0.5, color=BLUE, label="after, $b$")
    axes.hlines(before * alone, at - 0.42, at + 0.42, color="black", lw=2,
                label="if the window\nwere silent, $a\\,/\\,k^\\beta$")
    axes.set(xlabel="map (number of the kernel)", ylabel="response", xticks=at,
             ylim=(min(0, before.min() * 1.1), max(1, before.max() * 1.1)))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def windows(matrix, columns: int) -> Figure:
    """Which maps share a bracket: a square for each pair, one band for each column.

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
        column = int(i) // per
        axes.add_patch(plt.Rectangle((j - 0.46, i - 0.46), 0.92, 0.92, lw=0,
                                     color=(BLUE, ORANGE)[column % 2]))
        axes.text(j, i, "1", ha="center", va="center", color=("white", "black")[column % 2],
                  fontsize=9)
    for i, total in enumerate(whole.sum(1).astype(int)):
        axes.text(maps - 0.2, i, f"{total} maps", va="center", fontsize=9.5)
    for c in range(1, columns):
        for line in (axes.axhline, axes.axvline):
            line(c * per - 0.5, color="black", lw=1.2, ls="--")
    for c in range(columns):
        axes.text(maps + 1.6, (c + 0.5) * per - 0.5, f"column {c + 1}", rotation=-90, va="center",
                  bbox={"boxstyle": "round", "fc": (BLUE, ORANGE)[c % 2], "alpha": 0.4, "lw": 0})
    axes.set(xlim=(-0.6, maps + 2.4), ylim=(maps - 0.4, -0.6), aspect="equal",
             xticks=range(maps), yticks=range(maps), xlabel="map $j$ that is looked at",
             ylabel="map $i$ that looks")
    axes.xaxis.set_label_coords(maps / 2 / (maps + 3), -0.08)
    axes.grid(False)
    return figure


def when_it_acts(terms: dict, k: float = 2.0, beta: float = 0.75) -> Figure:
    """How loud the windows are in several nets, under the curve of what that does to a response.

    Args:
        terms: by name, alpha times the sum of squares at many places; any shape.
    """
    bins = np.logspace(-8, 4, 97)
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(9.5, 5.6), sharex=True,
                                         height_ratios=(1, 1.25))
    top.plot(bins, (k + bins) ** -beta, color="black", lw=2)
    top.axhline(k ** -beta, color=GRAY, ls=":", lw=1.5)
    top.annotate("a constant: $k^{-\\beta}$ = " f"{k ** -beta:.2f}", (2e-8, k ** -beta - 0.02),
                 va="top", color=GRAY)
    top.set(ylabel="factor $b\\,/\\,a$", ylim=(0, 0.68))
    for axes in (top, bottom):
        axes.axvline(k, color=GRAY, ls="--", lw=1.5)
    top.annotate(f"as loud as $k$ = {k:g} ", (k, 0.05), ha="right", color=GRAY)
    styles = zip(terms.items(), (ORANGE, GREEN, BLUE, SKY), ("--", "-.", "-", ":"))  # noqa: B905
    for (name, values), color, line in styles:
        values = np.clip(np.asarray(values).ravel(), bins[0], bins[-1])
        weights = np.full(len(values), 100 / len(values))
        bottom.hist(values, bins, weights=weights, color=color, alpha=0.25)
        bottom.hist(values, bins, weights=weights, histtype="step", color=color, ls=line, lw=2,
                    label=name)
    bottom.set(xscale="log", ylabel="share of places, %", xlim=(1e-8, 1e4),
               xlabel="what the window adds to the bracket, $\\alpha \\sum a^2$")
    bottom.margins(y=0.45)
    bottom.legend(loc="upper left")
    return figure


def maps(image, before, after, alone: float, names) -> Figure:
    """Some maps of one image before and after, and what the normalization took from them.

    Args:
        image: (S, S, 3) uint8. before, after: (maps, H, W). alone: k**-beta. names: of the maps.
    """
    before, after = np.asarray(before), np.asarray(after)
    kept = np.divide(100 * after, alone * before, out=np.full_like(before, np.nan),
                     where=before != 0)
    count = len(before)
    figure = plt.figure(figsize=(1.5 * count + 3, 5.2))
    left, right = figure.subfigures(1, 2, width_ratios=(2.4, 1.55 * count))
    picture = left.subplots()
    picture.imshow(image)
    picture.set_title("the image", fontsize=10.5)
    picture.axis("off")
    panels = right.subplots(3, count)
    top = np.quantile(before, 0.999)
    shown = ((before, "gray", 0, top, "before, $a$"),
             (after / alone, "gray", 0, top, "after, $b \\cdot k^\\beta$"),
             (kept, "cividis", 0, 100, "kept, %"))
    for line, (values, colors, low, high, label) in zip(panels, shown, strict=True):
        for axes, value in zip(line, values, strict=True):
            drawn = axes.imshow(value, cmap=colors, vmin=low, vmax=high)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        line[0].set_ylabel(label, fontsize=10.5)
        figure.colorbar(drawn, ax=list(line), shrink=0.85, aspect=12)
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize=10)
    return figure


def newton(s, approximations, exact) -> Figure:
    """How far each approximation is from the exact value, in per cent, over s.

    Args:
        s, exact: (N,). approximations: a list of (N,): the guess, then after each step.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.9), width_ratios=(1, 1.25))
    left.plot(s, exact, color="black", lw=4, alpha=0.35, label="exact, $s^{-1/4}$")
    left.plot(s, approximations[0], color=ORANGE, lw=1.8, ls="--", label="the guess from the bits")
    left.plot(s, approximations[1], color=BLUE, lw=1.2, label="after one step")
    left.set(xscale="log", xlabel="$s$, what stands in the bracket", ylabel="$s^{-1/4}$")
    left.legend(fontsize=9.5)
    smallest = 6e-8  # rounding in 32-bit floating point, below which nothing can be told
    styles = zip(approximations, (ORANGE, BLUE, GREEN, "black"), ("--", "-", "-.", ":"))  # noqa: B905
    for step, (values, color, line) in enumerate(styles):
        wrong = 100 * np.abs(np.asarray(values, float) / exact - 1)
        parts = np.array_split(np.arange(len(s)), min(len(s), 200))  # the largest error in each
        most = np.format_float_positional(wrong.max(), precision=1, fractional=False, trim="-")
        right.plot([s[part[0]] for part in parts], [wrong[part].max() for part in parts],
                   color=color, ls=line, lw=1.8,
                   label=f"{step} step{'s' * (step != 1)}: at most {most} %")
    right.axhspan(1e-7, 100 * smallest, color=GRAY, alpha=0.25, lw=0)
    right.text(s[0] * 1.2, 4e-7, "the rounding of a 32-bit number", fontsize=9.5, va="bottom")
    right.set(xscale="log", yscale="log", xlabel="$s$, what stands in the bracket",
              ylabel="error, % of the exact value", ylim=(1e-7, 2e3))
    right.legend(fontsize=9.5, ncols=2, loc="upper center")
    return figure


def became_fast(path: Path) -> Figure:
    """Speed and memory of a training step, change by change; says so if it was not measured yet.

    Args:
        path: a JSON file, {"device", "steps": [{"text", "task", "images_per_s", "peak_mb"}]}.
    """
    record = json.loads(Path(path).read_text()) if Path(path).is_file() else {"steps": []}
    steps = record["steps"]
    rival = [step["text"].startswith("rival") for step in steps]
    figure, panels = plt.subplots(1, 2, figsize=(11, 1.4 + 0.5 * max(3, len(steps))), sharey=True)
    for axes, key, title, label in zip(panels, ("images_per_s", "peak_mb"),
                                       ("Speed of training", "Memory at its peak"),
                                       ("images per second", "MB"), strict=True):
        axes.set(title=title, xlabel=label)
        if not steps:
            axes.text(0.5, 0.5, "not measured yet", ha="center", transform=axes.transAxes)
            axes.set(xticks=[], yticks=[])
        for kind, color, hatch, name in ((False, BLUE, None, "step by step"),
                                         (True, ORANGE, "//", "to compare with")):
            chosen = [i for i in range(len(steps)) if rival[i] is kind]
            if not chosen:
                continue
            values = [steps[i][key] for i in chosen]
            bars = axes.barh(chosen, values, color=color, hatch=hatch, ec="white", label=name)
            axes.bar_label(bars, [f"{value:,.0f}" for value in values], padding=3, fontsize=9.5)
        axes.margins(x=0.15)
        axes.grid(axis="y", visible=False)
    if steps:
        texts = [step["text"].removeprefix("rival: ") for step in steps]
        panels[0].set_yticks(range(len(steps)), ["\n".join(wrap(text, 38)) for text in texts],
                             fontsize=9.5)
        panels[0].invert_yaxis()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        figure.suptitle(record.get("device", ""), fontsize=10.5)
    return figure
