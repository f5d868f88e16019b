"""Figures that are drawn of whatever a run has, in colors that nearly everybody tells apart."""

import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from alexnet_lib.course import plots
from alexnet_lib.course.plots import nb00, nb01, nb02

PALETTE = {name: value for name, value in vars(plots).items()
           if isinstance(value, str) and value.startswith("#")}
HISTORY = [{"epoch": 1, "train_error": 0.8, "val_error": 0.7}]


@pytest.mark.parametrize("steps, count", [(5, 3), (31, 12)])
def test_a_first_run_may_be_short(steps, count):
    images = np.zeros((count, 4, 4, 3), np.uint8)
    guess = np.zeros(count, int)
    figure = nb00.first_run([2.0] * steps, HISTORY, images, guess, guess, np.ones(count), ("a",))
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == count and not any(axes.axison for axes in figure.axes[2:])
    assert len(figure.axes[0].lines) == (3 if steps > 30 else 2)  # with the mean, or without
    plt.close(figure)


def test_a_mistake_has_a_sign_beside_its_color():
    images, guess = np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 0])
    figure = nb00.first_run([2.0], HISTORY, images, np.array([0, 1]), guess, np.ones(2), "ab")
    titles = [axes.get_title() for axes in figure.axes if axes.images]
    assert titles == ["a 100%", "✗ a, not b"]
    plt.close(figure)


def strangers(source: str) -> list[str]:
    """Colors in a source that are none of the palette's: in hexadecimal, or matplotlib's own."""
    found = re.findall(r"""["'](#[0-9A-Fa-f]{3,8}|tab:\w+|C\d)["']""", source)
    return [color for color in found if color not in PALETTE.values()]


def test_figures_have_no_colors_but_the_palettes():
    folder = Path(plots.__file__).parent
    assert [name for path in folder.glob("*.py") for name in strangers(path.read_text())] == []
    assert len(PALETTE) == 8
    assert strangers("""c="#5E3C99", d="tab:red", e='C1', f="#0072B2" """) == [
        "#5E3C99", "tab:red", "C1"]


def test_the_nearest_picture_comes_first_and_components_get_the_same_side_up():
    gray = np.full((4, 4, 3), 100.0)
    figure = nb01.nearest(gray, {"far": gray + 50, "near": gray + 1}, {"far": 50.0, "near": 1.0})
    assert [axes.get_title().split("\n")[0] for axes in figure.axes] == [
        "the photograph", "near", "far"]
    plt.close(figure)
    for sign in (1, -1):  # a direction and its opposite are one component
        figure = nb01.color_strips([128] * 3, np.array([900.0, 1, 1]), sign * np.eye(3), "")
        strip = figure.axes[0].images[0].get_array()[0]
        assert strip[0, 0] < 128 < strip[-1, 0]
        plt.close(figure)


def nearest(colors, sight) -> float:
    """How near the two most alike of the colors are, to one who sees so: a distance in CIELAB."""
    srgb = np.array([[int(c[i:i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(light @ np.transpose(sight), 0, 1)
    xyz = seen @ np.transpose([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722],
                               [0.0177, 0.1095, 0.8728]])  # of D65's white
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = root @ np.transpose([[0, 116, 0], [500, -500, 0], [0, 200, -200]])
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))


@pytest.mark.parametrize("sight, mixed_up", [
    (np.eye(3), ("#0072B2", "#0080B2")),
    ([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
      [-0.003882, -0.048116, 1.051998]], ("#1F77B4", "#9467BD")),  # blue and purple
    ([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
      [-0.011820, 0.042940, 0.968881]], ("#D62728", "#2CA02C")),  # red and green
], ids=["all", "protanopia", "deuteranopia"])
def test_the_palettes_colors_stay_apart_for_the_color_blind(sight, mixed_up):
    """Simulated as Machado, Oliveira and Fernandes (2009), severity 1. A distance of 2.3 can just
    be seen side by side; 15 is plain. Lines have marks or dashes besides."""
    assert nearest(PALETTE.values(), sight) > 15 > nearest(mixed_up, sight)


@pytest.mark.parametrize("right, title, colors", [
    ([1.0, 2.0, 3.5], "Error:\nnew won in 2 of 3 seeds", [plots.BLUE, plots.BLUE, plots.ORANGE]),
    ([3.0, 4.0, 2.0], "Error:\nold won in 2 of 3 seeds", [plots.BLUE, plots.BLUE, plots.ORANGE]),
])
def test_slopes_say_who_won(right, title, colors):
    figure = plots.slopes({"Error": {"old": [2.0, 3.0, 3.0], "new": right}})
    (axes,) = figure.axes
    assert axes.get_title() == title
    assert [line.get_color() for line in axes.lines] == colors
    assert [line.get_ydata()[1] for line in axes.lines] == right
    plt.close(figure)


def test_a_sliding_kernel_gives_what_torch_gives_up_to_its_position():
    import torch
    rng = np.random.default_rng(0)
    photo, kernel = rng.integers(0, 256, (27, 27, 3), np.uint8), rng.normal(size=(11, 11, 3))
    figure = nb02.sliding(photo, kernel, row=2, column=3, stride=4)
    drawn = np.ma.filled(figure.axes[2].images[0].get_array().astype(float), np.nan)
    x, w = (torch.tensor(a).permute(2, 0, 1)[None].double() for a in (photo, kernel))
    right = torch.nn.functional.conv2d(x, w, stride=4)[0, 0].numpy()
    assert drawn.shape == right.shape == (5, 5)
    np.testing.assert_allclose(drawn.ravel()[:8], right.ravel()[:8])
    assert np.isnan(drawn.ravel()[8:]).all()  # not there yet
    plt.close(figure)


@pytest.mark.parametrize("value, words", [(34_944, "34.9 k"), (290_400, "290 k"), (1000, "1 k"),
                                          (37_752_832, "37.8 M"), (223_948_800, "224 M")])
def test_counts_have_three_digits_however_small(value, words):
    assert nb02._short(value) == words
