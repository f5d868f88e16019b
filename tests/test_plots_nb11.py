"""Figures of notebook 11 against counting."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from alexnet_lib.course.plots import nb11
from alexnet_lib.research.verdicts import holm


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_the_funnel_is_as_wide_as_samples_without_replacement_scatter():
    rng = np.random.default_rng(0)
    wrong = rng.random(400) < 0.3
    orders = np.array([rng.permutation(wrong) for _ in range(3000)])
    band = nb11.funnel(orders[:5]).axes[0].collections[0].get_paths()[0].vertices
    for n in (20, 100, 300):
        edges = band[band[:, 0] == n][:, 1]
        assert np.ptp(edges) == pytest.approx(400 * orders[:, :n].mean(1).std(), rel=0.06)
    assert np.ptp(band[band[:, 0] == 400][:, 1]) == pytest.approx(0, abs=1e-9)


def test_precision_by_prevalence_is_that_of_counting():
    recall, alarms = 0.8, 0.05
    line = nb11.prevalence({"x": (recall, alarms)}).axes[0].lines[0].get_xydata()
    for percent, precision in line[[0, 80, -1]]:
        share = percent / 100
        positives, others = 1e6 * share, 1e6 * (1 - share)
        hits = recall * positives
        assert precision == pytest.approx(100 * hits / (hits + alarms * others))


@pytest.mark.parametrize("seed", range(5))
def test_the_points_below_holms_bar_are_those_that_the_ledger_keeps(seed):
    p = np.random.default_rng(seed).random(20) ** 4
    survive = sum(value <= 0.05 for value in holm(list(p)))
    assert len(nb11.holm(p).axes[0].lines[2].get_xdata()) == survive
