"""What units respond to, against gradients, brute force and counting by hand; its figures."""

import dataclasses
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from alexnet_lib import course, datasets, features
from alexnet_lib.config import TrainConfig
from alexnet_lib.course import widgets
from alexnet_lib.course.plots import nb12 as figures
from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet, CifarNet
from alexnet_lib.research import measures
from alexnet_lib.training import Trainer


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 72, counts={"train": 24, "val": 10, "test": 12}, progress=False)


@pytest.fixture(scope="module")
def net(data):
    run = Trainer(TrainConfig(data="shapes", input_size=67, stored_size=72, width=0.1,
                              variant="2012", device="cpu", precision="fp32"), data, progress=False)
    run.model.eval()
    return run


def test_color_of_kernels_that_are_known():
    gray = torch.randn(4, 1, 11, 11).expand(4, 3, 11, 11)
    red_green = torch.cat([gray[:, :1], -gray[:, :1], 0 * gray[:, :1]], 1)
    assert features.color_selectivity(gray).abs().max() < 1e-5
    assert (features.color_selectivity(red_green) - 1).abs().max() < 1e-5
    noise = features.color_selectivity(torch.randn(200, 3, 11, 11))
    assert noise.mean() == pytest.approx(2 / 3, abs=0.01)
    red = torch.cat([gray[:, :1], 0 * gray[:, :2]], 1)  # a third of it is gray
    assert features.color_selectivity(5 * red).tolist() == pytest.approx([2 / 3] * 4)


def test_columns_that_share_the_colors_or_not():
    apart = torch.cat([torch.zeros(48), torch.ones(48)])
    difference, by_chance = measures.column_difference(apart)
    assert difference == 1 and 0.05 < by_chance < 0.12  # sqrt(2/pi) / sqrt(96), about 0.08
    mixed = torch.tensor([0.0, 1.0]).repeat(48)
    assert measures.column_difference(mixed)[0] == 0


def test_how_often_a_random_deal_is_as_far_apart():
    apart = torch.cat([torch.zeros(4), torch.ones(4)])
    # Of 8 choose 4 deals, two.
    assert measures.permutation_p_value(apart) == pytest.approx(2 / 70, abs=0.01)
    assert measures.permutation_p_value(torch.tensor([0.0, 1.0]).repeat(4)) == 1  # none is nearer
    assert measures.permutation_p_value(apart) == measures.permutation_p_value(1 - apart.flip(0))


def test_no_recorded_run_parts_the_colors():
    """As notebook 12 says."""
    runs = course.runs("C14", "imagenette")["the columns"]
    assert len(runs) > 1
    for run in runs:
        index = torch.tensor(run["color"]["selectivity"])
        assert measures.permutation_p_value(index) > 0.05
        for half in index.chunk(2):  # gray and color in both columns
            assert half.min() < 0.2 and half.max() > 0.8


def test_responses_are_those_of_the_layer(net, data):
    images = data.splits["val"].images
    x = net.augment.view(images, range(10))
    with torch.no_grad():
        conv2 = run_until(net.model.features, "conv2", x)
    torch.testing.assert_close(features.responses(net, images, "conv2", batch_size=4), conv2)
    units = net.model.classifier.fc7.out_features
    assert features.responses(net, images, "act7").shape == (10, units)
    with pytest.raises(UserError, match="no layer 'conv9' here: use one of pad, conv1"):
        features.responses(net, images, "conv9")


def test_bf16_nets_are_looked_into_as_they_are_trained(net, data):
    half = Trainer(dataclasses.replace(net.config, precision="bf16"), data, progress=False)
    half.model.load_state_dict(net.model.state_dict())
    images = data.splits["val"].images
    for layer in ("conv2", "act7"):
        exact, ours = (features.responses(n, images, layer) for n in (net, half))
        assert ours.dtype == torch.float32
        assert (ours - exact).norm() < 0.02 * exact.norm()
    train = data.splits["train"]
    assert measures.retrieval(half, train, train, count=1)["pixels"] == 1.0
    assert len(features.top_patches(half, images, "conv3", [1], count=2)[1]) == 2


def run_until(parts, last, x):
    for name, part in parts.named_children():
        x = part(x)
        if name == last:
            return x


@pytest.mark.parametrize("pool", [(3, 2), (2, 2)])
@pytest.mark.parametrize("layer, place", [("conv1", 3), ("pool1", 2), ("conv2", 0), ("conv2", 3),
                                          ("conv3", 1), ("conv5", 2), ("pool3", 0)])
def test_a_receptive_field_is_where_the_gradient_is(pool, layer, place):
    net = AlexNet(2, input_size=115, width=0.03, lrn=False, pool=pool, activation="tanh",
                  hidden_bias=0.0).double().eval()
    found = torch.zeros(115, 115, dtype=torch.bool)
    for i in range(8):  # max pooling looks at one place of each window: many tries find all
        noise = torch.randn(1, 3, 115, 115, dtype=torch.float64, generator=torch.Generator()
                            .manual_seed(i)).requires_grad_()
        out = run_until(net.features, layer, noise)
        place = min(place, out.shape[-1] - 1)
        [g] = torch.autograd.grad(out[0, :, place, place].sum(), noise)
        found |= g[0].abs().sum(0) > 0
    rows, columns = found.any(1).nonzero()[:, 0], found.any(0).nonzero()[:, 0]
    box = features.field(net, layer).box(place, place, 115)
    slack = 0 if layer == "conv1" else 4  # pixels that no maximum happened to come from
    for low, high, seen in ((box[0], box[2], rows), (box[1], box[3], columns)):
        assert low <= seen.min() <= low + slack and high - slack <= seen.max() + 1 <= high


@pytest.mark.parametrize("pool", [(3, 2), (2, 2)])
@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "pool2", "conv3", "pool3"])
@pytest.mark.parametrize("place", [0, 3])
def test_a_field_through_average_pooling_is_where_the_gradient_is(pool, layer, place):
    net = CifarNet(input_size=64, lrn=False, pool=pool, activation="tanh").double().eval()
    found = torch.zeros(64, dtype=torch.bool)
    for i in range(4):
        noise = torch.randn(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator()
                            .manual_seed(i)).requires_grad_()
        out = run_until(net.features, layer, noise)
        [g] = torch.autograd.grad(out[0, :, place, place].sum(), noise)
        found |= g[0].abs().sum((0, 2)) > 0
    rows = found.nonzero()[:, 0]
    top, _, bottom, _ = features.field(net, layer).box(place, place, 64)
    assert (top, bottom) == (rows.min(), rows.max() + 1)


def test_fields_of_the_cifar_net():
    assert features.field(CifarNet(), "conv3") == features.Field(35, 4, -14)
    assert features.field(CifarNet().features, "pool3") == features.Field(43, 8, -14)


def test_fields_of_the_papers_net():
    net = AlexNet(2, width=0.03)
    sizes = {layer: features.field(net, layer).size for layer in
             ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3")}
    assert sizes == {"conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99,
                     "conv4": 131, "conv5": 163, "pool3": 195}
    with pytest.raises(UserError, match="no layer of the convolutions"):
        features.field(net, "fc6")


def test_a_norm_within_maps_reaches_little_beyond_the_field():
    net = course.trained()  # what notebook 12 says of it
    photo = course.photographs(net.config.stored_size)["cat"]
    x = net.augment.view(photo[None], [0]).requires_grad_()
    out = run_until(net.model.features, "conv3", x)[0, :, 6, 6]
    [g] = torch.autograd.grad(out.abs().sum(), x)
    strength = g[0].abs().sum(0)
    reached = strength.sum(1).nonzero()
    top, left, bottom, right = features.field(net.model, "conv3").box(6, 6, 227)
    assert (bottom - top, reached.max() + 1 - reached.min()) == (99, 131)
    assert 0 < 1 - strength[top:bottom, left:right].sum() / strength.sum() < 0.05


def test_top_patches_by_brute_force(net, data):
    images = data.splits["train"].images
    found = features.top_patches(net, images, "conv3", [0, 5], count=3, batch_size=7)
    whole = features.responses(net, images, "conv3")
    crops = features.center(net, images, range(len(images)))
    for unit in (0, 5):
        strongest = whole[:, unit].flatten(1).max(1)
        order = strongest.values.argsort(descending=True)[:3]
        assert [p.index for p in found[unit]] == order.tolist()
        for patch in found[unit]:
            assert patch.response == pytest.approx(strongest.values[patch.index].item())
            top, left, bottom, right = patch.box
            assert np.array_equal(patch.whole, crops[patch.index])
            assert np.array_equal(patch.pixels, crops[patch.index][top:bottom, left:right])
    assert len(features.top_patches(net, images[:2], "conv1", [0])[0]) == 2


def test_units_are_chosen_that_vary_and_answer(net, data):
    strongest = torch.tensor([[5.0, -1, 1, 0], [5, -3, 9, 0], [5, -2, 4, 2]])
    assert features.most_variable_units(strongest, 4) == [2, 3, 0]
    assert features.most_variable_units(strongest, 1) == [2]
    images = data.splits["val"].images
    answers = features.responses(net, images, "conv3").relu().amax((2, 3))
    assert list(features.top_patches(net, images, "conv3", 3, count=2)) == (
        answers.std(0).topk(3).indices.tolist())  # as notebook 12 chooses them


@pytest.mark.parametrize("layer, units, told", [
    ("conv1", [99], "conv1 has 10 maps, 0 to 9: there is no 99"),
    ("pool1", [99], "pool1 has 10 maps, 0 to 9: there is no 99"),
    ("pad", [2, 3], "pad has 3 maps, 0 to 2: there is no 3"),
    ("lrn1", [-1], "lrn1 has 10 maps, 0 to 9: there is no -1"),
    ("conv1", [], "no map of conv1 is given: name one or more of 0 to 9")])
def test_maps_that_a_layer_has_not_are_refused(net, data, layer, units, told):
    with pytest.raises(UserError, match=told):
        features.top_patches(net, data.splits["val"].images, layer, units)


def test_the_convolutions_of_a_net(net):
    assert features.convolutions(net) == [f"conv{i}" for i in range(1, 6)]
    small = dataclasses.make_dataclass("Net", ["model"])(CifarNet().features)
    assert features.convolutions(small) == ["conv1", "conv2", "conv3"]


def test_top_patches_of_a_layer_without_a_field_are_refused_at_once(net, data, monkeypatch):
    monkeypatch.setattr(features, "responses", lambda *args: pytest.fail("the work has begun"))
    with pytest.raises(UserError, match="'fc6' is no layer of the convolutions"):
        features.top_patches(net, data.splits["train"].images, "fc6", [0])


def test_images_of_another_size_are_refused(net):
    small = np.zeros((2, 64, 64, 3), np.uint8)
    for look in (lambda: features.center(net, small, [0]),
                 lambda: features.responses(net, small, "conv1")):
        with pytest.raises(UserError, match="are 64 px, .* stored at 72 px"):
            look()


def test_nearest_and_precision_by_hand():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert features.nearest(points, torch.tensor([[2.9], [0.4]]), 2).tolist() == [[2, 1], [0, 1]]
    assert features.nearest(points, points, 1, itself=False).tolist() == [[1], [0], [1], [2]]
    found = torch.tensor([[2, 1], [0, 1]])
    assert measures.precision([0, 0, 1, 1], found, [1, 0]) == 0.75


def test_retrieval_of_images_by_themselves(net, data):
    train = data.splits["train"]
    found = measures.retrieval(net, train, train, count=1)
    assert found == {"features": 1.0, "pixels": 1.0}


# Figures.


@pytest.fixture
def picture():
    yield np.zeros((67, 67, 3), np.uint8)
    plt.close("all")


def shown(figure):
    """(pictures in the panel, its title) of each panel that has some."""
    return [(len(axes.images), axes.get_title() or axes.get_title("left"))
            for axes in figure.axes if axes.images]


def test_figures_of_kernels_and_maps(picture):
    figure = figures.kernels(torch.randn(10, 3, 5, 5), 2, torch.linspace(0, 0.9, 10))
    assert shown(figure) == [(1, "column 1: color 20% of the energy"),
                             (1, "column 2: color 70% of the energy")]
    figure = figures.maps(picture, {"conv1": torch.rand(20, 5, 5), "fc6": torch.rand(70)})
    assert [title for _, title in shown(figure)] == [
        "what the net sees", "conv1: 12 of 20 maps, 5 x 5", "fc6: all 70 units"]
    units = figure.axes[-1].images[0].get_array()
    assert units.shape == (2, 35)
    assert figures.band(np.arange(7.0), 2).shape == (2, 4)  # the last place is empty


def test_a_figure_of_patches_frames_what_the_unit_sees(net, data, picture):
    found = features.top_patches(net, data.splits["val"].images, "conv2", [0, 4], count=3)
    figure = figures.patches(found, "conv2")
    assert len(shown(figure)) == 2 * (1 + 3)
    for line, (unit, row) in zip((figure.axes[:4], figure.axes[4:]), found.items(), strict=True):
        assert line[0].texts[0].get_text() == f"map {unit}"
        assert line[0].images[0].get_array().shape == (67, 67, 3)
        top, left, bottom, right = row[0].box
        frame = line[0].patches[-1]
        assert frame.get_xy() == (left - 0.5, top - 0.5)
        assert (frame.get_width(), frame.get_height()) == (right - left, bottom - top)
        assert not line[1].patches
    mute = {2: [dataclasses.replace(patch, response=0.0) for patch in found[0]]}
    assert figures.patches(mute, "conv2").axes[0].texts[0].get_text() == "map 2\n(silent)"


def test_figures_of_fields_answers_and_likeness(picture):
    [axes] = figures.placed(picture, {"conv1": (20, 20, 31, 31), "conv2": (0, 0, 51, 51)}).axes
    assert axes.get_xlabel() == axes.get_ylabel() == "pixel"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["conv1: 11 pixels",
                                                                     "conv2: 51 pixels"]
    figure = figures.looked_at([picture] * 2, ["church", "fish"],
                               {"occlusion": -np.ones((2, 67, 67)),
                                "Grad-CAM": np.ones((2, 67, 67))})
    assert shown(figure) == [(1, "church"), (2, "occlusion"), (2, "Grad-CAM"), (1, "fish"), (2, ""),
                             (2, "")]
    figure = figures.alike(np.zeros((2, 8, 8, 3)), np.zeros((5, 8, 8, 3)),
                           {"by features": np.eye(2, dtype=int), "by pixels": np.eye(2, dtype=int)})
    assert shown(figure) == [(1, "asked"), (1, "by features"), (1, "by pixels")]


def test_figures_of_what_a_first_layer_learned(picture):
    kernels = torch.randn(96, 3, 11, 11)
    figure = figures.sheets({"trained": kernels, "learned": kernels})
    assert shown(figure) == [(1, "trained"), (1, "learned")]
    assert figure.axes[0].images[0].get_array().shape == (4 * 12 + 1, 24 * 12 + 1, 3)
    [axes] = figures.film({0: 0 * kernels[:5], 2000: kernels[:5]}).axes
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0", "2,000"]
    gray, last = (axes.images[0].get_array()[1:12, x:x + 11] for x in (1, 13))
    assert np.ptp(gray) == 0 and np.abs(last - 0.5).max() == pytest.approx(0.5)
    [axes] = figures.fine_detail({"a": [0.2, 0.4], "b": [0.1, 0.1]}).axes
    assert {"a\n(mean 30%)", "b\n(mean 10%)"} == {t.get_text() for t in axes.texts}
    [axes] = figures.forgetting([0.1, 0.5], [2.0, 0.9], 0.886).axes
    assert "0.886" in axes.get_legend().get_texts()[0].get_text()
    figure = figures.gallery({"one": [picture] * 3, "two": [picture]}, "all")
    assert len(shown(figure)) == 4 and figure.get_suptitle() == "all"
    [axes] = figures.nine_places(np.linspace(0.1, 0.9, 9).reshape(3, 3), "error").axes
    assert [t.get_text() for t in axes.texts][::4] == ["10.0%", "50.0%", "90.0%"]
    for made in map(plt.figure, plt.get_fignums()):
        assert len(made.alt) > 20


def test_colors_by_net_show_each_kernel_and_the_columns_means(picture):
    nets = {"first": np.array([0.1, 0.3, 0.6, 1.0]), "second": np.array([0.2, 0.4, 0.5, 0.7])}
    figure = figures.colors_by_net(nets, {"first": 0.62, "second": 0.048})
    [axes] = figure.axes
    dots = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    assert sorted(y for line in dots for y in line.get_ydata()) == pytest.approx(
        sorted(100 * np.concatenate(list(nets.values()))))
    means = [line.get_ydata()[0] for line in axes.lines if line.get_marker() == "None"
             and len(line.get_ydata())]
    assert means == pytest.approx([20, 80, 30, 60])
    assert [t.get_text() for t in axes.get_xticklabels()] == [
        "first\n62% of deals as far apart", "second\n5% of deals as far apart"]


# Widgets.


def test_a_widget_has_labels_a_text_and_limits(picture):
    drawn = []

    def draw(layer, unit):
        drawn.append((layer, unit))
        return plt.figure(figsize=(1, 1))

    board = widgets.explore(draw, 'What "excites" a map', layer=(["conv1", "conv2"], "conv2"),
                            unit=(0, 9, 1, 7),
                            most={"unit": lambda layer: {"conv1": 3, "conv2": 9}[layer]})
    shown = board._repr_mimebundle_()  # by a page that has a kernel, and by one that has none
    assert len(shown) == 2 and shown["text/plain"] == widgets.Controls.words
    layer, unit, image = board.children
    assert [layer.description, unit.description] == ["layer", "unit"]
    assert 'alt="What &quot;excites&quot; a map: layer conv2, unit 7"' in image.value
    assert re.search('src="data:image/png;base64,[^"]{100}', image.value)
    layer.value = "conv1"
    assert (unit.max, unit.value) == (3, 3) and "layer conv1, unit 3" in image.value
    layer.value = "conv2"
    assert (unit.max, unit.value) == (9, 3)
    assert drawn == [("conv2", 7), ("conv1", 3), ("conv2", 3)]  # each state once
    assert not plt.get_fignums()
