"""Runs what is missing of a claim: searches rates, trains arms x seeds, keeps every record.

A record is written when its run has ended, so a kill loses the run under way and no other.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from alexnet_lib import datasets
from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import probabilities, scores
from alexnet_lib.experiments import SETUPS, Arm, Claim
from alexnet_lib.training import TrainConfig, Trainer, provenance, resolve, train

RESULTS = Path(__file__).parents[2] / "data" / "results"
SEARCH_SEED = 100  # of the rate search; the runs that count have seeds 0, 1, 2, ...
TRAIN_SAMPLE = 2000  # training images that are looked at again in evaluation mode


def setup_of(claim: Claim, data: str) -> str:
    """Which set-up fits the data: that for small images or that for photographs."""
    kind = "cifar10" if datasets.native_size(data) <= datasets.SMALL else "imagenette"
    if kind not in claim.setups:
        raise UserError(f"{claim.id} is not tested on data like {data}: use "
                        f"{' or '.join(claim.setups)}")
    return kind


def config_of(claim: Claim, arm: Arm, setup: str, data: str, seed: int, lr: float) -> TrainConfig:
    """The configuration of one run."""
    settings = SETUPS[setup]["settings"] | claim.settings | arm.settings
    return TrainConfig(**settings | {"data": data, "seed": seed, "lr": lr})


def folder_of(claim: Claim, arm: Arm, setup: str, results: Path = RESULTS) -> Path:
    """Where the runs of an arm are kept; arms of the same settings have the same folder."""
    return results / "runs" / setup / Arm(arm.name, claim.settings | arm.settings).slug


def run_claim(claim: Claim, data: str, seeds: int, minutes: float | None = None,
              results: Path = RESULTS, say: Callable[[str], None] = print,
              progress: bool = True) -> bool:
    """Do what is missing of a claim's arms and seeds; whether all is there at the end.

    Seed by seed, so that whatever is there can be compared in pairs. `minutes`: no run is begun
    that would probably end later. Raises UserError.
    """
    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, not {seeds}")
    setup = setup_of(claim, data)
    begun, longest = time.monotonic(), 0.0
    first = config_of(claim, claim.arms[0], setup, data, 0, 0.01)
    dataset = datasets.load(data, resolve(first).stored_size, progress=progress)
    tasks = _missing(claim, setup, seeds, results)
    for number, (arm, seed, lr, file) in enumerate(tasks, 1):
        spent = time.monotonic() - begun
        if minutes is not None and spent + longest > 60 * minutes:
            say(f"{len(tasks) - number + 1} of {len(tasks)} runs left: run this again to go on")
            return False
        left = f", about {longest * (len(tasks) - number + 1) / 60:.0f} min left" if longest else ""
        rate = f"rate {lr:g}" if lr else "best rate"
        say(f"{claim.id} {setup} run {number} of {len(tasks)}: {arm.name}, "
            + (f"seed {seed}, {rate}" if seed != SEARCH_SEED else f"search, {rate}") + left)
        started = time.monotonic()
        lr = lr or best_rate(file.parent)
        config = config_of(claim, arm, setup, data, seed, lr)
        record = run_once(config, dataset, test=seed != SEARCH_SEED, progress=progress)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, lambda p, r=record: p.write_text(json.dumps(r) + "\n"))
        longest = max(longest, time.monotonic() - started)
    return True


def _missing(claim: Claim, setup: str, seeds: int,
             results: Path) -> list[tuple[Arm, int, float | None, Path]]:
    """(arm, seed, rate or None for the best, file): first the searches, then seed by seed."""
    tasks = {}
    for arm in claim.arms:
        folder = folder_of(claim, arm, setup, results)
        for lr in SETUPS[setup]["rates"]:
            tasks[folder / f"rate-{lr:g}.json"] = (arm, SEARCH_SEED, lr)
    for seed in range(seeds):
        for arm in claim.arms:
            tasks[folder_of(claim, arm, setup, results) / f"seed-{seed}.json"] = (arm, seed, None)
    return [(*task, file) for file, task in tasks.items() if not file.exists()]


def best_rate(folder: Path) -> float:
    """The rate whose search run had the lowest validation error at its end."""
    found = [json.loads(file.read_text()) for file in sorted(folder.glob("rate-*.json"))]
    done = [run for run in found if run["curves"]["val_error"]]
    if not done:
        raise UserError(f"no rate of the grid trained: see {folder}")
    best = min(done, key=lambda run: run["curves"]["val_error"][-1])
    return best["config"]["lr"]


def run_once(config: TrainConfig, dataset: datasets.Dataset, test: bool = True,
             progress: bool = True) -> dict:
    """Train once and measure: the record of one run.

    A loss that is no longer finite ends the run: its curves stop there. Only with `test` the
    test set is looked at.
    """
    try:
        run = train(config, dataset, progress=progress)
    except UserError as error:
        if "the loss is" not in str(error):
            raise
        return {"config": asdict(resolve(config)), "diverged": str(error),
                "curves": {"val_error": []}}
    names = ("train_loss", "train_error", "val_loss", "val_error", "seconds")
    record = {"config": asdict(run.config), "provenance": provenance(run) | {"command": ""},
              "curves": {name: [row[name] for row in run.history] for name in names}}
    del record["provenance"]["command"]  # the ledger has it
    if test:
        split = "test" if "test" in dataset.splits else "val"
        record["test"] = {str(views): _measured(run, split, views) for views in (1, 10)}
        record["train"] = _measured(run, "train", 1, TRAIN_SAMPLE)
    return record


def _measured(run: Trainer, split: str, views: int, most: int | None = None) -> dict:
    part = run.dataset.splits[split]
    probs = probabilities(run, part.images[:most], views)
    found = scores(probs, torch.as_tensor(part.labels[:most].copy()), run.classes)
    return {name: found[name] for name in ("images", "top1_error", "top5_error", "f1")}
