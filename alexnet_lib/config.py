"""All choices of a run, what those left open become, and what is built from them."""

import dataclasses
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from alexnet_lib import datasets
from alexnet_lib.augment import Augment, check_augment
from alexnet_lib.checkpoints import CHECKPOINT, damaged, read_description
from alexnet_lib.devices import pick_device, pick_precision
from alexnet_lib.errors import UserError
from alexnet_lib.memory import total
from alexnet_lib.models import AlexNet, CifarNet, layer_table
from alexnet_lib.optim import SHORT_RUN, schedule
from alexnet_lib.schema import misfit


@dataclass
class TrainConfig:
    """All choices of a run. None means: the one that fits the net and the data (`resolve`).

    data: a name that `datasets.load` knows. out: folder for checkpoint and history, or None.
    model: "alexnet" or "cifar". variant: "paper" or "2012"; "18pct", "cross-map" or
    "four-layer".
    lr, momentum, weight_decay, bias_lr_factor, schedule: see `optim`.
    class_weights: "none", or "balanced": the loss counts an image of a rare class for more (see
    `training.class_weights`).
    input_size: side of the net's input; stored_size: side of the stored images it is cut from.
    crop, flip, colour, mean_at, per, divide: see `augment.Augment`.
    colour_until: fraction of the run after which the colour noise ends, as the source did at epoch
    67 of 91; with the schedule "restart" it comes back with the rate.
    start: file of a trained net, or of its convolutions, to begin with instead of fresh weights.
    frozen: the convolutions stay as they are in that file; only the classifier learns.
    device: "auto", "cpu", "cuda", "mps". precision: "auto", "fp32", "bf16".
    limit: use only so many training images (for a quick look). skip_broken: leave out images that
    cannot be read. until_error: end the run after the first epoch whose training error, a
    fraction, is not above this. early_stop: end the run after so many epochs without a lower
    validation error. save_minutes: the longest time between two checkpoints; there is one at an
    epoch's end as well, unless writing takes more than a twentieth of the time.
    """

    data: str = "shapes"
    out: str | None = None
    model: str | None = None
    variant: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    bias_lr_factor: float | None = None
    schedule: str | None = None
    class_weights: str = "none"
    seed: int = 0
    num_classes: int | None = None
    in_channels: int = 3
    input_size: int | None = None
    stored_size: int | None = None
    columns: int = 2
    activation: str = "relu"
    lrn: bool | None = None
    pool: tuple[int, int] = (3, 2)
    dropout: float = 0.5
    maps: tuple[int, ...] = (96, 256, 384, 384, 256)
    width: float | None = None
    init: str | None = None
    hidden: int = 4096
    talk: bool = True
    hidden_bias: float = 1.0
    without: str | None = None
    crop: bool | None = None
    flip: bool | None = None
    colour: str | None = None
    mean_at: str | None = None
    per: int | None = None
    divide: float = 1.0
    colour_until: float | None = None
    start: str | None = None
    frozen: bool = False
    device: str = "auto"
    precision: str = "auto"
    limit: int | None = None
    skip_broken: bool = False
    until_error: float | None = None
    early_stop: int | None = None
    save_minutes: float = 5.0


# What a choice left open becomes: first by data, then by net and variant.
PRESETS = {
    "shapes": {"model": "alexnet", "variant": "2012", "width": 0.25, "epochs": 20,
               "colour": "none", "per": 1, "schedule": "cifar", "batch_size": 128},
    "paper": {"lr": 0.01, "bias_lr_factor": 1.0, "schedule": "plateau", "colour": "paper",
              "mean_at": "pixel", "per": 1, "epochs": 90, "input_size": 227},
    "2012": {"lr": 0.01, "bias_lr_factor": 2.0, "schedule": "145", "colour": "2012",
             "mean_at": "centre", "per": 32, "colour_until": 67 / 91, "epochs": 91,
             "input_size": 227},
    # The original file says 0.001, for 140 epochs; in 10 epochs, 0.002 gets further (28.9 % against
    # 31.9 % on the validation split of CIFAR-10, with norms across maps).
    "cifar": {"lr": 0.002, "bias_lr_factor": 2.0, "schedule": "cifar", "colour": "none",
              "mean_at": "pixel", "per": 1, "epochs": 140, "input_size": 32, "stored_size": 32,
              "crop": False, "flip": False, "variant": "18pct"},
}


LEAST_STEPS = 1000  # of a run, unless its epochs were chosen
LEAST_BATCH = 32    # images; smaller batches are too rough for the usual rate


def for_few(config: TrainConfig, images: int, preset: dict) -> dict:
    """Batch size, epochs and schedule for so many images, where `config` leaves them open.

    Where there are many, they are those of the `preset`. Of few images the batch is halved until
    an epoch has ten steps. There are epochs enough for `LEAST_STEPS`. In a short run, the log of
    run #145 would lower the rate too early: the paper's rule waits until the error asks for it.
    """
    batch = config.batch_size or 128
    while config.batch_size is None and images < 10 * batch and batch > LEAST_BATCH:
        batch //= 2
    steps = max(1, images // batch)
    epochs = config.epochs or max(preset["epochs"], math.ceil(LEAST_STEPS / steps))
    early = preset["schedule"] == "145" and epochs * steps < SHORT_RUN
    return {"batch_size": batch, "epochs": epochs,
            "schedule": "plateau" if early else preset["schedule"]}


# What a choice may be: (name, test, the test in words).
RANGES = (
    *((name, lambda n: n >= 1, "1 or more") for name in ("epochs", "batch_size", "per", "limit",
                                                "early_stop")),
    *((name, lambda x: 0 < x < math.inf, "above 0") for name in ("lr", "divide", "width")),
    ("seed", lambda n: 0 <= n < 2**63, "from 0 to 2**63 - 1"),
    *((name, lambda x: 0 <= x < math.inf, "0 or more") for name in (
        "weight_decay", "bias_lr_factor", "save_minutes")),
    *((name, lambda x: 0 <= x <= 1, "from 0 to 1") for name in ("colour_until", "until_error")),
    ("momentum", lambda x: 0 <= x < 1, "from 0 to less than 1"),
    ("hidden_bias", math.isfinite, "a finite number"),
    *((name, lambda n: n < 2**31, "below 2**31") for name in (
        "epochs", "batch_size", "per", "num_classes", "input_size", "stored_size", "hidden")),
)


def check_choices(config: TrainConfig) -> None:
    """UserError if a choice is of another type than `TrainConfig` says, or out of its range."""
    if fault := misfit(vars(config), TrainConfig):
        raise UserError(fault.replace("_", "-"))
    for name, allowed, words in RANGES:
        value = getattr(config, name)
        if value is not None and not allowed(value):
            raise UserError(f"{name.replace('_', '-')} must be {words}, not {value}")


# What `resolve` never leaves open.
NEEDED = ("model", "variant", "epochs", "batch_size", "lr", "schedule", "num_classes", "input_size",
          "stored_size")


def check_described(choices: dict, path: str | Path) -> None:
    """UserError unless the choices in the description of a checkpoint are those of some run.

    Names that `TrainConfig` does not know are passed over.
    """
    usual = TrainConfig()
    config = dataclasses.replace(usual, **{name: value for name, value in choices.items()
                                           if name in vars(usual)})
    try:
        check_choices(config)
    except UserError as error:
        raise damaged(path, str(error)) from None
    for name in NEEDED:
        if getattr(config, name) is None:
            raise damaged(path, f"{name} is missing")


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The net that `build` makes, with its sizes and without values. Raises UserError if its
    sizes are beyond what tensors can have."""
    try:
        with torch.device("meta"):
            return build()
    except (OverflowError, RuntimeError, TypeError) as error:
        raise UserError("no net of these sizes can be built: choose smaller ones "
                        "(--input-size, --width, --num-classes)") from error


def as_begun(out: str, **given) -> TrainConfig:
    """These choices and, of the rest, those of the run whose checkpoint is in the folder `out`.

    Raises UserError if the checkpoint is damaged.
    """
    path = Path(out, CHECKPOINT)
    if not os.path.isfile(path):
        return TrainConfig(**given | {"out": out})
    kept = read_description(path).get("config", {})
    check_described(kept, path)
    ours = {field.name for field in dataclasses.fields(TrainConfig)} - {"device"}
    kept = {name: value for name, value in kept.items() if name in ours}
    return TrainConfig(**kept | given | {"out": out})


def resolve(config: TrainConfig, images: int | None = None) -> TrainConfig:
    """A copy of `config` with nothing left open; raises UserError for a choice that cannot be.

    images: how many there are to train on, where that is known. Few of them get a batch size, a
    number of epochs and a schedule that suit them (`for_few`), unless these were chosen.
    """
    filled = dataclasses.replace(config)

    def fill(preset: dict) -> None:
        for key, value in preset.items():
            if getattr(filled, key) is None:
                setattr(filled, key, value)

    if filled.data == "shapes" and filled.model in (None, "alexnet"):
        fill(PRESETS["shapes"])
        if filled.input_size is None:
            fill({"input_size": 59, "stored_size": 64})
        fill({"stored_size": max(32, stored_size(filled.input_size))})  # drawn at 32 or more
    fill({"model": "cifar" if filled.data.startswith("cifar")
          or datasets.native_size(filled.data) <= 64 else "alexnet"})
    if filled.model not in ("alexnet", "cifar"):
        raise UserError(f"unknown model {filled.model!r}: use alexnet or cifar")
    if filled.model == "cifar":
        preset = PRESETS["cifar"]
    else:
        fill({"variant": "paper"})
        if (filled.variant, filled.schedule) == ("2012", "restart"):
            fill({"colour_until": 67 / 135})
        preset = PRESETS.get(filled.variant, {})
        fill({"weight_decay": 0.0005, "lrn": True})
    if images is not None:
        fill(for_few(filled, images, preset))
    fill(preset)
    fill({"batch_size": 128, "width": 1.0, "crop": True, "flip": True, "colour_until": 1.0})
    fill({"stored_size": stored_size(filled.input_size or 227)})
    check_choices(filled)
    if filled.in_channels not in (1, 3):
        raise UserError(f"in-channels must be 3 (RGB) or 1 (grey), not {filled.in_channels}")
    if filled.model == "cifar":
        _refuse_alexnets_choices(config)
    if filled.frozen and not filled.start:
        raise UserError("frozen convolutions must come from a trained net: name it with --start")
    filled.device = pick_device(filled.device)
    filled.precision = pick_precision(filled.precision, filled.device)
    _try_out(filled)
    return filled


# What the small net of cuda-convnet does not have.
OF_ALEXNET = ("columns", "dropout", "maps", "width", "hidden", "talk", "hidden_bias", "without")


def _refuse_alexnets_choices(config: TrainConfig) -> None:
    usual = TrainConfig(width=1.0)  # as a checkpoint of the CIFAR net has it
    for name in OF_ALEXNET:
        if getattr(config, name) not in (None, getattr(usual, name)):
            raise UserError(f"the CIFAR net has no choice of {name.replace('_', '-')}: leave it "
                            "out, or take --model alexnet")


def _try_out(config: TrainConfig) -> None:
    """UserError for what cannot be built: told before any data are fetched."""
    config = dataclasses.replace(config, num_classes=config.num_classes or 2)
    # Weights, gradients and momentum, and what one image leaves in the layers.
    check_memory(on_meta(lambda: build_model(config)), 3, config.device)
    schedule(config.schedule, config.epochs)
    if config.class_weights not in ("none", "balanced"):
        raise UserError(f"class-weights must be none or balanced, not {config.class_weights}")
    check_augment(config.input_size, config.stored_size or config.input_size, config.colour,
                  config.mean_at, config.divide)


def check_memory(net: nn.Module, copies: int, device: str) -> None:
    """UserError if `device` could not hold the net of `on_meta`: so many copies of its weights, and
    the outputs of its layers for one image, in fp32."""
    rows, there = layer_table(net), total(device)
    needed = sum(copies * 4 * row["params"] + row["bytes"] for row in rows)
    if there is not None and needed > there:
        raise UserError(f"there is not enough memory for this net: it needs {needed / 1e9:,.1f} GB "
                        f"of {there / 1e9:,.1f}; choose smaller sizes (--input-size, --width)")


def stored_size(input_size: int) -> int:
    """Side of stored images for a crop of `input_size`, as 256 is to 227; both in pixels."""
    return 256 if input_size in (224, 227) else math.ceil(input_size * 256 / 227)


def fit_to_data(config: TrainConfig, dataset: datasets.Dataset) -> TrainConfig:
    """`config`, resolved for these data: for the number of their images and of their classes.

    Raises UserError if it has another number of classes.
    """
    found, train = len(dataset.classes), dataset.splits["train"]
    if config.num_classes not in (None, found):
        raise UserError(f"{dataset.name} has {found} classes, not {config.num_classes}: "
                        "leave out --num-classes, or choose other data")
    config = resolve(config, min(len(train), config.limit or len(train)))
    return dataclasses.replace(config, num_classes=found, stored_size=train.images.shape[1])


def build_model(config: TrainConfig) -> nn.Module:
    """The net that a resolved configuration describes, with fresh weights drawn from its seed.

    The caller's random numbers go on as if nothing had been drawn.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # that of the CPU, and no other
        return _built(config)


def _built(config: TrainConfig) -> nn.Module:
    shared = {"num_classes": config.num_classes, "in_channels": config.in_channels,
              "input_size": config.input_size, "variant": config.variant,
              "activation": config.activation, "lrn": config.lrn, "init": config.init}
    if config.model == "cifar":
        return CifarNet(**shared, pool=config.pool)
    return AlexNet(**shared, columns=config.columns, pool=config.pool, dropout=config.dropout,
                   maps=config.maps, width=config.width, hidden_bias=config.hidden_bias,
                   without=config.without, hidden=config.hidden, talk=config.talk)


def build_augment(config: TrainConfig, mean, values, vectors) -> Augment:
    """The batch maker that a resolved configuration describes."""
    return Augment(config.input_size, mean, values, vectors, crop=config.crop, flip=config.flip,
                   colour=config.colour, mean_at=config.mean_at, per=config.per,
                   grey=config.in_channels == 1, divide=config.divide, device=config.device,
                   dtype=torch.bfloat16 if config.precision == "bf16" else torch.float32)


def autocast(config: TrainConfig) -> torch.autocast:
    """Mixed precision as the configuration says; the weights themselves stay in fp32.

    Cast weights are not kept: each is used once in a pass, and those cast without gradients would
    serve passes that need them, in old versions of torch.
    """
    return torch.autocast(config.device.split(":")[0], torch.bfloat16,
                          enabled=config.precision == "bf16", cache_enabled=False)
