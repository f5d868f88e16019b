"""Lines for the user about a run: what was chosen for few images, what did not fit or work."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from alexnet_lib import memory
from alexnet_lib.config import LEAST_STEPS, TrainConfig, autocast, resolve
from alexnet_lib.datasets import Dataset, Split
from alexnet_lib.optim import Plateau, first_drop, lr_scheduler

if TYPE_CHECKING:
    from alexnet_lib.training import Trainer

# What the number of images decides, if you do not.
BY_SIZE = ("batch_size", "epochs", "lr_scheduler")
IMBALANCED = 3  # times as many images as the rarest class has
LUCK = 0.05  # a net that guesses does as well as this with a probability below that


def before(given: TrainConfig, config: TrainConfig, dataset: Dataset) -> list[str]:
    """Lines about a run of `config` that has yet to begin; `given` is what the user chose of it."""
    usual, train = resolve(given), dataset.splits["train"]
    changed = [name for name in BY_SIZE if getattr(usual, name) != getattr(config, name)]
    images = min(len(train), config.limit or len(train))
    per_epoch = max(1, images // config.batch_size)
    lines = []
    if changed:
        chosen, papers = (" ".join(f"--{name.replace('_', '-')} {getattr(c, name)}"
                                   for name in changed) for c in (config, usual))
        lines.append(f"with {images:,} training images the run is short "
                     f"({config.epochs * per_epoch:,} steps), so it takes {chosen}; a long run "
                     f"takes {papers}")
    rule = lr_scheduler(config.lr_scheduler, config.epochs, per_epoch)
    if isinstance(rule, Plateau) and rule != lr_scheduler(config.lr_scheduler, config.epochs):
        waits = ("keeps its learning rate to the end" if first_drop(rule, config.epochs) is None
                 else f"begins to wait after {rule.warm} epochs, and waits for {rule.patience}")
        lines.append(f"the run is short, so the plateau {waits}: a net learns by steps, not by "
                     "epochs")
    counts = np.bincount(train.labels, minlength=len(dataset.classes))
    rare, common = counts.argmin(), counts.argmax()
    if config.class_weights == "none" and counts[common] >= IMBALANCED * counts[rare]:
        lines.append(f"the classes are imbalanced: {counts[common]:,} training images of "
                     f"{dataset.classes[common]!r}, {counts[rare]:,} of {dataset.classes[rare]!r}; "
                     "--class-weights balanced lets each class count alike")
    return lines


def after(config: TrainConfig, dataset: Dataset, row: dict, seen: int) -> list[str]:
    """A line about a run whose last epoch ended no better than guessing; none for any other.

    row: of that epoch, in the run's history. seen: images that its training error counts.
    """
    val, train = dataset.splits["val"], dataset.splits["train"]
    balanced = config.class_weights == "balanced"  # its aim is not the lowest error
    val_stuck = guesses(val, row["val_error"], len(val))
    train_stuck = guesses(train, row["train_error"], seen) and not balanced
    if not val_stuck and not train_stuck:
        return []
    usual = np.bincount(val.labels).argmax()
    told = (f"validation error {row['val_error']:.1%}, training error {row['train_error']:.1%}; "
            f"always answering {dataset.classes[usual]!r} has a validation error of "
            f"{1 - share(val):.1%}")
    if train_stuck:
        enough = math.ceil(LEAST_STEPS / max(1, seen // config.batch_size))
        told = (f"this net has not learned to tell the classes apart: {told}. Train it longer "
                f"(--epochs {max(2 * config.epochs, enough)})")
        told += (", keep its learning rate (--lr-scheduler constant)"
                 * (config.lr_scheduler != "constant"))
    else:
        told = (f"this net has learned its training images, but does no better than guessing on "
                f"others: {told}. Give it more images")
    told += ", let each class count alike (--class-weights balanced)" * (
        not balanced and share(train) > IMBALANCED / (IMBALANCED + 1))
    told += ", begin with the weights of a trained net (--init-from)" * (not config.init_from)
    return [f"{told}, or ask alexnet doctor, with the same options, for the cause"]


def too_large(run: "Trainer") -> str:
    """A sentence about the batch that did not fit, with one that does: halved until a step fits."""
    def attempt() -> None:
        x = torch.zeros(size, c.in_channels, c.input_size, c.input_size, device=c.device)
        velocities = [torch.empty_like(p) for p in run.model.parameters()]  # as the step needs them
        with autocast(c):
            run.model(x).float().sum().backward()
        del velocities

    c = run.config
    size = c.batch_size // 2
    run.model.zero_grad(set_to_none=True)
    run.model.train()
    while size and not memory.fits_in_memory(attempt):
        size //= 2
    told = f"a step with a batch of {c.batch_size} does not fit into the memory of {c.device}: "
    return told + (f"--batch-size {size} does" if size else
                   "nor does one image; use a smaller --input-size or --width")


def share(part: Split) -> float:
    """How often the most frequent class of these images is right."""
    return float(np.bincount(part.labels).max() / len(part))


def guesses(part: Split, error: float, seen: int) -> bool:
    """Whether an error (a fraction) over `seen` images is not clearly below that of one answer.

    One-sided binomial test: might whoever always answers the most frequent class be as often right?
    """
    return luck(round(seen * (1 - error)), seen, share(part)) >= LUCK


def luck(right: int, count: int, chance: float) -> float:
    """Probability of `right` or more successes in `count` trials of probability `chance`."""
    if right == 0 or chance == 1:
        return 1.0
    k, n, p = (torch.tensor(x, dtype=torch.float64) for x in (range(right, count + 1), count,
                                                              chance))
    ways = torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
    return (ways + k * p.log() + (n - k) * (-p).log1p()).logsumexp(0).exp().item()
