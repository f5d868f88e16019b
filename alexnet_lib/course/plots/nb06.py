"""Figures of notebook 06, two GPUs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, SKY


def amount(count: float) -> str:
    """Bytes in words: 16_384 -> "16 kB"."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.0f} {unit}" if count >= 10 * size else \
                f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


def memory(bars: dict[str, dict[str, float]], limit: float) -> Figure:
    """What a GPU must hold, in stacked bars, and how much memory it has.

    Args:
        bars: bytes by part, for each bar. limit: bytes.
    """
    figure, axes = plt.subplots(figsize=(10, 0.9 + 0.62 * len(bars)))
    looks = zip(next(iter(bars.values())), (BLUE, SKY, GREEN, ORANGE, PINK),  # noqa: B905
                ("", "//", "..", "", "\\\\"))
    ends = np.zeros(len(bars))
    for part, color, hatch in looks:
        sizes = np.array([bar[part] for bar in bars.values()]) / 1e9
        axes.barh(list(bars), sizes, left=ends, height=0.65, color=color, hatch=hatch,
                  ec="white", label=part)
        ends += sizes
    for place, end in enumerate(ends):
        axes.text(end + 0.04, place, f"{end:.2f}", va="center", fontsize=10,
                  bbox={"fc": "white", "lw": 0, "pad": 1})
    axes.axvline(limit / 1e9, color="black", ls="--", lw=1.5, label="memory of the card")
    axes.set(xlabel="memory, GB ($10^9$ bytes)", xlim=(0, max(ends.max(), limit / 1e9) * 1.1))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9.5)
    over = [name for name, end in zip(bars, ends) if 1e9 * end > limit]  # noqa: B905
    axes.set_title(f"Too big: {', '.join(over)}" if over else "All of them fit", loc="left",
                   fontsize=11)
    figure.alt = ("Stacked bars in gigabytes, and a dashed line at the card's memory, "
                  f"{limit / 1e9:.2f}. " + "; ".join(
                      f"{name}: {end:.2f}" for name, end in
                      zip(bars, ends)) + ".")  # noqa: B905
    return figure


def communication(rows: list[dict], exchanges: list[dict], images: int = 1) -> Figure:
    """A net cut into two columns: who reads whose maps, and how many bytes cross.

    Args:
        rows: `models.layer_table` of the net. exchanges: `scaling.exchanges` of it.
        images: in the minibatch.

    The crossing arrows are as thick as the numbers that cross for one image are many; their
    labels give the bytes of the minibatch, one way. The last layer is whole, in the first column.
    """
    weighted = [row for row in rows if row["name"].startswith(("conv", "fc"))]
    crossing = {row["name"]: row for row in exchanges}
    figure, axes = plt.subplots(figsize=(12, 4.9))
    step, wide, high, levels = 1.72, 0.98, 0.86, (1.25, -1.25)
    side = next(row for row in rows if row["name"] == "pad")["output"]
    axes.add_patch(plt.Rectangle((-step, -0.6), 0.8, 1.2, fc=GRAY, alpha=0.25, lw=0))
    axes.text(-step + 0.4, 0, f"image\n{side[1]} x {side[2]}\nx {side[0]}", ha="center",
              va="center", fontsize=8)
    for place, row in enumerate(weighted):
        at, last = place * step, place == len(weighted) - 1
        boxes = levels[:1] if last else levels
        count = row["output"][0] // len(boxes)
        size = (f"{count} maps\n{row['output'][1]} x {row['output'][2]}"
                if len(row["output"]) == 3 else f"{count}\nunits")
        for y, color in zip(boxes, (BLUE, ORANGE)):  # noqa: B905
            axes.add_patch(plt.Rectangle((at, y - high / 2), wide, high, fc=color, alpha=0.3,
                                         ec=color, lw=1.5))
            axes.text(at + wide / 2, y, size, ha="center", va="center", fontsize=9.5)
            if place == 0:
                _arrow(axes, (-step + 0.8, 0.25 * np.sign(y)), (at, y), GRAY, 1.2)
            else:
                _arrow(axes, (at - step + wide, y), (at, y), GRAY, 1.2)
        axes.text(at + wide / 2, -2.15, row["name"], ha="center", fontweight="bold")
        if row["name"] in crossing:
            values = crossing[row["name"]]["values"]
            for start in levels[::-1][:len(boxes)]:
                _arrow(axes, (at - step + wide, 0.8 * start), (at, -0.8 * start), PINK,
                       0.8 + values / 12_000)
            axes.text(at - (step - wide) / 2, 0, amount(4 * values * images), ha="center",
                      va="center", fontsize=9.5, fontweight="bold",
                      bbox={"boxstyle": "round,pad=0.2", "fc": "white", "ec": PINK})
    total = sum(row["values"] for row in exchanges)
    for y, color, name in zip(levels, (BLUE, ORANGE), ("GPU 1", "GPU 2")):  # noqa: B905
        axes.text(-step + 0.4, y, name, ha="center", va="center",
                  bbox={"boxstyle": "round", "fc": color, "alpha": 0.3, "lw": 0})
    axes.set_title(f"Forward pass with {images} image{'s' * (images > 1)}: "
                   f"{amount(4 * total * images)} cross, in {len(exchanges)} exchanges",
                   fontsize=11, loc="left")
    axes.set(xlim=(-step - 0.1, len(weighted) * step - step + wide + 0.1), ylim=(-2.35, 1.85))
    axes.axis("off")
    figure.alt = ("Two rows of boxes, conv1 to fc8, GPU 1 above and GPU 2 below; fc8 is above "
                  "only. Thick arrows cross between the rows: " + ", ".join(
                      f"{amount(4 * row['values'] * images)} into {row['name']}"
                      for row in exchanges) + ".")
    return figure


def _arrow(axes, start, end, color, width) -> None:
    axes.annotate("", end, start, arrowprops={
        "arrowstyle": f"-|>,head_width={0.2 + width / 18},head_length={0.4 + width / 9}",
        "lw": width, "color": color, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10})


def traffic(panels: dict[str, dict[str, float]]) -> Figure:
    """Bytes that cross into each layer, for several nets side by side on one scale.

    Args:
        panels: by title, bytes by the layer's name. Layers without an exchange have no bar.
    """
    layers = sorted({name for found in panels.values() for name in found})
    figure, axes = plt.subplots(1, len(panels), figsize=(2.6 * len(panels), 3.4), sharey=True)
    for panel, (title, found) in zip(axes, panels.items(), strict=True):
        color = GRAY if panel is axes[0] else BLUE
        sizes = [found.get(name, 0) / 1e6 for name in layers]
        panel.barh(layers, sizes, color=color)
        for place, name in enumerate(layers):
            panel.text(sizes[place], place, f" {amount(found[name])}" if name in found else " -",
                       va="center", fontsize=9)
        panel.set_title(title, fontsize=11)
        panel.set(xlabel="MB", xlim=(0, 1.45 * max(max(f.values()) for f in panels.values()) / 1e6))
        panel.grid(axis="y", visible=False)
    axes[0].invert_yaxis()
    figure.alt = "Horizontal bars by layer. " + " ".join(
        f"{title}: {', '.join(f'{name} {amount(size)}' for name, size in found.items())}."
        for title, found in panels.items())
    return figure
