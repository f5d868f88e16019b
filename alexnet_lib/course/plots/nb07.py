"""Figures of notebook 07: crops, color noise, ten views."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY, plain

FRAMES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PINK, ":"))


def bytes_of(values) -> np.ndarray:
    """Gray levels of any kind as a picture: rounded, cut to 0-255, uint8."""
    return np.clip(np.round(np.asarray(values, float)), 0, 255).astype(np.uint8)


def crops(image, places, cut) -> Figure:
    """A stored picture with the frames of the first four crops, and all crops beside it.

    Args:
        image: (S, S, 3) uint8. places: N of (top, left, flip), four or more.
        cut: (N, C, C, 3) uint8, the crops at these places; N is a multiple of 6.
    """
    figure = plt.figure(figsize=(11, 4.3))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.55))
    axes = left.subplots()
    axes.imshow(image)
    for (top, at, _), (color, dash) in zip(places, FRAMES):  # noqa: B905
        _frame(axes, at, top, cut.shape[1], color, dash, 2.5)
    axes.set(xlabel="pixel", ylabel="pixel", xticks=(0, len(image) - 1), yticks=(0, len(image) - 1),
             title=f"stored: {len(image)} x {len(image)}")
    axes.grid(False)
    panels = right.subplots(len(cut) // 6, 6)
    for k, (panel, picture, (_, _, flip)) in enumerate(zip(panels.flat, cut, places, strict=True)):
        panel.imshow(picture)
        panel.set(xticks=[], yticks=[])
        panel.set_title("mirrored" if flip else "as it is", fontsize=8.5, pad=3)
        for spine in panel.spines.values():
            spine.set_visible(k < len(FRAMES))
            spine.set(color=FRAMES[k % 4][0], linestyle=FRAMES[k % 4][1], linewidth=3)
    right.suptitle(f"what the net sees: {cut.shape[1]} x {cut.shape[1]}", fontsize=11)
    return figure


def _frame(axes, x, y, side, color, dash="-", width=2.0) -> None:
    axes.add_patch(plt.Rectangle((x - 0.5, y - 0.5), side, side, fill=False, ec=color, lw=width,
                                 ls=dash))


def common(image, mean, share) -> Figure:
    """A stored picture, the mean of all of its inputs, and how often each of its pixels is seen.

    Args:
        image: (S, S, 3) uint8. mean: (C, C, 3) uint8. share: (S, S), 0-1.
    """
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.5), width_ratios=(1, 1, 1.2))
    for axes, picture, title in zip(panels, (image, mean), ("one stored picture",
                                    "the mean of all of its inputs"), strict=False):
        axes.imshow(picture)
        axes.set_title(title)
        axes.axis("off")
    shown = panels[2].imshow(100 * share, cmap="viridis", vmin=0, vmax=100)
    lines = panels[2].contour(100 * share, (25, 50, 75), colors="white", linewidths=1)
    panels[2].clabel(lines, fmt="%d %%", fontsize=8)
    panels[2].set(title="crops that contain the pixel", xlabel="pixel", ylabel="pixel",
                  xticks=(0, len(image) - 1), yticks=(0, len(image) - 1))
    panels[2].grid(False)
    figure.colorbar(shown, ax=panels[2], label="% of all crops")
    return figure


def picture_table(pictures, rows, columns, title: str, heading: str) -> Figure:
    """Pictures in a table with a name for each row and each column.

    Args:
        pictures: [row][column] of (S, S, 3) uint8. rows, columns: names. heading: of the columns.
    """
    figure, panels = plt.subplots(len(rows), len(columns), squeeze=False,
                                  figsize=(11, 0.6 + 1.35 * len(rows)))
    for r, (line, name) in enumerate(zip(panels, rows, strict=True)):
        for c, axes in enumerate(line):
            axes.imshow(pictures[r][c])
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            for spine in axes.spines.values():  # a blank picture is one, too
                spine.set(visible=True, color=GRAY, linewidth=0.8)
            if r == len(rows) - 1:
                axes.set_xlabel(columns[c], fontsize=10)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10, labelpad=8)
    figure.suptitle(title, fontsize=11)
    figure.supxlabel(heading, fontsize=10)
    return figure


def noise_clouds(pixels, panels: dict[str, dict]) -> Figure:
    """Pixels on their first two principal axes with the color noise on top, then only the noise.

    Args:
        pixels: (along, colors): (N, 2) gray levels along axes 1 and 2, less the mean, and the
            pixels' own colors, (N, 3), 0-1.
        panels: by title, for each a dict of clouds: name to (M, 2) shifts along axes 1 and 2. The
            first panel's clouds are drawn on the pixels as well.
    """
    looks = (("o", BLUE), ("^", RED))
    figure, axes = plt.subplots(1, 1 + len(panels), figsize=(12, 4))
    along, colors = pixels
    axes[0].scatter(*along.T, c=colors, s=6, lw=0)
    axes[0].set_title("the pixels, and the noise at the same scale", fontsize=10.5)
    clouds = next(iter(panels.values()))
    for panel, found in zip(axes, (clouds, *panels.values()), strict=True):
        for (name, cloud), (mark, color) in zip(found.items(), looks):  # noqa: B905
            panel.scatter(*cloud.T, marker=mark, s=7 if panel is not axes[0] else 3, lw=0,
                          color=color, alpha=0.7, label=name)
        panel.set(xlabel="along axis 1, gray levels", aspect="equal")
    for panel, title in zip(axes[1:], panels, strict=True):
        reach = 1.1 * max(np.abs(cloud).max() for cloud in panels[title].values())
        panel.set(xlim=(-reach, reach), ylim=(-reach, reach))
        panel.set_title(title, fontsize=10.5)
    axes[0].set_ylabel("along axis 2, gray levels")
    axes[1].legend(loc="upper left", markerscale=3, fontsize=9)
    reach = np.abs(along).max()
    axes[0].set(xlim=(-reach, reach), ylim=(-reach, reach))
    return figure


def color_shift(image, shift, divisor: float, mean) -> Figure:
    """A picture, what is added to all of its pixels, and the picture after it.

    Args:
        image: (S, S, 3) uint8. shift: (3,) gray levels. divisor: of the sum, less the mean.
        mean: (S, S, 3), the mean image.
    """
    shift = np.asarray(shift)
    after = (image - mean + shift) / divisor + mean
    figure, panels = plt.subplots(1, 3, figsize=(8.5, 3.2))
    swatch = np.broadcast_to(128 + shift, image.shape)
    numbers = ", ".join(f"{part:+.1f}" for part in shift)
    for axes, picture, title in zip(panels, (image, swatch, after), (
            "before", f"added: {numbers}\n(shown on mid gray)",
            "after" + (f", divided by {divisor:g}" if divisor != 1 else "")), strict=True):
        axes.imshow(bytes_of(picture))
        axes.set_title(title, fontsize=10.5)
        axes.axis("off")
    return figure


def batches(sheets: dict[str, np.ndarray], columns: int = 16, block: int = 32) -> Figure:
    """Minibatches as mosaics, with a line after every `block` pictures.

    Args:
        sheets: by title, (N, S, S, 3) uint8; N is a multiple of `columns`.
    """
    figure, panels = plt.subplots(1, len(sheets), figsize=(12, 3.7), squeeze=False)
    for axes, (title, pictures) in zip(panels[0], sheets.items(), strict=True):
        count, side = pictures.shape[:2]
        step = side + 4
        wall = np.full((count // columns * step, columns * step, 3), 255, np.uint8)
        for k, picture in enumerate(pictures):
            y, x = k // columns * step + 2, k % columns * step + 2
            wall[y:y + side, x:x + side] = picture
        axes.imshow(wall, interpolation="antialiased")
        for k in range(block, count, block):
            axes.axhline(k // columns * step - 0.5, color="black", lw=2)
        axes.set_title(title, fontsize=10.5)
        axes.set_xticks([])
        axes.set_yticks([(k + block / 2) // columns * step for k in range(0, count, block)],
                        [f"{k + 1}–{k + block}" for k in range(0, count, block)])
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    panels[0][0].set_ylabel("image in the minibatch")
    return figure


def ten_views(image, places, views, probs, classes, truth: int) -> Figure:
    """The ten views of a picture, the net's probabilities for each, and their mean.

    Args:
        image: (S, S, 3) uint8. places: ten of (top, left, flip). views: (10, C, C, 3) uint8.
        probs: (10, K), 0-1. classes: K names. truth: the right class's number.
    """
    classes, figure = list(map(plain, classes)), plt.figure(figsize=(12, 4.6))
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1.05, 1.35, 2))
    axes = left.subplots()
    axes.imshow(image)
    side = views.shape[1]
    for k, (top, at, _) in enumerate(places[:5]):
        color, dash = (*FRAMES, ("white", "-"))[k]
        _frame(axes, at, top, side, color, dash, 2)
    axes.set_title(f"a {classes[truth]}, {len(image)} x {len(image)},\nand five frames of {side}",
                   fontsize=10.5)
    axes.axis("off")
    for k, (panel, view) in enumerate(zip(middle.subplots(5, 2).T.flat, views, strict=True)):
        panel.imshow(view)
        panel.set(xticks=[], yticks=[])
        panel.grid(False)
        panel.set_ylabel(k + 1, rotation=0, ha="right", va="center")
        if k % 5 == 0:
            panel.set_title("mirrored" if k else "as they are", fontsize=10.5)
        for spine in panel.spines.values():
            spine.set_visible(False)
    table = np.vstack([probs, probs.mean(0)])
    axes = right.subplots()
    heights = np.r_[np.arange(10), 10.6]
    for y, row in zip(heights, table, strict=True):
        for x, p in enumerate(row):
            axes.add_patch(plt.Rectangle((x, y), 0.94, 0.94, fc=to_rgba(BLUE, 0.04 + 0.96 * p)))
            if p >= 0.05:
                axes.text(x + 0.47, y + 0.5, f"{100 * p:.0f}", ha="center", va="center",
                          fontsize=9, color="white" if p > 0.5 else "black",
                          fontweight="bold" if p == row.max() else "normal")
    axes.add_patch(plt.Rectangle((truth - 0.03, -0.1), 1, 11.75, fill=False, ec=GREEN, lw=2.5))
    axes.set(xlim=(-0.1, len(classes)), ylim=(11.7, -0.2), title="probability by view, %")
    axes.set_xticks(np.arange(len(classes)) + 0.47, classes, rotation=45, ha="right")
    axes.set_yticks(heights + 0.47, [*(f"view {k}" for k in range(1, 11)), "mean"])
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure


def one_against_ten(one, ten, truth) -> Figure:
    """For each picture, the probability of the right class by one view and by ten.

    Args:
        one, ten: (N, K) probabilities. truth: (N,) class numbers.
    """
    rows = np.arange(len(truth))
    x, y = one[rows, truth], ten[rows, truth]
    before, after = one.argmax(1) == truth, ten.argmax(1) == truth
    figure, axes = plt.subplots(figsize=(7.6, 4.6))
    axes.plot((0, 1), (0, 1), color=GRAY, lw=1, zorder=0)
    for chosen, mark, color, size, name in (
            (before == after, ".", SKY, 14, "the answer stays right, or wrong"),
            (~before & after, "^", GREEN, 55, "wrong by one view, right by ten"),
            (before & ~after, "X", RED, 55, "right by one view, wrong by ten")):
        axes.scatter(x[chosen], y[chosen], marker=mark, color=color, s=size, lw=0.4,
                     ec="white" if size > 20 else "none", label=f"{name}: {chosen.sum()}")
    axes.set(xlabel="probability of the right class, center view",
             ylabel="the same, mean of ten views", aspect="equal")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return figure


def four_letters(letters, errors: dict[str, tuple[float, float]]) -> Figure:
    """b, d, p and q with their mirrors, and a classifier's error without and with mirrors.

    Args:
        letters: by name, (S, S) gray levels, in the order b, d, p, q.
        errors: error on new pictures by kind of augmentation, fractions.
    """
    figure = plt.figure(figsize=(11, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.4))
    panels = left.subplots(2, 2, gridspec_kw={"hspace": 0.25})
    for axes, (name, picture) in zip(panels.flat, letters.items(), strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.text(1.5, 2.5, name, color="white", fontsize=11, va="center")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    for a, b in ((0, 1), (2, 3), (0, 2), (1, 3)):
        across = b == a + 1
        panels.flat[a].annotate(
            "", (-0.02, 0.5) if across else (0.5, 1.0), (1.02, 0.5) if across else (0.5, 0.0),
            xycoords=panels.flat[b].transAxes, textcoords=panels.flat[a].transAxes,
            arrowprops={"arrowstyle": "<->", "lw": 2, "color": BLUE if across else ORANGE},
            annotation_clip=False)
    left.suptitle("a mirror makes b a d, upside down makes it a p", fontsize=10.5)
    axes = right.subplots()
    names = list(errors)
    for offset, k, color, hatch, label in ((-0.2, 0, SKY, None, "on its training pictures"),
                                           (0.2, 1, BLUE, "//", "on new pictures")):
        bars = axes.barh(np.arange(len(names)) + offset, [100 * errors[n][k] for n in names], 0.36,
                         color=color, hatch=hatch, ec="white", label=label)
        axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.set(xlabel="error, %", xlim=(0, 100), yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()
    axes.legend(loc="upper right")
    return figure
