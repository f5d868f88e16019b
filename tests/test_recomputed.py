"""The ledger computed a second time, from the raw records: numpy and scipy, and none of our code.

What each row measures is written down here again, so a mistake must be made twice to stay hidden.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy import stats

ROOT = Path(__file__).parents[1]
ROWS = json.loads((ROOT / "data" / "results" / "ledger.json").read_text())
ALIKE = {"S08"}


def ten_views(run):
    return 100 * run["test"]["10"]["top1_error"]


def top5(run):
    return 100 * run["test"]["10"]["top5_error"]


def trained(run):
    return 100 * run["train"]["top1_error"]


def one_view(run):
    return 100 * run["test"]["1"]["top1_error"]


def overfit(run):
    return one_view(run) - trained(run)


def first_fifth(run):
    losses = run["curves"]["train_loss"]
    return np.mean(losses[:len(losses) // 5])


def epochs_to(level):
    """By linear interpolation between the ends of two epochs."""
    def found(run):
        errors = run["curves"]["train_error"]
        after = next(i for i, error in enumerate(errors) if error <= level)
        return 1 + np.interp(level, errors[after - 1:after + 1][::-1], [after, after - 1])
    return found


def of(part, name):
    return lambda run: 100 * run[part][name]


# Of each claim: what is measured in the first arm, in the second, and how the two are compared.
MEASURED = {
    "C02": (epochs_to(0.25), epochs_to(0.25), lambda a, b: b / a),
    "C05b": (overfit, overfit), "C06": (overfit, overfit), "C08": (overfit, overfit),
    "C08b": (epochs_to(0.35), epochs_to(0.35), lambda a, b: a / b),
    "C09": (trained, trained), "C10": (ten_views, one_view),
    "C10-top5": (top5, lambda run: 100 * run["test"]["1"]["top5_error"]),
    "C12": (first_fifth, first_fifth),
    "C14": (of("color", "difference"), of("color", "by_chance"), lambda a, b: a - b),
    "C15": (of("retrieval", "features"), of("retrieval", "pixels"), lambda a, b: a - b)}
MEASURED |= {"C02b": MEASURED["C02"]} | {f"C0{i}-top5": (top5, top5) for i in (3, 4, 5)}


def records(folder):
    return {int(file.stem.split("-")[1]): json.loads(file.read_text())
            for file in (ROOT / folder).glob("seed-*.json")}


def effects(row):
    arms = [records(folder) for folder in row["runs"]]
    if len(arms) == 1:
        return [arms[0][seed]["effect"] for seed in sorted(arms[0])]
    first, second, compared = (*MEASURED.get(row["claim"], (ten_views, ten_views)),
                               lambda a, b: b - a)[:3]
    return [compared(first(arms[0][seed]), second(arms[1][seed]))
            for seed in sorted(arms[0].keys() & arms[1].keys())]


def name(row):
    return f"{row['claim']} {row['runs'][0].split('/')[3]}"


RUN = [row for row in ROWS if row["seeds"]]


@pytest.mark.parametrize("row", RUN, ids=name)
def test_number_and_interval(row):
    found = np.array(effects(row))
    count = len(found)
    assert count == len(row["seeds"]) and row["ours"] == pytest.approx(found.mean(), rel=1e-12)
    if count == 1:
        return
    half = round(stats.t(count - 1).ppf(0.975), 3) * stats.sem(found)
    assert row["interval"] == pytest.approx([found.mean() - half, found.mean() + half], rel=1e-9)
    if row["p"] is not None:
        t = (found.mean() - row["null"]) / stats.sem(found)
        assert row["p"] == pytest.approx(2 * stats.t(count - 1).sf(abs(t)), rel=1e-9)


@pytest.mark.parametrize("row", [row for row in RUN if row["effect"] in ("yes", "no",
                         "cannot tell") and row["claim"] not in ("C01", "C18")], ids=name)
def test_the_verdict_follows_from_the_interval(row):
    low, high = row["interval"]
    null, margin = row["null"], row["margin"]
    if row["claim"] not in ALIKE:
        assert row["effect"] == ("yes" if low > null else "no" if high < null + margin
                                 else "cannot tell")
    if row["figure"] is None:
        assert row["size"] is None
        return
    least, most = row["figure"][0], math.inf if row["figure"][1] is None else row["figure"][1]
    expected = ("smaller" if high < least else "larger" if low > most else
                "the paper's" if least / 2 <= low and high <= 2 * most else "cannot tell")
    assert row["size"] == expected


def test_adjusted_p():
    """Holm: the largest, up to each p, of p times the number of tests that are no smaller."""
    tested = sorted((row for row in ROWS if row["p"] is not None), key=lambda row: row["p"])
    assert len(tested) > 30
    products = [(len(tested) - i) * row["p"] for i, row in enumerate(tested)]
    expected = np.minimum(1, np.maximum.accumulate(products))
    assert [row["adjusted_p"] for row in tested] == pytest.approx(expected.tolist(), rel=1e-12)


def test_parameters_and_units_by_hand():
    """48 kernels of 11 x 11 x 3 and their biases in each column, and so on (section 3.5)."""
    convolutions = [(2 * 48, 11 * 11 * 3, 55), (2 * 128, 5 * 5 * 48, 27), (384, 3 * 3 * 256, 13),
                    (2 * 192, 3 * 3 * 192, 13), (2 * 128, 3 * 3 * 192, 13)]
    layers = [(4096, 6 * 6 * 256), (4096, 4096), (1000, 4096)]
    row = next(row for row in ROWS if row["claim"] == "C01")
    assert row["ours"] == sum(n * (k + 1) for n, k, *_ in [*convolutions, *layers])
    units = sum(n * side**2 for n, _, side in convolutions) + sum(n for n, _ in layers)
    assert f"{units:,} units" in row["note"] and row["effect"] == "yes"
    assert str(row["ours"])[:2] == "60" and str(units)[:2] == "65"


def test_the_average_of_five_nets():
    found = [load_file(ROOT / f"data/results/predictions/imagenette-small-{seed}.safetensors")
             for seed in range(5)]
    probs = np.stack([net["probs"].astype(np.float32) for net in found])
    probs /= probs.sum(-1, keepdims=True)
    labels = found[0]["labels"]
    gained = 100 * ((probs.argmax(-1) != labels).mean(0)
                    - (probs.mean(0).argmax(-1) != labels).astype(float))
    row = next(row for row in ROWS if row["claim"] == "C19")
    assert row["ours"] == pytest.approx(gained.mean(), rel=1e-9)
    test = stats.ttest_1samp(gained, 0)
    assert row["p"] == pytest.approx(test.pvalue, rel=1e-6)
    assert row["interval"] == pytest.approx(list(test.confidence_interval()), rel=1e-6)


FILMS = {1: "2012", 2: "paper", 3: "2012-1"}  # nets whose first layer was filmed, by seed


@pytest.mark.parametrize("seed", FILMS)
def test_what_the_first_layers_learned(seed):
    film = load_file(ROOT / f"data/weights/imagenette-{FILMS[seed]}-film.safetensors")
    steps = sorted(film, key=int)
    added = film[steps[-1]].astype(np.float64) - film[steps[0]].astype(np.float64)
    size = np.sqrt((added**2).mean((1, 2, 3)))
    runs = ROOT / "data" / "results" / "runs" / "anywhere"
    made = {claim: json.loads((runs / claim / f"seed-{seed}.json").read_text())
            for claim in ("C14b", "Z01", "Z02")}
    assert made["Z01"]["effect"] == (size < np.median(size) / 10).sum()
    power = np.abs(np.fft.fft2(added))**2
    cycles = np.hypot(*np.meshgrid(np.fft.fftfreq(11), np.fft.fftfreq(11)))
    assert made["Z02"]["effect"] == pytest.approx(
        100 * power[..., cycles > 1 / 8].sum() / power.sum(), rel=1e-5)
    gray = added.mean(1, keepdims=True)
    color = ((added - gray)**2).sum((1, 2, 3)) / (added**2).sum((1, 2, 3))
    assert made["C14b"]["apart"] == pytest.approx(
        abs(color[:48].mean() - color[48:].mean()), abs=1e-6)
    shuffled = np.random.default_rng(0).permuted(np.tile(color, (4000, 1)), axis=1)
    by_chance = np.abs(shuffled[:, :48].mean(1) - shuffled[:, 48:].mean(1)).mean()
    assert made["C14b"]["by_chance"] == pytest.approx(by_chance, rel=0.06)
    color.sort()
    assert made["C14b"]["at_most"] == pytest.approx(color[48:].mean() - color[:48].mean(), abs=1e-6)


def test_the_docs_have_these_numbers():
    text = (ROOT / "docs" / "results.md").read_text().split("<!-- ledger -->")[1]
    told = [line.split("|")[1:] for line in text.splitlines() if line.startswith(("| C", "| S",
                                                                                  "| Z"))]
    told = [[cell.strip() for cell in line] for line in told if line[0].strip() != "claim"]
    assert [line[0] for line in told] == [row["claim"] for row in ROWS]
    for line, row in zip(told, ROWS, strict=True):
        low, high = row["interval"] or (0, 0)
        if low < high:
            shown = f"{row['ours']:.3g} ({low:.3g} to {high:.3g}) "
            assert line[3].replace("%", "").startswith(shown)
        assert line[6:8] == [row["effect"], row["size"] or ""]
