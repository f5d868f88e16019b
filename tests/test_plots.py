"""Figures that are drawn of whatever a run has, also of a short one."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from alexnet_lib import plots

HISTORY = [{"epoch": 1, "train_error": 0.8, "val_error": 0.7}]


@pytest.mark.parametrize("steps, count", [(5, 3), (31, 12)])
def test_a_first_run_may_be_short(steps, count):
    images = np.zeros((count, 4, 4, 3), np.uint8)
    guess = np.zeros(count, int)
    figure = plots.first_run([2.0] * steps, HISTORY, images, guess, guess, np.ones(count), ("a",))
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == count and not any(axes.axison for axes in figure.axes[2:])
    assert len(figure.axes[0].lines) == (3 if steps > 30 else 2)  # with the mean, or without
    plt.close(figure)
