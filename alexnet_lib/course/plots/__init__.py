"""Figures: functions that take arrays and return a matplotlib Figure.

House style: the Okabe-Ito colours (safe for colour-blind readers), a white ground in light
and dark notebooks alike, labels and units on every axis.
"""

import base64
import html
import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.text import printable

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, YELLOW, GREY = "#56B4E9", "#D55E00", "#F0E442", "#666666"
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, RED)


def use_style() -> None:
    """Set the house style for all figures made after this call."""
    plt.rcParams.update({
        "figure.facecolor": "white", "savefig.facecolor": "white", "figure.dpi": 100,
        "figure.constrained_layout.use": True, "font.size": 11,
        "axes.prop_cycle": plt.cycler(color=CYCLE), "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.alpha": 0.25,
        "legend.frameon": False, "image.interpolation": "nearest",
    })


def as_html(figure: Figure, text: str) -> str:
    """The figure as an HTML image with a text for those who cannot see it; closes the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return (f'<img alt="{html.escape(text)}" style="max-width: 100%" '
            f'src="data:image/png;base64,{data}">')


def plain(name: str) -> str:
    """A name from people's data, drawn as it is: a $ in it begins no formula."""
    return "\n".join(map(printable, name.split("\n"))).replace("$", r"\$")


def image_grid(images, titles, columns: int = 8, title_colours=None,
               side: float = 1.1) -> Figure:
    """Pictures in rows, each under its title.

    Args:
        images: (N, S, S, 3) uint8, 0-255. titles: N strings. columns: pictures in a row.
        title_colours: N colours, or None for black. side: of a picture with its margin, inches.
    """
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns, (side + 0.2) * rows),
                                squeeze=False)
    for panel in axes.flat:
        panel.axis("off")
    colours = title_colours or ["black"] * len(images)
    for panel, image, title, colour in zip(axes.flat, images, titles, colours):  # noqa: B905
        panel.imshow(image)
        panel.set_title(plain(title), fontsize=9, color=colour)
    return figure


# Recorded experiments


def seed_bands(runs: dict[str, list[dict]], curves=("train_error", "val_error"),
               labels=("training error, %", "validation error, %"), factor: float = 100) -> Figure:
    """Curves by epoch, one colour for each arm: the mean of its seeds, and the band they span.

    Args:
        runs: records by arm, from `course.runs`. curves: which of a record's curves, a panel each.
        labels: of the panels' y axes. factor: that the values are multiplied by.
    """
    figure, panels = plt.subplots(1, len(curves), figsize=(5.2 * len(curves), 3.8), squeeze=False)
    for panel, name, label in zip(panels[0], curves, labels, strict=True):
        for colour, mark, (arm, records) in zip(CYCLE, "os^Dv", runs.items()):  # noqa: B905
            if not records:
                continue
            values = factor * np.array([record["curves"][name] for record in records])
            epochs = np.arange(1, values.shape[1] + 1)
            panel.fill_between(epochs, values.min(0), values.max(0), color=colour, alpha=0.2, lw=0)
            panel.plot(epochs, values.mean(0), color=colour, marker=mark, markersize=4,
                       label=f"{arm}, {len(records)} seeds")
        panel.set(xlabel="epoch", ylabel=label)
        panel.xaxis.get_major_locator().set_params(integer=True)
        if any(runs.values()):
            panel.legend()
        else:
            panel.text(0.5, 0.5, "not run yet", ha="center", transform=panel.transAxes)
    return figure


def overfitting(runs: dict[str, list[dict]], keys=("loss", "error"),
                train_label: str = "training") -> Figure:
    """Training and validation curves of several runs side by side, the gap between them hatched.

    Args:
        runs: by name, a row for each epoch with `epoch`, `train_loss`, `val_loss` (nats) and
            `train_error`, `val_error` (fractions). keys: a row of panels for each.
        train_label: how the training curve was measured.
    """
    figure, panels = plt.subplots(len(keys), len(runs), squeeze=False, sharey="row", sharex=True,
                                  figsize=(5.2 * len(runs), 2.9 * len(keys) + 0.6))
    for column, (name, rows) in enumerate(runs.items()):
        epochs = [row["epoch"] for row in rows]
        for axes, key in zip(panels[:, column], keys, strict=True):
            factor = 100 if key == "error" else 1
            train = factor * np.array([row[f"train_{key}"] for row in rows])
            val = factor * np.array([row[f"val_{key}"] for row in rows])
            axes.fill_between(epochs, train, val, where=val > train, color=ORANGE, alpha=0.22,
                              lw=0, hatch="//", label="the gap")
            axes.plot(epochs, val, color=BLUE, lw=2, marker="o", ms=4, label="validation")
            axes.plot(epochs, train, color=ORANGE, lw=2, ls="--", marker="s", ms=4,
                      label=train_label)
        panels[0, column].set_title(name, fontsize=11.5)
        panels[-1, column].set_xlabel("epoch")
    for row, key in enumerate(keys):
        panels[row, 0].set_ylabel("error, %" if key == "error" else "loss, nats")
        panels[row, 0].set_ylim(0, None)
    panels[0, -1].legend(loc="upper right")
    return figure


def paired(effects: dict[int, float], interval: tuple[float, float] | None, unit: str,
           arms: tuple[str, str], paper: float | None = None) -> Figure:
    """The difference between two arms: a point for each seed, the 95 % interval of their mean.

    Args:
        effects: by seed, from `experiments.ledger.effects`. interval: of a row of the ledger.
        arms: names of (what the paper does, what it compares with). paper: its figure, if any.
    """
    figure, axes = plt.subplots(figsize=(7, 2.2))
    axes.axvline(0, color=GREY, lw=1)
    if interval:
        axes.axvspan(*interval, color=SKY, alpha=0.35, lw=0, label="95 % interval of the mean")
        axes.axvline(np.mean(list(effects.values())), color=BLUE, lw=2, label="mean")
    # Each at a height of its own: seeds may agree to the last digit.
    axes.plot(list(effects.values()), np.linspace(0.4, -0.4, len(effects)), "o", color=BLUE,
              label="one seed each")
    if not effects:
        axes.text(0.5, 0.5, "not run yet", ha="center", va="center", transform=axes.transAxes)
    if paper is not None:
        axes.axvline(paper, color=ORANGE, ls="--", lw=2, label="the paper")
    axes.set(yticks=[], xlabel=f"{arms[1]} less {arms[0]}, {unit}", ylim=(-1, 1))
    axes.locator_params(axis="x", nbins=6)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


# Notebook 00


def first_run(losses, history: list[dict], images, truth, guess, probability, classes) -> Figure:
    """A whole training run at a glance: loss by step, error by epoch, and what the net says.

    Args:
        losses: training loss of each step, nats. history: rows of `training.Trainer.history`.
        images: (N, S, S, 3) uint8, 0-255; N is at most 12. truth, guess: (N,) class numbers.
        probability: (N,) of the guess, 0-1. classes: names.
    """
    figure = plt.figure(figsize=(11, 6.2))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1))
    left, right = top.subplots(1, 2)
    left.plot(losses, color=SKY, lw=0.8, label="each minibatch")
    if len(losses) > 30:
        left.plot(np.arange(len(losses))[15:-15], np.convolve(losses, np.ones(31) / 31, "valid"),
                  color=BLUE, lw=2, label="mean of 31")
    left.axhline(np.log(len(classes)), color=GREY, ls="--", lw=1)
    left.annotate(f"guessing: ln {len(classes)}", (len(losses), np.log(len(classes))),
                  color=GREY, ha="right", va="bottom")
    left.set(xlabel="step (minibatch of 128)", ylabel="loss, nats", title="Training loss")
    left.legend()
    epochs = [row["epoch"] for row in history]
    for key, colour, mark, name in (("train_error", ORANGE, "s", "training, with dropout"),
                                    ("val_error", BLUE, "o", "validation")):
        right.plot(epochs, [100 * row[key] for row in history], marker=mark, color=colour,
                   label=name)
    right.set(xlabel="epoch", ylabel="error, %", title="Wrong answers", ylim=(0, 100))
    right.legend()
    places = bottom.subplots(2, 6).ravel()
    for axes in places:
        axes.axis("off")
    for axes, picture, t, g, p in zip(places[:len(images)], images, truth, guess, probability,
                                      strict=True):
        axes.imshow(picture)
        said = f"{classes[g]} {p:.0%}" if t == g else f"✗ {classes[g]}, not {classes[t]}"
        axes.set_title(plain(said), fontsize=10, color="black" if t == g else RED)
    return figure


# Notebook 02


def architecture(net) -> Figure:
    """The net drawn from itself: one box per layer and column, arrows for what a layer reads.

    Args:
        net: an AlexNet.

    Boxes are as high as the maps are wide (pixels, on a root scale) and as wide as the maps are
    many; below a layer stand its kernels and its pooling. Arrows that cross are the places where
    the columns talk.
    """
    figure, axes = plt.subplots(figsize=(11, 5.2))
    axes.add_patch(plt.Rectangle((0, -0.9), 0.25, 1.8, color=GREY, alpha=0.35))
    axes.text(0.12, -1.05, f"input\n{net.input_size} x {net.input_size} x {net.in_channels}",
              ha="center", va="top", fontsize=9)
    at, ends = 1.0, [(0.25, 0.0)]
    for layer in _layers(net):
        ends = _boxes(axes, layer, at, ends)
        middle, at = (at + ends[0][0]) / 2, ends[0][0] + (0.72 if layer["side"] else 0.62)
        axes.text(middle, -2.45, layer["name"], ha="center", va="top", fontsize=10,
                  fontweight="bold")
        axes.text(middle, -2.7, layer["below"], ha="center", va="top", fontsize=8.5, color=GREY)
    axes.set(xlim=(-0.5, at - 0.2), ylim=(-3.5, 2.5))
    axes.axis("off")
    if net.columns == 2:
        for y, colour, name in ((1.15, BLUE, "GPU 1"), (-1.15, ORANGE, "GPU 2")):
            axes.text(-0.1, 1.6 * np.sign(y), name, ha="center", va="center", color="black",
                      fontsize=10, bbox={"boxstyle": "round", "fc": colour, "alpha": 0.4, "lw": 0})
        axes.plot([], [], color=PINK, lw=1.6, label="the columns talk")
        axes.legend(loc="upper right", fontsize=9)
    return figure


def _layers(net) -> list[dict]:
    """What `architecture` draws of each layer with weights, read from the layer."""
    from alexnet_lib.models import layer_table  # plots alone need no torch
    outputs, drawn = {row["name"]: row["output"] for row in layer_table(net)}, []
    for path, layer in net.named_modules():
        name = path.rsplit(".", 1)[-1]
        if name.startswith(("conv", "fc")):
            maps, *side = outputs[name]
            _, reads, *kernel = layer.weight.shape
            drawn.append({
                "name": name, "maps": maps, "side": side[-1] if side else None,
                "groups": getattr(layer, "groups", 1), "columns": net.columns,
                "below": f"{kernel[0]} x {kernel[1]} x {reads},\nstride {layer.stride[0]}"
                         if kernel else f"{reads}\ninputs"})
        elif name.startswith("pool"):
            drawn[-1]["below"] += f"\npool {layer.kernel_size} x {layer.kernel_size},\n" \
                                  f"stride {layer.stride}"
    drawn[-1]["columns"] = 1  # both columns end in one layer
    return drawn


def _boxes(axes, layer: dict, at: float, ends: list[tuple]) -> list[tuple]:
    """Draw a layer's boxes at `at` with arrows from `ends`; returns where its own arrows begin."""
    side, columns = layer["side"], layer["columns"]
    maps = layer["maps"] // columns
    height, width = (0.22 * np.sqrt(side), 0.16 + maps / 480) if side else (1.6, 0.22)
    words = f"{maps} maps\n{side} x {side}" if side else f"{maps}"
    rows = (1.15, -1.15) if columns == 2 else (0.0,)
    for column, y in enumerate(rows):
        axes.add_patch(plt.Rectangle((at, y - height / 2), width, height, alpha=0.75, lw=0,
                                     color=(BLUE, ORANGE)[column] if columns == 2 else GREEN))
        axes.text(at + width / 2, y + height / 2 + 0.06, words, ha="center", va="bottom",
                  fontsize=8.5)
        for other, (x0, y0) in enumerate(ends):
            talk = len(ends) > 1 and (other != column or columns == 1)
            if talk and layer["groups"] > 1:
                continue
            axes.annotate("", (at - 0.02, y), (x0 + 0.02, y0), arrowprops={
                "arrowstyle": "-|>", "lw": 1.6 if talk else 1.0, "color": PINK if talk else GREY})
    return [(at + width, y) for y in rows]


def fitting_windows(size: int, kernel: int, stride: int) -> Figure:
    """The last places of a convolution along one side: what fits, and what sticks out.

    Draws the windows near the right edge of `size` pixels; one that sticks out is hatched, with
    the number of zeros that it needs.
    """
    places = 1 + -(-(size - kernel) // stride)
    figure, axes = plt.subplots(figsize=(9, 2.6))
    first = size - kernel - 3 * stride - 2
    axes.axvspan(first, size, color=GREY, alpha=0.15, lw=0)
    axes.axvline(size, color="black", lw=1.5)
    for row, place in enumerate(range(places - 4, places)):
        start = place * stride
        out = start + kernel - size
        axes.barh(-row, kernel, left=start, height=0.7, color=RED if out > 0 else BLUE, alpha=0.8)
        if out > 0:
            axes.barh(-row, out, left=size, height=0.7, fc="none", hatch="///", ec="black")
            axes.text(size + out + 0.3, -row, f"{out} pixels of zeros", va="center")
        axes.text(start - 0.3, -row, f"place {place + 1}", ha="right", va="center")
    axes.text(size - 0.2, 0.75, f"edge of the {size} pixels", ha="right", va="bottom")
    axes.set(xlim=(first, size + 9), ylim=(-3.7, 1.5), yticks=[],
             xlabel="pixel along one side of the image")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    return figure


def where_it_goes(rows: list[dict]) -> Figure:
    """Three bars for each weighted layer: its share of parameters, multiply-adds and units.

    Args:
        rows: `models.layer_table`. Shares in per cent of the sum over the weighted layers.
    """
    weighted = [row for row in rows if row["name"].startswith(("conv", "fc"))]
    names = [row["name"] for row in weighted]
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True)
    for axes, key, colour, title, unit in zip(
            panels, ("params", "macs", "units"), (ORANGE, BLUE, GREEN),
            ("Parameters: what it must remember", "Multiply-adds: what it must compute",
             "Units: what it must keep"), ("M", "M", "k"), strict=True):
        values = np.array([row[key] for row in weighted])
        share = 100 * values / values.sum()
        bars = axes.barh(names, share, color=colour)
        scale = 1e6 if unit == "M" else 1e3
        axes.bar_label(bars, [f"{v / scale:.1f} {unit}" for v in values], padding=3, fontsize=9)
        axes.set(title=title, xlabel="share of the net, %", xlim=(0, share.max() * 1.25))
        axes.title.set_fontsize(10.5)
    panels[0].invert_yaxis()
    return figure


# Notebook 01


def preparation(wide, square, squashed) -> Figure:
    """A wide picture with its central square marked; that square; the whole picture squeezed.

    Args:
        wide: (S, W, 3) uint8, scaled to the shorter side S. square, squashed: (S, S, 3) uint8.
    """
    side, width = wide.shape[:2]
    left = (width - side) / 2
    figure, panels = plt.subplots(1, 3, figsize=(10, 3.1), width_ratios=(width / side, 1, 1))
    for axes, picture, title in zip(panels, (wide, square, squashed), (
            f"shorter side scaled to {side}", "the paper: the centre is kept",
            "not the paper: all is squeezed"), strict=True):
        axes.imshow(picture)
        axes.set(xlabel="pixel", xticks=(0, picture.shape[1] - 1), yticks=(0, side - 1))
        axes.set_title(title, fontsize=10.5)
        axes.grid(False)
    panels[0].set_ylabel("pixel")
    for start, end in ((0, left), (width - left, width)):
        panels[0].axvspan(start - 0.5, end - 0.5, fc="white", alpha=0.55, hatch="//", ec=GREY)
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
    axes.loglog(counts, contrast[0] / np.sqrt(counts), color=GREY, ls="--",
                label="if all pixels were\nindependent: $1/\\sqrt{n}$")
    axes.set(xlabel="images in the mean, n", ylabel="contrast, grey levels")
    axes.legend(fontsize=9)
    return figure


def positive_share(raw, centred) -> Figure:
    """Histogram over filters: how often a filter's answer is positive, for two kinds of input.

    Args:
        raw, centred: (filters,) shares, 0-1.
    """
    figure, axes = plt.subplots(figsize=(8, 3.2))
    bins = np.linspace(0, 100, 21)
    for share, colour, hatch, name in ((raw, ORANGE, "//", "raw pixels, 0 to 255"),
                                       (centred, BLUE, None, "less the mean image")):
        axes.hist(100 * np.asarray(share), bins, color=colour, alpha=0.75, hatch=hatch,
                  ec="white", label=name)
    axes.set(xlabel="places at which the filter's answer is positive, %", ylabel="filters")
    axes.legend(loc="upper left", bbox_to_anchor=(0.58, 0.98))
    return figure


def colour_axes(pixels, values, vectors) -> Figure:
    """Pixels in the red-green and the green-blue plane with their principal axes, and the axes
    as strips of colour, from two standard deviations below the mean to two above it.

    Args:
        pixels: (N, 3), 0-255; a few thousand. values: (3,) eigenvalues. vectors: (3, 3), columns.
    """
    centre = pixels.mean(0)
    figure = plt.figure(figsize=(11, 3.6))
    left, right = figure.subfigures(1, 2, width_ratios=(1.45, 1))
    names, lines = ("red", "green", "blue"), ("-", "--", ":")
    for axes, (i, j) in zip(left.subplots(1, 2), ((0, 1), (1, 2)), strict=True):
        axes.scatter(pixels[:, i], pixels[:, j], c=pixels / 255, s=5, lw=0)
        for k in range(3):
            step = np.sqrt(values[k]) * vectors[:, k]
            ends = np.stack([centre - 2 * step, centre + 2 * step])
            axes.plot(ends[:, i], ends[:, j], color="white", lw=5)
            axes.plot(ends[:, i], ends[:, j], color="black", lw=2, ls=lines[k],
                      label=f"axis {k + 1}")
        axes.set(xlabel=f"{names[i]}, 0 to 255", ylabel=f"{names[j]}, 0 to 255",
                 xlim=(0, 255), ylim=(0, 255), xticks=(0, 128, 255), yticks=(0, 128, 255),
                 aspect="equal")
    axes.legend(loc="lower right", fontsize=8, frameon=True)
    _strips(right, centre, values, vectors)
    return figure


def colour_strips(centre, values, vectors, title: str) -> Figure:
    """The principal axes of RGB as strips of colour, two standard deviations each way."""
    figure = plt.figure(figsize=(6, 3))
    _strips(figure, np.asarray(centre), np.asarray(values), np.asarray(vectors))
    figure.suptitle(title, fontsize=11)
    return figure


def _strips(figure, centre, values, vectors) -> None:
    along = np.linspace(-2, 2, 101)
    panels = figure.subplots(3, 1, sharex=True)
    for k, axes in enumerate(panels):
        strip = centre + along[:, None] * np.sqrt(values[k]) * vectors[:, k]
        axes.imshow(strip.clip(0, 255)[None].astype(np.uint8), aspect="auto", extent=(-2, 2, 0, 1))
        axes.set(yticks=[])
        axes.set_title(f"axis {k + 1}: {values[k] / values.sum():.0%} of the variance, "
                       f"standard deviation {np.sqrt(values[k]):.0f}", fontsize=10)
        axes.grid(False)
    panels[-1].set_xlabel("standard deviations from the mean colour")


def templates(weights, classes) -> Figure:
    """A linear classifier's weights as pictures: bright where a pixel speaks for the class.

    Args:
        weights: (classes, S, S, 3); each is scaled to its own range.
    """
    figure, panels = plt.subplots(2, -(-len(classes) // 2), figsize=(10, 4.4), squeeze=False)
    for axes in panels.flat:
        axes.axis("off")
    for axes, weight, name in zip(panels.flat, weights, classes):  # noqa: B905
        axes.imshow((0.5 + 0.5 * weight / np.abs(weight).max()).clip(0, 1))
        axes.set_title(plain(name), fontsize=10)
    return figure
