"""Figures of notebook 11, evaluation."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, CYCLE, GRAY, GREEN, ORANGE, PINK, RED, SKY, plain


def top_k(errors) -> Figure:
    """Error against the number of guesses, and that of guessing.

    Args:
        errors: (K,) fractions; of K classes, for 1 to K guesses.
    """
    errors = 100 * np.asarray(errors)
    guesses = np.arange(1, len(errors) + 1)
    figure, axes = plt.subplots(figsize=(8, 3.3))
    axes.plot(guesses, 100 * (1 - guesses / len(errors)), color=GRAY, ls="--", marker="s", ms=4,
              label="guessing: 1 - k/K")
    axes.plot(guesses, errors, color=BLUE, marker="o", lw=2, label="the recorded network")
    for k in (1, 5):
        axes.annotate(f"top-{k}: {errors[k - 1]:.1f}", (k, errors[k - 1]), (6, 7),
                      textcoords="offset points", color=BLUE, fontsize=10)
    axes.set(xlabel=f"guesses allowed, k of K = {len(errors)}", xticks=guesses,
             ylabel="error, %", ylim=(-2, 95))
    axes.legend(loc="upper right")
    figure.alt = ("Error against the number of guesses allowed. Guessing: a straight line from "
                  "90% for one guess to 0 for ten. The network: far below it from the "
                  "first guess on.")
    return figure


def funnel(orders) -> Figure:
    """The error counted on the first n images, as n grows, and the band that chance leaves.

    The band is two standard errors each way, of n images drawn without replacement out of N: it
    closes where all of them are counted.

    Args:
        orders: (orders, N) true where the network was wrong, the same images in several orders.
    """
    orders = np.asarray(orders, float)
    total = orders.shape[1]
    n = np.arange(1, total + 1)
    error = orders[0].mean()
    half = 2 * np.sqrt(error * (1 - error) / n * (total - n) / (total - 1))
    figure, axes = plt.subplots(figsize=(8.5, 3.6))
    axes.fill_between(n, 100 * (error - half), 100 * (error + half), color=SKY, alpha=0.35, lw=0,
                      label="two standard errors each way")
    axes.axhline(100 * error, color=GRAY, ls="--", lw=1, label="error on all of them")
    counted = 100 * orders.cumsum(1) / n
    axes.plot(n, counted[1:].T, color=GRAY, lw=0.7, alpha=0.7)
    axes.plot([], [], color=GRAY, lw=0.7, label="eleven other orders")
    axes.plot(n, counted[0], color=BLUE, lw=2, label="error on the first n, one order")
    axes.set(xscale="log", xlim=(10, total), ylim=(0, min(100, 100 * error + 48)),
             xlabel="photographs looked at, n", ylabel="error, %")
    ticks = [t for t in (10, 30, 100, 300, 1000, 3000) if t < total]
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    axes.legend(loc="upper right", fontsize=10)
    figure.alt = ("Error on the first n photographs, n on a log scale, for twelve orders. The "
                  "lines swing widely at the left, stay mostly inside a narrowing band, and meet "
                  "at the end.")
    return figure


def differences(names, values, paired, unpaired) -> Figure:
    """The differences between pairs of networks, with two 95% intervals over the test images.

    Args:
        names: of the pairs. values: differences of the error, points. paired, unpaired: standard
            errors, points: from the images on which the two differ, and as if each network had
            had images of its own.
    """
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(names) + 1.4))
    y = np.arange(len(names))
    axes.axvline(0, color="black", lw=1)
    axes.errorbar(values, y, xerr=2 * np.asarray(unpaired), fmt="none", ecolor=ORANGE, lw=6,
                  alpha=0.5, label="as if each had its own images")
    axes.errorbar(values, y, xerr=2 * np.asarray(paired), fmt="o", color=BLUE, capsize=4, lw=2,
                  label="paired: the same images")
    axes.set_yticks(y, names)
    axes.set(xlabel="difference of the errors, points", ylim=(len(names) - 0.5, -0.5))
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=2)
    figure.alt = (f"{len(names)} pairs of networks, a line each: the difference of their errors "
                  "with its paired interval, and around it the unpaired one, wider in "
                  "each.")
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
    figure.alt = ("Twenty lines, each from a model's error on the test set that chose the winner "
                  "to its error on a new one. The winner is lowest on the left and lost among the "
                  "others on the right.")
    return figure


def holm(p, level: float = 0.05) -> Figure:
    """p-values in order of size, beside the bar that Holm's method sets for each.

    Args:
        p: (M,) p-values, one for each comparison. level: the chance of a false alarm.
    """
    p = np.sort(np.asarray(p, float))
    place = np.arange(len(p))
    bar = level / (len(p) - place)
    passed = (p <= bar).cumprod().astype(bool)
    alone = ~passed & (p <= level)
    figure, axes = plt.subplots(figsize=(9, 3.8))
    axes.axhline(level, color=GRAY, ls="--", lw=1.2, label=f"{level}, for a single comparison")
    axes.plot(place + 1, bar, color=RED, lw=1.5, label="Holm's bar")
    for which, color, mark, label in (
            (passed, BLUE, "o", "below Holm's bar"), (alone, ORANGE, "D", "below 0.05 alone"),
            (~passed & ~alone, GRAY, "x", "neither")):
        axes.plot(place[which] + 1, p[which].clip(1e-7), mark, color=color, ms=6,
                  label=f"{label}: {which.sum()}")
    axes.set(yscale="log", ylim=(5e-8, 2), xlabel="comparisons, the smallest p-value first",
             ylabel="p-value (cut at 1e-7)")
    axes.set_title(f"Of {len(p)} comparisons, {passed.sum() + alone.sum()} are below {level}, and "
                   f"{passed.sum()} survive the correction", fontsize=11)
    axes.legend(loc="lower right", fontsize=9.5)
    figure.alt = ("p-values in order of size on a log scale. Holm's bar starts far below 0.05 and "
                  "rises to it. About two thirds of the points that are below 0.05 are also below "
                  "Holm's bar.")
    return figure


def confusion(matrix, classes) -> Figure:
    """A confusion matrix with its errors in color, and precision and recall of each class.

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
    figure.colorbar(shown, ax=left, shrink=0.85, label="share of the row, %: errors only")
    middle = np.nanmax(wrong) / 2
    for (row, column), n in np.ndenumerate(matrix):
        own = row == column
        if n:
            left.text(column, row, f"{n:.0f}", ha="center", va="center", fontsize=9,
                      fontweight="bold" if own else "normal",
                      color="black" if own or wrong[row, column] < 1.2 * middle else "white")
    left.set(xlabel="the network's answer", ylabel="the truth")
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
    figure.alt = ("Left: a confusion matrix with its counts; the right answers are on the gray "
                  "diagonal, and an error is the bluer the larger its share of the row. Right: "
                  "recall and precision of each class, joined by a line.")
    return figure


def prevalence(networks: dict[str, tuple[float, float]], points=()) -> Figure:
    """Precision of a class against the share of images that belong to it.

    Args:
        networks: by name, recall and false-alarm rate (the share of all other images that are
            taken for the class), fractions. points: measured (prevalence, precision), fractions.
    """
    share = np.logspace(-3, np.log10(0.5), 200)
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for (name, (recall, alarms)), color, line in zip(networks.items(), CYCLE, ("-", "--")):  # noqa: B905
        found = recall * share
        precision = found / np.maximum(found + alarms * (1 - share), 1e-12)
        axes.plot(100 * share, 100 * precision, line, color=color, lw=2.5,
                  label=f"{name}: recall {recall:.0%}, false alarms {alarms:.1%}")
    if len(points):
        axes.plot(*(100 * np.transpose(points)), "o", color=RED, ms=9, mec="black", zorder=4,
                  label="measured")
    ticks = (0.1, 0.3, 1, 3, 10, 30)
    axes.set(xscale="log", ylim=(0, 103), xlabel="share of the images that are of this class, %",
             ylabel="precision, %")
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.legend(loc="lower right", fontsize=9.5)
    figure.alt = ("Precision against the share of images of the class, on a log scale from 0.1% "
                  "to 50%. Each curve climbs from near 0 at the left to near 100% at the right.")
    return figure


def ensembles(errors: dict[int, list[float]]) -> Figure:
    """Error of the average of so many networks, a dot for each choice of them.

    Args:
        errors: by number of networks, for each choice; fractions.
    """
    figure, axes = plt.subplots(figsize=(7.5, 3.5))
    for count, values in errors.items():
        axes.plot(np.full(len(values), count), 100 * np.asarray(values), "o", color=SKY, ms=5,
                  label="one choice of networks" if count == 1 else None)
    axes.plot(list(errors), [100 * np.mean(values) for values in errors.values()], color=BLUE, lw=2,
              marker="_", ms=18, mew=2.5, label="mean of the choices")
    axes.set(xlabel="networks averaged", xticks=list(errors), ylabel="error, %",
             xlim=(0.6, len(errors) + 0.4))
    axes.legend(loc="upper right")
    figure.alt = ("Error against the number of networks averaged, from one to five. It falls "
                  "steeply from one to two, and less with each further network.")
    return figure


def table(rows, images: int) -> Figure:
    """Rows of a table of errors as points, with 95% intervals by the number of test images.

    Args:
        rows: (name, top-1 error, top-5 error, mark), in %; None where there is no figure; "" for
            the paper's data, "*" for pretrained, "other" for another network. images: in the test
            set.
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
    figure.alt = ("Top-1 errors on the left, top-5 errors on the right, with intervals shorter "
                  "than the marks are wide. The two networks with one view are the worst in both.")
    return figure
def diagnoses() -> Figure:
    """Four invented confusion matrices for exercise 11-2, each with an illness of its own."""
    healthy = np.full((6, 6), 6.0) + 64 * np.eye(6)
    order = [0, 4, 2, 3, 1, 5]
    swapped = healthy[:, order]
    shifted = np.roll(healthy, 1, axis=1)
    catches = 0.6 * healthy
    catches[:, 2] += 40
    never = healthy.copy()
    never[:, 3] = 0
    never[3] = [12, 8, 25, 0, 35, 20]
    figure, panels = plt.subplots(1, 4, figsize=(12, 3.3))
    for axes, title, matrix in zip(panels, "ABCD", (catches, shifted, never, swapped), strict=True):
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=75)
        axes.set(title=title, xlabel="answer", xticks=range(6), yticks=range(6))
        axes.grid(False)
    panels[0].set_ylabel("truth")
    figure.alt = ("Four confusion matrices of six classes, 0 to 5. A: a diagonal, and a dark "
                  "column at answer 2. B: all dark cells are one place to the right of the "
                  "diagonal, and truth 5 is answered 0. C: a diagonal with a white column at "
                  "answer 3; truth 3 is spread over the others. D: a diagonal, but truth 1 is "
                  "answered 4 and truth 4 is answered 1.")
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


def reliability(probs, labels, bins: int = 15) -> Figure:
    """How sure a network is against how often it is right.

    Args:
        probs: (N, K). labels: (N,).
    """
    probs, labels = np.asarray(probs), np.asarray(labels)
    confidence, right = probs.max(1), probs.argmax(1) == labels
    found = np.array(list(_bins(confidence, right, bins)))
    gap = (found[:, 3] * np.abs(found[:, 1] - found[:, 2])).sum() / len(labels)
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(6.2, 4.6), sharex=True,
                                          height_ratios=(3.2, 1))
    upper.plot((0, 100), (0, 100), color=GRAY, ls="--", lw=1.2, label="calibrated")
    middle, sure, share, number = found.T
    width = 100 / bins
    upper.bar(100 * middle, 100 * share, 0.92 * width, color=to_rgba(BLUE, 0.35), ec=BLUE,
              label="share of these answers that is right")
    upper.vlines(100 * sure, 100 * np.minimum(sure, share), 100 * np.maximum(sure, share),
                 color=RED, lw=2.5, label="the gap")
    upper.plot(100 * sure, 100 * sure, "o", color=ORANGE, ms=5, mec="black", mew=0.5,
               label="mean confidence")
    upper.set(ylabel="right, %", xlim=(0, 100), ylim=(0, 103))
    upper.set_title(f"expected calibration error: {100 * gap:.1f} points", fontsize=10.5)
    upper.legend(loc="upper left", fontsize=9)
    lower.bar(100 * middle, 100 * number / len(labels), 0.92 * width, color=GRAY)
    lower.set(xlabel="confidence in the answer, %", ylabel="answers, %")
    return figure
