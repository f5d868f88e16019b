"""Notebook 13: what is said of the evidence is so, and its figures show no more than there is."""

import json

import matplotlib.pyplot as plt
import pytest

from alexnet_lib import AlexNet, course
from alexnet_lib.experiments import claim, claims
from alexnet_lib.plots import BLUE, source

ROWS = json.loads((course.ROOT / "data" / "source" / "differences.json").read_text())["differences"]
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
    assert len(crosses) == len(ROWS) / 2  # as the notebook's summary says
    figure = source.overview(ROWS, {"S04"})
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata())]
    assert len(marks) == len(ROWS)
    assert [mark.get_marker() for mark in marks].count("x") == len(crosses)
    assert [mark.get_marker() for mark in marks].count("o") == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "no measurement that we know of" in labels and len(labels) == len(source.EVIDENCE)
    assert {row["evidence"] for row in ROWS} | {"planned"} == set(source.EVIDENCE)


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
