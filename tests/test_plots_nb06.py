"""Figures of notebook 06: drawn from the net, and honest about where curves end."""

import matplotlib.pyplot as plt
import pytest

from alexnet_lib import AlexNet, layer_table
from alexnet_lib.course import scaling
from alexnet_lib.course.plots import nb06 as gpus


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def words(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in axes.texts if text.get_text()] + [axes.get_title("left")]


def drawn(images=1, **settings):
    net = AlexNet(**{"width": 0.1, "num_classes": 10, "input_size": 67} | settings)
    return words(gpus.communication(layer_table(net), scaling.exchanges(net), images)), net


def test_the_picture_of_the_talk_is_drawn_from_the_net():
    told, net = drawn(images=4)
    rows = scaling.exchanges(net)
    assert all(gpus.amount(16 * row["values"]) in told for row in rows)
    assert f"{4 * sum(row['values'] for row in rows):,} numbers" in told[-1]
    joined, _ = drawn(images=4, columns=1)
    larger, _ = drawn(images=4, input_size=91)
    assert len(joined) == len(told) + 3  # labels before conv2, conv4, conv5 as well
    assert joined[-1] != told[-1] != larger[-1]


def test_the_papers_net_in_the_picture():
    net = AlexNet()
    told = words(gpus.communication(layer_table(net), scaling.exchanges(net), 128))
    assert told[-1] == "128 images, one way: 7,503,872 numbers = 30 MB cross"
    assert {"22 MB", "4.7 MB", "2.1 MB", "1.0 MB", "48 maps\n55 x 55", "1000\nunits"} <= set(told)


@pytest.mark.parametrize("count, told", [(5, "5 B"), (8192, "8.2 kB"), (22_151_168, "22 MB"),
                                         (9_999_999_999, "10.0 GB")])
def test_amounts_in_words(count, told):
    assert gpus.amount(count) == told


def test_curves_that_end_early_are_marked():
    ways = {"columns": ([1, 2], [10.0, 18.0], [0.0, 0.1]),
            "data": ([1, 2, 3, 4], [10.0, 12.0, 11.0, 9.0], [0.0, 0.4, 0.6, 0.8])}
    figure = gpus.scaling({"here": ways})
    marks = [(line.get_marker(), *line.get_xydata()[0]) for line in figure.axes[0].lines
             if line.get_marker() in ("x", "*")]
    assert marks == [("x", 2, 18), ("*", 2, 18), ("*", 2, 12)]
    assert [line.get_xydata()[-1, 1] for line in figure.axes[1].lines[:2]] == [10, 80]


def test_bars_and_link():
    axes = gpus.memory({"a": {"weights": 1e9, "outputs": 2e9}, "b": {"weights": 1, "outputs": 5e8}},
                       3e9).axes[0]
    assert [text.get_text() for text in axes.texts] == ["3.00", "0.50"]
    line = gpus.link([1, 1000], [1e-3, 2e-3], 1e-3, 1e6).axes[0].lines[0]
    assert line.get_ydata()[-1] == pytest.approx(2)
