"""Runs what is missing of a claim: searches rates, trains arms x seeds, keeps every record.

A record is written when its run has ended, so a kill loses the run under way and no other.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from alexnet_lib import datasets
from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import probabilities, scores
from alexnet_lib.experiments import ANYWHERE, SETUPS, Arm, Claim
from alexnet_lib.experiments.metrics import METRICS
from alexnet_lib.training import TrainConfig, Trainer, machine, provenance, resolve, train

RESULTS = Path(__file__).parents[2] / "data" / "results"
SEARCH_SEED = 100  # of the rate search; the runs that count have seeds 0, 1, 2, ...
MOST_RATES = 5  # that an arm's search tries
TRAIN_SAMPLE = 2000  # training images that are looked at again in evaluation mode


def setup_of(claim: Claim, data: str) -> str:
    """Which set-up fits the data: that for small images or that for photographs."""
    if claim.measure:
        return ANYWHERE
    kind = "cifar10" if datasets.native_size(data) <= datasets.SMALL else "imagenette"
    if kind not in claim.setups:
        raise UserError(f"{claim.id} is not tested on data like {data}: use "
                        f"{' or '.join(claim.setups)}")
    return kind


def config_of(claim: Claim, arm: Arm, setup: str, data: str, seed: int, lr: float) -> TrainConfig:
    """The configuration of one run."""
    settings = SETUPS[setup]["settings"] | claim.settings | arm.settings
    return TrainConfig(**settings | {"data": data, "seed": seed, "lr": lr})


def folder_of(claim: Claim, arm: Arm | None, setup: str, results: Path = RESULTS) -> Path:
    """Where the runs of an arm are kept; arms of the same settings have the same folder."""
    slug = Arm(arm.name, claim.settings | arm.settings).slug if arm else claim.id
    return results / "runs" / setup / slug


def run_claim(claim: Claim, data: str, seeds: int, minutes: float | None = None,
              results: Path = RESULTS, say: Callable[[str], None] = print,
              progress: bool = True) -> bool:
    """Do what is missing of a claim's arms and seeds; whether all is there at the end.

    Seed by seed, so that whatever is there can be compared in pairs. `minutes`: no run is begun
    that would probably end later. Raises UserError.
    """
    if seeds < 1:
        raise UserError(f"seeds must be 1 or more, not {seeds}")
    if claim.measure:
        return _measure(claim, seeds, results, say)
    setup = setup_of(claim, data)
    begun, longest, number, dataset = time.monotonic(), 0.0, 0, None
    while tasks := _missing(claim, setup, seeds, results):
        spent = time.monotonic() - begun
        if minutes is not None and spent + longest > 60 * minutes:
            say(f"{len(tasks)} runs left: run this again to go on")
            return False
        arm, seed, lr, file = tasks[0]
        number += 1
        left = f", about {longest * len(tasks) / 60:.0f} min left" if longest else ""
        what = f"search, rate {lr:g}" if lr else f"seed {seed}, best rate"
        say(f"{claim.id} {setup} run {number} of {number + len(tasks) - 1}: {arm.name}, {what}"
            + left)
        started = time.monotonic()
        lr = lr or best_rate(file.parent, claim.choose)
        config = config_of(claim, arm, setup, data, seed, lr)
        dataset = dataset or datasets.load(data, resolve(config).stored_size, progress=progress)
        _keep(file, run_once(config, dataset, test=seed != SEARCH_SEED, progress=progress))
        longest = max(longest, time.monotonic() - started)
    return True


def _keep(file: Path, record: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda p: p.write_text(json.dumps(record) + "\n"))


def _measure(claim: Claim, seeds: int, results: Path, say: Callable[[str], None]) -> bool:
    folder = folder_of(claim, None, ANYWHERE, results)
    for seed in range(1 if claim.exact else seeds):
        if not (file := folder / f"seed-{seed}.json").exists():
            say(f"{claim.id}: seed {seed}")
            _keep(file, claim.measure(seed) | {"provenance": machine()})
    return True


def _missing(claim: Claim, setup: str, seeds: int,
             results: Path) -> list[tuple[Arm, int, float | None, Path]]:
    """(arm, seed, rate or None for the best, file): first the searches, then seed by seed."""
    tasks = {}
    for arm in claim.arms:
        folder = folder_of(claim, arm, setup, results)
        for lr in rates_to_try(folder, claim.rates or SETUPS[setup]["rates"], claim.choose):
            tasks[folder / f"rate-{lr:g}.json"] = (arm, SEARCH_SEED, lr)
    for seed in range(seeds):
        for arm in claim.arms:
            tasks[folder_of(claim, arm, setup, results) / f"seed-{seed}.json"] = (arm, seed, None)
    return [(*task, file) for file, task in tasks.items() if not file.exists()]


def rates_to_try(folder: Path, first: tuple[float, ...], choose: str) -> list[float]:
    """The rates where the search begins, and further ones while the best lies at an end.

    So the best rate has a worse one at both sides, or `MOST_RATES` were tried.
    """
    tried = searched(folder, choose)
    if len(tried) >= MOST_RATES or not set(first) <= set(tried):
        return sorted({*first, *tried})
    best = min(tried, key=tried.get)
    further = {min(tried): best / 2, max(tried): 2 * best}.get(best)
    if further is None or not math.isfinite(tried[best]):
        return sorted(tried)
    return sorted({*tried, further})


def searched(folder: Path, choose: str) -> dict[float, float]:
    """What the search found for each rate; infinite where the loss did not stay finite."""
    found = [json.loads(file.read_text()) for file in folder.glob("rate-*.json")]
    return {run["config"]["lr"]: math.inf if "diverged" in run else METRICS[choose](run)
            for run in found}


def best_rate(folder: Path, choose: str) -> float:
    """The rate whose search run was best. Raises UserError if none trained."""
    found = searched(folder, choose)
    if not any(map(math.isfinite, found.values())):
        raise UserError(f"no rate of {', '.join(f'{lr:g}' for lr in sorted(found))} trained in "
                        f"{folder.name}")
    return min(found, key=found.get)


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
