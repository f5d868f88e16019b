"""How many photographs does a net need, with and without another net's weights?

    python -m alexnet_lib.research.transfer --minutes 45

Each run is a record in data/results/transfer; runs that are there are not made again. All arms
have AlexNet's convolutions and one linear layer on top, the head:

    probe       the head alone learns, on convolutions trained on Imagenette: logistic regression
    untrained   the same on convolutions with random weights
    scratch     all layers learn, from random weights
    fine-tuned  all layers learn, from Imagenette's convolutions and the head of the probe
    layer-wise  the same, and each layer learns at a third of the learning rate of the next one

Their photographs have 131 pixels. With "-227" behind its name, an arm has them at 227, the size on
which Imagenette's convolutions were trained.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import datasets
from alexnet_lib.augment import Augment
from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.devices import machine
from alexnet_lib.models import AlexNet
from alexnet_lib.research.runner import RESULTS
from alexnet_lib.weights import load_features

FOLDER = RESULTS / "transfer"
WEIGHTS = RESULTS.parent / "weights" / "imagenette-features.safetensors"
SIZE, STORED = 131, 148  # pixels: a third of the work of 227 and 256
STEPS, BATCH = 200, 32   # the same for scratch and both kinds of fine-tuning
SEARCH_SEED, SEARCH_COUNT = 100, 100  # photographs a class with which a learning rate is chosen
TRIED = {"probe": (0.01, 0.1, 1.0), "untrained": (0.01, 0.1, 1.0), "scratch": (0.01, 0.03),
         "fine-tuned": (0.001, 0.003)}
TRIED |= {"probe-227": TRIED["probe"], "untrained-227": TRIED["untrained"]}
SEARCH_OF = {"layer-wise": "fine-tuned", "scratch-long": "scratch"}
PROBED, CONTROL, TRAINED = (5, 10, 20, 50, 100, 200, 500), (5, 20, 100, 500), (20, 100, 500)


class Task(NamedTuple):
    """One run. setting: the learning rate, or the weight decay of a probe; None: as searched."""

    arm: str
    per_class: int
    seed: int
    setting: float | None = None

    @property
    def file(self) -> str:
        """Where its record is, within the folder of the records."""
        if self.setting is None:
            return f"{self.arm}-{self.per_class}-seed-{self.seed}.json"
        return f"search/{self.arm}-{self.per_class}-{self.setting:g}.json"


def drawn(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """The numbers of `per_class` images of each class, drawn by the seed, in random order.

    With the same seed, a smaller draw is a part of a larger one.
    """
    generator = np.random.default_rng(seed)
    of_class = [generator.permutation(np.flatnonzero(labels == k)) for k in np.unique(labels)]
    return generator.permutation(np.concatenate([found[:per_class] for found in of_class]))


def fit_probe(features: Tensor, labels: Tensor, classes: int, decay: float) -> nn.Linear:
    """Logistic regression on features (N, D): the layer with the lowest mean cross-entropy plus
    decay / 2 * the sum of the squared weights, for features divided by their root mean square."""
    scale = features.square().mean().sqrt()
    x, head = features / scale, nn.Linear(features.shape[1], classes)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(head(x), labels) + decay / 2 * head.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        head.weight /= scale  # now it takes the features as they are
    return head


def convolutions(seed: int | None) -> nn.Module:
    """Imagenette's convolutions; with a seed, random ones in the modern initialization."""
    if seed is None:
        return load_features(WEIGHTS, "cpu").model
    torch.manual_seed(seed)
    net = AlexNet(10, input_size=SIZE, variant="2012", init="he")
    return net.features.to(memory_format=torch.channels_last)


@lru_cache(1)
def mean_color() -> np.ndarray:
    """That of the photographs on which the pretrained net was trained, (3,), 0-255."""
    return load_features(WEIGHTS, "cpu").augment.mean.mean((0, 1)).numpy()


def augment(divisor: float, size: int = SIZE, stored: int = STORED) -> Augment:
    """Batches as the pretrained net was trained on: less its mean color, cropped and mirrored."""
    return Augment(size, np.tile(mean_color(), (stored, stored, 1)), input_divisor=divisor)


def bf16() -> torch.autocast:
    """The precision of all passes through convolutions."""
    return torch.autocast("cpu", torch.bfloat16, cache_enabled=False)


@torch.no_grad()
def answers(net: nn.Module, images, how: Augment) -> Tensor:
    """What the net gives for the centers of stored images."""
    net.eval()
    with bf16():
        return torch.cat([net(how.view(images, index)).flatten(1).float()
                          for index in torch.arange(len(images)).split(100)])


@lru_cache(8)
def probed(seed: int | None, size: int = SIZE, stored: int = STORED) -> dict[str, Tensor]:
    """By split, the features of all its images under these convolutions."""
    how, net = augment(1.0 if seed is None else 58.0, size, stored), convolutions(seed)
    return {name: answers(net, part.images, how)
            for name, part in datasets.load("flowers", stored).splits.items()}


def is_probe(arm: str) -> bool:
    """Whether the head alone learns."""
    return arm.startswith(("probe", "untrained"))


def setting_of(task: Task, folder: Path) -> float:
    """What was searched: the value with the lowest error on the validation split."""
    if task.setting is not None:
        return task.setting
    arm = SEARCH_OF.get(task.arm, task.arm)
    per_class = task.per_class if is_probe(arm) else SEARCH_COUNT
    found = {value: json.loads((folder / Task(arm, per_class, SEARCH_SEED, value).file)
                               .read_text())["val_error"] for value in TRIED[arm]}
    return min(found, key=lambda value: found[value])


def run(task: Task, folder: Path = FOLDER) -> dict:
    """The record of a run."""
    begun, setting = time.monotonic(), setting_of(task, folder)
    data = datasets.load("flowers", STORED)
    train, k = data.splits["train"], len(data.classes)
    chosen = drawn(train.labels, task.per_class, task.seed)
    labels, losses = torch.from_numpy(np.asarray(train.labels)).long(), []
    large = task.arm.endswith("-227")
    if is_probe(task.arm):
        found = probed(task.seed if task.arm.startswith("untrained") else None,
                       *((227, 256) if large else ()))
        head = fit_probe(found["train"][chosen], labels[chosen], k, setting)
        given = {name: head(found[name]).detach() for name in ("val", "test")}
    else:
        steps = STEPS * (4 if task.arm == "scratch-long" else 1)
        net, how = start(task, chosen, labels, k, folder)
        losses = learn(net, how, train.images, labels, chosen, setting,
                       1 / 3 if task.arm == "layer-wise" else 1.0, steps, task.seed)
        given = {name: answers(net, data.splits[name].images, how) for name in ("val", "test")}
    wrong = {name: (x.argmax(1).numpy() != data.splits[name].labels) for name, x in given.items()}
    confusion = np.zeros((k, k), int)
    np.add.at(confusion, (data.splits["test"].labels, given["test"].argmax(1).numpy()), 1)
    return {
        "provenance": machine() | {
            "command": "python -m alexnet_lib.research.transfer " + shlex.join(sys.argv[1:]),
            "data": f"flowers, copies of 224 px, fingerprint {data.fingerprint}",
            "seeds": task.seed, "seconds": round(time.monotonic() - begun, 1)},
        "config": {"arm": task.arm, "per_class": task.per_class, "seed": task.seed,
                   "decay" if not losses else "lr": setting, "steps": len(losses),
                   "batch_size": BATCH, "precision": "bf16",
                   "input_size": 227 if large else SIZE, "stored_size": 256 if large else STORED},
        "classes": data.classes, "losses": [round(x, 4) for x in losses],
        "val_error": float(wrong["val"].mean()), "test_error": float(wrong["test"].mean()),
        "confusion": confusion.tolist()}


def start(task: Task, chosen, labels: Tensor, classes: int, folder: Path):
    """(the net before its first step, what makes its batches)."""
    scratch = task.arm.startswith("scratch")
    features = convolutions(task.seed if scratch else None)
    if scratch:
        width = answers(features, np.zeros((1, STORED, STORED, 3), np.uint8), augment(58.0))
        head = nn.Linear(width.shape[1], classes)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    else:
        decay = setting_of(Task("probe", task.per_class, task.seed), folder)
        head = fit_probe(probed(None)["train"][chosen], labels[chosen], classes, decay)
    return nn.Sequential(features, nn.Flatten(), head), augment(58.0 if scratch else 1.0)


def learn(net: nn.Sequential, how: Augment, images, labels: Tensor, chosen: np.ndarray, lr: float,
          factor: float, steps: int, seed: int) -> list[float]:
    """Train all layers; returns the loss of each step, in nats.

    factor: of a layer's learning rate to that of the next one. The rates rise for a tenth of the
    steps and then fall to 0 along a cosine.
    """
    layers = [m for m in net.modules() if len(list(m.parameters(recurse=False)))]
    rates = [lr * factor ** (len(layers) - 1 - i) for i in range(len(layers))]
    optimizer = torch.optim.SGD([{"params": list(m.parameters()), "lr": rate}
                                 for m, rate in zip(layers, rates, strict=True)],
                                lr, momentum=0.9, weight_decay=0.0005)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=steps,
                                                   pct_start=0.1, cycle_momentum=False)
    generator = torch.Generator().manual_seed(seed)
    order, losses = batches(chosen, steps, generator), []
    net.train()
    for index in order:
        with bf16():
            logits = net(how.train(images, index, generator))
        loss = F.cross_entropy(logits.float(), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def batches(chosen: np.ndarray, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """`steps` batches of BATCH: all images once in random order, then all again, and so on."""
    passes = -(-steps * BATCH // len(chosen))
    order = torch.cat([torch.randperm(len(chosen), generator=generator) for _ in range(passes)])
    return iter(torch.from_numpy(chosen)[order[:steps * BATCH]].split(BATCH))


def tasks(seeds: int) -> Iterator[Task]:
    """All runs, the searches before what needs them, and the seeds one after the other."""
    for arm, counts, draws in (("probe", PROBED, 5), ("untrained", CONTROL, 3),
                               ("probe-227", PROBED, 5), ("untrained-227", CONTROL, 3)):
        for per_class in counts:
            yield from (Task(arm, per_class, SEARCH_SEED, value) for value in TRIED[arm])
            yield from (Task(arm, per_class, seed) for seed in range(draws))
    for arm in ("fine-tuned", "scratch"):
        yield from (Task(arm, SEARCH_COUNT, SEARCH_SEED, value) for value in TRIED[arm])
    for seed in range(seeds):
        yield from (Task(arm, per_class, seed) for per_class in TRAINED
                    for arm in ("fine-tuned", "scratch"))
    yield Task("scratch-long", 500, 0)
    yield from (Task("layer-wise", per_class, seed) for seed in range(seeds)
                for per_class in TRAINED)


def records(folder: Path = FOLDER) -> dict[str, dict[int, list[dict]]]:
    """By arm and number of photographs a class, the records in the order of their seeds."""
    found: dict[str, dict[int, list[dict]]] = {}
    for file in sorted(folder.glob("*.json")):
        record = json.loads(file.read_text())
        config = record["config"]
        found.setdefault(config["arm"], {}).setdefault(config["per_class"], []).append(record)
    return {arm: {count: sorted(rows, key=lambda row: row["config"]["seed"])
                  for count, rows in sorted(by_count.items())} for arm, by_count in found.items()}


def main() -> None:
    """Do what is missing, and write each record when its run has ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=float("inf"),
                        help="begin no run after so many")
    parser.add_argument("--seeds", type=int, default=3, help="of the arms that train all layers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.monotonic()
    for task in tasks(args.seeds):
        file = FOLDER / task.file
        if file.exists():
            continue
        if time.monotonic() - begun > 60 * args.minutes:
            print("some runs are left: run this again to go on")
            return
        record = run(task, FOLDER)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record) + "\n"
        write_atomically(file, lambda path, text=text: path.write_text(text))
        print(f"{task.file}: test error {record['test_error']:.1%}, "
              f"{record['provenance']['seconds']:g} s", flush=True)


if __name__ == "__main__":
    main()
