"""The reference solution of notebook 15, its records, and what the notebook does with them."""

import inspect
import math

import nbformat
import numpy as np
import pytest
import torch
from test_exercises import solution

from alexnet_lib import course, datasets
from alexnet_lib.course import capstone
from alexnet_lib.errors import UserError
from alexnet_lib.research.ledger import interval

CELLS = {cell.id: cell.source for cell in nbformat.read(
    course.ROOT / "notebooks" / "15-capstone.ipynb", as_version=4).cells}
NAMES = ["capstone-cifar10", "capstone-shapes"]


@pytest.mark.parametrize("cell, parts", [
    ("15-sol-1", ["ColumnNorm", "MyAlexNet"]), ("15-sol-2", ["MySGD"]), ("15-sol-3", ["train"]),
    ("15-sol-4", ["report"]), ("15-prepare", ["prepare"])])
def test_what_was_measured_is_what_the_notebook_shows(cell, parts):
    shown = solution(CELLS[cell]) or CELLS[cell].replace("                       # (N, 3, S, S) "
                                                         "uint8, 0 to 255", "")
    for part in parts:
        assert inspect.getsource(getattr(capstone, part)).rstrip() in shown


def test_the_norm_is_torchs_within_each_column():
    x = 30 * torch.randn(2, 12, 5, 5)
    right = torch.cat([torch.nn.functional.local_response_norm(half, 5, 5e-4, 0.75, 2.0)
                       for half in x.chunk(2, 1)], 1)
    assert torch.allclose(capstone.ColumnNorm(12)(x), right, rtol=1e-4)


def test_an_unsolved_exercise_gets_the_reference_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(course, "solved", {})
    assert capstone.yours("15-2") is capstone.MySGD
    assert "stands in" in capsys.readouterr().out
    course.check("15-2", capstone.yours)  # wrong
    assert course.solved == {}
    course.check("15-2", mine := type("Mine", (capstone.MySGD,), {}))
    course.check("15-2", torch.optim.SGD)  # spoilt later: the one that was correct stays
    capsys.readouterr()
    assert capstone.yours("15-2") is mine and "stands in" not in capsys.readouterr().out


def loaded(monkeypatch, *missing):
    """The names that `datasets.load` is asked for, in order; `missing` ones can't be had."""
    asked = []

    def load(name, size=None, **how):
        asked.append((name, size))
        if name in missing:
            raise UserError("no network")
        return real("shapes", 32, counts={"train": 20, "val": 10, "test": 10})
    real = datasets.load
    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(course, "data", "shapes")
    monkeypatch.delenv("ALEXNET_DATA", raising=False)
    monkeypatch.delenv("ALEXNET_OFFLINE", raising=False)
    return asked


def test_photographs_are_the_default_where_they_can_be_had(monkeypatch, capsys):
    asked = loaded(monkeypatch)
    capstone.load_data()
    assert asked[-1] == ("cifar10", 32) and course.data == "cifar10"
    assert "stand in" not in capsys.readouterr().out


@pytest.mark.parametrize("offline", [True, False])
def test_without_a_network_shapes_stand_in_and_a_line_says_so(offline, monkeypatch, capsys):
    asked = loaded(monkeypatch, "cifar10")
    if offline:
        monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    capstone.load_data()
    assert asked == [("cifar10", None)] * (not offline) + [("shapes", 32)]
    said = capsys.readouterr()
    assert "stand in" in said.out and course.data == "shapes"
    assert ("offline" if offline else "no network") in said.err


@pytest.mark.parametrize("name", ["shapes", "cifar10"])
def test_what_the_learner_has_chosen_is_taken(name, monkeypatch):
    asked = loaded(monkeypatch)
    monkeypatch.setenv("ALEXNET_DATA", name)
    monkeypatch.setattr(course, "data", name)
    capstone.load_data()
    assert asked == [(name, 32)]


@pytest.mark.parametrize("name", NAMES)
def test_records_agree_with_themselves(name, capsys):
    record = course.recorded(name)
    n, layers = record["recipe"]["test_images"], capstone.first_layers(name)
    for run in record["runs"]:
        p, (low, high) = run["test_error"] / 100, run["interval"]
        assert p * n == pytest.approx(round(p * n), abs=1e-6)
        half = 196 * math.sqrt(p * (1 - p) / n)
        assert (low, high) == pytest.approx((100 * p - half, 100 * p + half))
        start, end = (layers[f"{run['seed']}.{when}"].double() for when in ("initial", "trained"))
        assert run["kept"] == pytest.approx(100 * float((start * end).sum() / (start**2).sum()),
                                            abs=0.3)
    assert "capstone" in capsys.readouterr().out and len(record["claim"]["with"]) >= 3


def test_ours_is_three_standard_deviations_each_way(monkeypatch, capsys):
    data = datasets.load("shapes", 32, counts={"train": 10})
    found = capstone.ours(data)
    errors = [run["test_error"] for run in found["runs"]]
    spread = 3 * np.std(errors, ddof=1)
    assert found["error"] == (math.floor(np.mean(errors) - spread),
                              math.ceil(np.mean(errors) + spread))
    assert all(low < high for low, high in (found[key] for key in (
        "loss", "error", "half", "kept", "effect")))


def test_the_row_of_the_notebook_is_the_ledgers():
    names = {"torch": torch, "math": math}
    exec(CELLS["15-claim-row"], names)
    arms = {"with": [40.0, 41, 39.5].__getitem__, "without": [42.0, 43.5, 41].__getitem__}
    row = names["row"]("a claim", arms)
    assert row["interval"] == pytest.approx(interval([2, 2.5, 1.5]), abs=1e-3)
    assert (row["effect"], row["verdict"]) == (pytest.approx(2), "yes")
    assert names["row"]("no", dict(zip(arms, reversed(arms.values()), strict=True)))[
        "verdict"] == "no"
