"""What is generated in README.md, from recorded results: python -m benchmarks.readme

Three tables, times, and a small picture of each notebook: of the cell that is tagged `thumbnail`.
"""

import base64
import io
import json
import re

from PIL import Image, ImageChops
from tabulate import tabulate

from alexnet_lib.experiments import ledger
from benchmarks.bench import ROOT

RESULTS, README = ROOT / "data" / "results", ROOT / "README.md"


def between(name: str) -> re.Pattern:
    """What stands between the two marks of a table."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def speed() -> str:
    """The rows of the recorded benchmark that have a target, as Markdown."""
    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    record = json.loads((RESULTS / "bench-cpu.json").read_text())
    rows = [(row["text"], f"{number(row['ours'])} {row['unit']}",
             f"{number(row['rival'])} {row['unit']}", number(row["ratio"]),
             row["target"].replace(">=", "≥").replace("<=", "≤"))
            for row in record["rows"] if row["target"]]
    about = (f"Measured on {record['device']}, torch {record['versions']['torch']}, "
             f"{record['date']}.")
    return (tabulate(rows, ("", "ours", "rival", "ratio", "target"), tablefmt="github",
                     disable_numparse=True) + f"\n\n{about}\n")


def claims() -> str:
    """The ledger, as Markdown."""
    return ledger.table(json.loads((RESULTS / "ledger.json").read_text()), "github") + "\n"


# Logs of recorded runs, each with its evaluations on the test images.
NETS = {"imagenette-2012": ("imagenette-2012-views-1", "imagenette-2012-views-10"),
        "cifar10-cross-map-10-epochs": ("cifar10-cross-map-10-epochs-test",)}


def nets() -> str:
    """The recorded runs and what they reached on test images, as Markdown."""
    rows = []
    for log, tests in NETS.items():
        run = json.loads((RESULTS / f"{log}.json").read_text())
        config, made = run["config"], run["provenance"]
        for name in tests:
            found = json.loads((RESULTS / f"{name}.json").read_text())
            rows.append((f"{config['model']}, {config['variant']}, {config['input_size']} px",
                         log.split("-")[0], config["epochs"],
                         f"{made['seconds'] / 60:.0f} min, {made['device']}", found["views"],
                         *(f"{100 * found[key]:.2f} %" for key in
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


TABLES = {"nets": nets, "speed": speed, "ledger": claims}


def times(text: str) -> str:
    """The README, with the time of each notebook as its head has it in the row of the course."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        time = re.search(r"\*\*Time\.\*\* (.+?)(?: to read and try)?;.*? run in (\d+ s)",
                         path.read_text())
        text = re.sub(rf"^(\|.*\(notebooks/{re.escape(path.name)}\) \| .* \|).*\|$",
                      rf"\1 {time[1].lower()}; runs in {time[2]} |", text, flags=re.MULTILINE)
    return text


def main() -> None:
    """Put all tables and times into README.md, and its pictures into data/thumbnails."""
    text = README.read_text()
    for name, table in TABLES.items():
        made = table()
        text = between(name).sub(lambda _, made=made: made, text)
    README.write_text(times(text))
    (ROOT / "data" / "thumbnails").mkdir(exist_ok=True)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if picture := thumbnail(json.loads(path.read_text())):
            picture.save(ROOT / "data" / "thumbnails" / f"{path.name[:2]}.png", optimize=True)


if __name__ == "__main__":
    main()
