"""Figures of notebook 13: the authors' lab notes, and what became of their ideas in our runs."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY

KINDS = {"the paper's net": ("*", "black"), "norms": ("o", BLUE), "pooling": ("s", ORANGE),
         "columns": ("^", GREEN), "depth, more data": ("P", PINK), "rates": ("D", SKY),
         "inputs": ("v", RED), "other": ("X", GRAY)}


def timeline(runs: list[dict], half: float, kind: str = "all") -> Figure:
    """The runs of the lab notes by number, with their error; those without one in a strip above.

    Args:
        runs: of data/source/lab-notes.json: those on ILSVRC-2012 with ten views are drawn, and
            those that were stopped. half: half the height of the gray band around #145, in points.
        kind: "all", or the one of `KINDS` to bring out.
    """
    figure, (strip, axes) = plt.subplots(2, 1, figsize=(11.5, 6.4), sharex=True,
                                         height_ratios=(1, 4))
    stopped = [run for run in runs if "top1" not in run]
    logged = [run for run in runs if run.get("data") == "2012 validation" and run["views"] == 10]
    level = 100 * next(run["top1"] for run in logged if run["run"] == "145")
    axes.axhspan(level - half, level + half, color=GRAY, alpha=0.14, lw=0)
    axes.text(98, level + half - 0.03, "as #145, with\nanother seed?", fontsize=9.5, color=GRAY,
              va="top")
    for panel in (strip, axes):
        panel.axvspan(144.3, 151.5, color=ORANGE, alpha=0.12, lw=0)
    for where, name in ((121, "before the paper's network"), (147.9, "around it"),
                        (166, "after it")):
        strip.text(where, 1.02, name, ha="center", va="bottom", fontsize=11,
                   transform=strip.get_xaxis_transform())
    for run in logged:
        _mark(axes, run, 100 * run["top1"], kind, SHIFTS.get(run["run"], (6, -4)))
    for row, run in enumerate(stopped):
        _mark(strip, run, -(row % 3), kind, None)
    for name, (mark, color) in KINDS.items():
        axes.plot([], [], mark, color=color, ms=12 if mark == "*" else 8,
                  label=name.replace("net", "network"))
    strip.set(yticks=[], ylim=(-2.7, 0.7))
    strip.set_ylabel("stopped, or\nno number", rotation=0, ha="right", va="center", fontsize=10)
    axes.set(xlim=(97, 181), xlabel="number of the run", ylabel="top-1 error, %",
             ylim=(38.75, 42.35))
    axes.legend(loc="lower left", ncols=2, fontsize=10)
    figure.alt = ("Top-1 error against the number of the run, with a gray band around #145, the "
                  "star, at 40.7%. Above the band: 148 and 150 at about 42%, then 160, 157, 166 "
                  "and a few more; below it two later runs at 40.25% and three that saw more "
                  "images, at 39 to 39.6%. In a strip on top: runs that were stopped.")
    return figure


# Where a run's name is written, in points from its mark, where the usual place is taken.
SHIFTS = {"145": (-30, 6), "145 restarted": (-88, -4), "146, 2009": (8, -2), "146, 2011": (8, -9),
          "155": (-26, -4), "156": (6, 3), "157": (-26, 2), "158": (6, -10), "147": (-26, 2),
          "167": (-27, -4), "170": (-22, -13), "170-quant": (6, 6), "170, faded": (-30, -13),
          "171": (4, -13), "174": (6, -8), "166": (7, -2), "135": (-26, 2), "131": (-26, -4),
          "141, 2009, 2012": (-20, 8), "165": (-27, -4), "169": (-12, 8), "137": (-27, -4),
          "120 on 2012": (-30, 9)}


def _mark(axes, run: dict, y: float, kind: str, shift) -> None:
    mark, color = KINDS[run["kind"]]
    chosen = kind in ("all", run["kind"])
    axes.plot(run["number"], y, mark, color=color, ms=15 if mark == "*" else 8,
              alpha=1 if chosen else 0.15, mec="white", mew=0.6, zorder=3 if chosen else 2)
    if shift is not None and chosen:
        axes.annotate(run["run"], (run["number"], y), xytext=shift, textcoords="offset points",
                      fontsize=9.5)


def schedules(plans: dict[str, list[float]], runs: dict[str, list[dict]], title: str) -> Figure:
    """The learning rate by epoch, and under it the error of the networks trained by it.

    Args:
        plans: by arm, the rate of each epoch as a share of the first. runs: records by arm, from
            `course.runs`; an arm may have none.
    """
    figure, (top, below) = plt.subplots(2, 1, figsize=(9.5, 6), sharex=True, height_ratios=(2, 3))
    looks = zip((ORANGE, BLUE, GREEN), ("s", "o", "^"), ("-", "--", ":"), strict=True)
    for (arm, rates), (color, mark, dash) in zip(plans.items(), looks):  # noqa: B905
        top.step(np.arange(1, len(rates) + 1), rates, where="mid", color=color, ls=dash, lw=2.5)
        if not runs.get(arm):
            continue
        errors = 100 * np.array([record["curves"]["val_error"] for record in runs[arm]])
        epochs = np.arange(1, errors.shape[1] + 1)
        below.fill_between(epochs, errors.min(0), errors.max(0), color=color, alpha=0.18, lw=0)
        below.plot(epochs, errors.mean(0), marker=mark, color=color, ms=4, ls=dash,
                   label=f"{arm}: ends at {errors.mean(0)[-1]:.1f}%")
    top.set(yscale="log", ylabel="learning rate,\na share of the first")
    top.set_title(title, fontsize=12)
    below.set(xlabel="epoch", ylabel="validation error, %")
    if any(runs.values()):
        below.legend()
    figure.alt = ("Above, learning rates by epoch on a log scale, falling in steps; one goes up "
                  "again a hundredfold after epoch 20 and falls twice more. Below, validation "
                  "errors: after the rise the error goes up a little, then down again.")
    return figure


def forest(rows: list[dict], unit: str) -> Figure:
    """One line for each comparison: seeds as dots, the 95% interval of their mean as a bar.

    Args:
        rows: `label`, `effects` (one for each seed, may be empty), `interval` or None, and `log`,
            the difference in the authors' single runs, or None. unit: of the x axis.
    """
    figure, axes = plt.subplots(figsize=(9.5, 0.5 * len(rows) + 1.5))
    axes.axvline(0, color=GRAY, lw=1)
    for y, row in enumerate(reversed(rows)):
        values = list(row["effects"])
        if row["interval"]:
            axes.plot(row["interval"], [y, y], color=SKY, lw=9, alpha=0.6, solid_capstyle="butt")
            axes.plot([np.mean(values)] * 2, [y - 0.28, y + 0.28], color=BLUE, lw=2.5)
        axes.plot(values, [y] * len(values), "o", color=BLUE, ms=6, mec="white", mew=0.8, zorder=3)
        if row["log"] is not None:
            axes.plot(row["log"], y, "D", color=ORANGE, ms=9, mec="black", mew=0.7)
        if not values:
            axes.text(0.99, y, "not run yet", color=GRAY, ha="right", va="center", fontsize=10,
                      transform=axes.get_yaxis_transform())
    axes.plot([], [], color=SKY, lw=9, alpha=0.6, label="95% interval of the mean")
    axes.plot([], [], color=BLUE, lw=2.5, label="mean")
    axes.plot([], [], "o", color=BLUE, ms=6, label="one seed each")
    if any(row["log"] is not None for row in rows):
        axes.plot([], [], "D", color=ORANGE, mec="black", label="the authors' single runs")
    axes.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
    axes.set(xlabel=unit, ylim=(-0.6, len(rows) - 0.4))
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.5), max(high, 2) + 0.3)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
    figure.alt = ("A line for each comparison, with a dot for each seed and the interval of their "
                  "mean. " + " ".join(map(_in_words, rows)))
    return figure


def _in_words(row: dict) -> str:
    if not row["interval"]:
        return f"{row['label']}: not run yet."
    low, high = (f"{value:.1f}".replace("-", "−") for value in row["interval"])
    return f"{row['label']}: {low} to {high}."
