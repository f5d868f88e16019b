"""Figures of notebook 01, the data set."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, RED


def numbers(picture, top: int, left: int, side: int = 12) -> Figure:
    """A picture, a patch of it enlarged, and that patch as the numbers of its green channel.

    Args:
        picture: (S, S, 3) uint8. top, left: of the patch. side: of the patch in pixels.
    """
    patch = picture[top:top + side, left:left + side]
    figure, panels = plt.subplots(1, 3, figsize=(11.5, 3.9))
    panels[0].imshow(picture)
    panels[0].add_patch(plt.Rectangle((left, top), side, side, fill=False, ec=RED, lw=2.5))
    panels[1].imshow(patch)
    panels[2].imshow(patch[..., 1], cmap="gray", vmin=0, vmax=255)
    for (row, column), value in np.ndenumerate(patch[..., 1]):
        panels[2].text(column, row, value, ha="center", va="center", fontsize=6.5,
                       color="black" if value > 110 else "white")
    for axes, title in zip(panels, ("What you see: a cat", f"{side} x {side} of its pixels",
                                    "What the machine gets (green only)"), strict=True):
        axes.set_title(title, fontsize=11.5)
        axes.axis("off")
    figure.alt = ("Left: the face of a cat, with a red square at the edge of its eye. Middle: the "
                  "pixels in that square, enlarged: a dark corner, a green one, a light one. "
                  "Right: the same pixels as a table of numbers from 0 to 255.")
    return figure


def nearest(asked, candidates: dict, distances: dict) -> Figure:
    """A picture, and others beside it, the one that is nearest to it by its pixels first.

    Args:
        asked: (S, S, 3), 0-255. candidates: by name, the same. distances: by name, gray levels.
    """
    order = sorted(candidates, key=distances.get)
    figure, panels = plt.subplots(1, 1 + len(order), figsize=(2 * (1 + len(order)), 2.6))
    for axes, name in zip(panels, ("the photograph", *order), strict=True):
        axes.imshow(np.asarray(candidates.get(name, asked)).round().astype(np.uint8))
        axes.set_title(name + (f"\n{distances[name]:.0f} away" if name in distances else "\n"),
                       fontsize=11)
        axes.axis("off")
    figure.suptitle("By its pixels, nothing is as close to this cat as no cat at all",
                    fontsize=12.5)
    figure.alt = ("The cat, and five pictures in order of their distance from it. First comes a "
                  "plain brownish square, then the cat moved by 16 pixels, the cat in less light, "
                  "the cat mirrored, and far behind them a cup of coffee.")
    return figure


def preparation(wide, square, squashed) -> Figure:
    """A wide picture with its central square marked; that square; the whole picture squeezed.

    Args:
        wide: (S, W, 3) uint8, scaled to the shorter side S. square, squashed: (S, S, 3) uint8.
    """
    side, width = wide.shape[:2]
    left = (width - side) / 2
    figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.3), width_ratios=(width / side, 1, 1))
    for axes, picture, title in zip(panels, (wide, square, squashed), (
            f"1. Scale the shorter side to {side}", "2. Keep the center: the paper",
            "Squeeze it all in: not the paper"), strict=True):
        axes.imshow(picture)
        axes.set(xlabel="pixel", xticks=(0, picture.shape[1] - 1), yticks=(0, side - 1))
        axes.set_title(title, fontsize=11)
        axes.grid(False)
    panels[0].set_ylabel("pixel")
    for start, end in ((0, left), (width - left, width)):
        panels[0].axvspan(start - 0.5, end - 0.5, fc="white", alpha=0.55, hatch="//", ec=GRAY)
    figure.alt = ("Left: a wide photograph of a cup on a saucer, with a strip at either side "
                  "hatched out. Middle: the central square, in which the left side of the saucer "
                  "is cut off. Right: the whole photograph squeezed to a square; the round "
                  "saucer has become a tall egg.")
    return figure


def means(images, counts) -> Figure:
    """The mean of the first n images for each n of `counts`, and what is left of its contrast.

    Args:
        images: (N, S, S, 3) uint8, 0-255. counts: increasing numbers, at most N.
    """
    pictures = [images[:n].mean(0) for n in counts]
    contrast = [picture.std((0, 1)).mean() for picture in pictures]
    figure = plt.figure(figsize=(11.5, 3))
    left, right = figure.subfigures(1, 2, width_ratios=(2, 1))
    for axes, n, picture in zip(left.subplots(1, len(counts)), counts, pictures, strict=True):
        axes.imshow(picture.round().astype(np.uint8))
        axes.set_title("one image" if n == 1 else f"mean of {n:,}", fontsize=11)
        axes.axis("off")
    axes = right.subplots()
    axes.loglog(counts, contrast, marker="o", color=BLUE, label="measured")
    axes.loglog(counts, contrast[0] / np.sqrt(counts), color=GRAY, ls="--",
                label="if the images had\nnothing in common")
    axes.set(xlabel="images in the mean", ylabel="contrast, gray levels")
    axes.set_title("The contrast stops falling", fontsize=11)
    axes.legend(fontsize=9.5, loc="lower left")
    figure.alt = ("One image shows a shape; the mean of 10 shows ghosts, the mean of 100 a soft "
                  "cloud, the mean of 2,000 a smooth gray blur that is lighter toward the middle. "
                  "Right, on log scales: the contrast falls to about a half and then stays, far "
                  "above a straight dashed line that goes on falling.")
    return figure


def positive_share(raw, centered) -> Figure:
    """Histogram over filters: how often a filter's response is positive, for two kinds of input.

    Args:
        raw, centered: (filters,) shares, 0-1.
    """
    figure, axes = plt.subplots(figsize=(9, 3.4))
    bins = np.linspace(0, 100, 21)
    for share, color, hatch, name in ((raw, ORANGE, "//", "raw pixels, 0 to 255"),
                                      (centered, BLUE, None, "mean image subtracted")):
        axes.hist(100 * np.asarray(share), bins, color=color, alpha=0.75, hatch=hatch,
                  ec="white", label=name)
    axes.set(xlabel="positions at which the filter's response is positive, %", ylabel="filters")
    axes.set_title("With raw pixels, most filters are always off or always on", fontsize=12)
    axes.legend(loc="upper left", bbox_to_anchor=(0.6, 0.98))
    figure.alt = ("A histogram of 96 filters by the share of positions with a positive response. "
                  "With raw pixels there are two heaps, one at each end. With the mean image "
                  "subtracted there is a single heap around 50%.")
    return figure


def color_axes(pixels, center, values, vectors) -> Figure:
    """Pixels in the red-green and the green-blue plane with their principal components, and the
    components as strips of color, from two standard deviations below the mean to two above it.

    Args:
        pixels: (N, 3), 0-255; a few thousand. center: (3,) the mean color. values: (3,)
            eigenvalues. vectors: (3, 3), columns.
    """
    figure = plt.figure(figsize=(11.5, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.45, 1))
    names, lines = ("red", "green", "blue"), ("-", "--", ":")
    for axes, (i, j) in zip(left.subplots(1, 2), ((0, 1), (1, 2)), strict=True):
        axes.scatter(pixels[:, i], pixels[:, j], c=pixels / 255, s=5, lw=0)
        for k in range(3):
            step = np.sqrt(values[k]) * vectors[:, k]
            ends = np.stack([center - 2 * step, center + 2 * step])
            axes.plot(ends[:, i], ends[:, j], color="white", lw=5)
            axes.plot(ends[:, i], ends[:, j], color="black", lw=2, ls=lines[k],
                      label=f"component {k + 1}")
        _plane(axes, names[i], names[j])
    axes.legend(loc="lower right", fontsize=8.5, frameon=True)
    left.suptitle("The cat's pixels lie along one line", fontsize=12)
    _strips(right, center, values, vectors)
    figure.alt = ("Left: three thousand pixels of the cat, each in its own color, in the plane of "
                  "red and green and in that of green and blue. Both clouds are long and thin, "
                  "from dark to light, and the first component runs along them. Right: the three "
                  "components as strips: brown to light, gray to orange, reddish to olive.")
    return figure


def color_strips(center, values, vectors, title: str) -> Figure:
    """The principal components of RGB as strips of color, two standard deviations each way."""
    figure = plt.figure(figsize=(7, 3.2))
    _strips(figure, np.asarray(center), np.asarray(values), np.asarray(vectors))
    figure.suptitle(title, fontsize=12)
    figure.alt = ("Three strips of color: the first runs from black to nearly white, the second "
                  "from blue to orange, the third from magenta to green.")
    return figure


def clouds(pixels: dict) -> Figure:
    """Which color clouds belong to which photographs? Without the colors that would tell.

    Args:
        pixels: by letter, (N, 3), 0-255.
    """
    figure, panels = plt.subplots(1, len(pixels), figsize=(2.9 * len(pixels), 3.3), sharey=True)
    for axes, (letter, cloud) in zip(panels, pixels.items(), strict=True):
        axes.scatter(cloud[:, 0], cloud[:, 2], color=GRAY, s=4, lw=0)
        axes.set_title(letter, fontsize=13)
        _plane(axes, "red", "blue")
    figure.alt = ("Four clouds of pixels in the plane of red and blue. A: from the dark corner "
                  "far to the right, hardly upward. B: a thin streak along the diagonal, with "
                  "nearly all points at the dark end. C: along the diagonal, with most points in "
                  "the light half. D: one arm along the diagonal, and another from the dark corner "
                  "toward the lower right.")
    return figure


def _plane(axes, across: str, up: str) -> None:
    axes.set(xlabel=f"{across}, 0 to 255", ylabel=f"{up}, 0 to 255", xlim=(0, 255), ylim=(0, 255),
             xticks=(0, 128, 255), yticks=(0, 128, 255), aspect="equal")


def _strips(figure, center, values, vectors) -> None:
    along = np.linspace(-2, 2, 101)
    panels = figure.subplots(3, 1, sharex=True)
    for k, axes in enumerate(panels):
        up = vectors[:, k] * (1 if vectors[:2, k].sum() >= 0 else -1)  # its opposite is the same
        strip = center + along[:, None] * np.sqrt(values[k]) * up
        axes.imshow(strip.clip(0, 255)[None].astype(np.uint8), aspect="auto", extent=(-2, 2, 0, 1))
        axes.set(yticks=[])
        axes.set_title(f"component {k + 1}: {values[k] / values.sum():.0%} of the variance, "
                       f"standard deviation {np.sqrt(values[k]):.0f}", fontsize=10)
        axes.grid(False)
    panels[-1].set_xlabel("standard deviations from the mean color")
