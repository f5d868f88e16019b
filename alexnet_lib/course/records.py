"""What is live beside what is recorded: records, the ledger, recorded nets and answers."""

import json
import math
from decimal import Decimal

from alexnet_lib import course
from alexnet_lib.errors import UserError


def within(name: str, value: float, low: float, high: float, unit: str = "",
           means: str = "") -> None:
    """Print a live value beside the range of our own runs, and what a value in that range means.

    name: what was measured; no live number belongs here. value: a number, or a tensor of one
    element. low, high: our range, both ends included, in the same unit as the value.
    unit: one word such as "%" or "steps". means: a sentence, printed if the value is in the range.

    Only the value may differ between two runs: tests/sanitize.cfg masks it, and nothing else.
    """
    decimals = max(_decimals(low), _decimals(high))
    shown = _digits(value, decimals)
    bounds = [f"{bound:.{decimals}f}" if decimals < 5 else f"{bound:g}" for bound in (low, high)]
    unit = f" {unit}" if unit not in ("", "%") else unit
    line = f"{name}: {shown}{unit} (ours: {bounds[0]} to {bounds[1]}{unit})"
    if low <= float(shown) <= high:  # judged as printed, so that the two never contradict
        print(f"{line}. {means}" if means else line)
    else:
        print(f"{line}, outside our range. {_why_outside()}")


def _decimals(bound: float) -> int:
    return max(0, -Decimal(f"{bound:.4g}").normalize().as_tuple().exponent)


def _digits(value: float, decimals: int) -> str:
    """The value with `decimals` and at least three digits; a count as it is."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if value == 0:
        return f"{value:.{decimals}f}"
    if abs(value) < 1e-3:
        return f"{value:.2e}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    return f"{value:.{max(decimals, 3 - whole)}f}"


def _why_outside() -> str:
    if course.data != "shapes" or course.full:
        return "Our range is for shapes and quick cells; you changed the data or the size."
    return ("Another processor or PyTorch version can move it a little. If it is far off, "
            "restart the kernel and run all cells from the top.")


def ledger(claim: str) -> list[dict]:
    """Print what the ledger says about a claim of the paper, and return its rows.

    The rows are made from the runs in data/results/runs; see `research.ledger.row`.
    """
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import ledger as book
    found = experiments.claim(claim)
    rows = [book.row(found, setup) for setup in found.setups]
    where = f"section {found.section}" if found.section[0].isdigit() else found.section
    print(f"{found.id}, {where}: {found.statement} ({found.paper}).")
    for setup, row in zip(found.setups, rows, strict=True):
        print(f"{setup}: {book.ours(row)}")
    return rows


def runs(claim: str, setup: str) -> dict[str, list[dict]]:
    """The records of a claim's runs by arm, in the order of the seeds; empty where none was run.

    setup: "imagenette" or "cifar10". A record has `config`, `curves` (lists by epoch:
    `train_loss`, `train_error`, `val_loss`, `val_error`), `test` and `train`.
    """
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import ledger as book
    found = experiments.claim(claim)
    return {arm.name: [run for _, run in sorted(book.runs_of(found, arm, setup).items())]
            for arm in found.arms}


def by_seed(claim: str, setup: str, metric: str = "") -> dict[str, list[float]]:
    """What a claim measures, by arm: a number for each seed that all arms have, in their order.

    metric: a name of `research.metrics.METRICS`, instead of the one that the ledger compares.
    """
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import ledger as book
    from alexnet_lib.research.metrics import measured
    found = experiments.claim(claim)
    arms = {arm.name: {seed: value for seed, run in book.runs_of(found, arm, setup).items() if
                       (value := measured(metric or arm.metric or found.metric, run)) is not None}
            for arm in found.arms}
    shared = sorted(set.intersection(*map(set, arms.values())))
    return {name: [values[seed] for seed in shared] for name, values in arms.items()}


def searches(claim: str, setup: str) -> dict[str, dict[float, dict]]:
    """The records of a claim's searches by arm and learning rate; empty where none was run."""
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import runner
    found = experiments.claim(claim)
    return {arm.name: {run["config"]["lr"]: run for run in runner.records(
                runner.folder_of(found, arm, setup, search=True), "rate", runner.SEARCH).values()}
            for arm in found.arms}


def searched(claim: str, setup: str) -> dict[str, dict[float, float]]:
    """What the search found for each arm: by rate, the quantity that chose it (one seed)."""
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import runner
    found = experiments.claim(claim)
    return {arm.name: dict(sorted(runner.searched(
        runner.folder_of(found, arm, setup, search=True), found.choose).items()))
        for arm in found.arms}


def recorded(name: str) -> dict:
    """Read data/results/NAME.json and print where it comes from.

    The record's "provenance" is a dict; of `command`, `data`, `seeds`, `device`, `date` and
    `seconds`, those that are there are printed.
    """
    path = course.ROOT / "data" / "results" / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise UserError(f"no recorded result {name} in data/results; there are: {there}")
    record = json.loads(path.read_text())
    origin = record.get("provenance", {})
    parts = [str(origin[key]) for key in ("command", "data", "device", "date") if key in origin]
    if "seeds" in origin:
        parts.insert(1, f"seeds {origin['seeds']}")
    if "seconds" in origin:
        parts.append(_duration(origin["seconds"]))
    print("Recorded: " + " · ".join(parts or ["without provenance"]))
    return record


def predictions(name: str):
    """What a recorded net said about every test image: `evaluation.Predictions`.

    name: of a file in data/results/predictions, such as "imagenette-10-views".
    """
    from alexnet_lib.evaluation import read_predictions
    folder = course.ROOT / "data" / "results" / "predictions"
    return read_predictions(folder / f"{name}.safetensors")


def trained(name: str = "imagenette"):
    """A recorded net from data/weights, ready to be asked: `weights.LoadedModel`, CPU and fp32."""
    from alexnet_lib.weights import load_model
    return load_model(course.ROOT / "data" / "weights" / f"{name}.safetensors", "cpu", "fp32")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
