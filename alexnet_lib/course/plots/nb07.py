"""Figures of notebook 07, data augmentation."""

import matplotlib.pyplot as plt
import numpy as np
import torch
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
             title=f"One stored photograph, {len(image)} x {len(image)}")
    axes.grid(False)
    panels = right.subplots(len(cut) // 6, 6)
    for k, (panel, picture, (_, _, flip)) in enumerate(zip(panels.flat, cut, places, strict=True)):
        panel.imshow(picture)
        panel.set(xticks=[], yticks=[])
        panel.set_title("mirrored" if flip else "", fontsize=8.5, pad=3)
        for spine in panel.spines.values():
            spine.set_visible(k < len(FRAMES))
            spine.set(color=FRAMES[k % 4][0], linestyle=FRAMES[k % 4][1], linewidth=3)
    right.suptitle(f"{len(cut)} of its inputs, {cut.shape[1]} x {cut.shape[1]}", fontsize=12)
    figure.alt = ("Left: a photograph with the frames of four crops, which nearly coincide. "
                  f"Right: {len(cut)} crops, the first four with the border of their frame; about "
                  "half are mirrored. All show the same thing, moved by up to an eighth of the "
                  "picture.")
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
    for axes, picture, title in zip(panels, (image, mean), ("One stored photograph",
                                    "The mean of all of its inputs"), strict=False):
        axes.imshow(picture)
        axes.set_title(title)
        axes.axis("off")
    shown = panels[2].imshow(100 * share, cmap="viridis", vmin=0, vmax=100)
    lines = panels[2].contour(100 * share, (25, 50, 75), colors="white", linewidths=1)
    panels[2].clabel(lines, fmt="%d %%", fontsize=8)
    panels[2].set(title="Every crop shows the middle", xlabel="pixel", ylabel="pixel",
                  xticks=(0, len(image) - 1), yticks=(0, len(image) - 1))
    panels[2].grid(False)
    figure.colorbar(shown, ax=panels[2], label="% of all crops that show the pixel")
    figure.alt = ("Left: the photograph. Middle: the mean of its inputs, two soft ghosts of it, "
                  "each the mirror of the other. Right: the share of crops that show each pixel, "
                  "100% in a central square, falling to almost nothing in the corners.")
    return figure


def rows_of_pictures(rows: dict[str, list], titles=(), side: float = 1.8) -> Figure:
    """Pictures in rows, the name of each row at its left.

    Args:
        rows: by name, as many (S, S, 3) uint8 pictures in each. titles: above the first row.
        side: of a picture, inches.
    """
    columns = len(next(iter(rows.values())))
    figure, panels = plt.subplots(len(rows), columns, squeeze=False,
                                  figsize=(side * columns + 0.9, side * len(rows) + 0.4))
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            for spine in axes.spines.values():  # a white picture is one, too
                spine.set(visible=True, color=GRAY, linewidth=0.8)
        line[0].set_ylabel(plain(name), rotation=0, ha="right", va="center", fontsize=10.5)
    for axes, title in zip(panels[0], titles):  # noqa: B905
        axes.set_title(title, fontsize=10.5)
    return figure


def readings(image, shifts: dict[str, np.ndarray]) -> Figure:
    """A photograph, and the same with each of several shifts added to all of its pixels.

    Args:
        image: (S, S, 3) uint8. shifts: by reading, (3,) gray levels.
    """
    titles = ["as stored", *(f"{name}\nadds {', '.join(f'{part:+.0f}' for part in shift)}"
                             for name, shift in shifts.items())]
    pictures = [image, *(bytes_of(image + shift) for shift in shifts.values())]
    figure = rows_of_pictures({"": pictures}, titles, 2.7)
    figure.alt = ("One photograph four times. With the text's formula on pixels from 0 to 1 it "
                  "looks the same as before, with the source's it is a little lighter and warmer, "
                  "with the text's on pixels from 0 to 255 it is pure white.")
    return figure


def varied(shown, draws: list[list]) -> Figure:
    """Photographs, each with several random versions of it, and the names of who took them.

    Args:
        shown: of `course.fetched_photographs`. draws: for each, (C, C, 3) uint8 versions.
    """
    figure = rows_of_pictures({one.label: [one.image, *versions] for one, versions in
                               zip(shown, draws, strict=True)},
                              ("as stored", "", "", "as the network sees it"), 1.6)
    figure.supxlabel("Photographs: " + "; ".join(plain(one.credit) for one in shown), fontsize=6)
    return figure


def seen_profiles(side: int = 256) -> Figure:
    """How often each pixel along the middle row is seen by four of torchvision's transforms.

    For an exercise: the curves are called A to D, and the transforms that drew them are, in this
    order, RandomCrop(96), RandomResizedCrop(224), RandomCrop(256, padding=32), RandomCrop(224).
    """
    from torchvision.transforms import RandomResizedCrop
    x = np.arange(side)

    def crop(size, padding=0):
        first = np.arange(side + 2 * padding - size + 1)[:, None] - padding
        share = ((x >= first) & (x < first + size)).mean(0)
        return share * share[side // 2]

    blank, draws = torch.zeros(3, side, side), 4000
    resized = np.zeros(side)
    for _ in range(draws):
        top, left, height, width = RandomResizedCrop.get_params(blank, (0.08, 1.0), (3 / 4, 4 / 3))
        resized[left:left + width] += (top <= side // 2 < top + height) / draws
    figure, axes = plt.subplots(figsize=(9, 3.9))
    for (name, share), color, dash in zip(
            {"A": crop(96), "B": resized, "C": crop(256, 32), "D": crop(224)}.items(),
            (BLUE, ORANGE, GREEN, PINK), ("-", "--", "-.", ":"), strict=True):
        axes.plot(x, 100 * share, color=color, ls=dash, lw=2.5, label=name)
    axes.set(xlabel=f"pixel along the middle row of a stored picture, {side} x {side}",
             ylabel="crops that show it, %", ylim=(0, 105), xticks=(0, 64, 128, 192, side - 1))
    axes.set_title("Which transform drew which curve?", fontsize=12)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=12)
    figure.alt = ("Share of crops that show each pixel along the middle row. A: from nearly 0 at "
                  "the edges to a plateau at about 36% in the middle third. B: a smooth dome, "
                  "about 3% at the edges and 89% in the middle. C: about 50% at the edges, "
                  "rising to a wide plateau at 100%. D: 3% at the edges, rising steeply to a "
                  "wide plateau at 100%.")
    return figure


def noise_clouds(pixels, clouds: dict[str, np.ndarray]) -> Figure:
    """Pixels on their first two principal axes with the color noise on top, and the noise alone.

    Args:
        pixels: (along, colors): (N, 2) gray levels along axes 1 and 2, minus the mean, and the
            pixels' own colors, (N, 3), 0-1. clouds: by name, (M, 2) shifts along the same axes.
    """
    along, colors = pixels
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4))
    left.scatter(*along.T, c=colors, s=7, lw=0)
    for (name, cloud), (mark, color) in zip(clouds.items(), (("o", BLUE), ("^", RED))):  # noqa: B905
        for axes, size in ((left, 2), (right, 9)):
            axes.scatter(*cloud.T, marker=mark, s=size, lw=0, color=color, alpha=0.7, label=name)
    widest = max(np.abs(cloud).max() for cloud in clouds.values())
    for axes, reach, title in (
            (left, np.abs(along).max(), "The noise is a tenth as wide as the pixels"),
            (right, 1.1 * widest, "The text's is nearly a line: light and dark")):
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal",
                 xlabel="along axis 1 (light and dark), gray levels")
        axes.set_title(title, fontsize=11.5)
    left.set_ylabel("along axis 2, gray levels")
    right.legend(loc="upper left", markerscale=3, fontsize=10)
    figure.alt = ("Left: pixels in their own colors as points on the first two principal axes, a "
                  "wide flat cloud, with the noise as a small spot at the origin. Right: the "
                  "noise enlarged; the source's points form an ellipse, the text's a short line.")
    return figure


def color_shift(image, shift, divisor: float, mean) -> Figure:
    """A picture, what is added to all of its pixels, and the picture after it.

    Args:
        image: (S, S, 3) uint8. shift: (3,) gray levels. divisor: of the sum, minus the mean.
        mean: (S, S, 3), the mean image, or (3,), its color.
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
    figure.alt = ("The photograph, a patch of the color that is added to each of its pixels, and "
                  "the photograph after it: lighter, darker or tinted all over.")
    return figure


def batches(sheets: dict[str, np.ndarray], columns: int = 8, block: int = 32) -> Figure:
    """Minibatches as mosaics, with a line after every `block` pictures.

    Args:
        sheets: by title, (N, S, S, 3) uint8; N is a multiple of `columns`.
    """
    figure, panels = plt.subplots(1, len(sheets), figsize=(11, 5.7), squeeze=False)
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
    figure.alt = ("Two minibatches of copies of one photograph, as mosaics. Left: two blocks, "
                  "within which all pictures are the same. Right: hardly two neighbors are alike.")
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
    axes.set_title(f"{classes[truth]}, {len(image)} x {len(image)},\nand five frames of {side}",
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
    right_views = (probs.argmax(1) == truth).sum()
    answer = "right" if table[-1].argmax() == truth else "wrong"
    axes.set(xlim=(-0.1, len(classes)), ylim=(11.7, -0.2))
    axes.set_title(f"Probability, %: {right_views} of 10 views are right, the mean is {answer}",
                   fontsize=11)
    axes.set_xticks(np.arange(len(classes)) + 0.47, classes, rotation=45, ha="right")
    axes.set_yticks(heights + 0.47, [*(f"view {k}" for k in range(1, 11)), "mean"])
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.alt = ("Left: a test picture with five frames, four in the corners and one in the "
                  "middle. Middle: the ten views, five of them mirrored. Right: a table of "
                  "probabilities, a row for each view and one for their mean; the right class has "
                  "a green border.")
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
    axes.set_title(f"Ten views fix {(~before & after).sum()} errors and spoil "
                   f"{(before & ~after).sum()} right answers", fontsize=11.5)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=10)
    figure.alt = ("A point for each test picture: across, the probability of the right class by "
                  "the center view; upward, the same by ten views. Most points are near the "
                  "diagonal. Triangles are errors that ten views fix, crosses right answers that "
                  "they spoil.")
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
    left.suptitle("Mirrors turn one letter into another", fontsize=11.5)
    axes = right.subplots()
    names = list(errors)
    for offset, k, color, hatch, label in ((-0.2, 0, SKY, None, "on its training pictures"),
                                           (0.2, 1, BLUE, "//", "on new pictures")):
        bars = axes.barh(np.arange(len(names)) + offset, [100 * errors[n][k] for n in names], 0.36,
                         color=color, hatch=hatch, ec="white", label=label)
        axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.set(xlabel="error, %", xlim=(0, 100), yticks=range(len(names)), yticklabels=names)
    axes.set_title("Each kind of mirror halves what can be known", fontsize=11.5)
    axes.invert_yaxis()
    axes.legend(loc="upper right")
    figure.alt = ("Left: the letters b, d, p and q; a left-right mirror swaps b with d and p with "
                  "q, an upside-down one b with p and d with q. Right: error bars without "
                  "mirrors, with left-right ones, with both: near 0, about 50 and about 75% on "
                  "new letters, and less on the training letters.")
    return figure
