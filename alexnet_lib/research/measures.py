"""What the ledger measures in a trained net: how the columns differ, how alike its images are."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet_lib.features import center, nearest, responses
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel


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
