"""Notebook 13: what is said of the evidence is so, and its figures show no more than there is."""

import json
import re
from collections import Counter

import matplotlib.pyplot as plt
import pytest

from alexnet_lib import AlexNet, course
from alexnet_lib.course.plots import nb13 as source
from alexnet_lib.research import ledger
from alexnet_lib.research.claims import claim, claims

ROWS = json.loads((course.ROOT / "data" / "source" / "differences.json").read_text())["differences"]
RUNS = json.loads((course.ROOT / "data" / "source" / "lab-notes.json").read_text())["runs"]
NOTEBOOK = course.ROOT / "notebooks" / "13-the-paper-and-the-2012-source.ipynb"
APPENDIX = (course.ROOT / "docs" / "appendix-differences.md").read_text()
PLANS = {"restarted": [1, 0.1, 1], "steady": [1, 0.1, 0.1]}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def layers(**settings):
    return {name for name, _ in AlexNet(width=0.05, variant="2012", **settings).named_modules()}


def test_a_run_that_leaves_out_two_norms_is_no_evidence_for_one():
    """S01 and #167 take LRN 2 and the spatial norm away together."""
    changed = claim("S01").arms[1].settings
    assert layers() - layers(**changed) == {"features.lrn2", "features.spatial2"}
    assert "S01" not in {row.get("claim") for row in ROWS}


def test_evidence_of_ours_is_a_claim_that_changes_that_difference_alone():
    for row in ROWS:
        assert (row["evidence"] == "ledger") == ("claim" in row)
        if "claim" in row:
            changed = {name for arm in claim(row["claim"]).arms for name in arm.settings}
            assert len(changed) == 1 and changed <= set(row["library"].split(", "))


def test_the_notebook_counts_the_differences_rightly():
    found = Counter(row["touches"] for row in ROWS)
    assert found == {"function": 5, "training": 8, "test": 3, "print": 2}
    assert sum(row["evidence"] == "none" for row in ROWS) == 10
    assert [row["number"] for row in ROWS] == list(range(1, 19))


def test_the_appendix_has_every_difference_with_its_lines():
    places = re.findall(r"^### (\d+)\. (.+)$", APPENDIX, re.MULTILINE)
    assert sorted((int(number), topic) for number, topic in places) == [
        (row["number"], row["topic"]) for row in ROWS]
    for row in ROWS:
        for where in row["where"].split(", "):
            assert where in APPENDIX, row["number"]


@pytest.mark.parametrize("name", ["S01", "S04", "S05", "S06", "S07"])
def test_the_appendix_has_the_ledgers_numbers(name):
    low, high = ledger.row(claim(name), "imagenette")["interval"]
    assert f"({low:.2f} to {high:.2f})".replace("-", "−") in APPENDIX


def test_every_repeat_of_the_notes_stands_in_the_notebook():
    text, repeats = NOTEBOOK.read_text(), [name for name in claims() if name.startswith("S")]
    assert [name for name in repeats if name not in text] == []


def test_the_restart_is_drawn_without_runs():
    top, below = source.schedules(PLANS, {}, "a title").axes
    assert [list(line.get_ydata()) for line in top.lines] == list(PLANS.values())
    assert not below.lines


def test_errors_are_drawn_beneath_the_schedule_in_its_color():
    record = {"curves": {"val_error": [0.5, 0.4, 0.3]}}
    top, below = source.schedules(PLANS, {"restarted": [record, record]}, "a title").axes
    line, = below.lines
    assert list(line.get_ydata()) == [50, 40, 30] and line.get_color() == top.lines[0].get_color()
    assert line.get_label() == "restarted: ends at 30.0%"


def test_the_gray_band_is_as_high_as_asked():
    _, axes = source.timeline(RUNS, 0.35).axes
    band = axes.patches[0]
    assert band.get_height() == pytest.approx(0.7)
    assert band.get_y() + 0.35 == pytest.approx(40.664)


def test_a_comparison_without_runs_says_so():
    row = {"label": "batches", "effects": [], "interval": None, "log": None}
    figure = source.forest([row], "points")
    assert "not run yet" in figure.alt
    assert [words.get_text() for words in figure.axes[0].texts] == ["not run yet"]


def test_the_notes_hold_every_result_and_their_rule_of_selection():
    notes = json.loads((course.ROOT / "data" / "source" / "lab-notes.json").read_text())
    results = [run for run in RUNS if "top1" in run]
    assert len(results) == 59 and "63 lines" in notes["selection"]
    assert all({"top1", "top5", "loss", "views", "data"} <= set(run) for run in results)
    assert all(":" in run["where"] for run in results)
    assert len({run["where"] for run in results}) == len(results)
    assert len({run["run"] for run in RUNS}) == len(RUNS)


def test_the_counts_that_the_notebooks_quote_follow_from_the_notes():
    alone = [run for run in RUNS if run.get("data") == "2012 validation"
             and run["kind"] != "depth, more data"]
    ten = [run for run in alone if run["views"] == 10]
    p = next(run["top1"] for run in ten if run["run"] == "145")
    half = 2 * (0.107 / 50_000) ** 0.5  # exactly one of two seeds is wrong on 10.7%
    outside = [run["run"] for run in ten if abs(run["top1"] - p) > half]
    assert (len(ten), len(outside)) == (24, 12)
    assert f"12 of 23 are outside: {'; '.join(outside)}" in NOTEBOOK.read_text()
    assert sum(run["era"] == "after" for run in ten) == 16  # exercise 13-5
    one = sorted(run["top1"] for run in alone if run["views"] == 1)
    assert (round(100 * one[0], 1), round(100 * one[-1], 1)) == (42.3, 43.9)
