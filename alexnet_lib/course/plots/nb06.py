"""Figures of notebook 06, two GPUs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, SKY

LOOKS = {"columns": (BLUE, "-"), "data": (ORANGE, "--"), "mix": (GREEN, "-.")}


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
    axes.set_title(f"{images} image{'s' * (images > 1)}, one way: {total * images:,} numbers = "
                   f"{amount(4 * total * images)} cross", fontsize=11, loc="left")
    axes.set(xlim=(-step - 0.1, len(weighted) * step - step + wide + 0.1), ylim=(-2.35, 1.85))
    axes.axis("off")
    return figure


def _arrow(axes, start, end, color, width) -> None:
    axes.annotate("", end, start, arrowprops={
        "arrowstyle": f"-|>,head_width={0.2 + width / 18},head_length={0.4 + width / 9}",
        "lw": width, "color": color, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 10})


def link(sizes, seconds, latency: float, rate: float) -> Figure:
    """Time of an exchange against its size, and the line "latency + size / rate".

    Args:
        sizes: bytes. seconds: measured. latency: s. rate: bytes/s.
    """
    sizes = np.asarray(sizes, float)
    along = np.geomspace(sizes.min(), sizes.max(), 100)
    figure, axes = plt.subplots(figsize=(8, 3.6))
    axes.loglog(along, 1e3 * (latency + along / rate), color=GRAY, label="latency + bytes / rate")
    axes.axhline(1e3 * latency, color=ORANGE, ls=":", lw=2, label="latency alone")
    axes.loglog(along, 1e3 * along / rate, color=GREEN, ls="--", lw=1.5, label="bytes / rate")
    axes.loglog(sizes, 1e3 * np.asarray(seconds), "o", color=BLUE, label="measured")
    axes.set(xlabel="bytes that each process sends", ylabel="time of the exchange, ms",
             ylim=(0.4e3 * min(min(seconds), latency), 2.5e3 * max(seconds)))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def scaling(panels: dict[str, dict[str, tuple]]) -> Figure:
    """Speed by number of GPUs, and the share of a step that goes into exchanging.

    Args:
        panels: by title, for each way: (GPUs, images per second, share 0-1), each a sequence.

    A star marks the fastest number of GPUs of each way, a cross where it cannot be cut further.
    """
    figure, axes = plt.subplots(2, len(panels), figsize=(max(7.5, 4.2 * len(panels)), 6.4),
                                sharex=True, squeeze=False, height_ratios=(1.7, 1))
    most = max(max(gpus) for ways in panels.values() for gpus, _, _ in ways.values())
    for (title, ways), top, bottom in zip(panels.items(), *axes, strict=True):
        one = min(speeds[0] for _, speeds, _ in ways.values())
        for way, (gpus, speeds, shares) in ways.items():
            color, line = LOOKS[way]
            top.loglog(gpus, speeds, color=color, ls=line, lw=2.2, label=way)
            if gpus[-1] < most:
                top.plot(gpus[-1], speeds[-1], "x", color=color, ms=10, mew=2.5)
            best = int(np.argmax(speeds))
            top.plot(gpus[best], speeds[best], "*", color=color, ms=15, mec="black", mew=0.7)
            bottom.semilogx(gpus, 100 * np.asarray(shares), color=color, ls=line, lw=2.2)
        top.plot([1, most], [one, one * most], color=GRAY, lw=1, ls=":",
                 label="n GPUs,\nn times as fast")
        top.set_title(title, fontsize=10.5)
        slowest, fastest = (f(f(s) for _, s, _ in ways.values()) for f in (min, max))
        top.set_ylim(slowest / 1.5, max(100 * one, 1.5 * fastest))
        top.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
        top.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        top.yaxis.set_minor_formatter(NullFormatter())
        bottom.axhline(50, color=GRAY, lw=0.8)
        bottom.set(ylim=(0, 100), xlabel="GPUs, n")
        marks = [n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512) if n <= most]
        bottom.set_xticks(marks, [str(n) for n in marks], fontsize=9)
        bottom.minorticks_off()
    axes[0, 0].set_ylabel("images per second")
    axes[1, 0].set_ylabel("of a step spent\nexchanging, %")
    handles, names = axes[0, 0].get_legend_handles_labels()
    handles += [plt.Line2D([], [], marker=mark, ls="", mfc="white", mec="black", ms=size)
                for mark, size in (("*", 13), ("x", 8))]
    figure.legend(handles, [*names, "fastest", "no further cut"], loc="outside right upper",
                  fontsize=9.5)
    return figure
