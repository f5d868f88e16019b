"""`make gpu`: what only a GPU can prove, the most telling first, written as it comes.

    python -m alexnet_lib.research.gpu FOLDER [--minutes 8] [--only tests,rates] [--small]

Needs torch, torchvision, torchmetrics, safetensors, matplotlib and pytest, and no installation.
Each part is a process with a time limit of its own and writes FOLDER/PART.json and PART.log.
Without a GPU everything runs on the CPU; with --small it takes a minute.
"""

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import torch

from alexnet_lib.research import workloads
from alexnet_lib.research.bench import ROOT

LIMITS = {"about": 60, "tests": 240, "rates": 150, "runs": 600, "claims": 600}  # seconds
# Trained with all choices left as they are, most telling first. Of the first one, which has the
# card to itself, the time counts.
RUNS = [{"variant": "paper", "seed": 0}, {"variant": "2012", "seed": 0},
        *({"variant": variant, "seed": seed} for variant in ("2012", "paper")
          for seed in range(1, 5)),
        *({"variant": "2012", "seed": seed, "lr_scheduler": "constant"} for seed in range(5))]
# With how many seeds a claim is to be tested, those first that more seeds can decide.
SEEDS = {"S03": 5, "S03b": 5, "C11d": 10, "C11e": 10, "C09": 12, "C13": 12, "S05": 12, "S04": 15,
         "S01": 15, "C11": 15, "C11b": 15, "C11c": 15, "C07": 12, "S08": 10, "C13b": 12, "C05": 12,
         "C12": 12, "C08": 12, "C04": 10, "C03": 10, "S02": 10, "S06": 15, "S07": 10, "C06": 10}
STORED = 256  # side of the images in pixels, for inputs of 227
FRAMES = 64  # of a film of the first layer's kernels


def device() -> str:
    """Where everything runs."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def about(small: bool) -> dict:
    """The card, its software, and the two ceilings: matrix products and copies."""
    from alexnet_lib.devices import machine
    from alexnet_lib.ops import norm
    found = machine(device()) | {"cuda": torch.version.cuda,
                                 "cudnn": torch.backends.cudnn.version()}
    if device() == "cpu":
        return found
    with contextlib.suppress(OSError):
        found["card"] = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
            capture_output=True, text=True).stdout.strip()
    found["norm"] = {str(kind): norm.gpu_kernels(kind)[1] for kind in (
        torch.float32, torch.bfloat16, torch.float16)}
    found["bf16_macs_per_s"] = workloads.matrix_peak(n=1024 if small else 8192)["macs_per_s"]
    block = torch.empty(2**28 if small else 2**32, dtype=torch.uint8, device="cuda")
    other = torch.empty_like(block)
    seconds = workloads.timed(lambda: other.copy_(block), 1, "cuda")["median"]
    return found | {"copied_bytes_per_s": 2 * block.numel() / seconds}


def tests(small: bool) -> dict:
    """`tests/test_gpu.py`: how many passed, and what failed with its last lines."""
    report = Path("tests-report.xml")
    together = ["-n", "8"] if importlib.util.find_spec("xdist") else []
    subprocess.run([sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider",
                    "-q", "--durations=10", *together, f"--junitxml={report.absolute()}",
                    str(ROOT / "tests" / "test_gpu.py")], cwd=ROOT)
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {case.get("name"): "\n".join((fault.text or "").splitlines()[-30:])
              for case in cases for fault in (*case.findall("failure"), *case.findall("error"))}
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {"passed": len(cases) - len(failed) - skipped, "skipped": skipped, "failed": failed}


def rates(small: bool) -> dict:
    """Images a second and memory of our step, its variants and its rivals, and where time goes."""
    seconds = 0.1 if small else 1
    batch = 4 if small else 128
    ours = {"ours": {}, "ours, fp32": {"precision": "fp32"}, "ours without LRN": {"lrn": 0},
            "ours, 2012": {"variant": "2012"}, "ours, plain formulas": {"fast": 0}}
    if not small:
        ours |= {f"ours, batch {size}": {"batch": size} for size in (256, 512, 1024)}
    half = {"bf16": 1, "channels_last": 1}
    rivals = {"plain build, fp32": {}, "plain build, bf16, channels-last": half,
              "plain build without LRN, bf16, channels-last": half | {"lrn": 0},
              "torchvision, fp32": {"net": "torchvision"},
              "torchvision, bf16, channels-last": half | {"net": "torchvision"}}
    shape = "2x96x9x9" if small else "128x96x55x55"
    norms = {"fp32": {}, "fp32, channels-last": {"channels_last": 1},
             "bf16, channels-last": {"channels_last": 1, "dtype": "bfloat16"}}
    views = {"images": 8 if small else 512}
    jobs = [*((name, workloads.step_ours, {"batch": batch} | given)
              for name, given in ours.items()),
            *((name, workloads.step_rival, {"batch": batch} | given)
              for name, given in rivals.items()),
            *((f"LRN, {name}", workloads.lrn, {"shape": shape} | given)
              for name, given in norms.items()),
            *((f"ten views, {net}", workloads.ten_views, views | {"net": net})
              for net in ("ours", "plain"))]
    if not small:  # last: compiling takes half a minute
        jobs.append(("plain build, bf16, channels-last, compiled", workloads.step_rival,
                     half | {"batch": batch, "compiled": 1}))
    found = {"profile": attempted(profile, {"batch": batch})}
    for name, workload, given in jobs:
        found[name] = attempted(workload, given | {"seconds": seconds, "device": device()})
        keep("rates", found)
    return found


def attempted(workload: Callable, given: dict) -> dict:
    """What a workload measured on an empty card, or why it could not."""
    gc.collect()
    if device() == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        found = workload(**given)
    except Exception as error:  # one that fails must not cost the others
        return {"error": f"{type(error).__name__}: {error}"[:2000]}
    found.pop("times", None)
    return found


def profile(batch: int) -> dict:
    """Seconds of a training step by kernel, the longest first, and how long the card was busy."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recorded

    from alexnet_lib.config import TrainConfig
    from alexnet_lib.training import Trainer
    run = Trainer(TrainConfig("imagenet", model="alexnet", variant="paper", batch_size=batch,
                              lr=1e-4, epochs=10**6, device=device()),
                  workloads.synthetic(batch), progress=False)
    run.start_epoch()
    steps = 10
    for _ in range(steps):
        run.train_step()
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device() == "cuda")
    workloads.settle(device())
    with recorded(activities=kinds) as seen:
        begun = time.perf_counter()
        for _ in range(steps):
            run.train_step()
        workloads.settle(device())
        wall = time.perf_counter() - begun
    busy = "self_device_time_total" if device() == "cuda" else "self_cpu_time_total"
    events = seen.key_averages()
    if device() == "cuda":  # kernels; an operator would count its own once more
        events = [e for e in events if e.device_type == torch.autograd.DeviceType.CUDA]
    by_kernel = {event.key[:120]: getattr(event, busy) / 1e6 / steps
                 for event in sorted(events, key=lambda event: -getattr(event, busy))[:40]}
    return {"wall_s": wall / steps, "kernels_s": by_kernel,
            "busy_s": sum(getattr(event, busy) for event in events) / 1e6 / steps}


def claims(small: bool, minutes: float, jobs: int) -> dict:
    """Further seeds of the claims in SEEDS, `jobs` runs at once; the records in FOLDER/results."""
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import runner
    results, ours = Path("results").absolute(), ROOT / "data" / "results" / "runs"
    if small:
        quick = {"epochs": 1, "limit": 64, "width": 0.125, "batch_size": 32,
                 "input_size": 59, "stored_size": 64}
        claim = experiments.claim("S04")
        wanted = [(replace(claim, settings=claim.settings | quick, rates=(0.01,)), 1)]
    else:
        wanted = [(experiments.claim(name), seeds) for name, seeds in SEEDS.items()]
        shutil.copytree(ours, results / "runs", dirs_exist_ok=True)
        images(small, experiments.SETUPS["imagenette"]["settings"]["stored_size"])
    whole = runner.run_claims(wanted, "shapes" if small else "imagenette", "imagenette", minutes,
                              jobs, results, lambda line: print(line, flush=True), False)
    if not small:
        for file in ours.rglob("*.json"):  # what remains is new, also that of an earlier call
            (results / "runs" / file.relative_to(ours)).unlink()
    return {"whole": whole, "new": len(list(results.rglob("*.json")))}


def runs(small: bool, minutes: float, jobs: int, epochs: int | None, first: int) -> dict:
    """Train the nets of RUNS from the `first` on while there is time: one alone, then `jobs` at
    once.

    No run begins that would probably end too late.
    """
    end = time.monotonic() + 60 * minutes
    done: list[dict] = []

    def one(given: dict) -> None:
        longest = max((row["wall_s"] for row in done), default=0)
        if time.monotonic() + longest > end:
            return
        begun = time.monotonic()
        name = "-".join(map(str, given.values()))
        command = [sys.executable, "-m", "alexnet_lib.research.gpu", ".", "--run",
                   json.dumps({"name": name, "epochs": epochs} | given)] + ["--small"] * small
        with open(f"run-{name}.log", "w") as log:
            code = exit_code(command, log, max(1, end - time.monotonic()))
        done.append(given | {"wall_s": time.monotonic() - begun, "exit_code": code})
        keep("runs", {"runs": done})
        print(done[-1], flush=True)

    images(small, STORED)  # packed now, so that the first run takes no longer than the others
    queue = RUNS[:1] if small else RUNS[first:]
    one(queue[0])
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, queue[1:]))
    return {"runs": done}


def exit_code(command: list[str], log: IO, seconds: float, **how) -> int | str:
    """How a command ended that may take so long."""
    try:
        return subprocess.run(command, stdout=log, stderr=log, timeout=seconds, **how).returncode
    except subprocess.TimeoutExpired:
        return "stopped at its limit"


def images(small: bool, size: int):
    """The data of all runs, stored at that size: Imagenette, or a few drawings."""
    from alexnet_lib import datasets
    few = {"counts": {"train": 64, "val": 16, "test": 16}} if small else {}
    return datasets.load("shapes" if small else "imagenette", size, progress=False, **few)


def train_one(name: str, variant: str, small: bool, **given) -> None:
    """Train a net as the command does, film its first layer, and look at the test set once.

    Of the first seed alone the whole film and the convolutions are kept.
    """
    from safetensors.torch import save_file

    from alexnet_lib import training, weights
    from alexnet_lib.config import TrainConfig, resolve
    from alexnet_lib.evaluation import predictions
    given = {key: value for key, value in given.items() if value is not None}
    data = "shapes" if small else "imagenette"
    if small:
        given |= {"epochs": 1, "limit": 64, "batch_size": 32, "input_size": 59,
                  "width": 0.125}
    config = TrainConfig(data, model="alexnet", variant=variant, out=f"net-{name}",
                         save_minutes=60, **given)
    frames = FRAMES if not config.seed else 1
    film: dict[str, torch.Tensor] = {}

    def look(run) -> bool:
        # Closer together in the beginning, when most happens.
        if run.step >= (len(film) / frames)**2 * run.total_steps:
            film[f"{run.step}"] = run.model.features.conv1.weight.detach().half().cpu().contiguous()
        return False

    dataset = images(small, resolve(config).stored_size)
    run = training.begin(config, dataset, progress=False)
    look(run)
    training.go_on(run, progress=False, say=lambda line: print(line, flush=True), on_step=look)
    save_file(film, f"film-{name}.safetensors")
    for views in (1, 10):
        answers = predictions(run, dataset, "test", views)
        answers.save(f"test-{name}-{views}.safetensors")
        Path(f"test-{name}-{views}.json").write_text(json.dumps(answers.scores()))
    if not config.seed:
        weights.export(run.path, f"features-{name}.safetensors", features=True)


def keep(part: str, found: dict) -> None:
    """Write what a part has found so far."""
    Path(f"{part}.json").write_text(json.dumps(found, indent=1) + "\n")


def main() -> None:
    """Run the parts in turn, or within their processes one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--only", default=",".join(LIMITS))
    parser.add_argument("--jobs", type=int, default=3, help="runs at once on the card")
    parser.add_argument("--first", type=int, default=0, help="the first of RUNS to be made")
    parser.add_argument("--epochs", type=int, help="of each run, instead of its own")
    parser.add_argument("--small", action="store_true", help="a dry run in a minute")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--run", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.only.split(",")) - set(LIMITS):
        parser.error(f"unknown parts {', '.join(unknown)}: use {', '.join(LIMITS)}")
    args.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(args.folder)
    if args.run:
        train_one(small=args.small, **args.run)
    elif args.part == "runs":
        keep("runs", runs(args.small, args.minutes, args.jobs, args.epochs, args.first))
    elif args.part == "claims":
        keep("claims", claims(args.small, args.minutes, args.jobs))
    elif args.part:
        keep(args.part, {"about": about, "tests": tests, "rates": rates}[args.part](args.small))
    else:
        every_part(args)


def every_part(args: argparse.Namespace) -> None:
    """Each part in a process, within its limit and what is left of the minutes."""
    end = time.monotonic() + 60 * args.minutes
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    for part in args.only.split(","):
        left = min(LIMITS[part], end - time.monotonic())
        if left < 1:
            print(f"{part}: no time left")
            continue
        begun = time.monotonic()
        # The last part ends by itself what it has begun.
        command = [sys.executable, "-m", "alexnet_lib.research.gpu", ".", "--part", part, "--jobs",
                   str(args.jobs), "--first", str(args.first), "--minutes",
                   str((left - 10) / 60)]
        command += ["--small"] * args.small
        command += ["--epochs", str(args.epochs)] if args.epochs else []
        with open(f"{part}.log", "w") as log:
            code = exit_code(command, log, left, env=environment)
        print(f"{part}: exit code {code}, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
