"""Figures of notebook 02, the architecture."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED


def sliding(photo, kernel, row: int, column: int, stride: int = 4) -> Figure:
    """A kernel at one position of a photograph, and its feature map as far as it has come.

    Args:
        photo: (S, S, 3), 0-255. kernel: (K, K, 3). row, column: of the position, from 1 on.
        stride: pixels from one position to the next.
    """
    size = len(kernel)
    windows = sliding_window_view(np.asarray(photo, float), (size, size), (0, 1))
    sums = np.einsum("rcdij,ijd->rc", windows[::stride, ::stride], kernel)
    done = np.arange(sums.size).reshape(sums.shape) < (row - 1) * len(sums) + column
    top, left = (row - 1) * stride, (column - 1) * stride
    figure, panels = plt.subplots(1, 3, figsize=(11, 4.1), width_ratios=(1, 0.62, 1))
    panels[0].imshow(photo)
    panels[0].add_patch(plt.Rectangle((left - 0.5, top - 0.5), size, size, fc="none", ec="white",
                                      lw=4))
    panels[0].add_patch(plt.Rectangle((left - 0.5, top - 0.5), size, size, fc="none", ec=PINK,
                                      lw=2))
    panels[0].set_title(f"{len(photo)} x {len(photo)} pixels, stride {stride}", fontsize=11)
    seen = np.asarray(photo)[top:top + size, left:left + size]
    panels[1].imshow(seen, extent=(0, size, 0, size))
    panels[1].imshow(kernel.mean(2), extent=(0, size, -size - 4, -4), cmap="PuOr_r", vmin=-1.3,
                     vmax=1.3)
    panels[1].set(xlim=(0, size), ylim=(-size - 4, size))
    panels[1].text(size / 2, -2, "x   the kernel, added up  =", ha="center", va="center")
    panels[1].text(size / 2, -size - 4.7, f"{sums[row - 1, column - 1]:,.0f}", ha="center",
                   va="top", fontsize=13, fontweight="bold")
    panels[1].set_title("what it sees", fontsize=11)
    reach = np.abs(sums).max()
    panels[2].imshow(np.where(done, sums, np.nan), cmap="PuOr_r", vmin=-reach, vmax=reach)
    panels[2].add_patch(plt.Rectangle((column - 2, row - 2), 2, 2, fc="none", ec=PINK, lw=2))
    panels[2].set_title(f"feature map: {done.sum():,} of {len(sums)} x {len(sums)} positions",
                        fontsize=11)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set_visible(axes is panels[2])
    panels[1].set_clip_on(False)
    figure.alt = ("Left: a photograph with a small square marked on it. Middle: the pixels in "
                  "the square, and below them a kernel, negative on one side and positive on the "
                  "other. Right: the feature map, filled row by row up to the marked position; "
                  "edges show in color, plain surfaces in white.")
    return figure


def architecture(net) -> Figure:
    """The net drawn from itself: one box per layer and column, arrows for what a layer reads.

    Args:
        net: an AlexNet.

    Boxes are as high as the feature maps are wide (pixels, on a root scale) and wider the more
    channels there are; below a layer are its kernels and its pooling. Arrows cross where the
    columns exchange their feature maps.
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
        axes.plot([], [], color=PINK, lw=1.6, label="columns exchange")
        axes.legend(loc="upper right", fontsize=9)
    figure.alt = ("The network as two rows of boxes, one for each GPU: five convolutions and two "
                  "fully connected layers in each row, and at the end one fully connected layer "
                  "of 1000 units for both. Arrows cross between the rows before conv3, fc6, fc7, "
                  "and fc8.")
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
    words = f"{maps} channels\n{side} x {side}" if side else f"{maps}"
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
    """The last positions of a convolution along one side: what fits, and what sticks out.

    Draws the windows near the right edge of `size` pixels; one that sticks out is hatched, with
    the number of zeros that it needs.
    """
    places = 1 + -(-(size - kernel) // stride)
    figure, axes = plt.subplots(figsize=(9, 2.8))
    first = size - kernel - 3 * stride - 5
    axes.axvspan(first, size, color=GRAY, alpha=0.15, lw=0)
    axes.axvline(size, color="black", lw=1.5)
    for row, place in enumerate(range(places - 4, places)):
        start = place * stride
        out = start + kernel - size
        axes.barh(-row, kernel, left=start, height=0.7, color=RED if out > 0 else BLUE, alpha=0.8)
        if out > 0:
            axes.barh(-row, out, left=size, height=0.7, fc="none", hatch="///", ec="black")
            axes.text(size + out + 0.3, -row, f"{out} pixels of zeros", va="center")
        axes.text(start - 0.3, -row, f"position {place + 1}", ha="right", va="center")
    axes.text(size - 0.2, 0.45, f"edge of the {size} pixels", ha="right", va="bottom")
    axes.set(xlim=(first, size + 9), ylim=(-3.6, 1.1), yticks=[],
             xlabel="pixel along one side of the image")
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    axes.set_title(f"Position {places} needs {max(0, places * stride - stride + kernel - size)} "
                   "pixels that don't exist", fontsize=11.5)
    figure.alt = (f"The last four positions of a window of {kernel} pixels with a stride of "
                  f"{stride}, as bars. Three end inside the {size} pixels; the last sticks out, "
                  "and the part that sticks out is hatched and marked as zeros.")
    return figure


def where_it_goes(rows: list[dict]) -> Figure:
    """Three bars for each layer with weights: its share of parameters, multiply-adds and units.

    Args:
        rows: `models.layer_table`. Shares in percent of the sum over the layers with weights.
    """
    weighted = [row for row in rows if row["name"].startswith(("conv", "fc"))]
    names = [row["name"] for row in weighted]
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True)
    for axes, key, color, title in zip(
            panels, ("params", "macs", "units"), (ORANGE, BLUE, GREEN),
            ("fc6 and fc7 hold the parameters", "conv1 to conv5 do the work (multiply-adds)",
             "conv1 and conv2 have the units"), strict=True):
        values = np.array([row[key] for row in weighted])
        share = 100 * values / values.sum()
        bars = axes.barh(names, share, color=color)
        axes.bar_label(bars, [_short(value) for value in values], padding=3, fontsize=9)
        axes.set(xlabel="share of the network, %", xlim=(0, share.max() * 1.25))
        axes.set_title(title, fontsize=11)
    panels[0].invert_yaxis()
    figure.alt = ("Three bar charts over the eight layers. Parameters: fc6 62%, fc7 28%, all "
                  "convolutions under 4%. Multiply-adds: conv2 31%, conv3 21%, fc6 5%, all "
                  "fully connected layers together 8%. Units: conv1 44%, conv2 28%, the fully "
                  "connected layers next to none.")
    return figure


def _short(value: float) -> str:
    """A count in three digits: 34.9 k, 37.8 M."""
    return f"{value / 1e6:.3g} M" if value >= 1e6 else f"{value / 1e3:.3g} k"


def mystery() -> dict:
    """The three networks of exercise 02-4 by label, without memory for their weights."""
    import torch
    from torchvision.models import resnet18, vgg16

    from alexnet_lib import AlexNet
    with torch.device("meta"):
        found = {"A": AlexNet(input_size=224), "B": vgg16(), "C": resnet18()}
    for other in (found["B"], found["C"]):
        other.input_size, other.in_channels = 224, 3  # what layer_table feeds it
    return found


def lineup(tables: dict[str, list[dict]]) -> Figure:
    """Share of parameters (up) and of multiply-adds (down), layer by layer, a panel a network.

    Args:
        tables: by title, `models.layer_table` of a network. Layers without multiply-adds and
            normalizations are left out.
    """
    figure, panels = plt.subplots(1, len(tables), figsize=(3.8 * len(tables), 3.9), sharey=True)
    for axes, (title, rows) in zip(panels, tables.items(), strict=True):
        weighted = [row for row in rows if row["kind"] in ("Conv2d", "Linear", "GroupedLinear")]
        for key, color, sign in (("params", ORANGE, 1), ("macs", BLUE, -1)):
            values = np.array([row[key] for row in weighted], float)
            axes.bar(range(1, len(weighted) + 1), sign * 100 * values / values.sum(), color=color)
        axes.axhline(0, color="black", lw=1)
        axes.set(ylim=(-40, 80), xlabel="layers with weights, in order", xticks=[])
        axes.set_yticks(range(-40, 81, 20), [abs(tick) for tick in range(-40, 81, 20)])
        axes.set_title(title, fontsize=12)
    panels[0].set_ylabel("parameters (up) and work (down), %")
    figure.alt = ("Three panels with a bar up for each layer's share of the parameters and a bar "
                  "down for its share of the work. A: eight layers; the last three hold nearly "
                  "all parameters, 62% in the first of them. B: sixteen layers; the first of the "
                  "last three alone holds 74%, and the work is spread over the others. C: "
                  "twenty-one layers, parameters grow toward the end, and the last layer is "
                  "small.")
    return figure
