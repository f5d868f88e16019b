"""Trained nets from files, and files made small enough to give away."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from alexnet_lib.augment import Augment
from alexnet_lib.checkpoints import (
    STATISTICS,
    damaged,
    part,
    read_checkpoint,
    write_checkpoint,
)
from alexnet_lib.choices import CLASSIFIER, CONVOLUTIONS, TrainConfig, having
from alexnet_lib.config import (
    build_augment,
    build_model,
    check_described,
    check_memory,
    on_meta,
    small_maps,
)
from alexnet_lib.devices import pick_device, pick_precision
from alexnet_lib.errors import UserError


@dataclass
class LoadedModel:
    """A net from a file, in evaluation mode, with all that it needs to be used."""

    model: nn.Module
    config: TrainConfig
    classes: tuple[str, ...]
    augment: Augment
    meta: dict


def load_model(path: str | Path, device: str = "auto", precision: str = "auto") -> LoadedModel:
    """The net of a checkpoint or of an exported file, on `device`, ready to be evaluated.

    precision: "fp32" or "bf16", of its inputs and of the library's evaluations; the weights are
    in fp32. Raises UserError.
    """
    tensors, net = _described(path, device, precision)
    return _filled(net, net.model, part(tensors, "model."), path)


def load_features(path: str | Path, device: str = "auto") -> LoadedModel:
    """The convolutions of such a file alone: `LoadedModel.model` gives the maps of pool3.

    Raises UserError.
    """
    tensors, net = _described(path, device, "auto")
    return _filled(net, net.model.get_submodule("features"), part(tensors, "model.features."), path)


def export(checkpoint: str | Path, path: str | Path, features: bool = False) -> None:
    """Write the net of a checkpoint in half precision, two bytes a parameter, to be given away.

    features: the convolutions alone, for `load_features`: of the paper's net 5 MB instead of 122.
    Nothing can be trained further from the file. Raises UserError.
    """
    tensors, meta = read_checkpoint(checkpoint)
    _config_of(meta, checkpoint)
    kept = "model.features." if features else "model."
    small = {name: t.half() if name.startswith("model.") else t for name, t in tensors.items()
             if name.startswith((kept, "data."))}
    write_checkpoint(Path(path), small, {key: meta[key] for key in (
        "format", "config", "classes", "fingerprint", "step")})


def load_pretrained(model: nn.Module, config: TrainConfig, classes: Sequence[str]) -> None:
    """Fill the layers of `model` that the file `config.init_from` has; others keep their weights.

    The file may hold the convolutions alone. The last layer is taken only if the file's net
    tells the same `classes` apart. Raises UserError, which names all that differs, if that net is
    of another kind than `config` describes, or if the sizes of a layer differ.
    """
    assert config.init_from is not None
    tensors, meta = read_checkpoint(config.init_from)
    theirs, there = part(tensors, "model."), _config_of(meta, config.init_from)
    parts = [CONVOLUTIONS]
    if any(name.startswith("classifier.") for name in theirs):
        parts.append(CLASSIFIER)
    differ = [f"{name} {its}, here {ours}" for name in having("changes", *parts)
              if (ours := getattr(config, name)) != (its := getattr(there, name))]
    if differ:
        raise UserError(f"{config.init_from} does not fit: its net has {'; '.join(differ)}; choose "
                        "the same, or another file")
    own = model.state_dict()
    last = tuple(own)[-2:] if tuple(classes) != tuple(meta["classes"]) else ()
    given = {name: theirs[name] for name in own if name in theirs and name not in last}
    if differ := differing(own, given):
        raise UserError(f"{config.init_from} does not fit: its {'; '.join(differ)}; choose "
                        "--input-size, --width, --columns and --hidden as that net has them")
    model.load_state_dict(own | given)


def differing(own: dict, given: dict) -> list[str]:
    """Of each tensor whose size is another one than in `own`: its name and both sizes."""
    return [f"{name} is {list(t.shape)}, here {list(own[name].shape)}"
            for name, t in given.items() if t.shape != own[name].shape]


def _described(path: str | Path, device: str, precision: str) -> tuple[dict, LoadedModel]:
    """(tensors, the net that the file describes, with fresh weights)."""
    tensors, meta = read_checkpoint(path)
    config = _config_of(meta, path)
    if config.num_classes != len(meta["classes"]):
        raise damaged(path, f"{len(meta['classes'])} classes for {config.num_classes} outputs")
    config.device = pick_device(device)
    config.precision = pick_precision(precision, config.device, small_maps(config))
    check_memory(on_meta(lambda: build_model(config)), 1, config.device)
    size = config.stored_size
    for name, shape in zip(STATISTICS, ((size, size, 3), (3,), (3, 3)), strict=True):
        there = tensors.get(f"data.{name}", torch.empty(0))
        if there.shape != shape or there.dtype not in (torch.float32, torch.float64):
            raise damaged(path, f"{name} must be numbers of the shape {shape}")
    augment = build_augment(config, *(tensors[f"data.{name}"].numpy() for name in STATISTICS))
    return tensors, LoadedModel(build_model(config), config, tuple(meta["classes"]), augment, meta)


def _config_of(meta: dict, path: str | Path) -> TrainConfig:
    """The choices of the net in a file. Raises UserError if it holds none of this version."""
    if "predictions" in meta:
        raise UserError(f"{path} holds predictions, not a net: give the file that alexnet train "
                        "wrote")
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    if not set(meta["config"]) <= known:
        raise UserError(f"{path} was written by another version of this library: "
                        "update it, or train again")
    return check_described(meta["config"], path)


def _filled(net: LoadedModel, module: nn.Module, weights: dict, path: str | Path) -> LoadedModel:
    """`net` with `module`, which gets the weights, as its model."""
    try:
        module.load_state_dict(weights)
    except RuntimeError:
        alone = weights and all(name.startswith("features.") for name in weights)
        raise UserError(f"{path} holds the convolutions alone: give the whole net's file, or "
                        "begin a run with these by --init-from" if alone else
                        f"{path} does not hold the weights that it describes: give the file that "
                        "alexnet train wrote") from None
    net.model = module.to(net.config.device).to(memory_format=torch.channels_last).eval()
    return net
