"""Figures of notebook 12 and of `alexnet filters`: kernels, maps, patches."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, RED, plain


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
            told += f": color {100 * float(np.mean(np.asarray(index)[half])):.0f}% of the energy"
        axes.set_title(told, fontsize=11, loc="left")
        axes.axis("off")
    return figure


def sheets(kernels: dict, across: int = 24) -> Figure:
    """Sets of the first layer's kernels one below the other, each kernel on a scale of its own.

    kernels: by title, (maps, 3, side, side).
    """
    rows = -(-max(map(len, kernels.values())) // across)
    figure, panels = plt.subplots(len(kernels), 1,
                                  figsize=(11, (11 * rows / across + 0.35) * len(kernels)))
    for axes, (title, weights) in zip(np.atleast_1d(panels), kernels.items(), strict=True):
        axes.imshow(tiles(as_pictures(weights), across))
        axes.set_title(title, fontsize=11.5, loc="left")
        axes.axis("off")
    figure.alt = ("The 96 kernels of conv1 as small pictures, in four rows, several times. "
                  + " ".join(f"{title}." for title in kernels))
    return figure


def fine_detail(shares: dict) -> Figure:
    """How much of each kernel is fine detail, kernels sorted.

    shares: by set of kernels, (maps,), 0-1.
    """
    figure, axes = plt.subplots(figsize=(9, 3.8))
    for (name, share), color, line in zip(shares.items(), (GRAY, RED, ORANGE, BLUE),  # noqa: B905
                                          (":", "-.", "--", "-")):
        share = np.sort(100 * np.asarray(share))
        axes.plot(np.arange(1, len(share) + 1), share, color=color, ls=line, lw=2.4)
        axes.text(len(share) + 1.5, share[-len(share) // 8:].mean(), f"{name}\n(mean "
                  f"{share.mean():.0f}%)", color="black", va="center", fontsize=10)
        axes.plot(len(share), share[-1], "o", color=color, ms=6)
    axes.set(xlabel="kernel, smoothest first", ylabel="share of energy above\n0.25 cycles a "
             "pixel, %", ylim=(0, 100), xlim=(0, 128))
    axes.set_xticks((1, 24, 48, 72, 96))
    axes.set_title("Subtract its own initialization, and a kernel loses its fine detail",
                   fontsize=11.5)
    figure.alt = ("Each of the 96 kernels' share of fine detail, sorted, a line for each set. "
                  "The initialization: about 82% throughout. Trained minus another seed's "
                  "initialization is above the trained kernels, trained minus its own far below.")
    return figure


def forgetting(frequency, coefficient, decay: float) -> Figure:
    """How much of its initialization each band of spatial frequency still has.

    frequency: (bands,), cycles a pixel. coefficient: (bands,), of the initial weights in the
    trained ones. decay: what weight decay alone would have left, 0-1.
    """
    figure, axes = plt.subplots(figsize=(8.5, 3.7))
    axes.axhline(decay, color=ORANGE, lw=2.5, ls="--",
                 label=f"what weight decay alone would leave: {decay:.3f}")
    axes.plot(frequency, coefficient, "o-", color=BLUE, ms=8, lw=1.5, label="measured")
    axes.set(xlabel="spatial frequency, cycles a pixel (coarse on the left, fine on the right)",
             ylabel="factor on the initial\nweights (log scale)", yscale="log", ylim=(0.7, 9))
    axes.set_yticks((1, 2, 4, 8), (1, 2, 4, 8))
    axes.minorticks_off()
    axes.legend(loc="upper right")
    axes.set_title("In fine detail, training did nothing but decay", fontsize=11.5)
    figure.alt = ("The factor on the initial weights against spatial frequency: high at coarse "
                  "frequencies, and exactly on the dashed line of weight decay from about 0.25 "
                  "cycles a pixel on.")
    return figure


def film(frames: dict) -> Figure:
    """Kernels over time, a row for each kernel, on the scale of its last frame.

    frames: by step, what training had added until then, (kernels, 3, side, side).
    """
    steps, last = list(frames), np.asarray(list(frames.values())[-1])
    most = np.abs(last).max((1, 2, 3), keepdims=True)
    shown = [(0.5 + 0.5 * (np.asarray(kernels) / most).clip(-1, 1)).transpose(0, 2, 3, 1)
             for kernels in frames.values()]
    across = len(steps)
    sheet = tiles(np.stack(shown, 1).reshape(-1, *shown[0].shape[1:]), across)
    figure, axes = plt.subplots(figsize=(10, 10 * len(last) / across + 0.7))
    axes.imshow(sheet)
    side = last.shape[-1] + 1
    axes.set_xticks(side * (np.arange(across) + 0.5), [f"{step:,}" for step in steps])
    axes.set_yticks([])
    axes.set_xlabel("training step")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title("First a blur, then edges, and fine stripes last", fontsize=11.5)
    figure.alt = (f"{len(last)} kernels, a row each, at {across} moments of training: plain gray "
                  "at first, and at last edges, stripes and blobs of color.")
    return figure


def colors_by_net(nets: dict, as_far: dict) -> Figure:
    """How colorful each kernel is, column beside column, net by net; a bar is a column's mean.

    nets: by name, (maps,), the color selectivity, the first column's half first, 0-1. as_far: by
    name, the share of random deals that put the columns at least as far apart, 0-1.
    """
    figure, axes = plt.subplots(figsize=(10, 3.8))
    for at, index in enumerate(nets.values()):
        halves = np.split(100 * np.asarray(index), 2)
        for shift, half, color, mark in zip((-0.19, 0.19), halves, (BLUE, ORANGE), "os",
                                            strict=True):
            aside = 0.26 * (0.618 * np.arange(len(half)) % 1) - 0.13  # so that no dot hides one
            axes.plot(at + shift + aside, half, mark, color=color, ms=5, alpha=0.7, mew=0)
            axes.plot([at + shift - 0.16, at + shift + 0.16], [half.mean()] * 2, color="black",
                      lw=2.5)
    for color, mark, name in ((BLUE, "o", "column 1"), (ORANGE, "s", "column 2")):
        axes.plot([], [], mark, color=color, ms=7, label=f"{name}, a kernel each")
    axes.plot([], [], color="black", lw=2.5, label="mean of a column")
    axes.set_xticks(range(len(nets)),
                    [f"{name}\n{100 * as_far[name]:.0f}% of deals as far apart"
                     for name in nets], fontsize=10)
    axes.set(ylabel="color, % of what a\nkernel has learned", ylim=(0, 100))
    axes.grid(axis="x", visible=False)
    axes.set_title("In each column of each network, gray kernels stand beside colorful ones",
                   fontsize=11.5, pad=32)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 0.99), ncols=3, fontsize=10)
    figure.alt = ("Each kernel of the networks as a dot, higher if it has more color: column 1 as "
                  "circles, column 2 as squares, for each network side by side. Both columns "
                  "range from nearly gray to nearly all color, and their means are close.")
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
    figure = plt.figure(figsize=(11, 1.02 * len(responses) + 0.3))
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
    figure.alt = ("A photograph, and for each layer its feature maps with the strongest answers, "
                  "bright where they answer: outlines in conv1, small coarse patches further on.")
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


def gallery(rows: dict, title: str, side: float = 1.45) -> Figure:
    """Rows of square images, each with its name at the left.

    rows: by name, images (side, side, 3) uint8; the sides of two rows may differ. side: of an
    image, inches.
    """
    across = max(map(len, rows.values()))
    figure, panels = plt.subplots(len(rows), across, squeeze=False,
                                  figsize=(side * across + 1.4, (side + 0.05) * len(rows) + 0.4))
    for axes in panels.flat:
        axes.axis("off")
    for line, (name, images) in zip(panels, rows.items(), strict=True):
        line[0].text(-0.08, 0.5, plain(name), transform=line[0].transAxes, ha="right",
                     va="center", fontsize=10.5)
        for axes, image in zip(line, images, strict=False):
            axes.imshow(image)
    figure.suptitle(title, fontsize=12)
    figure.alt = (f"{title}. " * bool(title) + "Rows of images: "
                  + "; ".join(name.replace("\n", ", ") for name in rows) + ".")
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
    axes.set_title("From a few hairs to most of a face", fontsize=11.5)
    axes.grid(False)
    figure.alt = ("A photograph with the receptive fields of units in its middle as nested "
                  "frames: " + ", ".join(f"{name} {box[2] - box[0]} pixels"
                                         for name, box in boxes.items()) + ".")
    return figure


def looked_at(pictures, answers, ways: dict, side: float = 2.75) -> Figure:
    """Pictures, a row each, and beside them where an answer comes from, one panel for each way.

    Args:
        pictures: (N, side, side, 3) uint8. answers: N strings.
        ways: by name, (N, side, side). Ways with negative values are drawn in two colors: blue
            where the picture speaks for the answer, orange where it speaks against it. Each
            panel has a scale of its own.
        side: of a picture, inches.
    """
    figure, panels = plt.subplots(len(pictures), 1 + len(ways), squeeze=False,
                                  figsize=(side * (1 + len(ways)), side * len(pictures) + 0.5))
    both = LinearSegmentedColormap.from_list("orange_blue", [ORANGE, "white", BLUE])
    for row, (line, picture, answer) in enumerate(zip(panels, pictures, answers, strict=True)):
        line[0].imshow(picture)
        line[0].set_title(plain(answer), fontsize=11)
        for axes, (name, values) in zip(line[1:], ways.items(), strict=True):
            values = np.asarray(values, float)
            values, signed = values[row], values.min() < 0
            most = max(np.abs(values).max(), 1e-12)
            axes.imshow(np.asarray(picture).mean(2), cmap="gray")
            axes.imshow(values, cmap=both if signed else "inferno", vmin=-most if signed else 0,
                        vmax=most, alpha=0.65)
            axes.set_title(name if row == 0 else "", fontsize=11)
        for axes in line:
            axes.axis("off")
    figure.alt = ("Pictures, a row each, and beside each of them where the network's answer comes "
                  f"from: {', '.join(ways)}.")
    return figure


def nine_places(errors, title: str) -> Figure:
    """A test error for each of nine positions of the same photographs.

    errors: (3, 3), fractions, rows from top to bottom.
    """
    errors = 100 * np.asarray(errors)
    figure, axes = plt.subplots(figsize=(4.6, 4.3))
    axes.imshow(errors, cmap="Blues", vmin=0, vmax=100)
    for (row, column), error in np.ndenumerate(errors):
        axes.text(column, row, f"{error:.1f}%", ha="center", va="center", fontsize=13,
                  color="white" if error > 50 else "black")
    axes.set_xticks(range(3), ["left", "middle", "right"])
    axes.set_yticks(range(3), ["top", "middle", "bottom"])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=11.5)
    figure.alt = ("A table of three by three positions with the test error at each: "
                  + ", ".join(f"{error:.1f}%" for error in errors.flat) + ".")
    return figure


def alike(questions, known, answers: dict) -> Figure:
    """Each question at the left of a row, then its nearest known pictures, a block for each way.

    questions: (Q, S, S, 3) uint8. known: (N, S, S, 3). answers: by title, (Q, k) numbers of known.
    """
    side, count = questions.shape[1], next(iter(answers.values())).shape[1]
    figure, panels = plt.subplots(1, 1 + len(answers), figsize=(
        0.85 * (1 + count * len(answers)), 0.83 * len(questions) + 0.3),
                                  width_ratios=[1] + [count] * len(answers))
    columns = [("asked", questions[:, None])] + [(name, known[np.asarray(found)])
                                                 for name, found in answers.items()]
    for axes, (name, pictures) in zip(panels, columns, strict=True):
        axes.imshow(tiles(pictures.reshape(-1, side, side, 3) / 255, pictures.shape[1], gap=2))
        axes.set_title(name, fontsize=11)
        axes.axis("off")
    figure.alt = ("Pictures that were asked about, a row each, then the known pictures nearest to "
                  f"each: {'; '.join(answers)}.")
    return figure
