"""`alexnet bench`: how fast the library is, each row beside its rival in the same run.

Every workload runs in a fresh process, ours and its rivals in turn, `rounds` times; a row takes
the medians. A figure without its rival says more about the machine than about the code.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from alexnet_lib import ops
from alexnet_lib.devices import machine
from alexnet_lib.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
IMAGENETTE, IMAGENET = 9469, 1_281_167  # training images


@dataclass(frozen=True)
class Row:
    """A measurement and its rival: (workload with settings, field of its result, factor).

    Its `ratio` is ours / rival: of speeds, or of costs as a share. With `upside_down` it is
    rival / ours, which makes of two costs "so many times as fast".
    """

    id: str
    text: str
    unit: str
    ours: tuple[str, str, float]
    rival: tuple[str, str, float]
    upside_down: bool = False
    target: str = ""


LRN = "lrn device={device}"
OURS = "step_ours device={device}"
SMALL = "small_step device={device}"
PLAIN = "step_rival device={device}"
TORCHVISION = "step_rival net=torchvision device={device}"
EVERYWHERE = (
    Row("lrn_vs_torch", "LRN (64, 96, 55, 55) fp32, forward + backward, against nn.LocalResponse"
        "Norm", "ms", (LRN, "ours", 1e3), (LRN, "torch", 1e3), True, ">= 10"),
    Row("lrn_channels_last_vs_torch", "LRN in channels-last memory", "ms",
        (LRN + " channels_last=1", "ours", 1e3), (LRN + " channels_last=1", "torch", 1e3), True),
    Row("lrn_bf16_vs_torch", "LRN in bf16; torch's in fp32", "ms",
        (LRN + " channels_last=1 dtype=bfloat16", "ours", 1e3),
        (LRN + " channels_last=1 dtype=bfloat16", "torch", 1e3), True),
    Row("step_vs_plain", "training step, batch 128, from stored images, in bf16 where the machine "
        "has it, against the plain build in fp32", "images/s", (OURS, "images_per_s", 1),
        (PLAIN, "images_per_s", 1), False, ">= 6"),
    Row("step_fp32_vs_plain", "the same step in fp32, too", "images/s",
        (OURS + " precision=fp32", "images_per_s", 1), (PLAIN, "images_per_s", 1), False, ">= 2"),
    Row("step_vs_no_lrn", "the step in bf16 against itself without LRN", "images/s",
        (OURS, "images_per_s", 1), (OURS + " lrn=0", "images_per_s", 1), False, ">= 0.85"),
    Row("step_vs_torchvision", "the step in bf16 against torchvision's AlexNet, fp32, no LRN",
        "images/s", (OURS, "images_per_s", 1), (TORCHVISION, "images_per_s", 1), False, ">= 2.5"),
    Row("step_2012_vs_plain", "the net of run #145 (a spatial norm more) against the plain build",
        "images/s", (OURS + " variant=2012", "images_per_s", 1), (PLAIN, "images_per_s", 1)),
    Row("input_vs_torchvision", "training batches on one core, from the packed store, against "
        "ImageFolder and transforms on files of 400 px, about ImageNet's", "images/s",
        ("batches", "images_per_s", 1),
        ("batches way=torchvision side=400 images=256", "images_per_s", 1), False, ">= 20"),
    Row("input_vs_small_files", "the same against files scaled to 256 px beforehand", "images/s",
        ("batches", "images_per_s", 1), ("batches way=torchvision", "images_per_s", 1)),
    Row("input_share_of_step", "making the batch, as a share of the step", "ms",
        (OURS, "batch_s", 1e3), (OURS, "median", 1e3), False, "<= 0.05"),
    Row("memory_vs_plain", "peak memory of training, less PyTorch itself, against the plain build",
        "MB", (OURS, "peak_mb", 1), (PLAIN, "peak_mb", 1), False, "<= 0.6"),
    Row("ten_views_vs_plain", "evaluation with ten views against the plain build and ten_crop",
        "images/s", ("ten_views device={device}", "images_per_s", 1),
        ("ten_views net=plain device={device}", "images_per_s", 1)),
    Row("busy_step_vs_plain", "the step in bf16, batch 32, against the plain build, while another "
        "process computes on one core", "images/s",
        (OURS + " batch=32 busy=1", "images_per_s", 1),
        (PLAIN + " batch=32 busy=1", "images_per_s", 1)),
    Row("busy_small_vs_idle", "training the default net on `shapes` while another process computes "
        "on one core, against the same alone", "images/s",
        (SMALL + " busy=1", "images_per_s", 1), (SMALL, "images_per_s", 1)),
    Row("thread_vs_main", "the step in a thread, as in the dashboard and with `make lab`'s "
        "MALLOC_ARENA_MAX=1, against the main thread", "images/s",
        (OURS + " thread=1", "images_per_s", 1), (OURS, "images_per_s", 1)),
    Row("import_vs_torch", "all that training needs, imported, against torch and torchvision", "s",
        ("import from alexnet_lib import AlexNet, train", "median", 1),
        ("import import torch, torchvision", "median", 1), False, "<= 1.1"),
)


def measure(task: str, seconds: float | None = None) -> dict:
    """Run one workload in a fresh process, or time an import there."""
    name, _, settings = task.partition(" ")
    if name == "import":
        begun = time.perf_counter()
        _run([sys.executable, "-c", settings], task)
        return {"median": time.perf_counter() - begun}
    timing = [f"seconds={seconds}"] if seconds else []
    # Imported before us, PyTorch's threads wait for each other as they usually do.
    first = "import torch; " if name == "step_rival" or "net=plain" in settings else ""
    program = f"{first}from alexnet_lib.research.workloads import main; main()"
    arena = {"MALLOC_ARENA_MAX": "1"} if "thread=1" in settings else {}
    return json.loads(_run([sys.executable, "-c", program, name, *settings.split(), *timing],
                           task, **arena).splitlines()[-1])


def _run(command: list[str], task: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT,
                          env=os.environ | environment)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UserError(f"benchmark {task!r} failed: {last[0]}")
    return done.stdout


def bench_rows(rounds: int, seconds: float | None = None, progress: bool = True) -> list[dict]:
    """All rows: each workload `rounds` times, in turn, so that a busy moment hits all alike."""
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def settled(row: Row) -> tuple:
        return tuple((task.format(device=device), field, factor)
                     for task, field, factor in (row.ours, row.rival))

    tasks = list(dict.fromkeys(task for row in EVERYWHERE for task, *_ in settled(row)))
    found: dict[str, list[dict]] = {task: [] for task in tasks}
    for task in tqdm(tasks * rounds, "measuring", disable=not progress, file=sys.stderr):
        found[task].append(measure(task, None if task.startswith("import") else seconds))
    rows = []
    for row in EVERYWHERE:
        ours, rival = ([each[field] * factor for each in found[task]]
                       for task, field, factor in settled(row))
        rows.append(_row(row.id, row.text, row.unit, ours, rival, row.upside_down, row.target))
    return rows + (_gpu_rows(found[OURS.format(device=device)]) if device == "cuda" else [])


def _row(name, text, unit, ours, rival, upside_down=False, target="") -> dict:
    a, b = float(np.median(ours)), float(np.median(rival))
    return {"id": name, "text": text, "ours": a, "rival": b, "unit": unit,
            "ratio": b / a if upside_down else a / b, "target": target,
            "runs": {"ours": ours, "rival": rival}}


def _gpu_rows(steps: list[dict]) -> list[dict]:
    """What the rate of training means on a GPU; the last two rows are computed from it."""
    from alexnet_lib.models import AlexNet, layer_table
    best = max(({"batch": batch, **measure(f"step_ours device=cuda batch={batch}")}
                for batch in (256, 512, 1024)), key=lambda found: found["images_per_s"])
    rates = [step["images_per_s"] for step in steps]
    macs = 3 * sum(row["macs"] for row in layer_table(AlexNet()))  # forward, two ways backward
    peak = measure("matrix_peak")["macs_per_s"]
    rate = float(np.median(rates))
    return [
        _row("train_images_per_s", f"training, batch 128; rival: batch {best['batch']}",
             "images/s", rates, [best["images_per_s"]], target=""),
        _row("peak_share", "multiply-adds per second, as a share of a large bf16 product's",
             "1/s", [r * macs for r in rates], [peak]),
        _row("imagenette_90_epochs_s", "90 epochs of Imagenette at that rate; rival: 60 s", "s",
             [90 * IMAGENETTE / rate], [60.0], target="<= 1"),
        _row("paper_90_cycles_h", "the paper's 90 cycles at that rate; rival: its 5.5 days", "h",
             [90 * IMAGENET / rate / 3600], [5.5 * 24]),
    ]


def bench_steps(progress: bool = True) -> list[dict]:
    """How the step became fast: one change after another, then what was tried and left."""
    tasks = (
        ("plain build, fp32", PLAIN),
        ("the same in channels-last memory", PLAIN + " channels_last=1"),
        ("our layers in plain PyTorch, bf16, one tensor saved by LRN", OURS + " fast=0 keep=0"),
        ("compiled kernels: norms, pooling, batches, update rule", OURS + " keep=0"),
        ("freed memory kept: the default", OURS),
        ("rival: plain build without LRN, bf16, channels-last, memory kept",
         PLAIN + " lrn=0 bf16=1 channels_last=1 keep=1"),
        ("rival: the same through torch.compile",
         PLAIN + " lrn=0 bf16=1 channels_last=1 keep=1 compiled=1"),
        ("rival: plain build in fp32, memory kept", PLAIN + " keep=1"),
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    for text, task in tqdm(tasks, "steps", disable=not progress, file=sys.stderr):
        found = measure(task.format(device=device))
        rows.append({"text": text, "task": task.format(device=device)} | {
            key: found[key] for key in ("images_per_s", "peak_mb")})
    return rows


def bench_curves(progress: bool = True) -> dict:
    """Cost against batch size, number of images, and processes."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batches = [1, 4, 16, 64, 256] + ([512, 1024] if device == "cuda" else [])
    contenders = {"ours": OURS, "torchvision, fp32": TORCHVISION, "plain build, fp32": PLAIN}
    counts = [128, 512, 2048, 8192]
    cores = os.cpu_count() or 1
    processes = sorted({1, 2, cores})
    curves = {"batch": {"x": batches, "unit": "images/s"} | {name: [] for name in contenders},
              "images": {"x": counts, "unit": "s for one pass", "cutting batches": []},
              "processes": {"x": processes, "unit": "images/s in all",
                            "processes of one thread": [], "one process of as many threads": []}}
    with tqdm(total=3 * len(batches) + len(counts) + 2 * len(processes), desc="curves",
              disable=not progress, file=sys.stderr) as bar:
        for name, task in contenders.items():
            for batch in batches:
                found = measure(f"{task.format(device=device)} batch={batch}", 3)
                curves["batch"][name].append(found["images_per_s"])
                bar.update()
        for count in counts:
            curves["images"]["cutting batches"].append(
                measure(f"batches images={count}", 1)["median"])
            bar.update()
        for k in processes:
            with ThreadPoolExecutor(k) as pool:
                each = list(pool.map(measure, ["step_ours device=cpu threads=1"] * k, [10] * k))
            together = sum(found["images_per_s"] for found in each)
            curves["processes"]["processes of one thread"].append(together)
            alone = measure(f"step_ours device=cpu threads={k}", 6)["images_per_s"]
            curves["processes"]["one process of as many threads"].append(alone)
            bar.update(2)
    return curves


def about() -> dict:
    """Where the figures come from."""
    return machine("cuda" if torch.cuda.is_available() else "cpu") | {"kernels": ops.describe()}
