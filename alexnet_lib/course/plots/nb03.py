"""Figures of notebook 03, ReLU vs tanh."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY
from alexnet_lib.research.metrics import epochs_until

# Color, line and marker of each activation, the same in all figures; the paper's Fig. 1 also
# draws ReLU solid and tanh dashed.
STYLES = {"ReLU": (BLUE, "-", "o"), "tanh": (ORANGE, "--", "s"), "logistic": (PINK, ":", "^")}
FUNCTIONS = {
    "ReLU": (lambda x: np.maximum(x, 0), lambda x: (np.asarray(x) > 0) * 1.0),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)),
                 lambda x: 1 / (1 + np.exp(-x)) * (1 - 1 / (1 + np.exp(-x)))),
}


def style(name: str) -> dict:
    """Color and line of the activation that `name` begins with."""
    color, line, _ = STYLES[name.split()[0].rstrip(",")]
    return {"color": color, "ls": line}


def bends(x, outputs: dict) -> Figure:
    """What one small net makes of a number, with several activations and the same weights.

    Args:
        x: (points,) inputs. outputs: by name, (points,) each in a panel of its own.
    """
    says = {"tanh": "tanh: a smooth curve, flat at both ends", "ReLU": "ReLU: straight pieces"}
    figure, panels = plt.subplots(1, len(outputs), figsize=(3.7 * len(outputs), 2.9))
    for axes, (name, y) in zip(panels, outputs.items(), strict=True):
        look = style(name) if name in STYLES else {"color": GRAY}
        axes.plot(x, y, lw=2.5, **look)
        axes.set_title(says.get(name, f"{name}: a straight line"), fontsize=11)
        axes.set_xlabel("input")
    panels[0].set_ylabel("output")
    figure.alt = ("The output of each net against its one input. Without a nonlinearity: a "
                  "straight line. With tanh: a smooth curve that flattens at both ends. With "
                  "ReLU: straight pieces joined at corners, which go on to the very ends.")
    return figure


def saturation(input_x: float, layers: int) -> Figure:
    """Three activations, their slopes, and what a chain of layers leaves of a gradient.

    Args:
        input_x: the input of every unit of the chain, marked in the first two panels.
        layers: units in the chain.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.7))
    x = np.linspace(-6, 6, 601)
    for name, (function, slope) in FUNCTIONS.items():
        look, mark = style(name), STYLES[name][2]
        left.plot(x, function(x), label=name, lw=2, **look)
        left.plot(input_x, function(input_x), mark, color=look["color"], ms=8, mec="black")
        middle.plot(x, slope(x), lw=2, **look)
        middle.plot(input_x, slope(input_x), mark, color=look["color"], ms=8, mec="black")
        left_over = float(slope(input_x)) ** np.arange(layers + 1)
        shown = np.maximum(left_over, 1e-12)
        right.semilogy(range(layers + 1), shown, marker=mark, lw=2, **look)
    for axes in (left, middle):
        axes.axvline(input_x, color=GRAY, lw=1)
    left.set(xlabel="input x of a unit", ylabel="its output f(x)", ylim=(-1.2, 3))
    left.legend(loc="upper left")
    slopes = ", ".join(f"{name} {float(slope(input_x)):.3g}"
                       for name, (_, slope) in FUNCTIONS.items())
    left.set_title("Only the ReLU keeps rising", fontsize=11)
    middle.set(xlabel="input x of a unit", ylabel="slope f'(x)", ylim=(-0.05, 1.1))
    middle.set_title(f"Slopes at x = {input_x:g}: {slopes}", fontsize=10.5)
    right.set(xlabel="units the gradient has passed", ylabel="share of the gradient left",
              ylim=(3e-13, 3), xticks=range(0, layers + 1, 1 if layers < 10 else 5))
    right.set_title(f"What {layers} units leave of a gradient", fontsize=11)
    if input_x <= 0:
        right.text(0.97, 0.04, "on the lower edge: nothing is left", color=GRAY, ha="right",
                   transform=right.transAxes, fontsize=9)
    figure.alt = ("Left: the three functions; tanh and the logistic function are flat on both "
                  "sides, ReLU only on the left. Middle: their slopes; the logistic function "
                  "never exceeds a quarter. Right, on a log scale: the share of a gradient "
                  "left after each unit.")
    return figure


def starts(outputs: dict[str, dict[str, np.ndarray]]) -> Figure:
    """Histograms of what units put out before any training: a column for each net, a row for
    each layer.

    Args:
        outputs: by net, then by layer, any array of a layer's outputs. A net's name begins with
            its activation.
    """
    layers = list(next(iter(outputs.values())))
    figure, panels = plt.subplots(len(layers), len(outputs), squeeze=False,
                                  figsize=(2.9 * len(outputs), 1.75 * len(layers) + 0.3))
    for column, (net, by_layer) in enumerate(outputs.items()):
        tanh = net.startswith("tanh")
        for row, layer in enumerate(layers):
            axes, values = panels[row, column], np.ravel(by_layer[layer])
            reach = 1.0 if tanh else max(np.quantile(np.abs(values), 0.995), 1e-12)
            bins = np.linspace(-1.02 if tanh else -0.1 * reach, 1.02 * reach, 42)
            axes.hist(np.clip(values, bins[0], bins[-1]), bins, color=style(net)["color"],
                      weights=np.full(values.shape, 100 / len(values)),
                      hatch="////" if tanh else None, ec="white", lw=0.3)
            share = (f"{np.mean(np.abs(values) > 0.99):.0%} saturated" if tanh
                     else f"{np.mean(values == 0):.0%} zero")
            axes.set_title(f"{layer}: std {values.std():.2g}, {share}", fontsize=9)
            axes.tick_params(labelsize=8)
            axes.locator_params(axis="x", nbins=4)
            axes.grid(False)
            if row == len(layers) - 1:
                axes.set_xlabel("output of a unit", fontsize=9)
            if column == 0:
                axes.set_ylabel("units, %", fontsize=9)
        panels[0, column].annotate(net, (0.5, 1.3), xycoords="axes fraction", ha="center",
                                   fontsize=11, fontweight="bold")
    figure.suptitle("Before any training, tanh's first layer is already stuck at its ends",
                    fontsize=12.5)
    figure.alt = ("Histograms of the outputs in layers 1, 3, and 7, a column for each "
                  "untrained net. ReLU: about half of the first layer's outputs are zero, the "
                  "rest positive. tanh: most of the first layer's outputs are at -1 or 1, in "
                  "later layers hardly any.")
    return figure


def backward(gradients: dict[str, list[float]], layers: list[str]) -> Figure:
    """The gradient that reaches each layer in the backward pass, one line for each net.

    Args:
        gradients: by net, the root mean square at each of `layers`, in the order of the pass.
            Two nets for each activation: filled marks, then hollow ones.
    """
    figure, axes = plt.subplots(figsize=(9, 3.8))
    for (net, values), fill in zip(gradients.items(), ("full", "none") * 4):  # noqa: B905
        axes.semilogy(layers, values, marker=STYLES[net.split(",")[0]][2], ms=9, lw=2, label=net,
                      fillstyle=fill, **style(net))
    axes.set(xlabel="layer (the backward pass runs from left to right)",
             ylabel="gradient at the activation's\ninput (root mean square)")
    axes.set_title("Small weights shrink the gradient almost everywhere, large pixels in "
                   "tanh's first layer", fontsize=11.5)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("The gradient at each layer from fc7 on the left to conv1 on the right, on "
                  "a log scale. With the paper's initialization both nets lose some at nearly "
                  "every layer, tanh more. With He's they lose little until conv1, where tanh "
                  "drops.")
    return figure


def race(errors: dict[str, list[float]], needed: dict[str, dict[float, float]],
         level: float, title: str = "") -> Figure:
    """The paper's Fig. 1 for two nets: the training error by step, and what the rate does to it.

    Args:
        errors: by net, the fraction of wrong answers in the minibatches up to each step, at the
            best rate. needed: by net and rate, steps until `level`; infinite if it never came.
        level: fraction of wrong answers at the finish. title: of the left panel.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(1.25, 1))
    for net, curve in errors.items():
        left.plot(np.arange(1, len(curve) + 1), 100 * np.asarray(curve), lw=2.2, **style(net),
                  marker=STYLES[net][2], ms=10, mec="black", markevery=[-1],
                  label=f"{net}, learning rate "
                                                   f"{min(needed[net], key=needed[net].get):g}")
    left.axhline(100 * level, color=GRAY, lw=1)
    left.text(0, 100 * level - 2, f"finish: {level:.0%}", color=GRAY, va="top")
    left.set(xlabel="step (minibatch of 128)", ylabel="training error, %", ylim=(0, 100))
    left.legend(loc="upper right")
    rates = sorted({rate for by_rate in needed.values() for rate in by_rate})
    slowest = max((steps for by_rate in needed.values() for steps in by_rate.values()
                   if np.isfinite(steps)), default=1)
    # Runs that never finished stand in a band of their own, above the axis of steps.
    right.axhspan(1.15 * slowest, 1.5 * slowest, color=GRAY, alpha=0.12, lw=0)
    right.text(0.5, 1.47 * slowest, "did not finish", color=GRAY, ha="center", va="top",
               transform=right.get_yaxis_transform())
    for (net, by_rate), band in zip(needed.items(), (1.22, 1.31), strict=True):
        color, line, mark = STYLES[net]
        done = [rate for rate in rates if np.isfinite(by_rate.get(rate, np.inf))]
        failed = [rate for rate in by_rate if not np.isfinite(by_rate[rate])]
        right.plot(done, [by_rate[rate] for rate in done], mark, color=color, ls=line, ms=9)
        right.plot(failed, [band * slowest] * len(failed), mark, color=color, ms=9,
                   fillstyle="none", ls="")
    right.set(xscale="log", xlabel="learning rate", ylabel=f"steps to {level:.0%}",
              ylim=(0, 1.5 * slowest))
    right.set_xticks(rates, [f"{rate:g}" for rate in rates])
    right.minorticks_off()
    right.set_title("Each function has its own best learning rate", fontsize=11)
    left.set_title(title, fontsize=11)
    figure.alt = ("Left: training error by step, each function at its best learning rate, "
                  "down to the finish. Right: steps to the finish by learning rate, ReLU as "
                  "circles, tanh as squares; runs that did not finish stand hollow in a gray "
                  "band at the top.")
    return figure


def busy(shares: dict[str, np.ndarray]) -> Figure:
    """For how many images each unit is on, units sorted: flat at zero are the dead ones.

    Args:
        shares: by name of a net, (units,) fraction of the images on which the unit is above 0
            somewhere.
    """
    figure, axes = plt.subplots(figsize=(8.5, 3.6))
    for (name, share), color, line, mark in zip(shares.items(), (GRAY, BLUE, RED, GREEN),  # noqa: B905
                                                (":", "-", "--", "-."), ".os^"):
        share = np.sort(share)
        axes.plot(np.arange(1, len(share) + 1), 100 * share, ls=line, color=color, lw=2,
                  marker=mark, markevery=4,
                  label=f"{name}: {np.sum(share == 0)} of {len(share)} dead")
    axes.set(xlabel="feature map, least active first", ylabel="pictures on which\nit is on, %",
             ylim=(-4, 104))
    axes.set_title("Too large a learning rate leaves dead feature maps behind", fontsize=11.5)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.alt = ("The feature maps of a layer, least active first, against the share of "
                  "pictures on which each is on: a line for each net, with its number of dead "
                  "maps in the legend.")
    return figure


def figure_1(runs: dict[str, dict[str, list[dict]]], level: float = 0.25) -> Figure:
    """The paper's Fig. 1 from recorded runs: a panel for each initialization.

    Args:
        runs: by title, the records of the arms "ReLU" and "tanh", from `course.runs`. A run may
            end as soon as its training error is below `level`, so curves differ in length.
        level: fraction of wrong answers at the finish.

    Thin lines are seeds, thick ones their mean as far as all seeds go. Epochs are on one log scale:
    "six times" is the same distance everywhere, in both panels.
    """
    figure, panels = plt.subplots(1, len(runs), squeeze=False, sharex=True, sharey=True,
                                  figsize=(5.6 * len(runs) + 0.6, 3.9))
    longest = 10
    for axes, (title, arms) in zip(panels[0], runs.items(), strict=True):
        for name, records in arms.items():
            curves = [100 * np.asarray(record["curves"]["train_error"]) for record in records
                      if record["curves"].get("train_error")]
            if not curves:
                continue
            look, mark = style(name), STYLES[name][2]
            for curve in curves:
                axes.plot(np.arange(1, len(curve) + 1), curve, lw=0.8, alpha=0.6, **look)
                below = np.flatnonzero(curve <= 100 * level)
                if len(below):
                    axes.plot(below[0] + 1, curve[below[0]], mark, color=look["color"], ms=7,
                              mec="black", mew=0.8)
            shared = min(map(len, curves))
            mean = np.mean([curve[:shared] for curve in curves], 0)
            axes.plot(np.arange(1, shared + 1), mean, lw=2.6, **look,
                      label=f"{name}, {len(curves)} seed{'s' * (len(curves) > 1)}")
            longest = max(longest, *map(len, curves))
        axes.axhline(100 * level, color=SKY, lw=2)
        axes.text(0.02, 100 * level - 1.5, f"{level:.0%}", color="black", va="top",
                  transform=axes.get_yaxis_transform())
        axes.set(xlabel="epoch (log scale)", title=title)
        if axes.lines[1:]:
            axes.legend(loc="upper right")
        else:
            axes.text(0.5, 0.6, "not run yet", ha="center", transform=axes.transAxes)
    ticks = [n for n in (1, 2, 3, 5, 10, 20, 30, 50, 100, 200) if n <= longest]
    panels[0, 0].set(xscale="log", xlim=(0.93, longest * 1.1), ylim=(0, 95))  # of both: shared
    panels[0, 0].set_xticks(ticks, ticks)
    for axes in panels[0]:
        axes.minorticks_off()
    panels[0, 0].set_ylabel("training error, %")
    figure.alt = ("Training error by epoch on a log scale, ReLU solid, tanh dashed, a panel "
                  "for each start: thin lines are seeds, thick ones their mean, marks the "
                  "first epoch at or below 25%.")
    return figure


def lineup(curves: dict[str, list[float]]) -> Figure:
    """Training errors by step, a panel for each run, whose name is its title.

    Args:
        curves: by name, the fraction of wrong answers in the minibatches up to each step.
    """
    figure, panels = plt.subplots(1, len(curves), figsize=(3.7 * len(curves), 3), sharey=True)
    for axes, (name, curve) in zip(panels, curves.items(), strict=True):
        axes.plot(np.arange(1, len(curve) + 1), 100 * np.asarray(curve), color=BLUE, lw=2)
        axes.set(xlabel="step", ylim=(0, 100))
        axes.set_title(name, fontsize=11.5)
    panels[0].set_ylabel("training error, %")
    figure.alt = ("Three training curves. A stays at about 90% throughout. B falls slowly "
                  "and ends far above 50%. C falls steadily to 50% in under a hundred "
                  "steps.")
    return figure


def tried(searches: dict[str, dict[float, dict]], level: float = 0.25) -> list[tuple]:
    """Rows of a table: function, learning rate, and when its search run reached `level`.

    Args:
        searches: records by arm and rate, from `course.searches`.
    """
    rows = []
    for name, by_rate in searches.items():
        when = {rate: epochs_until(run["curves"]["train_error"], level)
                for rate, run in by_rate.items()}
        for rate, run in sorted(by_rate.items()):
            errors = run["curves"]["train_error"]
            told = (f"{when[rate]:.1f}" if np.isfinite(when[rate]) else
                    f"not in {len(errors)} epochs (ended at {errors[-1]:.0%})")
            rows.append((name, f"{rate:g}", told))
    return rows
