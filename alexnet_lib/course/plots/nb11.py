"""Figures of notebook 11, evaluation."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY, plain


def top_k(errors) -> Figure:
    """Error against the number of guesses, and that of a net that does not look.

    Args:
        errors: (K,) fractions; of K classes, for 1 to K guesses.
    """
    errors = 100 * np.asarray(errors)
    guesses = np.arange(1, len(errors) + 1)
    figure, axes = plt.subplots(figsize=(8, 3.3))
    axes.plot(guesses, 100 * (1 - guesses / len(errors)), color=GRAY, ls="--", marker="s", ms=4,
              label="without looking: 1 - k/K")
    axes.plot(guesses, errors, color=BLUE, marker="o", lw=2, label="the recorded net")
    for k in (1, 5):
        axes.annotate(f"top-{k}: {errors[k - 1]:.1f}", (k, errors[k - 1]), (6, 7),
                      textcoords="offset points", color=BLUE, fontsize=10)
    axes.set(xlabel=f"guesses allowed, k of K = {len(errors)}", xticks=guesses,
             ylabel="error, %", ylim=(-2, 95))
    axes.legend(loc="upper right")
    return figure


def funnel(orders) -> Figure:
    """The error counted on the first n images, as n grows, and the band where it should lie.

    Args:
        orders: (orders, N) true where the net was wrong, the same images in several orders.
    """
    orders = np.asarray(orders, float)
    n = np.arange(1, orders.shape[1] + 1)
    error = orders[0].mean()
    half = 2 * np.sqrt(error * (1 - error) / n)
    figure, axes = plt.subplots(figsize=(8.5, 3.6))
    axes.fill_between(n, 100 * (error - half), 100 * (error + half), color=SKY, alpha=0.35, lw=0,
                      label="two standard errors each way")
    axes.axhline(100 * error, color=GRAY, ls="--", lw=1, label="error on all of them")
    counted = 100 * orders.cumsum(1) / n
    axes.plot(n, counted[1:].T, color=GRAY, lw=0.7, alpha=0.7)
    axes.plot([], [], color=GRAY, lw=0.7, label="error on the first n, other orders")
    axes.plot(n, counted[0], color=BLUE, lw=2, label="the same, one order")
    axes.set(xscale="log", xlim=(10, orders.shape[1]), ylim=(0, min(100, 100 * error + 48)),
             xlabel="images looked at, n", ylabel="error, %")
    ticks = [t for t in (10, 30, 100, 300, 1000, 3000) if t < orders.shape[1]]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    axes.legend(loc="upper right", fontsize=10)
    return figure


def differences(names, values, paired, unpaired) -> Figure:
    """How far pairs of nets lie apart, with two intervals of 95 % by the test images.

    Args:
        names: of the pairs. values: differences of the error, points. paired, unpaired: standard
            errors, points: from the images on which the two differ, and as if each net had had
            images of its own.
    """
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(names) + 1.4))
    y = np.arange(len(names))
    axes.axvline(0, color="black", lw=1)
    axes.errorbar(values, y, xerr=2 * np.asarray(unpaired), fmt="none", ecolor=ORANGE, lw=6,
                  alpha=0.5, label="as if each had its own images")
    axes.errorbar(values, y, xerr=2 * np.asarray(paired), fmt="o", color=BLUE, capsize=4, lw=2,
                  label="paired: the same images")
    axes.set_yticks(y, names)
    axes.set(xlabel="difference of the error, points", ylim=(len(names) - 0.5, -0.5))
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=2)
    return figure


def best_of(first, second, guessing: float) -> Figure:
    """Error of several models on two test sets, a line for each; the best on the first stands out.

    Args:
        first, second: fractions. guessing: the true error of all of them.
    """
    first, second = 100 * np.asarray(first), 100 * np.asarray(second)
    best = first.argmin()
    figure, axes = plt.subplots(figsize=(7.5, 3.6))
    axes.axhline(100 * guessing, color="black", ls="--", lw=1.2, label="the truth, for all of them")
    for k, ends in enumerate(zip(first, second, strict=True)):
        axes.plot((0, 1), ends, marker="o", ms=9 if k == best else 5, lw=3 if k == best else 1,
                  color=ORANGE if k == best else GRAY, alpha=1 if k == best else 0.55,
                  zorder=3 if k == best else 2,
                  label="the winner" if k == best else "the others" if k == (best == 0) else None)
    axes.set_xticks((0, 1), ("on the test set\nthat chose", "on a test set\nnever looked at"))
    axes.set(xlim=(-0.25, 1.25), ylabel="error, %")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def confusion(matrix, classes) -> Figure:
    """A confusion matrix with its mistakes in color, and precision and recall of each class.

    Args:
        matrix: (K, K) counts; rows: the true class, columns: the predicted one.
    """
    matrix = np.asarray(matrix, float)
    classes, count = list(map(plain, classes)), len(classes)
    share = 100 * matrix / matrix.sum(1, keepdims=True).clip(1)
    wrong = np.where(np.eye(count, dtype=bool), np.nan, share)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), width_ratios=(1.5, 1))
    left.set_facecolor("lightgray")  # shows where there is no number: the diagonal
    shown = left.imshow(wrong, cmap="Blues", vmin=0)
    figure.colorbar(shown, ax=left, shrink=0.85, label="share of the row, %: only mistakes")
    middle = np.nanmax(wrong) / 2
    for (row, column), n in np.ndenumerate(matrix):
        own = row == column
        if n:
            left.text(column, row, f"{n:.0f}", ha="center", va="center", fontsize=9,
                      fontweight="bold" if own else "normal",
                      color="black" if own or wrong[row, column] < 1.2 * middle else "white")
    left.set(xlabel="the net's answer", ylabel="the truth")
    left.set_xticks(range(count), classes, rotation=45, ha="right")
    left.set_yticks(range(count), classes)
    left.grid(False)
    right_ones = np.diag(matrix)
    recall = 100 * right_ones / matrix.sum(1).clip(1)
    precision = 100 * right_ones / matrix.sum(0).clip(1)
    y = np.arange(count)
    right.hlines(y, np.minimum(recall, precision), np.maximum(recall, precision), color=GRAY, lw=2)
    right.plot(recall, y, "o", ms=9, color=BLUE, label="recall")
    right.plot(precision, y, "D", ms=8, color=ORANGE, label="precision")
    right.set_yticks(y, classes)
    right.set(xlabel="%", ylim=(count - 0.5, -0.5))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    return figure


def by_views(center: float, means) -> Figure:
    """Error against the number of views averaged.

    Args:
        center: error of the center view alone. means: for 1, 2, ... views, the errors of several
            choices of so many of them.
    """
    figure, axes = plt.subplots(figsize=(8.2, 3.6))
    for count, errors in enumerate(means, 1):
        axes.plot(np.full(len(errors), count), 100 * np.asarray(errors), ".", color=SKY, ms=6,
                  label="one choice of views" if count == 1 else None)
    counts = range(1, len(means) + 1)
    axes.plot(counts, [100 * np.mean(errors) for errors in means], color=BLUE, marker="o", lw=2,
              label="mean of the choices")
    axes.plot(1, 100 * center, "D", color=ORANGE, ms=9, label="the center alone", zorder=4)
    axes.set(xlabel="views averaged; so many times the work", xticks=list(counts),
             ylabel="error, %")
    axes.legend(loc="upper right")
    return figure


def _bins(confidence, right, count: int):
    """For each bin that has answers: its middle, mean confidence, share right, number."""
    edges = np.linspace(0, 1, count + 1)
    where = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, count - 1)
    for k in range(count):
        inside = where == k
        if inside.any():
            yield ((edges[k] + edges[k + 1]) / 2, confidence[inside].mean(), right[inside].mean(),
                   inside.sum())


def reliability(probs, labels, losses=None, temperature: float = 1.0, bins: int = 15) -> Figure:
    """How sure a net is against how often it is right; and its loss at other temperatures.

    Args:
        probs: (N, K), at this temperature. labels: (N,). losses: (temperatures, nats) of the
            curve in a further panel, or None.
    """
    probs, labels = np.asarray(probs), np.asarray(labels)
    confidence, right = probs.max(1), probs.argmax(1) == labels
    found = np.array(list(_bins(confidence, right, bins)))
    gap = (found[:, 3] * np.abs(found[:, 1] - found[:, 2])).sum() / len(labels)
    figure = plt.figure(figsize=(11 if losses else 6.2, 4.6))
    parts = figure.subfigures(1, 2, width_ratios=(1.15, 1)) if losses else [figure]
    upper, lower = parts[0].subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    upper.plot((0, 100), (0, 100), color=GRAY, ls="--", lw=1.2, label="says what it is")
    middle, sure, share, number = found.T
    width = 100 / bins
    upper.bar(100 * middle, 100 * share, 0.92 * width, color=to_rgba(BLUE, 0.35), ec=BLUE,
              label="right, of those answers")
    upper.vlines(100 * sure, 100 * np.minimum(sure, share), 100 * np.maximum(sure, share),
                 color=RED, lw=2.5, label="the gap")
    upper.plot(100 * sure, 100 * sure, "o", color=ORANGE, ms=5, mec="black", mew=0.5,
               label="how sure it was, mean")
    upper.set(ylabel="right, %", xlim=(0, 100), ylim=(0, 103))
    upper.set_title(f"temperature {temperature:.2f}: expected calibration error "
                    f"{100 * gap:.1f} points", fontsize=10.5)
    upper.legend(loc="upper left", fontsize=9)
    lower.bar(100 * middle, 100 * number / len(labels), 0.92 * width, color=GRAY)
    lower.set(xlabel="how sure the net is of its answer, %", ylabel="answers, %")
    if losses:
        axes = parts[1].subplots()
        axes.plot(*losses, color=BLUE, lw=2)
        here = np.interp(temperature, *losses)
        axes.plot(temperature, here, "o", color=ORANGE, ms=10, mec="black")
        axes.axvline(1, color=GRAY, ls="--", lw=1)
        axes.annotate("as it came", (1, max(losses[1])), (4, -10), textcoords="offset points",
                      color=GRAY, fontsize=9.5)
        axes.set(xlabel="temperature", ylabel="negative log-likelihood, nats")
    return figure


def ensembles(errors: dict[int, list[float]], losses: dict[int, list[float]]) -> Figure:
    """Error and loss of the mean of so many nets, a dot for each choice of them.

    Args:
        errors, losses: by number of nets, for each choice; fractions, nats.
    """
    figure, panels = plt.subplots(1, 2, figsize=(10.5, 3.5))
    for axes, found, factor, label in zip(panels, (errors, losses), (100, 1), (
            "error, %", "negative log-likelihood, nats"), strict=True):
        for count, values in found.items():
            axes.plot(np.full(len(values), count), factor * np.asarray(values), "o", color=SKY,
                      ms=5, label="one choice of nets" if count == 1 else None)
        axes.plot(list(found), [factor * np.mean(values) for values in found.values()],
                  color=BLUE, lw=2, marker="_", ms=18, mew=2.5, label="mean of the choices")
        axes.set(xlabel="nets averaged", xticks=list(found), ylabel=label,
                 xlim=(0.6, len(found) + 0.4))
    panels[1].legend(loc="upper right")
    return figure


def table(rows, images: int) -> Figure:
    """Rows of a table of errors as points, with 95 % intervals by the number of test images.

    Args:
        rows: (name, top-1 error, top-5 error, is it pre-trained or another net?), in %; None
            where there is no figure. images: in the test set.
    """
    figure, panels = plt.subplots(1, 2, figsize=(11, 0.42 * len(rows) + 1.1), sharey=True)
    y = np.arange(len(rows))
    for axes, column, title in zip(panels, (1, 2), ("top-1 error, %", "top-5 error, %"),
                                   strict=True):
        for place, row in zip(y, rows, strict=True):
            if row[column] is None:
                continue
            p = row[column] / 100
            axes.errorbar(row[column], place, xerr=200 * np.sqrt(p * (1 - p) / images),
                          fmt={"": "o", "*": "D", "other": "s"}[row[3]], ms=6, capsize=4, lw=2,
                          color={"": BLUE, "*": PINK, "other": GREEN}[row[3]])
            axes.annotate(f"{row[column]:.1f}", (row[column], place), (0, 7), ha="center",
                          textcoords="offset points", fontsize=9)
        axes.set(xlabel=title, ylim=(len(rows) - 0.5, -0.7))
        axes.margins(x=0.12)
    panels[0].set_yticks(y, [row[0] for row in rows])
    return figure
