"""Measuring a trained net: top-k error, one or ten views, per-class scores, confusion."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet_lib import datasets, memory
from alexnet_lib.checkpoints import damaged, read_checkpoint, write_checkpoint
from alexnet_lib.config import autocast
from alexnet_lib.errors import UserError
from alexnet_lib.text import bar as progress_bar
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel

VIEWS = {1: (4,), 10: tuple(range(10))}  # which of `augment.ten_view_places`


@torch.no_grad()
def probabilities(net: LoadedModel | Trainer, images, views: int = 1, batch_size: int = 128,
                  progress: bool = False) -> Tensor:
    """Softmax outputs for stored images, averaged over the views (paper, 4.1).

    The source averages probabilities, not logits (src/layer.cu:1810-1821).

    Args:
        net: from `load_model`, or a `Trainer`.
        images: (N, S, S, 3) uint8, 0-255, as `datasets` stores them.
        views: 1 (the center) or 10 (corners, center and their mirrors).

    Returns: (N, classes) float32 on the CPU; each row sums to 1. Raises UserError.
    """
    if views not in VIEWS:
        raise UserError(f"views must be 1 or 10, not {views}")
    net.model.eval()

    def answered(index: Tensor) -> Tensor:
        """(len(index), classes); a batch that is too large for the memory is halved."""
        found = []
        if memory.fits_in_memory(lambda: found.append(
                _mean_of_views(net, images, index, VIEWS[views]))):
            return found[0]
        if len(index) == 1:
            raise UserError("the net does not fit into the memory with a single image: use a "
                            "larger machine, or --device cpu")
        return torch.cat([answered(half) for half in index.chunk(2)])

    batches = torch.arange(len(images)).split(batch_size)
    with memory.keep_freed_memory():
        return torch.cat([answered(index) for index in
                          progress_bar(batches, unit="batch", disable=not progress)])


def _mean_of_views(net: LoadedModel | Trainer, images, index: Tensor,
                   views: tuple[int, ...]) -> Tensor:
    images, index = net.augment.at_hand(images, index)  # once for all views
    total = torch.zeros(())
    for view in views:
        with autocast(net.config):
            logits = net.model(net.augment.view(images, index, view))
        total = total + logits.float().softmax(1)
    return (total / len(views)).cpu()


def scores(probs: Tensor, labels: Tensor, classes: tuple[str, ...]) -> dict:
    """All figures from the probabilities (N, K) and the labels (N,), by torchmetrics.

    Returns: `top1_error`, `top5_error`, `precision`, `recall`, `f1` (macro averages), `loss` (the
    mean negative log-likelihood, in nats), `calibration_error` (the expected one, 15 bins),
    `per_class` (a dict by name, with `precision`, `recall`, `f1`, `images`) and `confusion`
    (rows: the true class, columns: the predicted one). All but the loss and the counts are
    fractions. A class that was never predicted has precision 0. The averages are over the classes
    that occur; of fewer than six classes, the top-5 error is 0 and says nothing. Raises UserError
    if there are no images.
    """
    from torchmetrics.functional.classification import (  # costs seconds to import
        multiclass_accuracy,
        multiclass_calibration_error,
        multiclass_confusion_matrix,
        multiclass_f1_score,
        multiclass_precision,
        multiclass_recall,
    )
    if len(labels) == 0:
        raise UserError("there are no images to evaluate: choose another --split")
    k = len(classes)

    def error(top: int) -> float:
        right = multiclass_accuracy(probs, labels, k, average="micro", top_k=min(top, k))
        return 1 - float(right)

    measures = {"precision": multiclass_precision, "recall": multiclass_recall,
                "f1": multiclass_f1_score}
    by_class = {name: measure(probs, labels, k, average="none").tolist()
                for name, measure in measures.items()}
    counts = torch.bincount(labels, minlength=k).tolist()
    occurring = [i for i, count in enumerate(counts) if count]
    return {
        "images": len(labels), "top1_error": error(1), "top5_error": error(5),
        **{name: float(np.mean([values[i] for i in occurring]))
           for name, values in by_class.items()},
        "loss": float(F.nll_loss(probs.double().clamp_min(1e-12).log(), labels)),
        "calibration_error": float(multiclass_calibration_error(probs, labels, k, n_bins=15)),
        "per_class": {label: {**{name: by_class[name][i] for name in by_class},
                              "images": counts[i]} for i, label in enumerate(classes)},
        "confusion": multiclass_confusion_matrix(probs, labels, k).tolist(),
    }


@dataclass(frozen=True)
class Predictions:
    """What a net said about every image of a split: all its figures follow, without the images.

    probs: (N, K) float32, each row sums to 1. labels: (N,) int64. classes: their K names.
    about: `data`, `split`, `views`, and `net`, the choices with which it was made.
    """

    probs: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    about: dict

    def scores(self) -> dict:
        """`scores`, after what they are about."""
        return self.about | scores(self.probs, self.labels, self.classes)

    def save(self, path: str | Path) -> None:
        """Write them as safetensors: some 25 bytes an image for ten classes. Raises UserError."""
        write_checkpoint(Path(path), {"probs": self.probs.half(), "labels": self.labels.short()},
                         {"predictions": self.about, "classes": list(self.classes)})


def read_predictions(path: str | Path) -> Predictions:
    """What `Predictions.save` wrote; the probabilities have 11 bits. Raises UserError."""
    what, made_by = "file of predictions", "alexnet evaluate --predictions"
    tensors, meta = read_checkpoint(path, what, made_by)
    if "predictions" not in meta:
        raise UserError(f"{path} holds no predictions: give the file that alexnet evaluate "
                        "--predictions wrote")
    probs, labels = (tensors.get(name, torch.empty(0)) for name in ("probs", "labels"))
    if probs.shape != (len(labels), len(meta["classes"])) or labels.dim() != 1:
        raise damaged(path, "its parts do not fit together", what, made_by)
    probs, labels = probs.float(), labels.long()
    if (probs < 0).any() or not probs.sum(1).all() or not (
            (labels >= 0) & (labels < probs.shape[1])).all():
        raise damaged(path, "a probability or a label is out of range", what, made_by)
    return Predictions(probs / probs.sum(1, keepdim=True), labels, tuple(meta["classes"]),
                       meta["predictions"])


def predictions(net: LoadedModel | Trainer, dataset: datasets.Dataset, split: str = "val",
                views: int = 1, progress: bool = False) -> Predictions:
    """The net's answers to one split of a data set.

    Raises UserError if the data have no such split or other classes than the net was trained on.
    """
    part = part_of(dataset, split)
    check_classes(net, dataset)
    made = net.meta["config"] if isinstance(net, LoadedModel) else asdict(net.config)
    return Predictions(probabilities(net, part.images, views, progress=progress),
                       torch.from_numpy(np.array(part.labels)).long(), net.classes,
                       {"data": dataset.name, "split": split, "views": views, "net": made})


def evaluate(net: LoadedModel, dataset: datasets.Dataset, split: str = "val", views: int = 1,
             progress: bool = False) -> dict:
    """All figures of a net on one split; see `predictions` and `scores`. Raises UserError."""
    return predictions(net, dataset, split, views, progress).scores()


def calibration_by_chance(probs: Tensor, classes: tuple[str, ...], draws: int = 20) -> list[float]:
    """Calibration errors, 0-1, of a net that means exactly what it says: what chance alone makes.

    probs: (N, K). Its labels are drawn from them, `draws` times, by torch's generator.
    """
    return [scores(probs, labels, classes)["calibration_error"]
            for labels in torch.multinomial(probs, draws, replacement=True).T]


def part_of(dataset: datasets.Dataset, split: str) -> datasets.Split:
    """The split of that name. Raises UserError if there is none."""
    if split not in dataset.splits:
        raise UserError(f"{dataset.name} has no split {split!r}: "
                        f"use one of {', '.join(dataset.splits)}")
    return dataset.splits[split]


def check_classes(net: LoadedModel | Trainer, dataset: datasets.Dataset) -> None:
    """UserError unless the data have the classes that the net knows, in the same order."""
    if len(net.classes) != len(dataset.classes):
        raise UserError(f"the checkpoint knows {len(net.classes)} classes, {dataset.name} has "
                        f"{len(dataset.classes)}: evaluate on the data it was trained on")
    if tuple(net.classes) != tuple(dataset.classes):
        other = next(b for a, b in zip(net.classes, dataset.classes, strict=True) if a != b)
        raise UserError(f"the checkpoint does not know the class {other!r} of {dataset.name}: "
                        "evaluate on the data it was trained on")


def top_predictions(net: LoadedModel, images, k: int = 5,
                    views: int = 1) -> Iterator[list[tuple[str, float]]]:
    """For each stored image, the k most probable classes with their probabilities (0-1)."""
    for row in probabilities(net, images, views):
        best = row.topk(min(k, len(row)))
        yield [(net.classes[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(),
                                                   strict=True)]
