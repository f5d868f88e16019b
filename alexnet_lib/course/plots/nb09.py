"""Figures of training runs under way and done (notebook 09)."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, ORANGE, RED, SKY


def progress(losses, history: list[dict], steps: int, epochs: int, classes: int,
             figure: Figure | None = None) -> Figure:
    """A run so far: loss by step and errors by epoch, on axes that hold the whole run.

    Args:
        losses: of each step so far, nats. history: rows of `training.Trainer.history`.
        steps: in an epoch. epochs: of the whole run. classes: how many.
        figure: to draw in; without one, it is made without pyplot, so that a thread may draw.
    """
    if figure is None:
        figure = Figure(figsize=(10, 3.4), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    at = np.arange(1, len(losses) + 1) / steps
    left.plot(at, losses, color=SKY, lw=0.8, label="each batch")
    smooth = max(1, min(len(losses) // 5, 31))
    if smooth > 1:
        mean = np.convolve(losses, np.ones(smooth) / smooth, "valid")
        left.plot(at[smooth - 1:], mean, color=BLUE, lw=2, label=f"mean of the last {smooth}")
    left.axhline(np.log(classes), color=GRAY, ls="--", lw=1, label=f"guessing: ln {classes}")
    high = max([np.log(classes) * 1.3, *losses[-1:]])
    left.set(ylabel="loss, nats", ylim=(0, high))
    for key, color, mark, line, name in (
            ("train_error", ORANGE, "s", "--", "training, as it trained"),
            ("val_error", BLUE, "o", "-", "validation")):
        right.plot([row["epoch"] for row in history], [100 * row[key] for row in history],
                   marker=mark, ms=4 if epochs <= 40 else 2, ls=line, color=color, label=name)
    for before, after in zip(history, history[1:]):  # noqa: B905
        if after["lr"] < before["lr"]:
            right.axvline(before["epoch"], color=GRAY, ls=":", lw=1)
            right.annotate(f"rate {after['lr']:.2g}", (before["epoch"], 78), color=GRAY,
                           rotation=90, ha="right", va="top", fontsize=9)
    right.set(ylabel="error, %", ylim=(0, 100))
    for panel in (left, right):
        panel.set(xlabel="epoch", xlim=(0, epochs))
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.25)
        panel.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1), ncols=3,
                     fontsize=8.5, columnspacing=1, handlelength=1.6)  # nothing may hide a peak
    figure.alt = ("Left: the loss of each batch and its running mean, with the loss of guessing "
                  "as a dashed line. Right: training and validation error by epoch; dotted "
                  "vertical lines mark where the learning rate dropped.")
    return figure


def _valley(axes, steep: float) -> None:
    """Lines of equal loss of (x² + steep·y²)/2, and the lowest point."""
    x, y = np.meshgrid(np.linspace(-11.5, 6.5, 200), np.linspace(-1.6, 1.6, 200))
    axes.contour(x, y, (x**2 + steep * y**2) / 2, np.geomspace(0.5, 200, 9), colors=GRAY,
                 linewidths=0.9, alpha=0.4)
    axes.plot(0, 0, "+", color="black", ms=12, mew=2)
    axes.set(xlabel="along the ravine", xlim=(-11.5, 6.5), ylim=(-1.6, 1.6))
    axes.grid(visible=False)


def ravine(paths: dict[str, np.ndarray], steep: float) -> Figure:
    """Paths through a ravine whose loss is (x² + steep·y²)/2, a panel for each.

    Args:
        paths: by title, (steps, 2) positions, x along the ravine and y across it.
    """
    figure, panels = plt.subplots(1, len(paths), figsize=(5.4 * len(paths), 3.3), sharey=True)
    for axes, (name, path), color in zip(panels, paths.items(), (GRAY, BLUE), strict=True):
        _valley(axes, steep)
        axes.plot(*path.T, "o-", color=color, ms=3.5, lw=1.3)
        loss = (path[-1, 0]**2 + steep * path[-1, 1]**2) / 2
        axes.set_title(f"{name}: loss {loss:.2g} after {len(path) - 1} steps", fontsize=11.5)
    panels[0].set_ylabel("across the ravine")
    figure.alt = ("Two paths into the same long, narrow valley. Without momentum the path zigzags "
                  "across it and creeps along its floor, and ends far from the lowest point. With "
                  "momentum the path swings along the valley in long strides and ends at the "
                  "lowest point.")
    return figure


def coasting(paths: dict[str, np.ndarray], steep: float, drop: int) -> Figure:
    """Two rules in a ravine whose learning rate drops: the paths after the drop, and the loss.

    Args:
        paths: by name of the rule, (steps, 2) positions; equal up to `drop`, the last one before
            the learning rate drops.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6))
    _valley(left, steep)
    first = next(iter(paths.values()))
    left.plot(*first[:drop + 1].T, "o-", color=GRAY, ms=3, lw=1, label="before the drop")
    for (name, path), color, mark in zip(paths.items(), (ORANGE, BLUE), "so", strict=True):
        left.plot(*path[drop:].T, f"{mark}-", color=color, ms=4, lw=1.5, label=name)
        loss = (path[:, 0]**2 + steep * path[:, 1]**2) / 2
        right.plot(loss, f"{mark}-", color=color, ms=4, lw=1.5, label=name)
    left.plot(*first[drop], "X", color="black", ms=11, zorder=5)
    left.set_ylabel("across the ravine")
    right.axvline(drop, color=GRAY, lw=1)
    right.annotate("learning rate / 10", (drop, right.get_ylim()[1]), (5, -12), color=GRAY,
                   textcoords="offset points")
    right.set(xlabel="step", ylabel="loss", ylim=(0, None))
    right.legend(loc="upper right", bbox_to_anchor=(1, 0.9))
    left.set_title("The old speed climbs the wall", fontsize=11.5)
    right.set_title("…and the loss goes up", fontsize=11.5)
    figure.alt = ("Left: both rules take the same zigzag path to the drop, marked by a cross. Then "
                  "the paper's rule flies in a wide arc up the other wall and past the lowest "
                  "point, while PyTorch's path turns in small steps toward it. Right: after the "
                  "drop the paper's loss triples, and PyTorch's falls.")
    return figure


def drops(losses: dict[str, dict[str, list[float]]], before: int) -> Figure:
    """The loss around a drop of the learning rate, for two rules on the same batches.

    Args:
        losses: by title of a panel, by rule, the loss of each step, nats. before: how many of
            these steps come before the drop.
    """
    figure, panels = plt.subplots(1, len(losses), figsize=(3.7 * len(losses), 3.4), sharey=True)
    for axes, (title, rules) in zip(panels, losses.items(), strict=True):
        for (name, values), color, mark in zip(rules.items(), (ORANGE, BLUE), "so", strict=True):
            at = np.arange(len(values)) - before
            axes.plot(at[before - 1:], values[before - 1:], f"{mark}-", color=color, ms=4, lw=1.6,
                      label=name)
        axes.plot(at[:before], values[:before], "o-", color=GRAY, ms=3, lw=1)
        axes.axvline(-0.5, color=GRAY, lw=1)
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("steps since the drop")
    panels[0].set(ylabel="loss of the batch, nats", ylim=(0, None))  # of all: they share it
    panels[0].legend(loc="lower left", fontsize=9)
    figure.alt = ("A panel for each seed: the loss of each batch before and after the learning "
                  "rate drops to a tenth. After the drop the paper's rule rises above what it was "
                  "before and comes down within about ten steps; PyTorch's is lower at once.")
    return figure


def schedules(runs: dict[str, list[dict]]) -> Figure:
    """The learning rate over a run and, beneath it, its errors; a column for each run.

    Args:
        runs: by title, the rows of `training.Trainer.history`.
    """
    figure, panels = plt.subplots(2, len(runs), figsize=(5.4 * len(runs), 4.8), sharey="row",
                                  sharex="col", height_ratios=(1, 1.9), squeeze=False)
    for (top, below), (title, rows) in zip(panels.T, runs.items(), strict=True):
        epochs = [row["epoch"] for row in rows]
        top.step(epochs, [row["lr"] for row in rows], where="mid", color=RED, lw=2)
        top.set_yscale("log")
        top.set_title(title, fontsize=11.5)
        for key, color, line, name in (("train_error", ORANGE, "--", "training, as it trained"),
                                       ("val_error", BLUE, "-", "validation")):
            below.plot(epochs, [100 * row[key] for row in rows], color=color, ls=line, lw=1.8,
                       label=name)
        for one, two in zip(rows, rows[1:]):  # noqa: B905
            if two["lr"] < one["lr"]:
                for axes in (top, below):
                    axes.axvline(one["epoch"] + 0.5, color=GRAY, ls=":", lw=1)
        below.set(xlabel="epoch", ylim=(0, 85))
    panels[0, 0].set_ylabel("learning rate")
    panels[1, 0].set_ylabel("error, %")
    panels[1, -1].legend(loc="upper right")
    figure.alt = ("Above, the learning rate goes down in three steps, tenfold each. Below, "
                  "training and validation error by epoch: at the first drop both errors fall at "
                  "once and stop jumping; at the later drops hardly anything happens.")
    return figure


def range_test(rates, losses, chosen: float, smooth: int = 5) -> Figure:
    """The loss of each step while the learning rate grows from step to step.

    Args:
        rates, losses: of each step; losses in nats. chosen: a learning rate to mark.
        smooth: how many steps the thick line averages.
    """
    figure, axes = plt.subplots(figsize=(8, 3.6))
    axes.plot(rates[:len(losses)], losses, color=SKY, lw=0.9, label="each batch")
    mean = np.convolve(losses, np.ones(smooth) / smooth, "valid")
    axes.plot(rates[smooth - 1:len(losses)], mean, color=BLUE, lw=2.2,
              label=f"mean of the last {smooth}")
    axes.axvline(chosen, color=GRAY, ls="--", lw=1.2)
    axes.annotate(f"the paper's {chosen:g}", (chosen, 0.03), (5, 0), color=GRAY,
                  xycoords=("data", "axes fraction"), textcoords="offset points")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, nats",
             ylim=(0, 1.6 * losses[0]))
    axes.legend(loc="upper left")
    figure.alt = ("The loss of each batch against a learning rate that grows from step to step, "
                  "on a log scale: it falls slowly, wavers, and in the end rises steeply.")
    return figure


def compared(rates, losses, tried: list[dict], smooth: int = 10) -> Figure:
    """One run's learning rate and loss by step, and recorded test errors of several schedules.

    Args:
        rates, losses: of each step; losses in nats. smooth: how many steps the line averages.
        tried: recorded runs with `schedule`, `lr`, `seed` and `test_error` (a fraction).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), width_ratios=(1, 1.2))
    mean = np.convolve(losses, np.ones(smooth) / smooth, "valid")
    left.plot(np.arange(smooth - 1, len(losses)), mean, color=BLUE, lw=2)
    left.set(xlabel="step", ylabel="loss, nats", ylim=(0, None))
    left.set_title("Your run: warm-up, then a cosine", fontsize=11.5)
    above = left.twinx()
    above.plot(rates, color=RED, lw=2, ls="--")
    above.set_ylabel("learning rate (dashed)", color=RED)
    above.set_ylim(0, None)
    above.grid(visible=False)
    above.spines["right"].set_visible(True)
    names = list(dict.fromkeys(run["schedule"] for run in tried))
    for k, lr in enumerate(sorted({run["lr"] for run in tried})):
        color, mark = ((BLUE, "o"), (ORANGE, "s"))[k]
        for x, name in enumerate(names):
            errors = [100 * run["test_error"] for run in tried
                      if (run["schedule"], run["lr"]) == (name, lr)]
            at = x + 0.24 * k - 0.12
            right.plot([at] * len(errors), errors, mark, color=color, ms=7, alpha=0.7,
                       label=None if x else f"highest learning rate {lr:g}")
            right.plot([at - 0.09, at + 0.09], [np.mean(errors)] * 2, color="black", lw=2)
    right.set_xticks(range(len(names)), [name.replace(" + ", "\n+ ") for name in names])
    right.set(ylabel="test error, %", ylim=(0, None))
    right.grid(axis="x", visible=False)
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=9.5)
    figure.alt = ("Left: the learning rate rises in a straight line and falls along half a "
                  "cosine; the loss stays near guessing for a while and then falls. Right: test "
                  "errors of recorded runs, a column for each schedule, a mark for each seed, a "
                  "bar for the mean. With the higher learning rate all schedules do worse.")
    return figure


def range_tests(rates, tests: dict[str, list[float]], smooth: int = 7) -> Figure:
    """Range tests side by side, a panel for each, whose name is its title.

    Args:
        rates: of each step. tests: by name, the losses of the steps, nats.
        smooth: how many steps the line averages.
    """
    figure, panels = plt.subplots(1, len(tests), figsize=(3.7 * len(tests), 3), sharey=True,
                                  sharex=True)
    for axes, (name, losses) in zip(panels, tests.items(), strict=True):
        mean = np.convolve(losses, np.ones(smooth) / smooth, "valid")
        axes.plot(rates[smooth - 1:len(losses)], mean, color=BLUE, lw=2)
        axes.set(xscale="log", xlabel="learning rate", xlim=(1e-4, 0.12), ylim=(1.3, 2.7))
        axes.set_title(name, fontsize=11.5)
    panels[0].set_ylabel("loss, nats")
    figure.alt = ("Three curves of the loss against a growing learning rate. Each falls gently "
                  "and then rises steeply, at three different learning rates.")
    return figure
