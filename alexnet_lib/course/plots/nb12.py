"""Figures of notebook 12 and of `alexnet filters`: kernels, maps, patches."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, CYCLE, ORANGE, plain

MARKS = "os^Dv<>P*X"


def tiles(pictures, across: int, gap: int = 1, ground: float = 1.0) -> np.ndarray:
    """Pictures of one size in rows of `across`, with lines of `gap` pixels between them.

    pictures: (N, height, width) or (N, height, width, 3), 0-1.
    """
    pictures = np.asarray(pictures, float)
    count, height, width = pictures.shape[:3]
    rows = -(-count // across)
    sheet = np.full((rows * (height + gap) + gap, across * (width + gap) + gap,
                     *pictures.shape[3:]), ground)
    for i, picture in enumerate(pictures):
        top, left = (gap + n * (size + gap) for n, size in zip(divmod(i, across), (height, width),
                                                               strict=True))
        sheet[top:top + height, left:left + width] = picture
    return sheet


def as_pictures(weights) -> np.ndarray:
    """Kernels (N, 3 or 1, side, side) as pictures (N, side, side, 3): each on its own scale, gray
    where it is 0."""
    weights = np.asarray(weights).transpose(0, 2, 3, 1)
    weights = np.broadcast_to(weights, (*weights.shape[:3], 3))
    return 0.5 + 0.5 * weights / np.abs(weights).max((1, 2, 3), keepdims=True).clip(1e-12)


def kernels(weights, columns: int = 2, index=None) -> Figure:
    """The first layer's kernels, column above column, as in the paper's Fig. 3.

    weights: (maps, 3, side, side). index: (maps,), the color selectivity: kernels are sorted by
    it within their column, and a strip below each shows it, from gray to orange.
    """
    halves = np.array_split(np.arange(len(weights)), columns)
    across = -(-len(halves[0]) // max(1, round((len(halves[0]) / 5) ** 0.5)))
    rows = -(-len(halves[0]) // across)
    height = 9 * rows / across * (weights.shape[2] + 2) / weights.shape[2] + 0.5  # of a column
    figure, panels = plt.subplots(columns, 1, figsize=(9, columns * height), squeeze=False)
    for number, (half, axes) in enumerate(zip(halves, panels[:, 0], strict=True)):
        if index is not None:
            half = half[np.argsort(np.asarray(index)[half])]
        pictures = as_pictures(np.asarray(weights)[half])
        if index is not None:
            pictures = np.concatenate([pictures, strip(np.asarray(index)[half], pictures)], 1)
        axes.imshow(tiles(pictures, across), interpolation="nearest")
        told = f"column {number + 1}" if columns > 1 else "all kernels"
        if index is not None:
            told += f": color {100 * float(np.mean(np.asarray(index)[half])):.0f} % of the energy"
        axes.set_title(told, fontsize=11, loc="left")
        axes.axis("off")
    return figure


def colors_by_run(runs: dict[int, np.ndarray], as_far: dict[int, float]) -> Figure:
    """Each kernel's color as a dot, column beside column, run by run; a bar is a column's mean.

    runs: by seed, (maps,), the color selectivity, the first column's half first, 0-1. as_far: by
    seed, the share of random deals that put the columns at least as far apart, 0-1.
    """
    figure, axes = plt.subplots(figsize=(9, 3.8))
    for at, index in enumerate(runs.values()):
        halves = np.split(100 * np.asarray(index), 2)
        for shift, half, color, mark in zip((-0.19, 0.19), halves, (BLUE, ORANGE), "os",
                                            strict=True):
            aside = 0.22 * (0.618 * np.arange(len(half)) % 1) - 0.11  # so that no dot hides one
            axes.plot(at + shift + aside, half, mark, color=color, ms=5.5, alpha=0.75, mew=0)
            axes.plot([at + shift - 0.16, at + shift + 0.16], [half.mean()] * 2, color="black",
                      lw=2.5)
    for color, mark, name in ((BLUE, "o", "column 1"), (ORANGE, "s", "column 2")):
        axes.plot([], [], mark, color=color, ms=7, label=f"{name}, a kernel each")
    axes.plot([], [], color="black", lw=2.5, label="mean of a column")
    axes.set_xticks(range(len(runs)),
                    [f"{seed}\n{100 * as_far[seed]:.0f} %" for seed in runs])
    axes.set(xlabel="seed, and how many random deals are at least as far apart",
             ylabel="color, % of a kernel's energy", ylim=(0, 100))
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside upper center", ncols=3, fontsize=10)
    return figure


def strip(index, pictures) -> np.ndarray:
    """A line of pixels for each picture: as far orange as its `index`, the rest gray."""
    side = pictures.shape[2]
    filled = np.arange(side) < np.round(np.asarray(index) * side)[:, None]
    orange = np.array([int(ORANGE[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(filled[..., None], orange, 0.85)[:, None]


def maps(picture, responses: dict, most: int = 12) -> Figure:
    """An image and, layer by layer, its strongest maps or all its units, each layer on one scale.

    picture: (side, side, 3) uint8. responses: by layer, (maps, height, width) or (units,).
    """
    figure = plt.figure(figsize=(11, 1.15 * (len(responses) + 1.2)))
    left, right = figure.subfigures(1, 2, width_ratios=(1, 4))
    axes = left.subplots()
    axes.imshow(picture)
    axes.set_title("what the net sees", fontsize=10)
    axes.axis("off")
    for axes, (layer, found) in zip(np.atleast_1d(right.subplots(len(responses), 1)),
                                    responses.items(), strict=True):
        found = np.maximum(np.asarray(found, float), 0)
        if found.ndim == 1:
            sheet, told = band(found, most), f"all {len(found)} units"
        else:
            strongest = found[found.max((1, 2)).argsort()[::-1][:most]]
            sheet = tiles(strongest, most, gap=max(1, found.shape[1] // 25), ground=np.nan)
            told = f"{len(strongest)} of {len(found)} maps, {found.shape[1]} x {found.shape[2]}"
        axes.imshow(sheet, cmap="gray", vmin=0, vmax=max(found.max(), 1e-12),
                    interpolation="nearest")
        axes.set_title(f"{layer}: {told}", fontsize=9, loc="left")
        axes.axis("off")
    return figure


def band(values, ratio: int) -> np.ndarray:
    """Numbers as pixels, in lines one below the other, `ratio` times as wide as high."""
    lines = max(1, round((len(values) / ratio) ** 0.5))
    across = -(-len(values) // lines)
    return np.pad(values, (0, lines * across - len(values)),
                  constant_values=np.nan).reshape(lines, across)


def patches(found: dict, layer: str) -> Figure:
    """For each unit a row: the image that excites it most, with what the unit sees of it in a
    frame, then the patches that excite it most, strongest first. Silent is a unit that no image
    excites.

    found: of `features.top_patches`.
    """
    count = 1 + max(len(row) for row in found.values())
    figure, panels = plt.subplots(len(found), count, squeeze=False,
                                  figsize=(1.05 * count + 0.8, 1.1 * len(found) + 0.4))
    for (unit, row), line in zip(found.items(), panels, strict=True):
        for axes in line:
            axes.axis("off")
        line[0].imshow(row[0].whole)
        frame(line[0], row[0].box)
        for axes, patch in zip(line[1:], row, strict=False):
            axes.imshow(patch.pixels)
        told = f"map {unit}" if row[0].response > 0 else f"map {unit}\n(silent)"
        line[0].text(-0.15, 0.5, told, transform=line[0].transAxes, ha="right", va="center",
                     fontsize=9)
    figure.suptitle(f"what excites {layer} most", fontsize=11)
    return figure


def frame(axes, box, ls: str = "-", label: str | None = None) -> None:
    """Draw a box (top, left, bottom, right) of pixels, on a white line that all grounds show."""
    top, left, bottom, right = box
    for color, width, style, told in (("white", 4, "-", None), (BLUE, 2, ls, label)):
        axes.add_patch(plt.Rectangle((left - 0.5, top - 0.5), right - left, bottom - top,
                                     fill=False, ec=color, lw=width, ls=style, label=told))


def placed(picture, boxes: dict[str, tuple]) -> Figure:
    """A picture with the receptive fields of units in several layers.

    boxes: by name, (top, left, bottom, right) in pixels.
    """
    figure, axes = plt.subplots(figsize=(5, 5))
    axes.imshow(picture)
    for (name, box), style in zip(boxes.items(), ("-", "--", ":", "-.") * 3, strict=False):
        frame(axes, box, style, f"{name}: {box[2] - box[0]} pixels")
    axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    axes.set(xlabel="pixel", ylabel="pixel")
    axes.grid(False)
    return figure


def looked_at(picture, fall, slope, answer: str) -> Figure:
    """A picture, what occlusion says of it, and the size of the gradient.

    picture: (side, side, 3) uint8. fall: (side, side), by how much the answer's probability falls
    where a square is covered, 0-1. slope: (side, side), 0 or more.
    """
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.6))
    panels[0].imshow(picture)
    panels[0].set_title(f"answer: {plain(answer)}", fontsize=11)
    most = max(np.abs(fall).max(), 1e-9)
    panels[1].imshow(picture.mean(2), cmap="gray", alpha=0.35)
    shown = panels[1].imshow(fall, cmap=LinearSegmentedColormap.from_list(
        "orange_blue", [ORANGE, "white", BLUE]), vmin=-most, vmax=most, alpha=0.75)
    figure.colorbar(shown, ax=panels[1], label="fall of its probability", fraction=0.046)
    panels[1].set_title("occlusion", fontsize=11)
    shown = panels[2].imshow(slope / max(slope.max(), 1e-12), cmap="Grays", vmin=0, vmax=0.6)
    figure.colorbar(shown, ax=panels[2], label="size, largest is 1", fraction=0.046, extend="max")
    panels[2].set_title("gradient", fontsize=11)
    for axes in panels:
        axes.axis("off")
    return figure


def alike(questions, known, answers: dict) -> Figure:
    """Each question at the left of a row, then its nearest known pictures, a block for each way.

    questions: (Q, S, S, 3) uint8. known: (N, S, S, 3). answers: by name, (Q, k) numbers of known.
    """
    side, count = questions.shape[1], next(iter(answers.values())).shape[1]
    figure, panels = plt.subplots(1, 1 + len(answers), figsize=(11, 0.83 * len(questions) + 0.3),
                                  width_ratios=[1] + [count] * len(answers))
    columns = [("asked", questions[:, None])] + [(name, known[np.asarray(found)])
                                                 for name, found in answers.items()]
    for axes, (name, pictures) in zip(panels, columns, strict=True):
        axes.imshow(tiles(pictures.reshape(-1, side, side, 3) / 255, pictures.shape[1], gap=2))
        axes.set_title(name, fontsize=11)
        axes.axis("off")
    return figure


def planes(points: dict, labels, classes) -> Figure:
    """Pictures as points in planes, with the color and mark of their class.

    points: by title, (N, 2). labels: (N,).
    """
    figure, panels = plt.subplots(1, len(points), figsize=(11, 4.4), squeeze=False)
    for axes, (title, places) in zip(panels[0], points.items(), strict=True):
        for k, name in enumerate(classes):
            color, mark = CYCLE[k % len(CYCLE)], MARKS[k // len(CYCLE) % len(MARKS)]
            chosen = np.asarray(places)[np.asarray(labels) == k]
            axes.scatter(*chosen.T, s=26, color=color, marker=mark, alpha=0.8, lw=0,
                         label=plain(name))
        axes.set(title=title, xlabel="first component", ylabel="second component", xticks=[],
                 yticks=[])
    panels[0, -1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9,
                         ncols=-(-len(classes) // 20))
    return figure
