"""Figures of notebook 06, drawn from the net."""

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
    assert gpus.amount(16 * sum(row["values"] for row in rows)) + " cross" in told[-1]
    joined, _ = drawn(images=4, columns=1)
    larger, _ = drawn(images=4, input_size=91)
    assert len(joined) == len(told) + 3  # labels before conv2, conv4, conv5 as well
    assert joined[-1] != told[-1] != larger[-1]


def test_the_papers_net_in_the_picture():
    net = AlexNet()
    told = words(gpus.communication(layer_table(net), scaling.exchanges(net), 128))
    assert told[-1] == "Forward pass with 128 images: 30 MB cross, in 4 exchanges"
    assert {"22 MB", "4.7 MB", "2.1 MB", "1.0 MB", "48 maps\n55 x 55", "1000\nunits"} <= set(told)


@pytest.mark.parametrize("count, told", [(5, "5 B"), (8192, "8.2 kB"), (22_151_168, "22 MB"),
                                         (9_999_999_999, "10.0 GB")])
def test_amounts_in_words(count, told):
    assert gpus.amount(count) == told


def test_traffic_has_a_bar_for_each_exchange_and_one_scale():
    first, second = gpus.traffic({"a": {"conv3": 2e6, "fc6": 1e6},
                                  "b": {"conv2": 3e6, "conv3": 2e6}}).axes
    assert [bar.get_width() for bar in first.patches] == [0, 2, 1]
    assert [bar.get_width() for bar in second.patches] == [3, 2, 0]
    assert first.get_xlim() == second.get_xlim()
    assert [text.get_text().strip() for text in first.texts] == ["-", "2.0 MB", "1.0 MB"]


def test_bars():
    figure = gpus.memory({"a": {"weights": 1e9, "outputs": 2.5e9},
                          "b": {"weights": 1, "outputs": 5e8}}, 3e9)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["3.50", "0.50"]
    assert axes.get_title("left") == "Too big: a" and "b: 0.50" in figure.alt
