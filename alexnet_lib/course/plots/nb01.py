"""Figures of notebook 01, the data set."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, plain


def preparation(wide, square, squashed) -> Figure:
    """A wide picture with its central square marked; that square; the whole picture squeezed.

    Args:
        wide: (S, W, 3) uint8, scaled to the shorter side S. square, squashed: (S, S, 3) uint8.
    """
    side, width = wide.shape[:2]
    left = (width - side) / 2
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.1), width_ratios=(width / side, 1, 1))
    for axes, picture, title in zip(panels, (wide, square, squashed), (
            f"shorter side scaled to {side}", "the paper: the center is kept",
            "not the paper: all is squeezed"), strict=True):
        axes.imshow(picture)
        axes.set(xlabel="pixel", xticks=(0, picture.shape[1] - 1), yticks=(0, side - 1))
        axes.set_title(title, fontsize=10.5)
        axes.grid(False)
    panels[0].set_ylabel("pixel")
    for start, end in ((0, left), (width - left, width)):
        panels[0].axvspan(start - 0.5, end - 0.5, fc="white", alpha=0.55, hatch="//", ec=GRAY)
    return figure


def means(images, counts) -> Figure:
    """The mean of the first n images for each n of `counts`, and what is left of its contrast.

    Args:
        images: (N, S, S, 3) uint8, 0-255. counts: increasing numbers, at most N.
    """
    pictures = [images[:n].mean(0) for n in counts]
    contrast = [picture.std((0, 1)).mean() for picture in pictures]
    figure = plt.figure(figsize=(11, 3))
    left, right = figure.subfigures(1, 2, width_ratios=(2.2, 1))
    for axes, n, picture in zip(left.subplots(1, len(counts)), counts, pictures, strict=True):
        axes.imshow(picture.round().astype(np.uint8))
        axes.set_title("one image" if n == 1 else f"mean of {n:,}", fontsize=10)
        axes.axis("off")
    axes = right.subplots()
    axes.loglog(counts, contrast, marker="o", color=BLUE, label="measured")
    axes.loglog(counts, contrast[0] / np.sqrt(counts), color=GRAY, ls="--",
                label="if all pixels were\nindependent: $1/\\sqrt{n}$")
    axes.set(xlabel="images in the mean, n", ylabel="contrast, gray levels")
    axes.legend(fontsize=9)
    return figure


def positive_share(raw, centered) -> Figure:
    """Histogram over filters: how often a filter's answer is positive, for two kinds of input.

    Args:
        raw, centered: (filters,) shares, 0-1.
    """
    figure, axes = plt.subplots(figsize=(8, 3.2))
    bins = np.linspace(0, 100, 21)
    for share, color, hatch, name in ((raw, ORANGE, "//", "raw pixels, 0 to 255"),
                                      (centered, BLUE, None, "less the mean image")):
        axes.hist(100 * np.asarray(share), bins, color=color, alpha=0.75, hatch=hatch,
                  ec="white", label=name)
    axes.set(xlabel="places at which the filter's answer is positive, %", ylabel="filters")
    axes.legend(loc="upper left", bbox_to_anchor=(0.58, 0.98))
    return figure


def color_axes(pixels, values, vectors) -> Figure:
    """Pixels in the red-green and the green-blue plane with their principal axes, and the axes
    as strips of color, from two standard deviations below the mean to two above it.

    Args:
        pixels: (N, 3), 0-255; a few thousand. values: (3,) eigenvalues. vectors: (3, 3), columns.
    """
    center = pixels.mean(0)
    figure = plt.figure(figsize=(11, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.45, 1))
    names, lines = ("red", "green", "blue"), ("-", "--", ":")
    for axes, (i, j) in zip(left.subplots(1, 2), ((0, 1), (1, 2)), strict=True):
        axes.scatter(pixels[:, i], pixels[:, j], c=pixels / 255, s=5, lw=0)
        for k in range(3):
            step = np.sqrt(values[k]) * vectors[:, k]
            ends = np.stack([center - 2 * step, center + 2 * step])
            axes.plot(ends[:, i], ends[:, j], color="white", lw=5)
            axes.plot(ends[:, i], ends[:, j], color="black", lw=2, ls=lines[k],
                      label=f"axis {k + 1}")
        axes.set(xlabel=f"{names[i]}, 0 to 255", ylabel=f"{names[j]}, 0 to 255",
                 xlim=(0, 255), ylim=(0, 255), xticks=(0, 128, 255), yticks=(0, 128, 255),
                 aspect="equal")
    axes.legend(loc="lower right", fontsize=8, frameon=True)
    _strips(right, center, values, vectors)
    return figure


def color_strips(center, values, vectors, title: str) -> Figure:
    """The principal axes of RGB as strips of color, two standard deviations each way."""
    figure = plt.figure(figsize=(6, 3))
    _strips(figure, np.asarray(center), np.asarray(values), np.asarray(vectors))
    figure.suptitle(title, fontsize=11)
    return figure


def _strips(figure, center, values, vectors) -> None:
    along = np.linspace(-2, 2, 101)
    panels = figure.subplots(3, 1, sharex=True)
    for k, axes in enumerate(panels):
        strip = center + along[:, None] * np.sqrt(values[k]) * vectors[:, k]
        axes.imshow(strip.clip(0, 255)[None].astype(np.uint8), aspect="auto", extent=(-2, 2, 0, 1))
        axes.set(yticks=[])
        axes.set_title(f"axis {k + 1}: {values[k] / values.sum():.0%} of the variance, "
                       f"standard deviation {np.sqrt(values[k]):.0f}", fontsize=10)
        axes.grid(False)
    panels[-1].set_xlabel("standard deviations from the mean color")


def templates(weights, classes) -> Figure:
    """A linear classifier's weights as pictures: bright where a pixel speaks for the class.

    Args:
        weights: (classes, S, S, 3); each is scaled to its own range; zeros are gray.
    """
    figure, panels = plt.subplots(2, -(-len(classes) // 2), figsize=(10, 4.4), squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for axes, weight, name in zip(panels.flat, weights, classes):  # noqa: B905
        axes.imshow((0.5 + 0.5 * weight / (np.abs(weight).max() or 1)).clip(0, 1))
        axes.set_title(plain(name), fontsize=10)
    return figure
