"""torchvision's AlexNet with the weights that it distributes, as a net that `evaluation` measures,
and its convolutions as a start.

It is another net than the paper's: one column, other maps, no normalization (2014).
"""

import hashlib
from pathlib import Path
from typing import cast
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor, nn

from alexnet_lib.augment import Augment
from alexnet_lib.config import TrainConfig
from alexnet_lib.devices import pick_device, pick_precision
from alexnet_lib.errors import UserError, disk_cure
from alexnet_lib.weights import LoadedModel, differing

SIZE, STORED = 224, 256


class Scaled(nn.Module):
    """Divides each channel by its standard deviation, then asks the net about `answers` alone.

    Input (B, 3, 224, 224), less the mean color, in units of 0-1; output (B, len(answers)).
    """

    std: Tensor

    def __init__(self, net: nn.Module, std, answers: list[int]):
        super().__init__()
        self.net, self.answers = net, answers
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1))

    def forward(self, x):
        return self.net(x / self.std)[:, self.answers]


def torchvision_alexnet(device: str = "auto") -> LoadedModel:
    """The net with its 1000 classes; the first time, torchvision downloads 233 MB.

    Its images are prepared as torchvision says: shorter side 256, center 224, less the mean
    color, divided by each channel's standard deviation. Raises UserError without a network.
    """
    from torchvision.models import AlexNet_Weights, alexnet
    weights, net = AlexNet_Weights.IMAGENET1K_V1, alexnet()
    net.load_state_dict(_downloaded())
    told = weights.transforms()
    config = TrainConfig(data="imagenet", input_size=SIZE, stored_size=STORED,
                         device=pick_device(device))
    config.precision = pick_precision("auto", config.device)
    mean = np.tile(255 * np.float32(told.mean), (STORED, STORED, 1))
    augment = Augment(SIZE, mean, mean_at="center", input_divisor=255.0, device=config.device)
    model = Scaled(net, told.std, list(range(1000)))
    model = model.to(config.device).to(memory_format=torch.channels_last).eval()
    return LoadedModel(model, config, tuple(weights.meta["categories"]), augment,
                       {"config": {"model": f"torchvision {weights}"}})


def among(net: LoadedModel, classes: tuple[str, ...]) -> LoadedModel:
    """That net, choosing among these of its classes alone; all 1000 are taken in their order.

    Raises UserError for a class that ImageNet does not have under this name.
    """
    ours = cast(Scaled, net.model)
    answers = ours.answers
    if len(classes) != 1000:  # else WordNet's order is theirs too, and the names differ a little
        unknown = sorted(set(classes) - set(net.classes))
        if unknown:
            raise UserError(f"torchvision's AlexNet does not know the class {unknown[0]!r}: "
                            "evaluate it on imagenet or imagenette")
        answers = [ours.answers[net.classes.index(name)] for name in classes]
    model = Scaled(ours.net, ours.std.flatten().tolist(), answers)
    model = model.to(net.config.device).eval()
    return LoadedModel(model, net.config, tuple(classes), net.augment, net.meta)


# What an `AlexNet` of this library needs to hold torchvision's convolutions.
ITS_NET = {"model": "alexnet", "columns": 1, "channels": (64, 192, 384, 256, 256), "width": 1.0,
           "lrn": False, "activation": "relu", "pool": (3, 2), "omit_layer": None, "in_channels": 3}
ITS_LAYERS = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}  # by place in `features`


def is_torchvisions(start: str) -> bool:
    """Whether `--init-from` names torchvision's net, or a file of PyTorch's own kind."""
    return start == "torchvision" or Path(start).suffix in (".pth", ".pt")


def take_convolutions(model: nn.Module, config: TrainConfig) -> None:
    """Fill the convolutions of `model` with torchvision's: "torchvision", or a file with its names.

    The full layers keep their weights: there, dropout stands elsewhere and scales at training.
    conv1 is scaled to inputs of 0-255 divided by `config.input_divisor`. Raises UserError, which
    names all that differs, if `config` describes another net.
    """
    assert config.init_from is not None
    differ = [f"{name} {its}, here {ours}" for name, its in ITS_NET.items()
              if (ours := getattr(config, name)) != its]
    if differ:
        raise UserError(f"{config.init_from} does not fit: torchvision's net has "
                        f"{'; '.join(differ)}; measure it with alexnet evaluate --checkpoint "
                        "torchvision, or choose these in a TrainConfig")
    its = _downloaded() if config.init_from == "torchvision" else _read(config.init_from)
    own, names = model.state_dict(), [f"{layer}.{kind}" for layer in ITS_LAYERS
                                      for kind in ("weight", "bias")]
    places = {name: f"features.{ITS_LAYERS[name[:5]]}{name[5:]}" for name in names}
    if missing := [place for place in places.values() if place not in its]:
        raise UserError(f"{config.init_from} does not hold torchvision's AlexNet: {missing[0]} is "
                        "missing; give that net's state_dict, or the file that alexnet train wrote")
    given = {f"features.{name}": its[place] for name, place in places.items()}
    if differ := differing(own, given):
        raise UserError(f"{config.init_from} does not hold torchvision's AlexNet: its "
                        f"{'; '.join(differ)}; give that net's state_dict")
    std = torch.tensor(_preparation().std).reshape(3, 1, 1)
    conv1 = "features.conv1.weight"
    given[conv1] = given[conv1] * config.input_divisor / (255 * std)
    model.load_state_dict(own | given)


def _preparation():
    from torchvision.models import AlexNet_Weights
    return AlexNet_Weights.IMAGENET1K_V1.transforms()


def _read(path: str) -> dict:
    """The tensors of a file that `torch.save` wrote; code in it is not run. Raises UserError."""
    if not Path(path).is_file():
        raise UserError(f"no file {path}: check the path")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        return {name: t for name, t in found.items() if isinstance(t, torch.Tensor)}
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UserError(f"{path} is not a state_dict of tensors, or is damaged "
                        f"({type(error).__name__}): give torchvision's, or the file that alexnet "
                        "train wrote") from None


def _downloaded() -> dict:
    """torchvision's weights. Raises UserError without a network, and for a damaged file."""
    from torchvision.models import AlexNet_Weights
    weights = AlexNet_Weights.IMAGENET1K_V1
    try:
        _check_cached(Path(_folder(), Path(weights.url).name))
        return weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        cure = disk_cure(error, f"try again with a network, or put {weights.url} into "
                         f"{_folder()}", "TORCH_HOME")
        raise UserError(f"cannot download torchvision's weights ({error}): {cure}") from None
    except RuntimeError as error:
        raise UserError(f"torchvision's weights are damaged ({error}): delete them from "
                        f"{_folder()} and try again") from None


def _check_cached(file: Path) -> None:
    """UserError if it is there and is not what its name says, name-<start of SHA-256>.pth.

    torchvision compares what it downloads, but not what it finds.
    """
    start = file.stem.split("-")[-1]
    if file.exists() and not hashlib.sha256(file.read_bytes()).hexdigest().startswith(start):
        raise UserError(f"{file} is damaged (its SHA-256 is not {start}...): delete it, and it is "
                        "fetched again")


def _folder() -> str:
    return f"{torch.hub.get_dir()}/checkpoints"
