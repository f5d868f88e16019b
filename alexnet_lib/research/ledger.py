"""The ledger: every claim with our number, its interval and the verdict, from the runs' records."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
from tabulate import tabulate

from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.datasets import title_of
from alexnet_lib.research.claims import Arm, Claim, claims
from alexnet_lib.research.metrics import measured
from alexnet_lib.research.runner import (
    MEASURED,
    RESULTS,
    RUN,
    folder_of,
    records,
    searched,
    setups_of,
)
from alexnet_lib.research.verdicts import NOT_RUN, NOT_TESTED, UNSURE, holm, summary


def interval(values) -> tuple[float, float]:
    """95% interval of the mean of independent values (Student's t); infinite for fewer than 2."""
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
    return {seed: claim.effect(*pair) for seed, pair in pairs(claim, setup, results).items()}


def pairs(claim: Claim, setup: str, results: Path = RESULTS) -> dict[int, tuple[float, float]]:
    """The metrics of both arms by seed: of the one that follows the paper, and of the other."""
    kept, left_out = ({seed: measured(arm.metric or claim.metric, run)
                       for seed, run in runs_of(claim, arm, setup, results).items()
                       if "diverged" not in run} for arm in claim.arms)
    return {seed: (kept[seed], left_out[seed]) for seed in sorted(set(kept) & set(left_out))
            if None not in (kept[seed], left_out[seed])}


def both_intervals(pairs) -> dict[str, tuple[float, float] | float]:
    """How much pairing by seed helps: the 95% interval of the mean difference, with and without.

    pairs: (seeds, 2), such as the values of `pairs`; the difference is the second less the first.
    Returns "paired", by Student's t, "welch", as if the arms had nothing to do with each other,
    and "correlation", that of the arms: pairing helps only if it is well above zero.
    """
    from scipy import stats
    kept, left_out = np.asarray(list(pairs), float).T
    errors = np.array([arm.var(ddof=1) / len(arm) for arm in (kept, left_out)])
    freedom = errors.sum()**2 / (errors**2).sum() * (len(kept) - 1)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(errors.sum())
    middle = (left_out - kept).mean()
    return {"paired": interval(left_out - kept),
            "welch": (float(middle - half), float(middle + half)),
            "correlation": float(np.corrcoef(kept, left_out)[0, 1])}


def p_value(values, null: float) -> float | None:
    """Two-sided p of Student's t test that the mean is `null`; None where it can't be told."""
    values = np.asarray(values, float)
    if len(values) < 2 or not np.isfinite(values).all() or values.std(ddof=1) == 0:
        return None
    from scipy import stats
    return float(stats.ttest_1samp(values, null).pvalue)


def rate_search(claim: Claim, arm: Arm, setup: str, results: Path = RESULTS) -> dict | None:
    """How clearly an arm's search, of one seed, chose its rate.

    "rate"; "lead" of the best rate over the second, and "sd" of the seeds at the best rate, both in
    what the search compares (points of validation error, or epochs); "close" if the lead is
    smaller. None without a search of two rates and two seeds.
    """
    found = searched(folder_of(claim, arm, setup, results, search=True), claim.choose)
    seeds = [measured(claim.choose, run) for run in runs_of(claim, arm, setup, results).values()
             if "diverged" not in run]
    best = sorted(found, key=found.get)
    if len(found) < 2 or len(seeds) < 2 or None in seeds:
        return None
    lead, sd = found[best[1]] - found[best[0]], float(np.std(seeds, ddof=1))
    return {"rate": best[0], "lead": lead if math.isfinite(lead) else None, "sd": sd,
            "close": lead < sd}


def row(claim: Claim, setup: str, results: Path = RESULTS) -> dict:
    """One row of the ledger; `all_rows` adds what depends on the other rows."""
    found = effects(claim, setup, results)
    arms = claim.arms or (None,)
    runs = {arm.name if arm else "all": runs_of(claim, arm, setup, results) for arm in arms}
    first = next(iter(next(iter(runs.values())).values()), {})
    values = list(found.values())
    low, high = interval(values)
    p = p_value(values, claim.null) if claim.tested else None
    if claim.exact and found:
        low, high = first.get("interval", [first["effect"]] * 2)
        p = first.get("p")
    lost = sum(not math.isfinite(e) for e in values)  # an arm, or both, never got there
    known = math.isfinite(low) and not lost
    number = float(np.mean(values)) if found and not lost else None
    effect, size = judged(claim, setup, first, (low, high)) if known else (
        UNSURE if found else NOT_RUN, None)
    data = first.get("data", "none") if claim.measure else (
        first["provenance"]["data"] if first else setup)
    if data.startswith("folder:"):  # an own copy: others will not have that folder
        data = f"{setup}, from {data}"
    search = {arm.name: rate_search(claim, arm, setup, results) for arm in claim.arms}
    asked = claim.asked_on(setup)
    option = f" --data {data.split(',')[0]}" if claim.arms else ""
    return {
        "claim": claim.id, "section": claim.section, "statement": claim.statement,
        "paper": claim.paper if setup not in claim.beyond else "no claim for these data",
        "asked": asked, "figure": _listed(claim.figure_of(setup)), "null": claim.null,
        "margin": claim.margin_of(setup), "ours": number,
        "interval": [low, high] if known else None, "p": p, "unit": claim.unit,
        "seeds": sorted(found), "dataset": data,
        "data": title_of(data.removeprefix(f"{setup}, from ")),
        "machine": {name: machines(of_arm.values()) for name, of_arm in runs.items()},
        "search": search, "effect": effect, "size": size,
        "verdict": summary(effect, size, asked),
        "command": f"alexnet experiment {claim.id}{option} "
                   f"--seeds {1 if claim.exact else len(found) or 5}",
        "runs": [str(folder_of(claim, arm, setup, Path("data/results"))) for arm in arms],
        "note": "; ".join(filter(None, [
            first.get("note") or claim.note,
            lost and f"{lost} of {len(found)} runs did not get there in their time",
            *(f"seed {seed} of “{name}” diverged" for name, of_arm in runs.items()
              for seed, run in of_arm.items() if "diverged" in run),
            claim.arms and found and _across_machines(*runs.values(), seeds=found),
            *(f"the rate of “{name}” was chosen by less than the seeds' SD" for name, one in
              search.items() if one and one["close"])]))}


def judged(claim: Claim, setup: str, first: dict, ends: tuple[float, float]) -> tuple:
    """(effect, size) from an interval, or from the record where the claim judges that."""
    if not claim.tested:
        return NOT_TESTED, None
    return claim.judge(first) if claim.judge else claim.judged(ends, setup)


def machines(runs) -> dict[str, int]:
    """How many of the runs were made on each kind of machine."""
    return dict(Counter(run.get("provenance", {}).get("device", "unknown") for run in runs))


def _across_machines(kept: dict, left_out: dict, seeds) -> str | None:
    """A line where arms of the same seed ran on different machines."""
    apart = sum(kept[seed]["provenance"].get("device") != left_out[seed]["provenance"].get("device")
                for seed in seeds)
    return apart and (f"in {apart} of {len(seeds)} pairs the arms ran on different processors, "
                      "which alone moves a ten-view error by 0.61 points rms")


def _listed(figure: tuple[float, float] | None) -> list[float | None] | None:
    """For JSON, which knows no infinity."""
    return figure and [end if math.isfinite(end) else None for end in figure]


def all_rows(results: Path = RESULTS) -> list[dict]:
    """Every row, with what depends on the others.

    "adjusted_p": by Holm's method over all rows that have a p. "comparisons": how many rows that
    were run, this one included, use the arm that this one shares with most.
    """
    rows = [row(claim, setup, results) for claim in claims().values()
            for setup in setups_of(claim, results)]
    tested = [r for r in rows if r["p"] is not None]
    adjusted = dict(zip(map(id, tested), holm([r["p"] for r in tested]), strict=True))
    uses = Counter(folder for r in rows if r["seeds"] for folder in set(r["runs"]))
    for r in rows:
        r["adjusted_p"] = adjusted.get(id(r))
        r["comparisons"] = max(uses[folder] for folder in r["runs"]) if r["seeds"] else 0
    return rows


def write(results: Path = RESULTS) -> list[dict]:
    """Make ledger.json again from all records; returns its rows."""
    rows = all_rows(results)
    write_atomically(results / "ledger.json",
                     lambda p: p.write_text(json.dumps(rows, indent=1) + "\n"), shared=True)
    return rows


def figure(r: dict) -> str:
    """Our number with its unit and, of several seeds, its interval; or nothing."""
    if r["ours"] is None:
        return ""
    sign = "%" if r["unit"].startswith("%") else ""  # which belongs to each number
    unit = r["unit"].removeprefix("% ")
    if r["interval"] is None:
        return f"{r['ours']:.3g}{sign} {unit}"
    low, high = r["interval"]
    if low == high:
        return f"{r['ours']:,.10g}{sign} {unit}"
    return f"{r['ours']:.3g}{sign} ({low:.3g}{sign} to {high:.3g}{sign}) {unit}"


def ours(r: dict) -> str:
    """A row in one line of words, with the command that repeats it."""
    if r["ours"] is None:
        told = "not run yet" if r["verdict"] == NOT_RUN else f"{r['verdict']}; {r['note']}"
        return f"{told}; {r['command']}"
    if r["interval"] is None:
        return f"{figure(r)}, of one seed: {r['verdict']}; {r['command']}"
    if len(r["seeds"]) == 1:
        return f"{figure(r)}: {r['verdict']}; {r['command']}"
    return (f"{figure(r)}, 95% interval over {len(r['seeds'])} seeds: {r['verdict']}; "
            f"{r['command']}")


def table(rows: list[dict], style: str = "simple") -> str:
    """The ledger as a table of text, with commands, or of Markdown (style "github")."""
    def cells(r: dict) -> tuple:
        p = r.get("adjusted_p")
        told = (r["claim"], r["statement"], r["paper"], figure(r), len(r["seeds"]) or "",
                r["data"], r["effect"], r["size"] or "",
                "" if p is None else "< 0.001" if p < 0.001 else f"{p:.2g}")
        return told if style == "github" else (*told, r["command"])
    heads = ("claim", "the paper says", "its figure", "ours (95% interval)", "seeds", "data",
             "effect", "size", "p (Holm)", "command")
    return tabulate([cells(r) for r in rows], heads[:9 if style == "github" else 10],
                    tablefmt=style, disable_numparse=True)
