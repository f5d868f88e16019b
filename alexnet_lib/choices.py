"""Every choice of a net and of a run, declared once.

A field has a type, a default and, in its metadata, all that others need to know about it (see
`choice`). The options of the command line, the checks of values, of `--init-from` and of
`--resume`, the dashboard and the reference are made from these. To add a choice, add a field and
use it: a choice of the net is an argument of `models.AlexNet`, too.

Nothing here needs torch, so `alexnet train --help` is quick.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

from alexnet_lib.errors import UserError
from alexnet_lib.schema import misfit


class Rule(NamedTuple):
    """The values that pass `test`; `words` describe them."""

    test: Callable[[Any], bool]
    words: str


COUNT = Rule(lambda n: 1 <= n < 2**31, "1 or more, below 2**31")
POSITIVE = Rule(lambda x: 0 < x < math.inf, "above 0")
NOT_NEGATIVE = Rule(lambda x: 0 <= x < math.inf, "0 or more")
FRACTION = Rule(lambda x: 0 <= x <= 1, "from 0 to 1")
PROPER = Rule(lambda x: 0 <= x < 1, "from 0 to less than 1")
NAME = Rule(bool, "")  # not empty
FREE = Rule(lambda _: True, "")  # where it is used, it is checked

# What a choice changes: the function that the convolutions compute, or that the classifier
# computes, in a way that the weights' shapes do not show; or these shapes.
CONVOLUTIONS, CLASSIFIER, SHAPES = "convolutions", "classifier", "shapes"

VARIANTS = {"alexnet": ("paper", "2012"), "cifar": ("18pct", "cross-map", "four-layer")}


def choice(default, help: str, allowed=None, *, changes: str | None = None, needed: bool = False,
           may_change: bool = False, option: bool = True) -> Any:
    """A field of a configuration.

    Args:
        help: what it is, for the command line and the reference.
        allowed: a tuple of values, a `Rule`, or a dict of these by model. A bool needs none.
        changes: `CONVOLUTIONS`, `CLASSIFIER` or `SHAPES`; a net with another value of the first
            two cannot start from the same weights.
        needed: `config.resolve` never leaves it open.
        may_change: a run that is resumed may have another value than before.
        option: `alexnet train` and `alexnet doctor` get their option from here.
    """
    return field(default=default, metadata={
        "help": help, "allowed": allowed, "changes": changes, "needed": needed,
        "may_change": may_change, "option": option})


def describe(one: Field, with_values: bool = True) -> str:
    """One line about a choice: what it is, which values it may have, and its default."""
    values, usual = with_values and _words(one.metadata["allowed"]), one.default
    if isinstance(usual, bool):
        usual = "yes" if usual else "no"
    elif isinstance(usual, tuple):
        usual = " ".join(map(str, usual))
    return (one.metadata["help"] + (f" ({values})" if values else "")
            + ("" if usual is None else f" [{usual}]"))


def named_values(one: Field) -> list[str]:
    """The values of a choice among a few names, whatever the model; empty for other choices."""
    allowed = one.metadata["allowed"]
    tuples = allowed.values() if isinstance(allowed, dict) else [allowed]
    names = [name for values in tuples if isinstance(values, tuple) for name in values]
    return list(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else []


def _words(allowed) -> str:
    if allowed is None or isinstance(allowed, Rule):
        return allowed.words if allowed else ""
    if isinstance(allowed, dict):
        return "; ".join(f"{model}: {_words(values)}" for model, values in allowed.items())
    *most, last = map(str, allowed)
    return f"{', '.join(most)} or {last}"


T = TypeVar("T")


def documented(config: type[T]) -> type[T]:
    """Adds a line about each of its own choices to the docstring of `config`."""
    lines = [f"    {one.name}: {describe(one)}" for one in fields(config)  # type: ignore[arg-type]
             if one.name in config.__annotations__]
    config.__doc__ = "\n".join([inspect.cleandoc(config.__doc__ or ""), "", "Attributes:", *lines])
    return config


@documented
@dataclass(kw_only=True)
class NetConfig:
    """The choices that make a net. None means: the one that fits the net and the data."""

    model: str | None = choice(None, "which net", tuple(VARIANTS), changes=CONVOLUTIONS,
                               needed=True)
    variant: str | None = choice(None, "version of the net", VARIANTS, changes=CONVOLUTIONS,
                                 needed=True)
    num_classes: int | None = choice(None, "outputs of the last layer, as many as the data have "
                                     "classes", COUNT, changes=SHAPES, needed=True)
    in_channels: int = choice(3, "channels of the input; images have 3 (RGB) or 1 (gray)", COUNT,
                              changes=SHAPES)
    input_size: int | None = choice(
        None, "side of the square input in pixels; 224 and 227 give the same sizes, and smaller "
        "inputs a smaller fc6, so experiments are cheaper", COUNT, changes=SHAPES, needed=True)
    columns: int = choice(
        2, "2 as in the paper, where conv2, conv4, conv5 and the norms see their own half of the "
        "channels; 1 joins the halves, which makes a larger net", (1, 2), changes=CONVOLUTIONS)
    activation: str = choice("relu", "activation function (section 3.1)", ("relu", "tanh"),
                             changes=CONVOLUTIONS)
    lrn: bool | None = choice(None, "local response normalization (section 3.3); run #148 had none",
                              changes=CONVOLUTIONS)
    pool: tuple[int, int] = choice(
        (3, 2), "window and stride of pooling: 3 2 overlaps (section 3.4); 2 2 does not and pads "
        "conv2 and conv5 by one less to keep the sizes, as run #147 did",
        Rule(lambda p: 1 <= p[1] <= p[0] < 2**31, "a window and a stride not larger than it"),
        changes=CONVOLUTIONS)
    dropout: float = choice(0.5, "probability of dropping a unit of fc6 and fc7 (section 4.2)",
                            PROPER, changes=CLASSIFIER)
    channels: tuple[int, int, int, int, int] = choice(
        (96, 256, 384, 384, 256), "output channels of conv1 to conv5",
        Rule(lambda channels: all(1 <= n < 2**31 for n in channels), "five numbers of 1 or more"),
        changes=SHAPES)
    width: float | None = choice(None, "factor on the numbers of kernels and hidden units; 1 is "
                                 "the paper's net", POSITIVE, changes=SHAPES)
    init: str | None = choice(
        None, "initialization: paper has std 0.01, 2012 has 0.03 in conv3-5, he has "
        "sqrt(2 / fan-in), which came in 2015; otherwise that of the variant",
        {"alexnet": ("paper", "2012", "he"), "cifar": ("cifar", "he")})
    hidden: int = choice(4096, "units of fc6 and of fc7, where most of the parameters are", COUNT,
                         changes=SHAPES)
    connect_columns: bool = choice(
        True, "the columns meet in conv3, fc6 and fc7; else they stay apart up to fc8, as in run "
        "#150", changes=CONVOLUTIONS)
    hidden_bias: float = choice(
        1.0, "initial biases of conv2, conv4, conv5, fc6 and fc7 (section 5)",
        Rule(math.isfinite, "a finite number"))
    omit_layer: str | None = choice(
        None, "leave out a layer, as in section 7 (without conv3 the columns meet in fc6 only; "
        "without conv1 its ReLU and norm are gone too, and conv2 takes its place), or what "
        "normalizes conv2, as run #167 did", ("conv1", "conv2", "conv3", "conv4", "conv5", "norm2"),
        changes=CONVOLUTIONS)

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, list):  # as JSON has tuples
                setattr(self, name, tuple(value))


@documented
@dataclass
class TrainConfig(NetConfig):
    """All choices of a run: those of `NetConfig`, and these.

    None means: the one that fits the net and the data (`config.resolve`).
    """

    data: str = choice("shapes", "see `alexnet data list`, or folder:PATH", NAME, may_change=True)
    out: str | None = choice(None, "folder for checkpoint and history", NAME, may_change=True,
                             option=False)
    epochs: int | None = choice(None, "passes over the training images", COUNT, needed=True)
    batch_size: int | None = choice(None, "images in a minibatch", COUNT, needed=True)
    lr: float | None = choice(None, "learning rate of the weights", POSITIVE, needed=True)
    momentum: float = choice(0.9, "momentum of the updates", PROPER)
    weight_decay: float | None = choice(None, "weight decay of the update rule", NOT_NEGATIVE)
    bias_lr_factor: float | None = choice(
        None, "learning rate of the biases over that of the weights", NOT_NEGATIVE)
    lr_scheduler: str | None = choice(
        None, "when the learning rate drops",
        ("plateau", "145", "restart", "steps", "cifar", "constant"), needed=True)
    class_weights: str = choice("none", "balanced counts an image of a rare class for more in the "
                                "loss", ("none", "balanced"))
    seed: int = choice(0, "seed of the initial weights and of all that is random in training",
                       Rule(lambda n: 0 <= n < 2**63, "from 0 to 2**63 - 1"))
    stored_size: int | None = choice(
        None, "side in pixels of the stored images, from which the input is cut", COUNT,
        needed=True)
    crop: bool | None = choice(None, "random crops")
    flip: bool | None = choice(None, "random mirror images")
    color: str | None = choice(None, "color noise (section 4.1)", ("none", "paper", "2012"))
    mean_at: str | None = choice(
        None, "which mean is subtracted: each pixel's own, or that of the center from every crop",
        ("pixel", "center"))
    crop_group_size: int | None = choice(
        None, "consecutive images that share crop and mirroring", COUNT)
    input_divisor: float = choice(
        1.0, "divide the inputs by this; 58 gives about unit variance", POSITIVE,
        changes=CONVOLUTIONS)
    color_until: float | None = choice(
        None, "fraction of the run after which the color noise ends, as in the source at epoch 67 "
        "of 91; with --lr-scheduler restart it comes back with the learning rate", FRACTION)
    init_from: str | None = choice(
        None, "file of a trained net, or of its convolutions, to begin with instead of fresh "
        "weights; or torchvision", NAME)
    frozen: bool = choice(False, "keep the convolutions of --init-from; only the classifier learns")
    device: str = choice("auto", "where to compute: auto, cpu, cuda or mps", FREE, may_change=True,
                         option=False)
    precision: str = choice("auto", "precision of the arithmetic", ("auto", "fp32", "bf16"))
    limit: int | None = choice(None, "use only so many training images, for a quick look", COUNT)
    skip_broken: bool = choice(False, "leave broken images out, and list them", option=False)
    until_error: float | None = choice(
        None, "end after the first epoch whose training error is not above this fraction", FRACTION,
        may_change=True)
    early_stop: int | None = choice(
        None, "end after so many epochs without a lower validation error", COUNT, may_change=True)
    save_minutes: float = choice(
        5.0, "longest time between two checkpoints; there is one at an epoch's end, too, unless "
        "writing takes more than a twentieth of the time", NOT_NEGATIVE, may_change=True)


def having(trait: str, *values) -> list[str]:
    """The names of all choices of which that trait, in the metadata, is one of these values, or
    anything if there are none."""
    return [one.name for one in fields(TrainConfig) if (
        one.metadata[trait] in values if values else one.metadata[trait])]


def check_choices(config: NetConfig) -> None:
    """UserError if a choice has another type than its field, or a value that is not allowed."""
    check_values(vars(config), type(config), config.model)


def check_values(values: dict, kinds, model: str | None = None) -> None:
    """The same for values by the names of their choices, of `model`.

    kinds: a configuration class, or the type of each value.
    """
    if fault := misfit(values, kinds):
        raise UserError(fault.replace("_", "-"))
    for one in fields(kinds if isinstance(kinds, type) else TrainConfig):
        value, allowed, where = values.get(one.name), one.metadata["allowed"], ""
        if isinstance(allowed, dict):
            allowed, where = allowed.get(model), f" with the model {model}"
        if value is None or allowed is None:
            continue
        if not (allowed.test(value) if isinstance(allowed, Rule) else value in allowed):
            right = _words(allowed) or "a name"
            raise UserError(f"{one.name.replace('_', '-')} must be {right}{where}, not {value!r}")
