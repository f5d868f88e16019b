"""The nets against the paper's counts, the 2012 source, and nets built another way."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alexnet_lib.errors import UserError
from alexnet_lib.models import (
    AlexNet,
    CifarNet,
    alexnet_sizes,
    initialize,
    layer_table,
    smallest_input,
)


def sizes(model):
    return {row["name"]: row["output"] for row in layer_table(model)}


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return AlexNet(10, input_size=67, width=0.125, variant="2012")


def test_silent_columns_meet_in_fc8_alone(small):
    torch.manual_seed(0)
    net = AlexNet(10, input_size=67, width=0.125, variant="2012", connect_columns=False).eval()
    x, seen = torch.randn(2, 3, 67, 67) * 60, []
    net.classifier.fc7.register_forward_hook(lambda layer, given, out: seen.append(out))
    with torch.no_grad():
        before = net(x)
        net.features.conv1.weight[6:] += 1  # the second column's kernels
        after = net(x)
    half = net.classifier.fc7.weight.shape[0] // 2
    assert torch.equal(seen[0][:, :half], seen[1][:, :half])
    assert not torch.equal(seen[0][:, half:], seen[1][:, half:])
    assert not torch.equal(before, after)
    assert sum(p.numel() for p in net.parameters()) < sum(p.numel() for p in small.parameters())


def test_without_the_norms_over_conv2():
    names = [[name for name, _ in AlexNet(2, input_size=67, width=0.02, variant="2012",
                                          omit_layer=without).features.named_children()]
             for without in (None, "norm2")]
    assert [name for name in names[0] if name not in names[1]] == ["lrn2", "spatial2"]


@pytest.mark.parametrize("variant", ["paper", "2012"])
def test_parameters_of_the_two_column_net(variant):
    with torch.device("meta"):
        model = AlexNet(variant=variant)
    assert sum(p.numel() for p in model.parameters()) == 60_965_224


def test_it_is_not_torchvisions_net():
    from torchvision.models import alexnet
    with torch.device("meta"):
        assert sum(p.numel() for p in alexnet().parameters()) == 61_100_840


@pytest.mark.parametrize("input_size", [224, 227])
def test_sizes_and_units_of_the_source(input_size):
    table = sizes(AlexNet(1000, input_size=input_size))
    assert [table[name][-1] for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4",
                                         "conv5", "pool3")] == [55, 27, 27, 13, 13, 13, 13, 6]
    units = {name: torch.Size(shape).numel() for name, shape in table.items()
             if name.startswith(("conv", "fc"))}
    assert units["conv1"] == 290_400  # Fig. 2 says 253,440
    assert sum(units.values()) == 659_272
    assert sum(units.values()) - 290_400 + 253_440 == 622_312


def test_224_is_227_with_three_zeros(small):
    big = AlexNet(10, input_size=227, width=0.125).eval()
    little = AlexNet(10, input_size=224, width=0.125).eval()
    little.load_state_dict(big.state_dict())
    x = torch.randn(2, 3, 224, 224)
    torch.testing.assert_close(little(x), big(F.pad(x, (0, 3, 0, 3))))


def test_windows_beyond_the_edge_use_the_pixels_that_exist():
    """The ceil rule without padding: windows of the pixels that exist, under part of the kernel."""
    net, x = AlexNet(10, input_size=224, width=0.125), torch.randn(3, 224, 224) * 60
    weight, bias = net.features.conv1.weight, net.features.conv1.bias
    with torch.no_grad():
        given = net.features[:2](x[None])[0]
        for row, column in ((0, 0), (54, 20), (7, 54), (54, 54)):
            window = x[:, 4 * row:4 * row + 11, 4 * column:4 * column + 11]
            part = weight[:, :, :window.shape[1], :window.shape[2]]
            torch.testing.assert_close(given[:, row, column],
                                       (part * window).sum((1, 2, 3)) + bias,
                                       rtol=1e-4, atol=1e-3)


def test_non_overlapping_pooling_has_the_sizes_of_run_147():
    table = alexnet_sizes(227, (2, 2))
    assert list(table.values()) == [55, 28, 26, 13, 13, 13, 11, 6]


@pytest.mark.parametrize("pool", [(3, 2), (2, 2)])
def test_predicted_sizes_are_those_of_the_net(pool):
    for size in (smallest_input(pool), smallest_input(pool) + 1, 67, 83, 115, 227):
        table = sizes(AlexNet(2, input_size=size, pool=pool, width=0.02))
        assert {name: table[name][-1] for name in alexnet_sizes(size)} == alexnet_sizes(size, pool)


@pytest.mark.parametrize("pool", [(3, 2), (2, 2), (3, 3), (1, 1), (5, 3), (40, 2)])
def test_the_smallest_input_is_the_smallest(pool):
    size = smallest_input(pool)
    assert min(alexnet_sizes(size, pool).values()) == 1
    assert min(alexnet_sizes(size - 1, pool).values()) < 1
    with torch.device("meta"):
        table = sizes(AlexNet(2, input_size=size, pool=pool))
    assert {name: table[name][-1] for name in alexnet_sizes(size)} == alexnet_sizes(size, pool)


@pytest.mark.parametrize("pool, size", [((3, 2), 8), ((2, 2), 1), ((20, 2), 127)])
def test_the_smallest_cifar_net(pool, size):
    net = CifarNet(input_size=size, pool=pool)
    assert net(torch.zeros(1, 3, size, size)).shape == (1, 10)
    if size > 1:
        with pytest.raises(UserError, match=f"use {size} or more"):
            CifarNet(input_size=size - 1, pool=pool)


def explicit_two_columns(model, x):
    """Run #145 written out as two nets that meet only before conv3 and fc6 (layers-145.cfg)."""
    f, c = model.features, model.classifier

    def conv(layer, inputs, column):
        half = layer.weight.shape[0] // 2
        mine = slice(column * half, (column + 1) * half)
        return F.conv2d(inputs, layer.weight[mine], layer.bias[mine], layer.stride, layer.padding)

    def pool(maps):
        return F.max_pool2d(maps, 3, 2, ceil_mode=True)

    def spatial(maps):
        return maps / (1 + 1e-3 * F.avg_pool2d(maps ** 2, 5, 1, 2)) ** 0.75

    norm = nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)
    columns = [pool(norm(conv(f.conv1, x, i))).relu() for i in (0, 1)]
    columns = [pool(spatial(norm(conv(f.conv2, columns[i], i).relu()))) for i in (0, 1)]
    both = torch.cat(columns, 1)
    columns = [conv(f.conv3, both, i).relu() for i in (0, 1)]
    columns = [conv(f.conv4, columns[i], i).relu() for i in (0, 1)]
    columns = [pool(conv(f.conv5, columns[i], i)).relu() for i in (0, 1)]
    hidden = torch.cat(columns, 1).flatten(1)
    for layer in (c.fc6, c.fc7):
        hidden = F.linear(hidden, layer.weight, layer.bias).relu() * 0.5
    return F.linear(hidden, c.fc8.weight, c.fc8.bias)


def test_2012_net_equals_two_explicit_columns(small):
    x = torch.randn(3, 3, 67, 67) * 70
    torch.testing.assert_close(small.eval()(x), explicit_two_columns(small, x),
                               rtol=1e-4, atol=1e-5)


def test_paper_variant_is_the_printed_order():
    torch.manual_seed(1)
    model = AlexNet(5, input_size=67, width=0.125, columns=1).eval()
    f, c = model.features, model.classifier
    x = torch.randn(2, 3, 67, 67) * 70
    norm = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)  # torch's alpha for the printed formula
    y = F.max_pool2d(norm(F.conv2d(x, f.conv1.weight, f.conv1.bias, 4).relu()), 3, 2)
    y = F.max_pool2d(norm(F.conv2d(y, f.conv2.weight, f.conv2.bias, padding=2).relu()), 3, 2,
                     ceil_mode=True)
    for layer in (f.conv3, f.conv4, f.conv5):
        y = F.conv2d(y, layer.weight, layer.bias, padding=1).relu()
    y = F.max_pool2d(y, 3, 2, ceil_mode=True).flatten(1)
    for layer in (c.fc6, c.fc7):
        y = layer(y).relu() / 2
    torch.testing.assert_close(model(x), c.fc8(y), rtol=1e-4, atol=1e-5)


def test_relu_and_max_pooling_commute_but_lrn_sees_signs():
    """Facts sheet, section 2: the order of ReLU and pooling has no effect, that of LRN has."""
    x = torch.randn(2, 8, 9, 9) * 100
    pool, norm = nn.MaxPool2d(3, 2), nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0)
    assert torch.equal(pool(x).relu(), pool(x.relu()))
    assert not torch.allclose(norm(x).relu(), norm(x.relu()))


@pytest.mark.parametrize("how, conv3, bias", [("paper", 0.01, 1), ("2012", 0.03, 1),
                                              ("he", (2 / 2304) ** 0.5, 0)])
def test_initialization(how, conv3, bias):
    model = AlexNet(10, input_size=67, init=how)
    f, c = model.features, model.classifier
    assert f.conv3.weight.std().item() == pytest.approx(conv3, rel=0.02)
    assert abs(f.conv3.weight.mean().item()) < 1e-3
    if how != "he":
        assert f.conv1.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert c.fc7.weight.std().item() == pytest.approx(0.01, rel=0.02)
    for layer, value in ((f.conv1, 0), (f.conv2, bias), (f.conv3, 0), (f.conv4, bias),
                         (f.conv5, bias), (c.fc6, bias), (c.fc7, bias), (c.fc8, 0)):
        assert (layer.bias == value).all()


@pytest.mark.parametrize("settings", [{"width": 0.25}, {"input_size": 67}, {"in_channels": 1},
                                      {"columns": 1}])
def test_smaller_nets_start_as_loud_as_the_papers(settings):
    """Each unit's input has the variance it would have in the full net."""
    def loudness(model):
        return [float(layer.weight.var() * layer.weight[0].numel()) for layer in model.modules()
                if isinstance(layer, (nn.Conv2d, nn.Linear))]
    torch.manual_seed(0)
    full = [n * 0.01 ** 2 * (9 if i in (2, 3, 4) else 1) for i, n in
            enumerate((363, 1200, 2304, 1728, 1728, 9216, 4096, 4096))]
    other = loudness(AlexNet(100, variant="2012", **{"input_size": 115, **settings}))
    assert other == pytest.approx(full, rel=0.1)


def test_every_innovation_can_be_switched_off():
    def has(model, kind):
        return any(isinstance(layer, kind) for layer in model.modules())
    from alexnet_lib.layers import Dropout, LocalResponseNorm, SpatialResponseNorm
    bare = AlexNet(3, input_size=67, width=0.1, activation="tanh", lrn=False, dropout=0,
                   pool=(2, 2), columns=1, variant="2012")
    assert not has(bare, (nn.ReLU, LocalResponseNorm, SpatialResponseNorm))
    assert all(m.p == 0 for m in bare.modules() if isinstance(m, Dropout))
    assert all(m.groups == 1 for m in bare.modules() if isinstance(m, nn.Conv2d))
    x = torch.randn(1, 3, 67, 67)
    assert torch.equal(bare.train()(x), bare.eval()(x))


@pytest.mark.parametrize("without, change", [
    # conv3 goes, and conv4's kernels see 128 maps of their column instead of 192; and so on.
    # conv2's kernels see the three channels of the image instead of 48 maps; pool3 is 7 x 7.
    ("conv1", -96 * (3 * 121 + 1) + 256 * (3 - 48) * 25 + (49 - 36) * 256 * 4096),
    ("conv2", -256 * (48 * 25 + 1) + 384 * (96 - 256) * 9),
    ("conv3", -384 * (256 * 9 + 1) + 384 * (128 - 192) * 9), ("conv4", -384 * (192 * 9 + 1)),
    ("conv5", -256 * (192 * 9 + 1) + (384 - 256) * 36 * 4096)])
def test_a_convolutional_layer_can_be_left_out(without, change):
    with torch.device("meta"):
        net = AlexNet(omit_layer=without)
    assert sum(p.numel() for p in net.parameters()) == 60_965_224 + change
    assert not hasattr(net.features, without) and not hasattr(net.features, f"act{without[-1]}")
    for pool in ((3, 2), (2, 2)):
        for size in (91, 227):
            small = AlexNet(10, width=0.03, pool=pool, omit_layer=without, input_size=size,
                            variant="2012")
            assert small(torch.zeros(2, 3, size, size)).shape == (2, 10)
            table = {row["name"]: row["output"] for row in layer_table(small)}
            sizes = alexnet_sizes(size, pool, without)
            assert all(table[name][-1] == side for name, side in sizes.items() if name in table)


def test_norms_of_the_cifar_nets():
    """Within each map as in the file, where zeros beyond the border count, or across maps."""
    x = 100 * torch.randn(2, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    within = x / (1 + 5e-5 * F.avg_pool2d(x ** 2, 3, 1, 1)) ** 0.75  # divided by 9 at borders, too
    torch.testing.assert_close(CifarNet().features.lrn1(x), within)
    across = nn.LocalResponseNorm(3, 5e-5, 0.75, 1.0)(x)
    torch.testing.assert_close(CifarNet(variant="cross-map").features.lrn2(x), across)


def test_cifar_nets():
    table = sizes(CifarNet())
    assert [table[f"pool{i}"][-1] for i in (1, 2, 3)] == [16, 8, 4]  # ceil rule, not 15, 7, 3
    assert table["fc10"] == (10,)
    assert sizes(CifarNet(pool=(2, 2))) == table
    plain = sizes(CifarNet(variant="four-layer"))
    assert "lrn1" in table and "lrn1" not in plain
    assert CifarNet().features.conv1.weight.std().item() == pytest.approx(1e-4, rel=0.1)
    assert CifarNet().weight_decay["fc10"] == 1.0


def test_initialize_draws_from_the_seed():
    def drawn():
        torch.manual_seed(3)
        model = CifarNet()
        initialize(model, "he")
        return model.features.conv2.weight
    assert torch.equal(drawn(), drawn())


def test_multiply_adds_by_formula():
    rows = {row["name"]: row for row in layer_table(AlexNet())}
    assert rows["conv1"]["macs"] == 55 * 55 * 96 * 11 * 11 * 3
    assert rows["conv2"]["macs"] == 27 * 27 * 256 * 5 * 5 * 48
    assert rows["conv3"]["macs"] == 13 * 13 * 384 * 3 * 3 * 256
    assert rows["fc6"]["macs"] == 4096 * 6 * 6 * 256


@pytest.mark.parametrize("settings", [{}, {"variant": "2012", "width": 0.5}])
def test_the_table_of_a_net_without_memory(settings):
    with torch.device("meta"):
        net = AlexNet(**settings)
    rows = layer_table(net)
    assert rows == layer_table(AlexNet(**settings))
    with torch.device("meta"):
        assert layer_table(CifarNet()) != []


@pytest.mark.parametrize("make, word", [
    (lambda: AlexNet(omit_layer="conv6"), "conv6"),
    (lambda: AlexNet(pool=(0, 2)), "window and a stride"),
    (lambda: AlexNet(pool=(2, 0)), "window and a stride"),
    (lambda: CifarNet(pool=(2, 3)), "window and a stride"),
    (lambda: AlexNet(input_size=20), "use 36 or more"),
    (lambda: AlexNet(pool=(40, 2)), "too small for AlexNet: use"),
    (lambda: AlexNet(width=-1), "width must be above 0, not -1"),
    (lambda: AlexNet(width=float("inf")), "width must be above 0"),
    (lambda: AlexNet(variant="2014"), "paper or 2012"),
    (lambda: AlexNet(activation="gelu"), "relu or tanh"),
    (lambda: AlexNet(columns=3), "columns must be 1 or 2"),
    (lambda: AlexNet(init="zeros"), "init must be"),
    (lambda: AlexNet(num_classes=0), "1 or more"),
    (lambda: AlexNet(dropout=1), "dropout"),
    (lambda: CifarNet(variant="17pct"), "18pct, cross-map or four-layer"),
    (lambda: CifarNet(init="paper"), "init must be"),
    (lambda: CifarNet(input_size=3), "too small"),
    (lambda: CifarNet()(torch.zeros(1, 3, 33, 33)), "takes"),
    (lambda: CifarNet()(torch.zeros(3, 32, 32)), "takes"),
])
def test_bad_input_is_told_in_one_line(make, word):
    with pytest.raises(UserError, match=word) as error:
        make()
    assert "\n" not in str(error.value)
