"""The picture of the net is read from the net: input, sizes, kernels, and who talks to whom."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import same_color

from alexnet_lib import AlexNet
from alexnet_lib.course import plots
from alexnet_lib.course.plots import nb02


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def drawn(**settings):
    return nb02.architecture(AlexNet(**{"num_classes": 10, "width": 0.1} | settings))


def talks(figure):
    arrows = [text.arrow_patch for text in figure.axes[0].texts if not text.get_text()]
    return sum(same_color(arrow.get_edgecolor(), plots.PINK) for arrow in arrows)


def test_the_papers_net_in_the_picture():
    told = texts(nb02.architecture(AlexNet()))
    assert {"input\n227 x 227 x 3", "48 channels\n55 x 55", "128 channels\n27 x 27",
            "192 channels\n13 x 13", "2048", "1000"} <= set(told)
    names = [text for text in told if text.startswith(("conv", "fc"))]
    below = dict(zip(names, [told[told.index(name) + 1] for name in names], strict=True))
    assert below == {
        "conv1": "11 x 11 x 3,\nstride 4\npool 3 x 3,\nstride 2",
        "conv2": "5 x 5 x 48,\nstride 1\npool 3 x 3,\nstride 2",
        "conv3": "3 x 3 x 256,\nstride 1", "conv4": "3 x 3 x 192,\nstride 1",
        "conv5": "3 x 3 x 192,\nstride 1\npool 3 x 3,\nstride 2",
        "fc6": "9216\ninputs", "fc7": "4096\ninputs", "fc8": "4096\ninputs"}


@pytest.mark.parametrize("settings, arrows", [
    ({}, 8), ({"connect_columns": False}, 2), ({"omit_layer": "conv3"}, 6), ({"columns": 1}, 0)])
def test_arrows_cross_where_a_layer_reads_both_columns(settings, arrows):
    assert talks(drawn(**settings)) == arrows


def test_input_and_pooling_are_those_of_the_net():
    told = texts(drawn(input_size=224, in_channels=1, pool=(2, 2)))
    assert "input\n224 x 224 x 1" in told
    assert "11 x 11 x 1,\nstride 4\npool 2 x 2,\nstride 2" in told


def test_a_layer_left_out_is_not_drawn():
    assert "conv4" not in texts(drawn(omit_layer="conv4"))
