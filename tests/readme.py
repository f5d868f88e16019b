"""What is generated in README.md and docs: python tests/readme.py

Three tables and two pictures from recorded results, the film of the kernels, the times of the
notebooks, and a small picture of each with its words: of the cell that is tagged `thumbnail`.
"""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image, ImageChops
from safetensors.torch import load_file
from tabulate import tabulate

from alexnet_lib.course import plots
from alexnet_lib.datasets import title_of
from alexnet_lib.research import claims as experiments
from alexnet_lib.research import ledger
from alexnet_lib.research.bench import EVERYWHERE, ROOT

RESULTS, README = ROOT / "data" / "results", ROOT / "README.md"
TEACHER = ROOT / "docs" / "teacher.md"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def between(name: str) -> re.Pattern:
    """What stands between the two marks of a table."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def speed() -> str:
    """What was recorded of the rows that have a target, as Markdown."""
    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    record = json.loads((RESULTS / "bench-cpu.json").read_text())
    recorded = {row["id"]: row for row in record["rows"]}
    rows = [(row.text, f"{number(found['ours'])} {row.unit}",
             f"{number(found['rival'])} {row.unit}", number(found["ratio"]),
             row.target.replace(">=", "≥").replace("<=", "≤"))
            for row in EVERYWHERE if row.target and (found := recorded[row.id])]
    alike = json.loads((RESULTS / "precision-shapes.json").read_text())["summary"]
    low, high = (100 * value for value in alike["val_error"]["interval_95"])
    about = (f"Measured on {record['device']}, torch {record['versions']['torch']}, "
             f"{record['date']}. Does bf16 cost accuracy? With the drawn shapes and "
             f"{alike['seeds']} seeds, the validation error in bf16 minus that in fp32 is "
             f"{100 * alike['val_error']['paired_difference']:.2f} ({low:.2f} to {high:.2f}) "
             "points.")
    return (tabulate(rows, ("", "ours", "rival", "ratio", "target"), tablefmt="github",
                     disable_numparse=True) + f"\n\n{about}\n")


def speed_picture(curves: dict) -> Figure:
    """Cost against batch size, number of images and processes, as `alexnet bench` measured it.

    Args:
        curves: "batch", "images" and "processes", each with "x", "unit" and a list by contender.
    """
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    labels = {"batch": ("images in a minibatch", "Training"),
              "images": ("images in the packed store", "Making batches, one core"),
              "processes": ("processor cores used", "Training, batch 128")}
    for panel, (name, (label, title)) in zip(panels, labels.items(), strict=True):
        curve = curves[name]
        lines = [key for key in curve if key not in ("x", "unit")]
        for line, mark in zip(lines, "os^", strict=False):
            panel.plot(curve["x"], curve[line], marker=mark, label=line)
        panel.set(xlabel=label, ylabel=curve["unit"], title=title)
        if name == "processes":
            panel.set_ylim(0, None)
            panel.set_xticks(curve["x"])
        else:
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xticks(curve["x"], curve["x"], rotation=45)
        panel.minorticks_off()
        panel.legend(loc="lower right")
    return figure


def film(file: Path) -> list[Image.Image]:
    """What training added to the 96 kernels of conv1, from the first step to the last.

    Three rows for each column of the net, as in the paper's Fig. 3. Every kernel is shown in the
    scale of its last frame; gray is zero.
    """
    weights = load_file(file)
    steps = sorted(weights, key=int)
    added = [(weights[step].float() - weights["0"].float()).permute(0, 2, 3, 1).numpy()
             for step in steps[::2]]
    most = np.abs(added[-1]).max((1, 2, 3), keepdims=True)
    return [_sheet(np.uint8(np.rint(127.5 + 127.5 * (kernels / most).clip(-1, 1))))
            for kernels in added]


def _sheet(kernels: np.ndarray, across: int = 16, scale: int = 4, gap: int = 4) -> Image.Image:
    side = scale * kernels.shape[1]
    step = side + gap
    sheet = Image.new("RGB", (across * step + gap, len(kernels) // across * step + gap), "white")
    for i, kernel in enumerate(kernels):
        tile = Image.fromarray(kernel).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(tile, (i % across * step + gap, i // across * step + gap))
    return sheet


def save_film(frames: list[Image.Image], file: Path) -> None:
    """As a GIF that waits at the end; all frames have the colors of the last."""
    colors = frames[-1].quantize(255, dither=Image.Dither.NONE)
    first, *others = (frame.quantize(palette=colors, dither=Image.Dither.NONE)
                      for frame in frames)
    first.save(file, save_all=True, append_images=others, loop=0, optimize=True,
               duration=[120] * len(others) + [4000])


SHORT = {"C02": "ReLU against tanh, 2012 start", "C02b": "ReLU against tanh, modern start",
         "C03": "two columns", "C04": "response normalization", "C05": "overlapping pooling",
         "C07": "color noise", "C08b": "iterations with dropout", "C10": "ten views",
         "C11": "conv3", "C11b": "conv4", "C11c": "conv5", "C11d": "conv1", "C11e": "conv2",
         "C19": "five nets instead of one"}


def forest(rows: list[dict]) -> Figure:
    """The claims for which the paper has a figure: our interval as a multiple of that figure.

    Of factors, such as “six times”, what exceeds 1 counts.
    """
    shown = [r for r in rows if r["claim"] in SHORT and r["figure"] and r["interval"]]
    figure, axes = plt.subplots(figsize=(8.5, 0.34 * len(shown) + 1.3))
    for y, r in enumerate(reversed(shown)):
        theirs = np.mean([bound for bound in r["figure"] if bound is not None]) - r["null"]
        low, mean, high = ((value - r["null"]) / theirs
                           for value in (r["interval"][0], r["ours"], r["interval"][1]))
        color = plots.BLUE if low > 0 else plots.GRAY
        axes.plot([low, high], [y, y], color=color, lw=7, alpha=0.4, solid_capstyle="butt")
        axes.plot(mean, y, "o", color=color, ms=6)
    axes.axvline(0, color=plots.GRAY, lw=1)
    axes.axvline(1, color=plots.ORANGE, lw=1.5)
    axes.set_yticks(range(len(shown)), [
        SHORT[r["claim"]] + " (CIFAR-10)" * ("CIFAR" in r["data"] and r["claim"] == "C04")
        for r in reversed(shown)])
    axes.set_xlim(-1.2, 5.2)
    axes.set_xticks(range(-1, 6), ["−1", "no effect", "the paper's", "2", "3", "4", "5"])
    there = sum(r["effect"] == "yes" for r in shown)
    axes.set_title(f"{there} of {len(shown)} effects are there, though not all of the paper's size",
                   fontsize=12)
    axes.grid(axis="y", visible=False)
    return figure


def claims() -> str:
    """The ledger, as Markdown."""
    return ledger.table(json.loads((RESULTS / "ledger.json").read_text()), "github") + "\n"


def trust() -> str:
    """What many tests, shared runs and pairing do to the ledger, counted, as Markdown."""
    rows = json.loads((RESULTS / "ledger.json").read_text())
    tested = [r for r in rows if r["p"] is not None]
    hints = [r for r in tested if r["p"] <= 0.05 < r["adjusted_p"]]
    close = {folder: one["close"] for r in rows if r["search"]  # arms may share their runs
             for folder, one in zip(r["runs"], r["search"].values(), strict=True) if one}
    both = [ledger.both_intervals(found.values()) for claim in experiments.claims().values()
            for setup in claim.setups if len(claim.arms) == 2 and "-top5" not in claim.id
            and ledger.folder_of(claim, claim.arms[0], setup)
            != ledger.folder_of(claim, claim.arms[1], setup)
            and len(found := ledger.pairs(claim, setup)) > 2]
    wider = sum(np.ptp(found["paired"]) > np.ptp(found["welch"]) for found in both)
    names = ", ".join(r["claim"] + " on CIFAR-10" * ("CIFAR" in r["data"] and r["claim"] == "C05")
                      for r in hints)
    return (
        f"Of these rows, {len(tested)} test something. Even if every claim were false, about "
        f"{0.05 * len(tested):.0f} of their intervals would exclude zero by chance. So the "
        "p-values in the last column are adjusted for the number of tests by Holm's method: among "
        "the rows at 0.05 or below, the chance of even one false alarm is at most 5%. "
        f"In {len(hints)} rows, the interval excludes zero, but the result doesn't survive this "
        f"correction: {names}. Treat them as hints. The rows also depend on each other, because "
        f"{max(r['comparisons'] for r in rows)} of them use the same reference runs: one lucky "
        "reference network would shift all of them together. Pairing the arms by seed doesn't help "
        f"much, either. Over {len(both)} rows, the correlation of the two arms is "
        f"{np.mean([found['correlation'] for found in both]):.2f} on average, and in {wider} of "
        "them the paired interval is wider than the unpaired one (Welch's). Finally, the intervals "
        "tell you about seeds only. They hold for these test images and these learning rates. In "
        f"{sum(close.values())} of {len(close)} arms, the best learning rate of the search beat "
        "the second by less than the seeds' standard deviation (each row's note in `ledger.json` "
        "names them).\n")


# Logs of recorded runs, each with its evaluations on the test images.
NETS = {"imagenette-2012": ("imagenette-2012-views-1", "imagenette-2012-views-10"),
        "imagenette-2012-bf16": ("imagenette-2012-bf16-views-1", "imagenette-2012-bf16-views-10"),
        "imagenette-paper": ("imagenette-paper-views-1", "imagenette-paper-views-10"),
        "gpu/imagenette-2012": ("gpu/imagenette-2012-views-1", "gpu/imagenette-2012-views-10"),
        "gpu/imagenette-2012-1": ("gpu/imagenette-2012-1-views-1",
                                  "gpu/imagenette-2012-1-views-10"),
        "gpu/imagenette-paper": ("gpu/imagenette-paper-views-1", "gpu/imagenette-paper-views-10"),
        "cifar10-cross-map-10-epochs": ("cifar10-cross-map-10-epochs-test",)}


def lasted(seconds: float) -> str:
    """Minutes, or seconds of what took less than two minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def nets() -> str:
    """The recorded runs and what they reached on test images, as Markdown."""
    rows = []
    for log, tests in NETS.items():
        run = json.loads((RESULTS / f"{log}.json").read_text())
        config, made = run["config"], run["provenance"]
        for name in tests:
            found = json.loads((RESULTS / f"{name}.json").read_text())
            rows.append((f"{config['model']}, {config['variant']}, {config['input_size']} px",
                         title_of(made["data"]), config["epochs"],
                         f"{lasted(made['seconds'])}, {made['device']}", found["views"],
                         *(f"{100 * found[key]:.2f}%" for key in
                           ("top1_error", "precision", "recall", "f1"))))
    return tabulate(rows, ("net", "data", "epochs", "trained in", "views", "top-1 error",
                           "precision", "recall", "F1"), tablefmt="github",
                    disable_numparse=True) + "\n"


def thumbnail(notebook: dict) -> Image.Image | None:
    """The left of the tagged cell's picture, 300 x 200 at most and without its white margin."""
    tagged = [cell for cell in notebook["cells"]
              if "thumbnail" in cell["metadata"].get("tags", ())]
    if not tagged:
        return None
    data = next(out["data"]["image/png"] for out in tagged[0]["outputs"]
                if "image/png" in out.get("data", {}))
    picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    picture = picture.crop(ImageChops.invert(picture).getbbox())
    picture = picture.crop((0, 0, min(picture.width, picture.height * 3 // 2), picture.height))
    picture.thumbnail((300, 200), Image.Resampling.LANCZOS)
    return picture.quantize(128)


TABLES = {"nets": nets, "speed": speed, "ledger": claims, "trust": trust}
PAGES = {"nets": ROOT / "docs" / "results.md", "ledger": ROOT / "docs" / "results.md",
         "trust": ROOT / "docs" / "results.md",
         "speed": ROOT / "docs" / "speed.md"}
FRONT = ROOT / "docs" / "index.md"  # of the site


def lengths(path: Path) -> tuple[str, int, int]:
    """Of a notebook: the time to read and try it, minutes of exercises, seconds of all cells."""
    text = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
    time = re.search(r"\*\*Time\.\*\* (.+?)(?: to read and try)?[;,.] .*?run in (\d+) s", text)
    exercises = re.findall(r"^\*\*Exercise \d\d-\d\*\* \((\d+) minutes", text, re.MULTILINE)
    return time[1].lower(), sum(map(int, exercises)), int(time[2])


def times(text: str) -> str:
    """The README, with the time of each notebook as its head has it in the row of the course."""
    for path in NOTEBOOKS:
        read, _, seconds = lengths(path)
        told = f"{read.replace('minutes', 'min')}; {seconds} s"
        text = re.sub(rf"^(\|.*\(notebooks/{re.escape(path.name)}\) \| .* \|).*\|$",
                      rf"\1 {told} |", text, flags=re.MULTILINE)
    return text


def words(text: str) -> str:
    """The site's front page, with the words of each small picture: its alternative text."""
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            if "thumbnail" in cell["metadata"].get("tags", ()):
                alt = cell["metadata"]["mystnb"]["image"]["alt"]
                alt = alt.translate(str.maketrans("[]|", "()/"))
                text = re.sub(rf"!\[[^]]*\](\(../data/thumbnails/{path.name[:2]}\.png\))",
                              lambda found, alt=alt: f"![{alt}]{found[1]}", text)
    return text


def plan(page: str) -> str:
    """The teacher's page, with the times of each notebook in its row, and their sums below."""
    summed = []
    for path in NOTEBOOKS:
        read, exercises, seconds = lengths(path)
        told = "in that time"  # the capstone's hours are for its exercises
        if read.endswith(" minutes"):
            told = f"{exercises} minutes"
            summed.append((int(read.split()[0]), exercises, seconds))
        page = row(page, rf"[^|]*/{re.escape(path.name)}\)[^|]*", read, told, f"{seconds} s")
    read, exercises, seconds = (sum(column) for column in zip(*summed, strict=True))
    return row(page, " together[^|]*", f"{read} minutes", f"{exercises} minutes", f"{seconds} s")


def row(page: str, second: str, *others: str) -> str:
    """The page, with these after the second cell of the table's row where that looks like this."""
    return re.sub(rf"^(\|[^|]*\|{second}\|)" + r"[^|]*\|" * len(others),
                  lambda found: f"{found[1]} {' | '.join(others)} |", page, flags=re.MULTILINE)


def main() -> None:
    """Put all tables and times where they belong, and pictures into data/thumbnails."""
    for name, table in TABLES.items():
        made = table()
        text = between(name).sub(lambda _, made=made: made, PAGES[name].read_text())
        PAGES[name].write_text(text)
    README.write_text(times(README.read_text()))
    FRONT.write_text(words(FRONT.read_text()))
    TEACHER.write_text(plan(TEACHER.read_text()))
    plots.use_style()
    curves = json.loads((RESULTS / "speed-curves.json").read_text())["curves"]
    speed_picture(curves).savefig(RESULTS / "speed.png", dpi=150)
    forest(json.loads((RESULTS / "ledger.json").read_text())).savefig(RESULTS / "forest.png",
                                                                      dpi=110)
    save_film(film(ROOT / "data" / "weights" / "imagenette-paper-film.safetensors"),
              ROOT / "data" / "filters.gif")
    (ROOT / "data" / "thumbnails").mkdir(exist_ok=True)
    for path in NOTEBOOKS:
        if picture := thumbnail(json.loads(path.read_text())):
            picture.save(ROOT / "data" / "thumbnails" / f"{path.name[:2]}.png", optimize=True)


if __name__ == "__main__":
    main()
