"""The reference solution of notebook 15, in plain PyTorch, and the record of what it reaches.

    python -m alexnet_lib.course.capstone capstone-cifar10 --data cifar10 --arms 10

writes data/results/capstone-cifar10.json and, under the same name, the first layers into
data/weights. The solutions in the notebook are these very lines (tests/test_capstone.py).
"""

import argparse
import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tabulate import tabulate
from torch import nn

from alexnet_lib import course, datasets
from alexnet_lib.devices import machine
from alexnet_lib.errors import UserError

device = "cuda" if torch.cuda.is_available() else "cpu"


def prepare(images):
    return (images.to(device).float() - 120) / 58


class ColumnNorm(nn.Module):
    """x / (2 + 0.0001 * (sum of the squares of five neighbors)) ** 0.75, within each column."""

    def __init__(self, channels):
        super().__init__()
        i = torch.arange(channels // 2)
        near = (i - i[:, None]).abs() <= 2           # who is a neighbor of whom
        self.register_buffer("near", 1e-4 * near.float().repeat(2, 1)[:, :, None, None])

    def forward(self, x):
        root = (2 + F.conv2d(x * x, self.near, groups=2)).rsqrt()
        return x * root * root.sqrt()                # d ** -0.75, faster than a power


class MyAlexNet(nn.Module):
    def __init__(self, classes, small=False, dropout=0.5):
        super().__init__()
        self.size = 24 if small else 227
        a, b, c, d, e, hidden = ((32, 64, 96, 96, 64, 256) if small else
                                 (96, 256, 384, 384, 256, 4096))
        first = nn.Conv2d(3, a, 5, padding=2) if small else nn.Conv2d(3, a, 11, stride=4)
        side = 2 if small else 6
        self.layers = nn.Sequential(
            first, nn.ReLU(), ColumnNorm(a), nn.MaxPool2d(3, 2),
            nn.Conv2d(a, b, 5, padding=2, groups=2), nn.ReLU(), ColumnNorm(b), nn.MaxPool2d(3, 2),
            nn.Conv2d(b, c, 3, padding=1), nn.ReLU(),
            nn.Conv2d(c, d, 3, padding=1, groups=2), nn.ReLU(),
            nn.Conv2d(d, e, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
            nn.Linear(e * side * side, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes))
        for layer in self.layers:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.layers(x)


class MySGD(torch.optim.Optimizer):
    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                v = self.state[w].setdefault("v", torch.zeros_like(w))
                v.mul_(0.9).sub_(group["lr"] * (w.grad + 0.0005 * w))
                w.add_(v)


def train(net, images, labels, epochs, lr=0.02):
    net.to(device).train()
    optimizer, losses = MySGD(net.parameters(), lr), []
    steps = epochs * math.ceil(len(images) / 16)
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(16):
            top, left = torch.randint(images.shape[-1] - net.size + 1, (2,)).tolist()
            crop = images[index, :, top:top + net.size, left:left + net.size]
            if torch.rand(()) < 0.5:
                crop = crop.flip(3)
            loss = F.cross_entropy(net(prepare(crop)), labels[index].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.param_groups[0]["lr"] = lr * (1 - len(losses) / steps)
            optimizer.step()
            losses.append(loss.item())
    return losses


@torch.no_grad()
def report(net, images, labels):
    net.to(device).eval()
    far, size, wrong = images.shape[-1] - net.size, net.size, 0
    for i in range(0, len(images), 250):
        some, total = images[i:i + 250], 0
        for top, left in [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]:
            crop = prepare(some[:, :, top:top + size, left:left + size])
            total = total + net(crop).softmax(1) + net(crop.flip(3)).softmax(1)
        wrong += int((total.argmax(1).cpu() != labels[i:i + 250]).sum())
    p, n = wrong / len(labels), len(labels)
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    return 100 * p, 100 * (p - half), 100 * (p + half)


REFERENCE = {"15-1": MyAlexNet, "15-2": MySGD, "15-3": train, "15-4": report}


def yours(name: str):
    """The learner's answer to an exercise that was correct last, else the reference's.

    Prints one line that says which.
    """
    if name in course.solved:
        print(f"{name}: yours")
        return course.solved[name]
    print(f"{name}: not solved yet, so our solution stands in for yours")
    return REFERENCE[name]


def load_data() -> datasets.Dataset:
    """The learner's data (`course.data`), at 32 pixels; on a GPU, large photographs at 256.

    Where nobody has chosen, CIFAR-10: downloaded once, 163 MiB. Without a network, or where
    ALEXNET_OFFLINE=1, the drawn shapes. Prints what it is.
    """
    name = course.data
    if name == "shapes" and not os.environ.get("ALEXNET_DATA"):
        try:
            if os.environ.get("ALEXNET_OFFLINE") == "1":
                raise UserError("offline")
            datasets.load("cifar10")
            name = "cifar10"
        except UserError as error:
            print("CIFAR-10 can't be fetched here, so the drawn shapes stand in for it.")
            course.say(str(error))  # beside it, since it differs from machine to machine
    course.data = name
    large = device == "cuda" and datasets.native_size(name) > datasets.SMALL
    data = datasets.load(name, 256 if large else 32)
    print(f"{name}: {len(data.splits['train']):,} training images, {len(data.held_out):,} test "
          f"images, {len(data.classes)} classes, {data.size} pixels")
    return data


def tensors(split) -> tuple[torch.Tensor, torch.Tensor]:
    """(images, labels) of a split: (N, 3, S, S) uint8 and (N,) int64."""
    return (torch.tensor(split.images).permute(0, 3, 1, 2).contiguous(),
            torch.tensor(split.labels))


def ours(data: datasets.Dataset) -> dict:
    """What our recorded runs found on such data, and where they come from, which is printed.

    Returns `runs` and, as (low, high), the mean of our seeds and three standard deviations each
    way (at least a tenth of it): `loss` (nats), `error` and `kept` (percent), `half` and
    `effect` (points).
    """
    record = course.recorded("capstone-shapes" if data.name == "shapes" else "capstone-cifar10")
    runs, claim = record["runs"], record["claim"]
    losses = [run["losses"][-len(run["losses"]) // 10:] for run in runs]
    gaps = [b - a for a, b in zip(claim["with"], claim["without"], strict=True)]
    return {"runs": runs,
            "loss": _around([sum(last) / len(last) for last in losses], 1),
            "error": _around([run["test_error"] for run in runs], 0),
            "half": _around([(run["interval"][1] - run["interval"][0]) / 2 for run in runs], 1),
            "kept": _around([run["kept"] for run in runs], 0),
            "effect": _around(gaps, 0, 3)}


def _around(values: list[float], digits: int, count: int = 1) -> tuple[float, float]:
    """Three standard deviations of a mean of `count` around the mean, rounded outward.

    At least a tenth of it, for two or three runs say little about how far runs differ.
    """
    mean, unit = np.mean(values), 10**digits
    spread = 3 * np.std(values, ddof=1) / count**0.5 if len(values) > 1 else 0
    half = max(spread, abs(mean) / 10)
    return math.floor((mean - half) * unit) / unit, math.ceil((mean + half) * unit) / unit


def table(record: dict) -> str:
    """The runs of a record, and what they took."""
    rows = [(run["seed"], f"{run['test_error']:.1f}", "{:.1f} to {:.1f}".format(*run["interval"]),
             f"{run['seconds'] / 60:.1f}", f"{run['processor_seconds'] / 60:.1f}")
            for run in record["runs"]]
    return tabulate(rows, ("seed", "test error, %", "95% interval", "minutes by the clock",
                           "minutes of computing"), disable_numparse=True)


def first_layers(name: str) -> dict[str, torch.Tensor]:
    """conv1 of our recorded runs before and after: "0.initial", "0.trained", "1.initial", ..."""
    return load_file(course.ROOT / "data" / "weights" / f"{name}.safetensors")


def run_arm(few, some, classes: int, seed: int, dropout: float) -> float:
    """The test error, percent, of a short training with or without dropout, as in the notebook."""
    course.seed(seed)
    net = MyAlexNet(classes, small=True, dropout=dropout)
    train(net, *few, 6)
    return report(net, *some)[0]


def main() -> None:
    """Train the reference with each seed that the record lacks, and write it after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--arms", type=int, default=0, help="seeds with and without dropout")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    data = datasets.load(args.data, 32)
    train_set, test_set = tensors(data.splits["train"]), tensors(data.held_out)
    classes, file = len(data.classes), course.ROOT / "data" / "results" / f"{args.name}.json"

    def write(first=None, **found) -> None:
        record = json.loads(file.read_text()) if file.exists() else {"runs": []}
        record["runs"] = sorted(record["runs"] + found.pop("runs", []), key=lambda r: r["seed"])
        seeds = [run["seed"] for run in record["runs"]]
        record |= found
        record |= {
            "provenance": machine() | {
                "command": f"python -m alexnet_lib.course.capstone {args.name} --data {args.data} "
                           f"--epochs {args.epochs} --seeds {' '.join(map(str, seeds))} "
                           f"--arms {len(record.get('claim', {}).get('with', []))}",
                "data": datasets.signature(args.data, data.fingerprint), "seeds": seeds},
            "recipe": {"epochs": args.epochs, "batch_size": 16, "lr": 0.02, "views": 10,
                       "training_images": len(train_set[1]), "test_images": len(test_set[1])}}
        file.write_text(json.dumps(record, indent=1) + "\n")
        if first:
            weights = course.ROOT / "data" / "weights" / f"{args.name}.safetensors"
            before = load_file(weights) if weights.exists() else {}
            save_file(before | {key: value.half() for key, value in first.items()}, weights)

    for seed in args.seeds:
        course.seed(seed)
        net = MyAlexNet(classes, small=True, dropout=0.0)
        start = net.layers[0].weight.detach().clone()
        began, worked = time.perf_counter(), time.process_time()
        losses = train(net, *train_set, args.epochs)
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
        error, low, high = report(net, *test_set)
        end = net.layers[0].weight.detach()
        every = max(1, len(losses) // 60)
        write({f"{seed}.initial": start, f"{seed}.trained": end}, runs=[{
            "seed": seed, "test_error": error, "interval": [low, high],
            "seconds": round(seconds), "processor_seconds": round(worked),
            "kept": 100 * float((start * end).sum() / (start**2).sum()),
            "losses": [round(float(np.mean(losses[i:i + every])), 4)
                       for i in range(0, len(losses), every)]}])
        print(seed, error, seconds, worked, file=sys.stderr)
    if args.arms:
        few, some = tensors(data.splits["train"].subset(800)), tensors(data.held_out.subset(300))
        write(claim={arm: [run_arm(few, some, classes, seed, p)
                           for seed in range(args.arms)]
                     for arm, p in (("with", 0.5), ("without", 0.0))})


if __name__ == "__main__":
    main()
