"""Figures of notebook 02, the architecture."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED


def architecture(net) -> Figure:
    """The net drawn from itself: one box per layer and column, arrows for what a layer reads.

    Args:
        net: an AlexNet.

    Boxes are as high as the maps are wide (pixels, on a root scale) and as wide as the maps are
    many; below a layer stand its kernels and its pooling. Arrows that cross are the places where
    the columns talk.
    """
    figure, axes = plt.subplots(figsize=(11, 5.2))
    axes.add_patch(plt.Rectangle((0, -0.9), 0.25, 1.8, color=GRAY, alpha=0.35))
    axes.text(0.12, -1.05, f"input\n{net.input_size} x {net.input_size} x {net.in_channels}",
              ha="center", va="top", fontsize=9)
    at, ends = 1.0, [(0.25, 0.0)]
    for layer in _layers(net):
        ends = _boxes(axes, layer, at, ends)
        middle, at = (at + ends[0][0]) / 2, ends[0][0] + (0.72 if layer["side"] else 0.62)
        axes.text(middle, -2.45, layer["name"], ha="center", va="top", fontsize=10,
                  fontweight="bold")
        axes.text(middle, -2.7, layer["below"], ha="center", va="top", fontsize=8.5, color=GRAY)
    axes.set(xlim=(-0.5, at - 0.2), ylim=(-3.5, 2.5))
    axes.axis("off")
    if net.columns == 2:
        for y, color, name in ((1.15, BLUE, "GPU 1"), (-1.15, ORANGE, "GPU 2")):
            axes.text(-0.1, 1.6 * np.sign(y), name, ha="center", va="center", color="black",
                      fontsize=10, bbox={"boxstyle": "round", "fc": color, "alpha": 0.4, "lw": 0})
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
                "arrowstyle": "-|>", "lw": 1.6 if talk else 1.0, "color": PINK if talk else GRAY})
    return [(at + width, y) for y in rows]


def fitting_windows(size: int, kernel: int, stride: int) -> Figure:
    """The last places of a convolution along one side: what fits, and what sticks out.

    Draws the windows near the right edge of `size` pixels; one that sticks out is hatched, with
    the number of zeros that it needs.
    """
    places = 1 + -(-(size - kernel) // stride)
    figure, axes = plt.subplots(figsize=(9, 2.6))
    first = size - kernel - 3 * stride - 2
    axes.axvspan(first, size, color=GRAY, alpha=0.15, lw=0)
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
    for axes, key, color, title, unit in zip(
            panels, ("params", "macs", "units"), (ORANGE, BLUE, GREEN),
            ("Parameters: what it must remember", "Multiply-adds: what it must compute",
             "Units: what it must keep"), ("M", "M", "k"), strict=True):
        values = np.array([row[key] for row in weighted])
        share = 100 * values / values.sum()
        bars = axes.barh(names, share, color=color)
        scale = 1e6 if unit == "M" else 1e3
        axes.bar_label(bars, [f"{v / scale:.1f} {unit}" for v in values], padding=3, fontsize=9)
        axes.set(title=title, xlabel="share of the net, %", xlim=(0, share.max() * 1.25))
        axes.title.set_fontsize(10.5)
    panels[0].invert_yaxis()
    return figure
