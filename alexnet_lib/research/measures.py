"""What the ledger measures in trained nets: their columns, their first layer, likeness."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from alexnet_lib.config import build_model
from alexnet_lib.errors import UserError
from alexnet_lib.features import center, kernels, nearest, responses
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel, load_features


class FullNet(NamedTuple):
    """A recorded net of full size, and the file in data/weights that has its first layer."""

    name: str
    file: str

    @property
    def about(self) -> dict:
        """What a record says of it."""
        return {"net": self.name, "file": f"data/weights/{self.file}",
                "data": "imagenette, fingerprint bfef4ea99277dd98"}


# Those that begin with the same seed begin with the same kernels, whatever the variant.
FULL_NETS = (
    FullNet("2012, seed 0, 30 epochs, fp32", "imagenette-features.safetensors"),
    FullNet("2012, seed 0, 60 epochs, bf16", "imagenette-2012-film.safetensors"),
    FullNet("paper, seed 0, 90 epochs, bf16", "imagenette-paper-film.safetensors"),
    FullNet("2012, seed 1, 91 epochs, bf16", "imagenette-2012-1-film.safetensors"))


def learned(number: int) -> tuple[Tensor, Tensor]:
    """(initial kernels of conv1, what training added to them) of a full net, (96, 3, 11, 11) each.

    Of a net whose first layer was not filmed, the initial kernels are drawn again from its seed.
    number: of `FULL_NETS`. Raises UserError.
    """
    path = in_data(f"weights/{FULL_NETS[number].file}")
    if "film" in path.name:
        film = load_file(path)
        initial, trained = (film[step].float() for step in (min(film, key=int), max(film, key=int)))
    else:
        net = load_features(path, "cpu")
        initial, trained = build_model(net.config).features.conv1.weight.detach(), kernels(net)
    return initial, trained - initial


def in_data(name: str) -> Path:
    """A file of the checkout's data folder. Raises UserError."""
    path = Path(__file__).parents[2] / "data" / name
    if not path.is_file():
        raise UserError(f"data/{name} is missing: clone the repository and run this there")
    return path


def column_difference(index: Tensor, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """(difference of the two columns' means, the mean difference if kernels were dealt at random).

    index: (maps,), the first column's half first; both results are without sign.
    """
    return float(_apart(index)), float(_apart(_dealt(index, draws, seed)).mean())


def permutation_p_value(index: Tensor, draws: int = 4000, seed: int = 0) -> float:
    """The share of random deals that put the two columns' means at least as far apart as they are.

    A permutation test: 0.05 or less is seldom chance. index: as of `column_difference`.
    """
    return float((_apart(_dealt(index, draws, seed)) > _apart(index) - 1e-6).float().mean())


def _apart(index: Tensor) -> Tensor:
    """How far the means of the two halves of the last axis are apart."""
    half = index.shape[-1] // 2
    return (index[..., :half].mean(-1) - index[..., half:].mean(-1)).abs()


def _dealt(index: Tensor, draws: int, seed: int) -> Tensor:
    """The kernels in `draws` random orders, (draws, maps)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([index[torch.randperm(len(index), generator=generator)]
                        for _ in range(draws)])


def retrieval(net: LoadedModel | Trainer, train, test, count: int = 5, most: int = 2000) -> dict:
    """precision@`count` of the last hidden layer and of raw pixels: for test images, the nearest
    training images (Fig. 4, right).

    train, test: `datasets.Split`; `most` images of each are used. Pixels are those of the center
    crops, at most 64 x 64. Returns `features` and `pixels`, fractions.
    """
    def described(split) -> tuple[Tensor, Tensor]:
        images = split.images
        pixels = torch.from_numpy(center(net, images, range(len(images)))).permute(0, 3, 1, 2)
        small = F.adaptive_avg_pool2d(pixels.float(), min(64, pixels.shape[-1]))  # to save memory
        return responses(net, images, "act7"), small.flatten(1)

    train, test = train.subset(most), test.subset(most)
    known, asked = described(train), described(test)
    return {name: precision(train.labels, nearest(a, b, count), test.labels)
            for name, a, b in zip(("features", "pixels"), known, asked, strict=True)}


def precision(labels, found: Tensor, query_labels) -> float:
    """The share of the found images that have the query's class, over all queries: precision@k."""
    labels, query_labels = (torch.as_tensor(np.array(y)) for y in (labels, query_labels))
    return float((labels[found] == query_labels[:, None]).float().mean())
