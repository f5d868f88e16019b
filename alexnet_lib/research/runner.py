"""Runs what is missing of a claim: searches rates, trains arms x seeds, keeps every record.

A record is written when its run has ended, so a kill loses the run under way and no other.
"""

import base64
import contextlib
import json
import math
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from alexnet_lib import datasets, features
from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.config import TrainConfig, resolve
from alexnet_lib.devices import machine, pick_device
from alexnet_lib.errors import Diverged, UserError
from alexnet_lib.evaluation import probabilities, scores
from alexnet_lib.models import AlexNet
from alexnet_lib.reporting import provenance
from alexnet_lib.research import measures
from alexnet_lib.research.claims import ANYWHERE, SETUPS, Arm, Claim
from alexnet_lib.research.metrics import measured
from alexnet_lib.schema import misfit, parse
from alexnet_lib.training import Trainer, train

RESULTS = Path(__file__).parents[2] / "data" / "results"
SEARCH_SEED = 100  # of the rate search; the runs that count have seeds 0, 1, 2, ...
MOST_RATES = 6  # that an arm's search tries
TRAIN_SAMPLE = 2000  # training images that are looked at again in evaluation mode


# What records hold: of a run of an arm, of a run of its search, and of a claim's own measurement.
_ANY = {"curves?": dict[str, list[float]], "diverged?": str, "note?": str}
_SCORES = {"top1_error": float}
RUN = _ANY | {"provenance": {"data": str}, "test?": dict[str, _SCORES], "train?": _SCORES,
              "color?": dict[str, float | list[float]], "retrieval?": dict[str, float]}
SEARCH = _ANY | {"config": {"lr": float}, "provenance?": {"data": str}}
MEASURED = _ANY | {"effect": float}
NAMES = re.compile(r"(seed)-(\d+)\.json|(rate)-(\d[\d.]*(?:e[+-]\d+)?)\.json")


def records(folder: Path, what: str, kind: dict) -> dict[str, dict]:
    """The records in a folder that are called WHAT-NUMBER.json, by number; what: "seed" or "rate".

    Files with other names are left out (`strays`). Raises UserError, naming the file, for one that
    does not hold what `kind` says.
    """
    found = {}
    for file in sorted(folder.glob(f"{what}-*.json")):
        if not NAMES.fullmatch(file.name):
            continue
        try:
            record = parse(file.read_text())
            fault = misfit(record, kind)
        except (OSError, ValueError) as error:
            fault = str(error)
        if fault:
            raise UserError(f"{file} is not the record of a run ({fault}): remove it, and alexnet "
                            "experiment makes it again")
        found[file.stem.removeprefix(f"{what}-")] = record
    return found


def strays(results: Path) -> list[Path]:
    """Files among the records that have the names of none, such as copies that a program made."""
    return sorted(file for file in (results / "runs").rglob("*.json")
                  if not NAMES.fullmatch(file.name))


def fits(claim: Claim, data: str) -> bool:
    """Whether the claim is tested on data of this kind."""
    return bool(claim.measure) or _kind(data) in claim.setups


def _kind(data: str) -> str:
    return "cifar10" if datasets.native_size(data) <= datasets.SMALL else "imagenette"


def setup_of(claim: Claim, data: str) -> str:
    """Which set-up fits the data: that for small images or that for photographs."""
    if claim.measure:
        return ANYWHERE
    if not fits(claim, data):
        raise UserError(f"{claim.id} is not tested on data like {data}: use "
                        f"{' or '.join(claim.setups)}")
    return _kind(data)


def _setup(name: str) -> dict:
    """The set-up of that name; with "@FINGERPRINT" behind it for runs on other data than ours."""
    return SETUPS[name.partition("@")[0]]


def config_of(claim: Claim, arm: Arm, setup: str, data: str, seed: int, lr: float) -> TrainConfig:
    """The configuration of one run."""
    settings = _setup(setup)["settings"] | _own(claim, arm, seed == SEARCH_SEED)
    return TrainConfig(**settings | {"data": data, "seed": seed, "lr": lr})


def folder_of(claim: Claim, arm: Arm | None, setup: str, results: Path = RESULTS,
              search: bool = False) -> Path:
    """Where the runs of an arm are kept; arms of the same settings have the same folder."""
    slug = Arm(arm.name, _own(claim, arm, search)).slug if arm else claim.id
    return results / "runs" / setup / slug


def _own(claim: Claim, arm: Arm, search: bool) -> dict:
    """The settings of an arm, on top of the set-up's."""
    return claim.settings | arm.settings | ({} if search else arm.long)


def run_claim(claim: Claim, data: str, seeds: int, minutes: float | None = None, jobs: int = 1,
              results: Path = RESULTS, say: Callable[[str], None] = print,
              progress: bool = True) -> bool:
    """Do what is missing of a claim's arms and seeds; whether all is there at the end.

    Seed by seed, so that whatever is there can be compared in pairs. `minutes`: no run is begun
    that would probably end later. `jobs`: so many runs at once, in processes of one thread each.
    Raises UserError.
    """
    for name, value, most in (("seeds", seeds, SEARCH_SEED),
                              ("jobs", jobs, max(4, multiprocessing.cpu_count()))):
        if not 1 <= value <= most:
            raise UserError(f"{name} must be 1 or more, and at most {most}, not {value}")
    if claim.measure:
        return _measure(claim, seeds, results, say)
    setup = setup_of(claim, data)
    first = resolve(config_of(claim, claim.arms[0], setup, data, 0, 0.01))
    ours = _fingerprint(setup, results)
    # Packed once, before any process needs it.
    found = datasets.load(data, first.stored_size, progress=progress)
    if ours not in (None, found.fingerprint):
        setup += f"@{found.fingerprint}"
        say(f"{results / 'runs'} has runs on other data (fingerprint {ours}): those on {data} "
            f"are put beside them, into {setup}")
    return run_claims([(claim, seeds)], data, setup, minutes, jobs, results, say, progress)


def run_claims(wanted: list[tuple[Claim, int]], data: str, setup: str,
               minutes: float | None = None, jobs: int = 1, results: Path = RESULTS,
               say: Callable[[str], None] = print, progress: bool = True) -> bool:
    """`run_claim` for claims of the same set-up, each with so many seeds, in one queue."""
    begun, longest, number, under_way = time.monotonic(), 0.0, 0, {}
    with _workers(jobs) as pool:
        while True:
            busy = {task.file for task, _ in under_way.values()}
            left = [task for task in _missing(wanted, setup, results) if task.file not in busy]
            searching = {task.search for task in
                         [*left, *(task for task, _ in under_way.values())] if task.lr}
            ready = [task for task in left if task.lr or task.search not in searching]
            spent = time.monotonic() - begun
            late = minutes is not None and spent + longest > 60 * minutes
            if not under_way and (late or not left):
                if left:
                    say(f"{len(left)} runs left: run this again to go on")
                return not left
            if ready and not late and len(under_way) < jobs:
                task, number = ready[0], number + 1
                say(f"{task.claim.id} {setup} run {number} of {number - 1 + len(left)}: {task}"
                    + _eta(longest * len(left) / jobs))
                lr = task.lr or best_rate(task.search, task.claim.choose)
                config = config_of(task.claim, task.arm, setup, data, task.seed, lr)
                under_way[pool.submit(_work, config, progress and jobs == 1)] = (
                    task, time.monotonic())
                continue
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                task, started = under_way.pop(future)
                record = future.result()
                if "provenance" in record:
                    record["provenance"]["command"] = (f"alexnet experiment {task.claim.id} "
                                                       f"--data {data} --seeds {task.seeds}")
                _keep(task.file, record)
                longest = max(longest, time.monotonic() - started)


def _fingerprint(setup: str, results: Path) -> str | None:
    """Of the data that the records in a set-up's folder were made with; None without records."""
    # A list: all are read, so that a damaged one is told before any data are fetched.
    data = [record.get("provenance", {}).get("data", "")
            for folder in sorted((results / "runs" / setup).glob("*/"))
            for what, kind in (("seed", RUN), ("rate", SEARCH))
            for record in records(folder, what, kind).values()]
    return next((mark[1] for told in data if (mark := re.search(r", fingerprint (\w+)", told))),
                None)


def setups_of(claim: Claim, results: Path = RESULTS) -> list[str]:
    """The set-ups with which a claim is tested, and those that ran on other data ("NAME@MARK")."""
    return [found for setup in claim.setups for found in (setup, *(
        folder.name for folder in sorted((results / "runs").glob(f"{setup}@*/"))
        if any(folder_of(claim, arm, folder.name, results).exists() for arm in claim.arms)))]


def _eta(seconds: float) -> str:
    return f", about {seconds / 60:.0f} min left" if seconds else ""


@contextlib.contextmanager
def _workers(jobs: int):
    """Something that runs functions: this process, or as many others as there are jobs."""
    if jobs == 1:
        yield _Here()
        return
    kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context(kind), _end_with_parent)
    try:
        yield pool
    except BrokenProcessPool:
        raise UserError("a process that trained was killed, perhaps because memory ran out: run "
                        "this again, with fewer --jobs; what was finished is kept") from None
    finally:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()  # an interruption would otherwise wait for the runs under way
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Lets a worker end when the process that it works for does, even if that was killed."""
    def follow() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class _Here:
    """Runs a function at once, and answers like a pool of processes."""

    def submit(self, function: Callable, *args) -> Future:
        done = Future()
        done.set_result(function(*args))
        return done


def _work(config: TrainConfig, progress: bool) -> dict:
    """A run's record. One thread on a CPU: sums depend on the number of threads, a little."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        dataset = _dataset(config.data, resolve(config).stored_size)
        return run_once(config, dataset, test=config.seed != SEARCH_SEED, progress=progress)
    finally:
        torch.set_num_threads(threads)


@lru_cache(1)
def _dataset(data: str, size: int) -> datasets.Dataset:
    return datasets.load(data, size, progress=False, say=lambda line: None)


def _keep(file: Path, record: dict) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, lambda p: p.write_text(json.dumps(record) + "\n"))


def edit_record(file: Path, change: Callable[[dict], None], what: str) -> None:
    """Change a record in place; its list `edits` gets a line that says what was done, and when."""
    record = json.loads(file.read_text())
    change(record)
    record.setdefault("edits", []).append({"date": time.strftime("%Y-%m-%d"), "what": what})
    _keep(file, record)


def _measure(claim: Claim, seeds: int, results: Path, say: Callable[[str], None]) -> bool:
    folder = folder_of(claim, None, ANYWHERE, results)
    for seed in range(1 if claim.exact else min(seeds, claim.most or seeds)):
        if not (file := folder / f"seed-{seed}.json").exists():
            say(f"{claim.id}: seed {seed}")
            where = machine(pick_device("auto")) | {
                "command": f"alexnet experiment {claim.id} --seeds {seed + 1}"}
            _keep(file, claim.measure(seed) | {"provenance": where})
    return True


class Task(NamedTuple):
    """A run to be made, and the file for its record. lr: of a search; None for the best rate.

    search: the folder of the search that finds it. seeds: how many its claim is to have.
    """

    claim: Claim
    arm: Arm
    seed: int
    lr: float | None
    file: Path
    search: Path
    seeds: int

    def __str__(self):
        what = f"search, rate {self.lr:g}" if self.lr else f"seed {self.seed}"
        return f"{self.arm.name}, {what}"


def _missing(wanted: list[tuple[Claim, int]], setup: str, results: Path) -> list[Task]:
    """The runs without a record: first the searches, then seed by seed, claim after claim."""
    searches, runs = [], []
    for claim, seeds in wanted:
        first = claim.rates or _setup(setup)["rates"]
        arms = [(arm, folder_of(claim, arm, setup, results, search=True)) for arm in claim.arms]
        searches += [Task(claim, arm, SEARCH_SEED, lr, folder / f"rate-{lr:g}.json", folder, seeds)
                     for arm, folder in arms
                     for lr in rates_to_try(folder, first, claim.choose)]
        runs += [Task(claim, arm, seed, None,
                      folder_of(claim, arm, setup, results) / f"seed-{seed}.json", folder, seeds)
                 for seed in range(seeds) for arm, folder in arms]
    by_file: dict[Path, Task] = {}  # arms may share their runs
    for task in searches + runs:
        by_file.setdefault(task.file, task)
    return [task for file, task in by_file.items() if not file.exists()]


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
    found = {}
    for rate, run in records(folder, "rate", SEARCH).items():
        value = math.inf if "diverged" in run else measured(choose, run)
        if value is None:
            raise UserError(f"{folder / f'rate-{rate}.json'} does not hold what {choose} needs: "
                            "remove it, and alexnet experiment makes it again")
        found[run["config"]["lr"]] = value
    return found


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
    except Diverged as error:
        where = machine(resolve(config).device) | {
            "data": datasets.signature(config.data, dataset.fingerprint)}
        return {"config": asdict(resolve(config)), "provenance": where, "diverged": str(error),
                "curves": {"val_error": []}}
    names = ("train_loss", "train_error", "val_loss", "val_error", "seconds")
    record = {"config": asdict(run.config), "provenance": provenance(run),
              "curves": {name: [row[name] for row in run.history] for name in names}}
    if test:
        split = "test" if "test" in dataset.splits else "val"
        record["test"] = {str(views): _measured(run, split, views) for views in (1, 10)}
        record["train"] = _measured(run, "train", 1, TRAIN_SAMPLE)
        record |= _seen(run, dataset.splits[split])
    return record


def _seen(run: Trainer, test: datasets.Split) -> dict:
    """What an AlexNet with color images and two columns has learned to see."""
    if (not isinstance(run.model, AlexNet) or not hasattr(run.model.features, "conv1")
            or (run.model.columns, run.model.in_channels) != (2, 3)):
        return {}
    index = features.color_selectivity(features.kernels(run))
    difference, by_chance = measures.column_difference(index)
    return {"color": {"difference": difference, "by_chance": by_chance,
                      "selectivity": [round(value, 4) for value in index.tolist()]},
            "retrieval": measures.retrieval(run, run.dataset.splits["train"], test)}


def _measured(run: Trainer, split: str, views: int, most: int | None = None) -> dict:
    """Its scores on a split; of a whole split also which images it got right (`right_images`)."""
    part = run.dataset.splits[split].subset(most)
    probs = probabilities(run, part.images, views)
    labels = torch.as_tensor(np.array(part.labels))
    found = scores(probs, labels, run.classes)
    record = {name: found[name] for name in ("images", "top1_error", "top5_error", "f1")}
    if most is None:
        bits = np.packbits((probs.argmax(1) == labels).numpy())
        record["right"] = base64.b64encode(bits.tobytes()).decode()
    return record


def right_images(record: dict, views: int = 10) -> np.ndarray:
    """Which test images a run got right, in the order of the set, from its record: (images,)."""
    found = record["test"][str(views)]
    bits = np.frombuffer(base64.b64decode(found["right"]), np.uint8)
    return np.unpackbits(bits, count=found["images"]).astype(bool)
