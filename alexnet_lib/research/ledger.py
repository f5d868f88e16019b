"""The ledger: every claim with our number, its interval and the verdict, from the runs' records."""

import json
import math
from pathlib import Path

import numpy as np
from tabulate import tabulate

from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.research.claims import NOT_RUN, UNSURE, Arm, Claim, claims
from alexnet_lib.research.metrics import measured
from alexnet_lib.research.runner import MEASURED, RESULTS, RUN, folder_of, records, setups_of


def interval(values) -> tuple[float, float]:
    """95 % interval of the mean of independent values (Student's t); infinite for fewer than 2."""
    values = np.asarray(values, float)
    if len(values) < 2 or not np.isfinite(values).all():
        return -math.inf, math.inf
    from scipy import stats  # here, for it takes a while, and most commands need no interval
    quantile = round(stats.t.ppf(0.975, len(values) - 1), 3)  # with three decimals, as in tables
    half = quantile * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def runs_of(claim: Claim, arm: Arm | None, setup: str, results: Path = RESULTS) -> dict[int, dict]:
    """The records of an arm by seed, or without an arm those of the claim's own measurement."""
    found = records(folder_of(claim, arm, setup, results), "seed", RUN if arm else MEASURED)
    return {int(seed): record for seed, record in found.items()}


def effects(claim: Claim, setup: str, results: Path = RESULTS) -> dict[int, float]:
    """The claim's effect by seed, for the seeds that all arms have."""
    if claim.measure:
        return {seed: run["effect"] for seed, run in runs_of(claim, None, setup, results).items()}
    kept, left_out = ({seed: measured(arm.metric or claim.metric, run)
                       for seed, run in runs_of(claim, arm, setup, results).items()
                       if "diverged" not in run} for arm in claim.arms)
    return {seed: claim.effect(kept[seed], left_out[seed])
            for seed in sorted(set(kept) & set(left_out))
            if None not in (kept[seed], left_out[seed])}


def row(claim: Claim, setup: str, results: Path = RESULTS) -> dict:
    """One row of the ledger."""
    found = effects(claim, setup, results)
    low, high = interval(list(found.values()))
    if claim.exact and found:
        low = high = next(iter(found.values()))
    arms = claim.arms or (None,)
    runs = list(runs_of(claim, arms[0], setup, results).values())
    data = runs[0]["provenance"]["data"] if runs and claim.arms else setup
    if data.startswith("folder:"):  # an own copy: others will not have that folder
        data = f"{setup}, from {data}"
    known = math.isfinite(low)
    lost = sum(not math.isfinite(e) for e in found.values())  # an arm, or both, never got there
    number = float(np.mean(list(found.values()))) if found and not lost else None
    note = (runs[0].get("note") if runs else None) or claim.note
    note += f"; {lost} of {len(found)} runs did not get there in their time" * bool(lost)
    note += "".join(f"; seed {seed} of “{arm.name}” diverged" for arm in claim.arms for seed, run in
                    runs_of(claim, arm, setup, results).items() if "diverged" in run)
    option = f" --data {data.split(',')[0]}" if claim.arms else ""
    return {
        "claim": claim.id, "section": claim.section, "statement": claim.statement,
        "paper": claim.paper, "ours": number,
        "interval": [low, high] if known else None, "unit": claim.unit, "seeds": sorted(found),
        "dataset": data if claim.arms else "none",
        "verdict": claim.verdict((low, high)) if known else UNSURE if found else NOT_RUN,
        "command": f"alexnet experiment {claim.id}{option} "
                   f"--seeds {1 if claim.exact else len(found) or 5}",
        "runs": [str(folder_of(claim, arm, setup, Path("data/results"))) for arm in arms],
        "note": note}


def write(results: Path = RESULTS) -> list[dict]:
    """Make ledger.json again from all records; returns its rows."""
    rows = [row(claim, setup, results) for claim in claims().values()
            for setup in setups_of(claim, results)]
    write_atomically(results / "ledger.json",
                     lambda p: p.write_text(json.dumps(rows, indent=1) + "\n"), shared=True)
    return rows


def figure(r: dict) -> str:
    """Our number with its unit and, of several seeds, its interval; or nothing."""
    if r["ours"] is None:
        return ""
    if r["interval"] is None:
        return f"{r['ours']:.3g} {r['unit']}"
    if r["interval"][0] == r["interval"][1]:
        return f"{r['ours']:,.10g} {r['unit']}"
    return f"{r['ours']:.3g} ({r['interval'][0]:.3g} to {r['interval'][1]:.3g}) {r['unit']}"


def ours(r: dict) -> str:
    """A row in one line of words, with the command that repeats it."""
    if r["ours"] is None:
        told = "not run yet" if r["verdict"] == NOT_RUN else f"{r['verdict']}; {r['note']}"
        return f"{told}; {r['command']}"
    if r["interval"] is None:
        return f"{figure(r)}, of one seed: {r['verdict']}; {r['command']}"
    if len(r["seeds"]) == 1:
        return f"{figure(r)}: {r['verdict']}; {r['command']}"
    return (f"{figure(r)}, 95 % interval over {len(r['seeds'])} seeds: {r['verdict']}; "
            f"{r['command']}")


def table(rows: list[dict], style: str = "simple") -> str:
    """The ledger as a table of text, with commands, or of Markdown (style "github")."""
    def cells(r: dict) -> tuple:
        told = (r["claim"], r["statement"], r["paper"], figure(r), len(r["seeds"]) or "",
                r["dataset"].split(",")[0], r["verdict"])
        return told if style == "github" else (*told, r["command"])
    heads = ("claim", "the paper says", "its figure", "ours (95 % interval)", "seeds", "data",
             "verdict", "command")
    return tabulate([cells(r) for r in rows], heads[:7 if style == "github" else 8],
                    tablefmt=style, disable_numparse=True)
