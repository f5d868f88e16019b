"""The nets: AlexNet in two variants, and cuda-convnet's small nets for CIFAR-10.

"paper" follows the printed text; "2012" follows run #145 of the original source, the run whose
errors the paper reports (layers/layers-145.cfg, layers/layer-params-145.cfg). torchvision's
AlexNet is a third net, from 2014. Inputs are RGB values of 0-255 less the mean, not divided by
anything: the initialization and the response normalization are made for that scale.
"""

import math
from collections import OrderedDict
from typing import cast, get_type_hints

import torch
import torch.fx
from torch import Tensor, nn

from alexnet_lib.choices import VARIANTS, check_values
from alexnet_lib.errors import UserError
from alexnet_lib.layers import (
    Conv2d,
    Dropout,
    GroupedLinear,
    LocalResponseNorm,
    MaxPool,
    Pad,
    SpatialResponseNorm,
)
from alexnet_lib.probe import probe

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
# Standard deviation of the first weights and value of the first biases, layer by layer
# (paper, section 5; layers-145.cfg, initW and initB).
BIAS_ONE = ("conv2", "conv4", "conv5", "fc6", "fc7")
WIDER_INIT = ("conv3", "conv4", "conv5")
# Inputs of a unit in the paper's own net, by layer.
FAN_IN = {"conv1": 363, "conv2": 1200, "conv3": 2304, "conv4": 1728, "conv5": 1728, "fc6": 9216,
          "fc7": 4096, "fc8": 4096}


def pooled(size: int, pool: tuple[int, int]) -> int:
    """Side of a pooled map by the ceil rule (layer.py:1164); size and result in pixels."""
    window, stride = pool
    return math.ceil((size - window) / stride) + 1


def _unpooled(size: int, pool: tuple[int, int]) -> int:
    """The smallest side that `pooled` does not make smaller than `size`."""
    window, stride = pool
    return window + stride * (size - 2) + 1


def alexnet_sizes(input_size: int, pool: tuple[int, int] = (3, 2),
                  omit_layer: str | None = None) -> dict[str, int]:
    """Side of each layer's output for an input side, in pixels, before anything is built.

    227 and 224 give conv1 55, pool1 27, conv2 27, pool2 13, conv3-5 13, pool3 6. A layer that is
    left out passes its input on; without conv1, conv2 takes its stride of 4 and its padding of 0.
    Sizes below 1 mean that the input is too small.
    """
    shrink = 2 if pool == (2, 2) else 0  # run #147 pads less (layers-147.cfg:69,195)
    conv1 = input_size if omit_layer == "conv1" else 1 + math.ceil((input_size - 11) / 4)
    pool1 = pooled(conv1, pool)
    conv2 = pool1 if omit_layer == "conv2" else pool1 - shrink
    if omit_layer == "conv1":
        conv2 = (pool1 - 5) // 4 + 1
    pool2 = pooled(conv2, pool)
    conv5 = pool2 if omit_layer == "conv5" else pool2 - shrink
    return {"conv1": conv1, "pool1": pool1, "conv2": conv2, "pool2": pool2, "conv3": pool2,
            "conv4": pool2, "conv5": conv5, "pool3": pooled(conv5, pool)}


def smallest_input(pool: tuple[int, int] = (3, 2)) -> int:
    """The smallest input side of AlexNet, in pixels, whose every map is at least 1x1."""
    shrink = 2 if pool == (2, 2) else 0  # as in `alexnet_sizes`
    pool2 = _unpooled(1, pool) + shrink
    pool1 = _unpooled(pool2, pool) + shrink
    return _unpooled(_unpooled(pool1, pool), (11, 4))


def _not_scriptable(net: nn.Module):
    """What `torch.jit.script` asks for first."""
    raise UserError("torch.jit.script cannot compile this net: use torch.jit.trace(net.eval(), x), "
                    "or torch.export.export")


class AlexNet(nn.Module):
    """The net of Krizhevsky, Sutskever and Hinton, 2012; every choice of theirs an argument.

    The arguments are fields of `choices.NetConfig`, which describes them. The variant is "paper"
    (LRN after the ReLU, alpha as printed, initial weights of std 0.01 everywhere) or "2012" (LRN
    before the first ReLU, alpha divided by n, a spatial norm after the second LRN, std 0.03 in
    conv3-5). Both normalize over the channels of one column, as the program does; the text's N is
    all of the layer's. Both take 227 pixels unless told otherwise; text and program have 224, which
    the net pads to the same 55 positions. In a net of other widths `initialize` scales the std.

    The parts are `features` (the convolutions) and `classifier`; layers are named as in the
    paper: conv1 ... conv5, fc6, fc7, fc8. Raises UserError for an unknown or impossible choice.
    """

    __prepare_scriptable__ = _not_scriptable

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, input_size: int = 227,
                 variant: str = "paper", columns: int = 2, activation: str = "relu",
                 lrn: bool = True, pool: tuple[int, int] = (3, 2), dropout: float = 0.5,
                 channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256),
                 width: float = 1.0, init: str | None = None, hidden_bias: float = 1.0,
                 omit_layer: str | None = None, hidden: int = 4096,
                 connect_columns: bool = True):
        check_values(locals(), get_type_hints(AlexNet.__init__), "alexnet")
        super().__init__()
        pool = pool[0], pool[1]
        if input_size < smallest_input(pool):
            raise UserError(f"input size {input_size} is too small for AlexNet: "
                            f"use {smallest_input(pool)} or more")
        self.variant, self.columns, self.input_size = variant, columns, input_size
        self.in_channels, self.num_classes = in_channels, num_classes
        channels = [_scaled(n, width, columns) for n in channels]
        hidden, act = _scaled(hidden, width, columns), ACTIVATIONS[activation]
        self.features: nn.Sequential = self._convolutions(
            channels, act, pool, lrn, omit_layer, connect_columns)
        last = alexnet_sizes(input_size, pool, omit_layer)["pool3"]
        inputs = channels[3 if omit_layer == "conv5" else 4] * last * last
        self.classifier = self._full_layers(inputs, hidden, act, dropout, connect_columns)
        initialize(self, init or variant, hidden_bias)

    def _convolutions(self, channels, act, pool, lrn, omit_layer, connect_columns) -> nn.Sequential:
        """conv1 to pool3, with what stands between them."""
        less, columns = pool == (2, 2), self.columns
        pool1 = ("pool1", MaxPool(*pool))
        if omit_layer == "conv1":  # and what belongs to it; conv2, now the first, takes its place
            layers: list[tuple[str, nn.Module]] = [pool1]
            inputs, stride, padding, groups = self.in_channels, 4, 0, 1
        else:
            norm1 = self._norm(1, channels[0]) if lrn else []
            # Where the ReLU stands matters only for lrn1: ReLU and max pooling commute.
            first = ([*norm1, pool1, ("act1", act())] if self.variant == "2012"
                     else [("act1", act()), *norm1, pool1])
            layers = [("pad", Pad(self.input_size, 11, 4)),
                      ("conv1", nn.Conv2d(self.in_channels, channels[0], 11, 4)), *first]
            inputs, stride, padding, groups = channels[0], 1, 2 - less, columns
        if omit_layer != "conv2":
            layers += [("conv2", Conv2d(inputs, channels[1], 5, stride, padding, groups=groups)),
                       ("act2", act())]
            inputs = channels[1]
        norm2 = self._norm(2, inputs) if lrn and omit_layer != "norm2" else []
        layers += [*norm2, ("pool2", MaxPool(*pool))]
        for i, padding, groups in ((3, 1, 1 if connect_columns else columns), (4, 1, columns),
                                   (5, 1 - less, columns)):
            if omit_layer != f"conv{i}":
                layers += [(f"conv{i}", Conv2d(inputs, channels[i - 1], 3, padding=padding,
                                               groups=groups)),
                           (f"act{i}", act())]
                inputs = channels[i - 1]
        return nn.Sequential(OrderedDict([*layers, ("pool3", MaxPool(*pool))]))

    def _norm(self, place: int, channels: int) -> list[tuple[str, nn.Module]]:
        """Across maps after conv1 and conv2; in 2012, after conv2 within each map as well."""
        alpha = 1e-4 if self.variant == "paper" else 1e-4 / 5
        across = f"lrn{place}", LocalResponseNorm(channels, 5, alpha, columns=self.columns)
        within = "spatial2", SpatialResponseNorm()
        return [across, within] if self.variant == "2012" and place == 2 else [across]

    def _full_layers(self, inputs, hidden, act, dropout, connect_columns) -> nn.Sequential:
        """fc6 to fc8; only fc8 sees both columns where they never talk."""
        groups = 1 if connect_columns else self.columns
        return nn.Sequential(OrderedDict([
            ("flatten", nn.Flatten()),
            ("fc6", _full(inputs, hidden, groups)),
            ("act6", act()),
            ("drop6", Dropout(dropout)),
            ("fc7", _full(hidden, hidden, groups)),
            ("act7", act()),
            ("drop7", Dropout(dropout)),
            ("fc8", nn.Linear(hidden, self.num_classes)),
        ]))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, input_size, input_size), 0-255 less the mean -> (batch, classes).

        The results are logits: softmax is part of the loss.
        """
        return self.classifier(self.features(_checked_input(self, x)))


class CifarNet(nn.Module):
    """The small nets that cuda-convnet came with, three convolutions and one full layer.

    variant "18pct" reached 18% error on CIFAR-10 (example-layers/layers-18pct.cfg): max, then
    two average poolings, ceil rule 32 -> 16 -> 8 -> 4, and normalization within each map, over
    3 x 3 pixels (`type=rnorm`). "cross-map" is the same with the paper's kind of normalization,
    here over 3 neighboring maps. "four-layer" is without normalization and without weight decay:
    the paper says of the net of its Fig. 1 only that it has four layers and no regularization.
    pool: (window, stride); at 32 pixels (2, 2) gives maps of the same sizes.

    Input (batch, in_channels, input_size, input_size), 0-255 less the mean; returns logits.
    Raises UserError for an unknown choice, or an input that the poolings leave nothing of: below
    8 pixels with the usual `pool`.
    """

    __prepare_scriptable__ = _not_scriptable

    def __init__(self, num_classes: int = 10, in_channels: int = 3, input_size: int = 32,
                 variant: str = "18pct", activation: str = "relu", lrn: bool | None = None,
                 init: str | None = None, pool: tuple[int, int] = (3, 2)):
        check_values(locals(), get_type_hints(CifarNet.__init__), "cifar")
        super().__init__()
        smallest = _unpooled(_unpooled(_unpooled(1, pool), pool), pool)
        if input_size < smallest:
            raise UserError(f"input size {input_size} is too small for CifarNet: "
                            f"use {smallest} or more")
        self.variant, self.input_size = variant, input_size
        self.in_channels, self.num_classes = in_channels, num_classes
        act = ACTIVATIONS[activation]
        lrn = variant != "four-layer" if lrn is None else lrn

        def norm(i: int) -> list[tuple[str, nn.Module]]:
            if not lrn:
                return []
            # Scale 5e-5 (layers-18pct.cfg) over 9 pixels, or 3 maps; k is the default 1.
            return [(f"lrn{i}", SpatialResponseNorm(3, 5e-5 / 9) if variant == "18pct"
                     else LocalResponseNorm(32, 3, 5e-5 / 3, k=1.0))]

        def average() -> nn.AvgPool2d:
            # There is no padding to count, but old versions of onnxruntime count what is cut off.
            return nn.AvgPool2d(*pool, ceil_mode=True, count_include_pad=False)

        self.features = nn.Sequential(OrderedDict([
            ("conv1", nn.Conv2d(in_channels, 32, 5, padding=2)),
            ("pool1", MaxPool(*pool)),
            ("act1", act()),
            *norm(1),
            ("conv2", nn.Conv2d(32, 32, 5, padding=2)),
            ("act2", act()),
            ("pool2", average()),
            *norm(2),
            ("conv3", nn.Conv2d(32, 64, 5, padding=2)),
            ("act3", act()),
            ("pool3", average()),
        ]))
        side = input_size
        for _ in range(3):
            side = pooled(side, pool)
        self.classifier = nn.Sequential(OrderedDict([
            ("flatten", nn.Flatten()), ("fc10", nn.Linear(64 * side * side, num_classes))]))
        initialize(self, init or "cifar")

    @property
    def weight_decay(self) -> dict[str, float]:
        """Weight decay by layer name, where the original files set it (layer-params-18pct.cfg)."""
        if self.variant == "four-layer":
            return dict.fromkeys(("conv1", "conv2", "conv3", "fc10"), 0.0)
        return {"conv1": 0.004, "conv2": 0.004, "conv3": 0.004, "fc10": 1.0}

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, input_size, input_size), 0-255 less the mean -> (batch, classes)."""
        return self.classifier(self.features(_checked_input(self, x)))


def initialize(model: nn.Module, how: str, hidden_bias: float = 1.0) -> None:
    """Draw Gaussian weights and set constant biases, as `how` says, from torch's generator.

    "paper": std 0.01 everywhere (section 5). "2012": 0.03 in conv3-5 (layers-145.cfg). Both set
    the biases of conv2, conv4, conv5, fc6 and fc7 to `hidden_bias`, and both are made for the
    sizes of the paper's net. In a smaller or larger one, a layer's std is multiplied by the
    square root of (the paper's inputs per unit / its own), so that its units start as loud as
    the paper's.
    "cifar": 1e-4 in conv1, else 0.01, biases 0 (layers-18pct.cfg). "he": sqrt(2 / inputs per
    unit), biases 0.
    """
    for path, layer in model.named_modules():
        if not isinstance(layer, (nn.Conv2d, nn.Linear, GroupedLinear)):
            continue
        name, inputs = path.rsplit(".", 1)[-1], layer.weight[0].numel()
        if how == "he":
            std = math.sqrt(2 / inputs)
        elif how == "cifar":
            std = 1e-4 if name == "conv1" else 0.01
        else:
            std = 0.03 if how == "2012" and name in WIDER_INIT else 0.01
            std *= math.sqrt(FAN_IN[name] / inputs)
        nn.init.normal_(layer.weight, std=std)
        old = how in VARIANTS["alexnet"]
        nn.init.constant_(layer.get_parameter("bias"), hidden_bias * (old and name in BIAS_ONE))


def layer_table(model: nn.Module) -> list[dict]:
    """One row for each layer that computes: what it makes and what it costs, for one image.

    Returns rows with `name`, `kind`, `output` (shape without the batch), `units` (elements of
    the output), `params`, `macs` (multiply-adds of convolutions and full layers) and `bytes` (of
    the output in fp32). Measured by sending zeros through the net, not by a formula.
    """
    def row(layer, inputs, output) -> dict:
        weight = getattr(layer, "weight", None)
        places = output[0, 0].numel() if output.dim() == 4 else 1
        return {"kind": type(layer).__name__, "output": tuple(output.shape[1:]),
                "units": output[0].numel(), "params": sum(p.numel() for p in layer.parameters()),
                "macs": 0 if weight is None else weight.numel() * places,
                "bytes": output[0].numel() * 4}

    layers = {path: layer for path, layer in model.named_modules() if not list(layer.children())}
    was_training, reference = model.training, next(model.parameters())
    try:
        with torch.no_grad(), probe(layers, row) as rows:
            side = cast(int, model.input_size)
            model.eval()(torch.zeros(1, cast(int, model.in_channels), side, side,
                                     device=reference.device, dtype=reference.dtype))
    finally:
        model.train(was_training)
    return [{"name": path.rsplit(".", 1)[-1], **row} for path, row in rows.items()]


def _full(inputs: int, outputs: int, groups: int) -> nn.Module:
    return nn.Linear(inputs, outputs) if groups == 1 else GroupedLinear(inputs, outputs, groups)


def _scaled(channels: int, width: float, columns: int) -> int:
    """`maps` times `width`, rounded to a multiple of the columns, at least one map each."""
    return max(1, round(channels * width / columns)) * columns


def _checked_input(model: nn.Module, x: Tensor) -> Tensor:
    """x, in the precision of the weights where no autocast sees to that."""
    if isinstance(x, torch.fx.Proxy) or torch.jit.is_tracing():
        return x  # while these record a graph, a shape is no number that could be compared
    expected = (model.in_channels, model.input_size, model.input_size)
    if x.dim() != 4 or tuple(x.shape[1:]) != expected:
        raise UserError(f"the net takes (batch, {', '.join(map(str, expected))}), but got "
                        f"{tuple(x.shape)}: crop or resize, or build it with another input_size")
    own = next(model.parameters()).dtype
    if x.dtype == own or not x.is_floating_point() or torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(own)
