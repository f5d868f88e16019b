"""Figures of notebook 14: transfer learning, where a net looks, a photograph that fools it."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, CYCLE, GRAY, ORANGE, plain
from alexnet_lib.research.ledger import interval

MARKS = "os^Dv"


def needed(panels: dict[str, dict[str, dict[int, list[dict]]]], chance: float) -> Figure:
    """Test error by the number of training photographs a class, a line for each way to learn.

    Args:
        panels: by title, then by name and number of photographs, records with a `test_error` (a
            fraction), one for each seed. chance: error of a guess, a fraction.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(5.6 * len(panels), 4.6), sharey=True,
                                squeeze=False)
    names = list(dict.fromkeys(name for runs in panels.values() for name in runs))
    looks = {name: {"color": color, "marker": mark} for name, color, mark in
             zip(names, CYCLE, MARKS)}  # noqa: B905
    counts = sorted({n for runs in panels.values() for by_count in runs.values() for n in by_count})
    for panel, (title, runs) in zip(axes[0], panels.items(), strict=True):
        panel.axhline(100 * chance, color=GRAY, lw=1, ls=":")
        for name, by_count in runs.items():
            errors = {n: 100 * np.array([row["test_error"] for row in rows])
                      for n, rows in by_count.items()}
            for n, found in errors.items():
                panel.plot([n] * len(found), found, ls="", ms=4, alpha=0.4, mew=0, **looks[name])
            spans = np.array([interval(found) for found in errors.values()])
            if np.isfinite(spans).all():
                panel.fill_between(list(errors), *spans.T, color=looks[name]["color"], alpha=0.13,
                                   lw=0)
            panel.plot(list(errors), [found.mean() for found in errors.values()], lw=2.4,
                       label=name, **looks[name])
        panel.set(xscale="log", xlabel="training photographs of each class (log scale)",
                  ylim=(0, 100 * chance + 4))
        panel.set_title(title, fontsize=12)
        panel.set_xticks(counts, counts)
        panel.minorticks_off()
        panel.legend(loc="lower left")
    axes[0, 0].set_ylabel("test error, %")
    axes[0, 0].text(0.99, 100 * chance - 0.6, "guessing", color=GRAY, ha="right", va="top",
                    transform=axes[0, 0].get_yaxis_transform())
    return figure


def tuned(curves: dict[str, dict[int, float]], chance: float) -> Figure:
    """Error on new pictures by training step, a line for each run.

    Args:
        curves: by name, the error after so many steps, in percent. chance: error of a guess,
            a fraction.
    """
    figure, axes = plt.subplots(figsize=(9, 4.2))
    axes.axhline(100 * chance, color=GRAY, lw=1, ls=":")
    axes.text(0.01, 100 * chance - 1.5, "guessing", color=GRAY, va="top",
              transform=axes.get_yaxis_transform())
    for color, mark, (name, curve) in zip(CYCLE, MARKS, curves.items()):  # noqa: B905
        axes.plot(list(curve), list(curve.values()), color=color, lw=2.2,
                  marker=mark, label=name)
    axes.set(xlabel="step", ylabel="error on new pictures, %", ylim=(0, 100 * chance + 4))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def moved(changes: dict[str, dict[str, float]]) -> Figure:
    """How far training moved each layer's weights, as a share of their size; a mark for each run.

    Args:
        changes: by name of the run and of the layer, the norm of the change over that of the
            weights before.
    """
    figure, axes = plt.subplots(figsize=(9, 3.6))
    for color, mark, (name, by_layer) in zip(CYCLE, MARKS, changes.items()):  # noqa: B905
        axes.plot(list(by_layer), [100 * share for share in by_layer.values()], color=color, lw=2,
                  marker=mark, ms=7, label=name)
    axes.set(yscale="log", ylabel="weights changed by, %")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def looked(pictures, maps, titles) -> Figure:
    """Pictures, and below each the same picture with a map of where the net looked.

    Args:
        pictures: (N, side, side, 3) uint8. maps: N arrays (rows, columns), 0 or more. titles: N.
    """
    count = len(pictures)
    figure, panels = plt.subplots(2, count, figsize=(2.15 * count, 4.7), squeeze=False)
    for column, (picture, seen, title) in enumerate(zip(pictures, maps, titles, strict=True)):
        side = len(picture)
        panels[0, column].imshow(picture)
        panels[0, column].set_title(plain(title), fontsize=10)
        panels[1, column].imshow(picture.mean(2), cmap="gray", alpha=0.55)
        seen = np.asarray(seen, float)
        panels[1, column].imshow(seen / max(seen.max(), 1e-12), cmap="inferno", alpha=0.6, vmin=0,
                                 vmax=1, extent=(-0.5, side - 0.5, side - 0.5, -0.5),
                                 interpolation="bilinear")
    for axes in panels.flat:
        axes.axis("off")
    return figure


def fooled(before, after, titles, times: int = 40) -> Figure:
    """A photograph, `times` the change that was made to it, and the photograph with the change.

    before, after: (side, side, 3), 0-255. titles: of the first and of the last panel.
    """
    figure, panels = plt.subplots(1, 3, figsize=(11, 4))
    change = np.asarray(after, float) - np.asarray(before, float)
    shown = (np.asarray(before), (128 + times * change).clip(0, 255).astype(np.uint8),
             np.asarray(after))
    for axes, picture, title in zip(panels, shown, (titles[0], f"the change, {times} times as "
                                                    "strong", titles[1]), strict=True):
        axes.imshow(picture)
        axes.set_title(plain(title), fontsize=11)
        axes.axis("off")
    return figure


def traps(errors: dict[str, dict[str, float]]) -> Figure:
    """Errors that a validation split promises beside those on really new photographs.

    errors: by name of the trap, {"validation": ..., "new": ...}, fractions.
    """
    figure, axes = plt.subplots(figsize=(9, 1.1 + 0.75 * len(errors)))
    for row, found in enumerate(errors.values()):
        promised, real = (100 * found[key] for key in ("validation", "new"))
        axes.plot([promised, real], [row, row], color=GRAY, lw=2, zorder=1)
        axes.plot(promised, row, "o", color=BLUE, ms=11, label="validation split" * (not row))
        axes.plot(real, row, "s", color=ORANGE, ms=11, label="really new" * (not row))
    axes.set_yticks(range(len(errors)), list(errors))
    axes.set(xlabel="error, %", xlim=(-2, 75), ylim=(len(errors) - 0.5, -0.5))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def ruler(runs: dict[int, list[dict]]) -> Figure:
    """Mean test error by the number of photographs a class, both on log scales, to lay a ruler on.

    runs: by number of photographs, records with a `test_error` (a fraction).
    """
    figure, axes = plt.subplots(figsize=(8, 4.2))
    errors = [100 * np.mean([row["test_error"] for row in rows]) for rows in runs.values()]
    axes.plot(list(runs), errors, "o", color=BLUE, ms=9)
    axes.set(xscale="log", yscale="log", xlim=(4, 2e4), ylim=(4, 100),
             xlabel="training photographs of each class", ylabel="test error, %")
    axes.set_xticks([5, 20, 100, 500, 2000, 10_000], ["5", "20", "100", "500", "2,000", "10,000"])
    axes.set_yticks([5, 10, 20, 30, 50, 80], [5, 10, 20, 30, 50, 80])
    axes.minorticks_off()
    return figure
