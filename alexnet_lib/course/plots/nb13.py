"""Figures of notebook 13: the paper beside the source of 2012, and the authors' lab notes."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alexnet_lib.course.plots import BLUE, GRAY, GREEN, ORANGE, PINK, RED, SKY

# What a difference touches, and how much is known of what it does: for `overview`.
TOUCHES = {"function": "what the\nnet computes", "training": "how it\nis trained",
           "test": "how it\nis tested", "print": "what is\nprinted"}
EVIDENCE = {"ledger": ("o", BLUE, "ours: several seeds (the ledger)"),
            "planned": (r"$\circ$", BLUE, "ours: still to be run"),
            "exact": ("^", GREEN, "no run needed: counted or worked out"),
            "none": ("x", RED, "no measurement that we know of")}
KINDS = {"the paper's net": ("*", "black"), "norms": ("o", BLUE), "pooling": ("s", ORANGE),
         "columns": ("^", GREEN), "depth, more data": ("P", PINK), "rates": ("D", SKY),
         "inputs": ("v", RED), "other": ("X", GRAY)}


def card(row: dict) -> Figure:
    """One difference: the paper's words on the left, the source's on the right, and the rest below.

    Args:
        row: of data/source/differences.json.
    """
    return _card(f"{row['number']} · {row['topic']}",
                 {"the paper": row["paper"], "the source": row["source"]},
                 {"what it does": row["effect"], "measured?": row["measured"],
                  "where": row["where"], "in the library": row["library"] or "–"})


def run_card(run: dict, runs: list[dict]) -> Figure:
    """One run of the notes: what was tried on the left, what came of it on the right, and below
    on what it was counted, how far it is from #145, and where it stands.

    Args:
        run: one of `runs`, those of data/source/lab-notes.json.
    """
    found = [run["words"]] if "words" in run else []
    below = {"kind": run["kind"]}
    if "top1" in run:
        found.insert(0, f"{100 * run['top1']:.2f} % top-1, {100 * run['top5']:.2f} % top-5 error")
        year, _, part = run["data"].partition(" ")
        views = {10: "ten views", 1: "one view", None: "views not noted"}[run["views"]]
        count = {"validation": "50,000 ", "test": "150,000 "}.get(part, "")
        below["counted on"] = f"the {count}{part + ' ' * bool(part)}images of {year}, {views}"
        below["beside #145"] = _beside(run, runs)
    below["when"] = WHEN[run["era"]]
    below["where"] = run["where"]
    return _card(f"#{run['run']}", {"what was tried": run["change"],
                                    "what came of it": "\n".join(found)}, below)


WHEN = {"before": "before the paper's net", "paper": "with the paper's net, around it",
        "after": "after the paper's net"}


def _beside(run: dict, runs: list[dict]) -> str:
    """How far a run is from #145, where that was counted on the same images and views."""
    for other in runs:
        if other["kind"] == "the paper's net" and (other.get("data"), other.get("views")) == (
                run["data"], run["views"]):
            apart = 100 * (run["top1"] - other["top1"])
            told = f"{apart:+.2f} points".replace("-", "−") + " of top-1 error"
            return "the same run" if run is other else told
    return "not logged by one view" if run["views"] == 1 else "not logged on these images"


def _card(title: str, halves: dict[str, str], below: dict[str, str]) -> Figure:
    """Two colored fields side by side, and lines below; each with a name and words."""
    figure, axes = plt.subplots(figsize=(9, 3.3))
    axes.set(xlim=(0, 2), ylim=(0, 1))
    axes.axis("off")
    axes.text(0.02, 1.0, title, fontsize=13, fontweight="bold", va="top")
    for x, color, (name, words) in zip((0.02, 1.03), (BLUE, ORANGE), halves.items(), strict=True):
        axes.add_patch(plt.Rectangle((x, 0.42), 0.95, 0.44, fc=color, alpha=0.18, lw=0))
        axes.add_patch(plt.Rectangle((x, 0.42), 0.015, 0.44, fc=color, lw=0))
        axes.text(x + 0.05, 0.83, name, fontsize=10, color=GRAY, va="top")
        lines = [textwrap.fill(line, 44) for line in words.split("\n")]
        axes.text(x + 0.05, 0.74, "\n".join(lines), fontsize=11, va="top", linespacing=1.3)
    y = 0.35
    for name, words in below.items():
        words = textwrap.fill(words, 88)
        axes.text(0.02, y, name, fontsize=10, color=GRAY, va="top")
        axes.text(0.32, y, words, fontsize=10, va="top", linespacing=1.25)
        y -= 0.09 + 0.06 * words.count("\n")
    return figure


def overview(rows: list[dict], recorded: set[str]) -> Figure:
    """What each difference touches, and how much anybody knows of what it does.

    Args:
        rows: of data/source/differences.json. recorded: the claims that have been run.
    """
    figure, axes = plt.subplots(figsize=(9.5, 6.6))
    for row in rows:
        planned = row["evidence"] == "ledger" and row["claim"] not in recorded
        mark, color, _ = EVIDENCE["planned" if planned else row["evidence"]]
        axes.plot(list(TOUCHES).index(row["touches"]), -row["number"], ls="", marker=mark,
                  color=color, ms=10, mew=2.5 if mark == "x" else 1)
    for mark, color, label in EVIDENCE.values():
        axes.plot([], [], ls="", marker=mark, color=color, ms=9, mew=2.5 if mark == "x" else 1,
                  label=label)
    axes.set_yticks([-row["number"] for row in rows],
                    [f"{row['topic']}  {row['number']:2}" for row in rows], fontsize=10)
    axes.set_xticks(range(len(TOUCHES)), TOUCHES.values())
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlim=(-0.5, len(TOUCHES) - 0.5), ylim=(-len(rows) - 0.6, -0.4))
    axes.spines[:].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, fontsize=10)
    return figure


def shares(image, kept: dict[str, np.ndarray], title: str) -> Figure:
    """An image, and for each form of a normalization the share of a response that it leaves.

    Args:
        image: (S, S, 3) uint8. kept: by name, (H, W), 0-1. title: of all panels but the image.
    """
    figure, panels = plt.subplots(1, 1 + len(kept), figsize=(2.3 * (1 + len(kept)), 3.1))
    panels[0].imshow(image)
    panels[0].set_title("the image", fontsize=10.5)
    for axes, (name, values) in zip(panels[1:], kept.items(), strict=True):
        shown = axes.imshow(100 * np.asarray(values), cmap="cividis", vmin=0, vmax=100)
        axes.set_title(name, fontsize=10.5)
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    figure.colorbar(shown, ax=panels[1:], location="bottom", label=title, shrink=0.6, aspect=40)
    return figure


def minibatches(sheets: dict[str, np.ndarray]) -> Figure:
    """The same pictures as several programs hand them to the net: a row for each program.

    Args:
        sheets: by name, (N, C, C, 3) uint8; the same N for all.
    """
    count = len(next(iter(sheets.values())))
    figure, panels = plt.subplots(len(sheets), count, squeeze=False,
                                  figsize=(1.35 * count + 1.3, 1.5 * len(sheets)))
    for line, (name, sheet) in zip(panels, sheets.items(), strict=True):
        for axes, picture in zip(line, sheet, strict=True):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10.5, labelpad=8)
    return figure


def timeline(runs: list[dict], kind: str = "all") -> Figure:
    """The runs of the lab notes by number, with their error; those without one in a strip above.

    Args:
        runs: of data/source/lab-notes.json: those on ILSVRC-2012 with ten views are drawn, and
            those that were stopped. kind: "all", or the one of `KINDS` to bring out.
    """
    figure, (strip, axes) = plt.subplots(2, 1, figsize=(11.5, 6.4), sharex=True,
                                         height_ratios=(1, 4))
    stopped = [run for run in runs if "top1" not in run]
    logged = [run for run in runs if run.get("data") == "2012 validation" and run["views"] == 10]
    best = next(run for run in logged if run["run"] == "145")
    level, half = 100 * best["top1"], 200 * np.sqrt(best["top1"] * (1 - best["top1"]) / 50_000)
    axes.axhspan(level - half, level + half, color=GRAY, alpha=0.14, lw=0)
    axes.text(98, level + half - 0.03, "#145, two standard\nerrors up and down", fontsize=9,
              color=GRAY, va="top")
    for panel in (strip, axes):
        panel.axvspan(144.3, 151.5, color=ORANGE, alpha=0.12, lw=0)
    for where, name in ((121, "before the paper's net"), (147.9, "around it"), (166, "after it")):
        strip.text(where, 1.02, name, ha="center", va="bottom", fontsize=11,
                   transform=strip.get_xaxis_transform())
    for run in logged:
        _mark(axes, run, 100 * run["top1"], kind, SHIFTS.get(run["run"], (6, -4)))
    for row, run in enumerate(stopped):
        _mark(strip, run, -(row % 3), kind, None)
    for name, (mark, color) in KINDS.items():
        axes.plot([], [], mark, color=color, ms=12 if mark == "*" else 8, label=name)
    strip.set(yticks=[], ylim=(-2.7, 0.7))
    strip.set_ylabel("stopped, or\nno number", rotation=0, ha="right", va="center", fontsize=10)
    axes.set(xlim=(97, 181), xlabel="number of the run", ylabel="top-1 error, %",
             ylim=(38.75, 42.35))
    axes.legend(loc="lower left", ncols=2, fontsize=10)
    return figure


# Where a run's name stands, in points from its mark, where the usual place is taken.
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


def rates(rates: dict[str, list[float]], events: dict[int, str]) -> Figure:
    """Learning rates over the epochs of a run, with what was measured at some of them.

    Args:
        rates: by name, a rate for each epoch; 0 is not drawn. events: by epoch, words.
    """
    figure, axes = plt.subplots(figsize=(9.5, 3.6))
    for (name, values), color, dash in zip(rates.items(), (BLUE, ORANGE, GREEN),  # noqa: B905
                                           ("-", "--", ":")):
        shown = np.where(np.array(values) > 0, values, np.nan)
        axes.step(range(len(shown)), shown, where="post", color=color, lw=2.5, ls=dash, label=name)
    for epoch, words in events.items():
        axes.axvline(epoch, color=GRAY, lw=1)
        axes.text(epoch - 1, 0.03, words, ha="right", va="center", fontsize=10)
    axes.set(yscale="log", xlabel="epoch", ylabel="learning rate", ylim=(5e-6, 0.06))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.05))
    return figure


def restarted(plans: dict[str, dict], runs: dict[str, list[dict]]) -> Figure:
    """Schedules by epoch, and beside them the errors of nets trained by them, if any were.

    Args:
        plans: by arm, `rates` and `noise`, a value for each epoch: the rate as a share of the
            first, and whether color noise is on. runs: records by arm, from `course.runs`.
    """
    count = 1 + any(runs.values())
    figure, panels = plt.subplots(1, count, figsize=(5.2 * count, 3.8), squeeze=False)
    left, *others = panels[0]
    looks = dict(zip(plans, ((BLUE, "o", 9), (ORANGE, "s", 4.5)), strict=True))
    for arm, plan in plans.items():
        rates, noise = np.array(plan["rates"]), np.array(plan["noise"])
        color, mark, size = looks[arm]
        epochs = np.arange(1, len(rates) + 1)
        left.step(epochs, rates, where="mid", color=color, lw=size / 3, label=arm)
        for chosen, fill in ((noise, color), (~noise, "white")):
            left.plot(epochs[chosen], rates[chosen], mark, color=color, mfc=fill, ms=size)
    left.plot([], [], "o", color=GRAY, mfc="white", label="hollow: without color noise")
    left.set(yscale="log", xlabel="epoch", ylabel="learning rate, a share of the first")
    left.legend(loc="upper right", fontsize=10)
    for axes in others:
        _errors(axes, runs, looks)
    return figure


def _errors(axes, runs: dict[str, list[dict]], looks: dict) -> None:
    """Validation error by epoch: the mean of an arm's seeds, and the band that they span."""
    for arm, records in runs.items():
        if not records:
            continue
        errors = 100 * np.array([record["curves"]["val_error"] for record in records])
        epochs, (color, mark, _) = np.arange(1, errors.shape[1] + 1), looks[arm]
        axes.fill_between(epochs, errors.min(0), errors.max(0), color=color, alpha=0.2, lw=0)
        axes.plot(epochs, errors.mean(0), marker=mark, color=color, ms=4,
                  label=f"{arm}, {len(records)} seeds")
    axes.set(xlabel="epoch", ylabel="validation error, %")
    axes.legend()


def faded(chunk, other, mixed) -> Figure:
    """Pictures, other pictures, and the first with a little of the second: three rows.

    Args:
        chunk, other, mixed: (N, S, S, 3) uint8.
    """
    return minibatches({"0.75 of these": chunk, "0.25 of these": other, "what the net sees": mixed})


def forest(rows: list[dict], unit: str) -> Figure:
    """One line for each comparison: seeds as dots, the 95 % interval of their mean as a bar.

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
    axes.plot([], [], color=SKY, lw=9, alpha=0.6, label="95 % interval of the mean")
    axes.plot([], [], color=BLUE, lw=2.5, label="mean")
    axes.plot([], [], "o", color=BLUE, ms=6, label="one seed each")
    axes.plot([], [], "D", color=ORANGE, mec="black", label="the authors' single runs (ImageNet)")
    axes.set_yticks(range(len(rows)), [row["label"] for row in reversed(rows)])
    axes.set(xlabel=unit, ylim=(-0.6, len(rows) - 0.4))
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.5), max(high, 2) + 0.3)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=4, fontsize=10)
    return figure
