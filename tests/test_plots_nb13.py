"""Notebook 13: what is said of the evidence is so, and its figures show no more than there is."""

import json

import matplotlib.pyplot as plt
import pytest

from alexnet_lib import AlexNet, course
from alexnet_lib.course.plots import BLUE
from alexnet_lib.course.plots import nb13 as source
from alexnet_lib.research.claims import claim, claims

ROWS = json.loads((course.ROOT / "data" / "source" / "differences.json").read_text())["differences"]
RUNS = json.loads((course.ROOT / "data" / "source" / "lab-notes.json").read_text())["runs"]
NOTEBOOK = course.ROOT / "notebooks" / "13-the-paper-and-the-2012-source.ipynb"
PLANS = {"restarted": {"rates": [1, 0.1, 1], "noise": [True, False, True]},
         "lowered once": {"rates": [1, 0.1, 0.1], "noise": [True, True, False]}}


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


def test_the_overview_marks_each_difference_once():
    crosses = [row for row in ROWS if row["evidence"] == "none"]
    assert len(crosses) == 10  # as the notebook's summary says
    figure = source.overview(ROWS, {"S04"})
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert len(marks) == len(ROWS)
    assert [mark.get_marker() for mark in marks].count("x") == len(crosses)
    assert [mark.get_marker() for mark in marks].count("o") == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "no measurement that we know of" in labels and len(labels) == len(source.EVIDENCE)
    assert {row["evidence"] for row in ROWS} | {"planned"} == set(source.EVIDENCE)


def words_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_run_of_the_notes_has_a_card():
    for run in RUNS:
        told = " ".join(" ".join(words_of(source.run_card(run, RUNS))).split())
        assert all(run[key] in told for key in ("run", "change", "where"))
        assert run.get("words", "") in told
        plt.close("all")


@pytest.mark.parametrize("name, told", [
    ("145", ["40.66 % top-1, 18.21 % top-5 error", "the same run",
             "the 50,000 validation images of 2012, ten views"]),
    ("148", ["42.03 % top-1, 19.36 % top-5 error", "+1.37 points of top-1 error"]),
    ("145-half", ["the 150,000 test images of 2010, ten views", "+1.70 points of top-1 error"]),
    ("145 restarted", ["−0.41 points of top-1 error", "after the paper's net"]),
    ("167, center", ["the 50,000 validation images of 2012, one view", "not logged by one view"]),
    ("127", ["“significantly worse”, killed at epoch 36", "before the paper's net"])])
def test_the_card_of_a_run(name, told):
    run = next(run for run in RUNS if run["run"] == name)
    assert [words for words in told if words not in words_of(source.run_card(run, RUNS))] == []


def test_the_card_of_a_difference():
    words = words_of(source.card(ROWS[0]))
    assert words[0] == "1 · LRN: strength" and "layer.py:1183" in words


def test_every_repeat_of_the_notes_stands_in_the_notebook():
    text, repeats = NOTEBOOK.read_text(), [name for name in claims() if name.startswith("S")]
    assert [name for name in repeats if f'\\"{name}\\":' not in text] == []


def test_the_restart_is_drawn_without_runs():
    axes, = source.restarted(PLANS, {name: [] for name in PLANS}).axes
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[2], [3], []]  # the last: the legend's


def test_errors_stand_beside_the_restart_where_there_are_runs():
    record = {"curves": {"val_error": [0.5, 0.4, 0.3]}}
    _, axes = source.restarted(PLANS, {"restarted": [record, record], "lowered once": []}).axes
    line, = axes.lines
    assert list(line.get_ydata()) == [50, 40, 30] and line.get_color() == BLUE
    assert line.get_label() == "restarted, 2 seeds"


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
    outside = [run["run"] for run in ten
               if abs(run["top1"] - p) > 2 * (p * (1 - p) / 50_000) ** 0.5]
    assert (len(ten), outside) == (24, ["148", "150", "157", "160"])
    assert str(outside) in NOTEBOOK.read_text()
    one = sorted(run["top1"] for run in alone if run["views"] == 1)
    assert (round(100 * one[0], 1), round(100 * one[-1], 1)) == (42.3, 43.9)
