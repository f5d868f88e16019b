"""Figures: functions that take arrays and return a matplotlib Figure.

House style: the Okabe-Ito colors (safe for color-blind readers), a white ground in light
and dark notebooks alike, labels and units on every axis.
"""

import base64
import html
import io
import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.text import printable

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, YELLOW, GRAY = "#56B4E9", "#D55E00", "#F0E442", "#666666"
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


def image_grid(images, titles, columns: int = 8, title_colors=None,
               side: float = 1.1) -> Figure:
    """Pictures in rows, each under its title.

    Args:
        images: (N, S, S, 3) uint8, 0-255. titles: N strings. columns: pictures in a row.
        title_colors: N colors, or None for black. side: of a picture with its margin, inches.
    """
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(side * columns, (side + 0.2) * rows),
                                squeeze=False)
    for panel in axes.flat:
        panel.axis("off")
    colors = title_colors or ["black"] * len(images)
    for panel, image, title, color in zip(axes.flat, images, titles, colors):  # noqa: B905
        panel.imshow(image)
        panel.set_title(plain(title), fontsize=9, color=color)
    return figure


def photographs(shown, columns: int = 5, side: float = 2.0) -> Figure:
    """Photographs in rows, each between its label and the name of who took it.

    Args:
        shown: of `course.fetched_photographs`. columns: in a row. side: of each, inches.
    """
    figure = image_grid([one.image for one in shown], [one.label for one in shown],
                        min(columns, len(shown)), side=side)
    for panel, one in zip(figure.axes, shown):  # noqa: B905
        panel.text(0.5, -0.03, "\n".join(textwrap.wrap(plain(one.credit), int(18 * side))),
                   ha="center", va="top", fontsize=6, color=GRAY, transform=panel.transAxes)
    return figure


# Recorded experiments


def seed_bands(runs: dict[str, list[dict]], curves=("train_error", "val_error"),
               labels=("training error, %", "validation error, %"), factor: float = 100) -> Figure:
    """Curves by epoch, one color for each arm: the mean of its seeds, and the band they span.

    Args:
        runs: records by arm, from `course.runs`. curves: which of a record's curves, a panel each.
        labels: of the panels' y axes. factor: that the values are multiplied by.
    """
    figure, panels = plt.subplots(1, len(curves), figsize=(5.2 * len(curves), 3.8), squeeze=False)
    for panel, name, label in zip(panels[0], curves, labels, strict=True):
        for color, mark, (arm, records) in zip(CYCLE, "os^Dv", runs.items()):  # noqa: B905
            if not records:
                continue
            values = factor * np.array([record["curves"][name] for record in records])
            epochs = np.arange(1, values.shape[1] + 1)
            panel.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.2, lw=0)
            panel.plot(epochs, values.mean(0), color=color, marker=mark, markersize=4,
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


def slopes(panels: dict[str, dict[str, list[float]]], label: str = "test error, %") -> Figure:
    """Two arms seed by seed: a line from one to the other; each title says who was lower how often.

    Args:
        panels: by what was measured, two arms, each with a number for each seed, from
            `course.by_seed`. label: of the y axis.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(3.9 * len(panels), 3.7), squeeze=False,
                                sharey=True)
    for panel, (what, arms) in zip(axes[0], panels.items(), strict=True):
        (first, second), pairs = arms, list(zip(*arms.values(), strict=True))
        lower = sum(right < left for left, right in pairs)
        winner, wins = max((first, len(pairs) - lower), (second, lower), key=lambda won: won[1])
        for left, right in pairs:
            color, dash = (BLUE, "-") if (right < left) == (winner == second) else (ORANGE, "--")
            panel.plot((0, 1), (left, right), color=color, ls=dash, marker="o", ms=5, lw=1.6)
        panel.set_title(f"{what}:\n{winner} won in {wins} of {len(pairs)} seeds", fontsize=11)
        panel.set(xlim=(-0.3, 1.3), xticks=(0, 1), xticklabels=(first, second))
        panel.grid(axis="x", visible=False)
        panel.locator_params(axis="y", nbins=6)
    axes[0, 0].set_ylabel(label)
    figure.alt = "A line for each seed, from one arm on the left to the other on the right. " + \
        " ".join(panel.get_title().replace("\n", " ") + "." for panel in axes[0])
    return figure
