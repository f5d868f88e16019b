"""What the choices of a run that are left open become, and what is built from them all."""

import dataclasses
import inspect
import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from alexnet_lib import datasets
from alexnet_lib.augment import Augment, check_crop
from alexnet_lib.checkpoints import CHECKPOINT, damaged, read_description
from alexnet_lib.choices import NetConfig, TrainConfig, check_choices, having
from alexnet_lib.devices import pick_device, pick_precision
from alexnet_lib.errors import UserError
from alexnet_lib.memory import available
from alexnet_lib.models import AlexNet, CifarNet, layer_table
from alexnet_lib.optim import SHORT_RUN

# What a choice left open becomes: first by data, then by net and variant.
PRESETS = {
    "shapes": {"model": "alexnet", "variant": "2012", "width": 0.25, "epochs": 20,
               "color": "none", "crop_group_size": 1, "lr_scheduler": "cifar", "batch_size": 128},
    "paper": {"lr": 0.01, "bias_lr_factor": 1.0, "lr_scheduler": "plateau", "color": "paper",
              "mean_at": "pixel", "crop_group_size": 1, "epochs": 90, "input_size": 227},
    "2012": {"lr": 0.01, "bias_lr_factor": 2.0, "lr_scheduler": "145", "color": "2012",
             "mean_at": "center", "crop_group_size": 32, "color_until": 67 / 91, "epochs": 91,
             "input_size": 227},
    # The original file says 0.001, for 140 epochs; in 10 epochs, 0.002 gets further (28.9% against
    # 31.9% on the validation split of CIFAR-10, with norms across maps).
    "cifar": {"lr": 0.002, "bias_lr_factor": 2.0, "lr_scheduler": "cifar", "color": "none",
              "mean_at": "pixel", "crop_group_size": 1, "epochs": 140, "input_size": 32,
              "stored_size": 32, "crop": False, "flip": False, "variant": "18pct"},
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
    early = preset["lr_scheduler"] == "145" and epochs * steps < SHORT_RUN
    return {"batch_size": batch, "epochs": epochs,
            "lr_scheduler": "plateau" if early else preset["lr_scheduler"]}


def check_described(choices: dict, path: str | Path) -> TrainConfig:
    """The configuration in the description of a checkpoint. Raises UserError if it is that of no
    run. Names that `TrainConfig` does not know are passed over.
    """
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    config = TrainConfig(**{name: value for name, value in choices.items() if name in known})
    try:
        check_choices(config)
    except UserError as error:
        raise damaged(path, str(error)) from None
    for name in having("needed"):
        if getattr(config, name) is None:
            raise damaged(path, f"{name} is missing")
    return config


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The net that `build` makes, with its sizes and without values. Raises UserError if its
    sizes are beyond what tensors can have."""
    try:
        with torch.device("meta"):
            return build()
    except (OverflowError, RuntimeError, TypeError) as error:
        raise UserError("no net of these sizes can be built: choose smaller ones "
                        "(--input-size, --width, --num-classes)") from error


def resume_config(out: str, **given) -> TrainConfig:
    """These choices and, of the rest, those of the run whose checkpoint is in the folder `out`.

    Raises UserError if the checkpoint is damaged.
    """
    path = Path(out, CHECKPOINT)
    if not os.path.isfile(path):
        return TrainConfig(**given | {"out": out})
    kept = check_described(read_description(path).get("config", {}), path)
    return dataclasses.replace(kept, **{"device": TrainConfig.device} | given | {"out": out})


def resolve(config: TrainConfig, images: int | None = None) -> TrainConfig:
    """A copy of `config` with nothing left open; raises UserError for a choice that cannot be.

    images: how many there are to train on, where that is known. Few of them get a batch size, a
    number of epochs and a schedule that suit them (`for_few`), unless these were chosen.
    """
    check_choices(config)
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
    check_choices(filled)  # again: which ones are right depends on the model
    if filled.model == "cifar":
        preset = PRESETS["cifar"]
    else:
        fill({"variant": "paper"})
        if (filled.variant, filled.lr_scheduler) == ("2012", "restart"):
            fill({"color_until": 67 / 135})
        preset = PRESETS.get(filled.variant, {})
        fill({"weight_decay": 0.0005, "lrn": True})
    if images is not None:
        fill(for_few(filled, images, preset))
    fill(preset)
    fill({"batch_size": 128, "width": 1.0, "crop": True, "flip": True, "color_until": 1.0})
    fill({"stored_size": stored_size(filled.input_size or 227)})
    if filled.in_channels not in (1, 3):
        raise UserError(f"in-channels must be 3 (RGB) or 1 (gray), not {filled.in_channels}")
    if filled.frozen and not filled.init_from:
        raise UserError("frozen convolutions must come from a trained net: name it with "
                        "--init-from")
    filled.device = pick_device(filled.device)
    filled.precision = pick_precision(filled.precision, filled.device, small_maps(filled))
    _try_out(filled)
    return filled


def _try_out(config: TrainConfig) -> None:
    """UserError for what cannot be built: told before any data are fetched."""
    config = dataclasses.replace(config, num_classes=config.num_classes or 2)
    # Weights, gradients and momentum, and what one image leaves in the layers.
    check_memory(on_meta(lambda: build_model(config)), 3, config.device)
    check_crop(config.input_size, config.stored_size)


def check_memory(net: nn.Module, copies: int, device: str) -> None:
    """UserError if `device` could not hold the net of `on_meta`: so many copies of its weights, and
    the outputs of its layers for one image, in fp32."""
    rows, there = layer_table(net), available(device)
    needed = sum(copies * 4 * row["params"] + row["bytes"] for row in rows)
    if there is not None and needed > there:
        raise UserError(f"there is not enough memory for this net: it needs {needed / 1e9:,.1f} GB "
                        f"of {there / 1e9:,.1f}; choose smaller sizes (--input-size, --width)")


def small_maps(config: NetConfig) -> bool:
    """Whether AlexNet's images are so small that a CPU computes it faster in fp32 than in bf16.

    Measured with AMX: up to 113 pixels fp32 wins or nearly draws, from 227 on bf16 wins.
    """
    return config.model == "alexnet" and (config.input_size or 227) < 120


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
        return build_net(config)


def build_net(config: NetConfig) -> nn.Module:
    """The net of these choices, with weights drawn from torch's generator.

    An open choice becomes the default of the net's class. Raises UserError.
    """
    check_choices(config)
    net, usual = CifarNet if config.model == "cifar" else AlexNet, NetConfig(width=1.0)
    chosen = {one.name: value for one in dataclasses.fields(NetConfig) if one.name != "model"
              and (value := getattr(config, one.name)) is not None}
    for name in sorted(chosen.keys() - inspect.signature(net).parameters):
        if chosen.pop(name) != getattr(usual, name):  # files of the small net have the usual ones
            raise UserError(f"the CIFAR net has no choice of {name.replace('_', '-')}: leave it "
                            "out, or take --model alexnet")
    return net(**chosen)


def build_augment(config: TrainConfig, mean, values, vectors) -> Augment:
    """The batch maker that a resolved configuration describes."""
    return Augment(config.input_size, mean, values, vectors, crop=config.crop, flip=config.flip,
                   color=config.color, mean_at=config.mean_at,
                   crop_group_size=config.crop_group_size,
                   gray=config.in_channels == 1, input_divisor=config.input_divisor,
                   device=config.device,
                   dtype=torch.bfloat16 if config.precision == "bf16" else torch.float32)


def autocast(config: TrainConfig) -> torch.autocast:
    """Mixed precision as the configuration says; the weights themselves stay in fp32.

    Cast weights are not kept: each is used once in a pass, and those cast without gradients would
    serve passes that need them, in old versions of torch.
    """
    return torch.autocast(config.device.split(":")[0], torch.bfloat16,
                          enabled=config.precision == "bf16", cache_enabled=False)
