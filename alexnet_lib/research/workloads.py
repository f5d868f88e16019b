"""What is measured, each in a process of its own.

    python -m alexnet_lib.research.workloads NAME key=value...

Every workload takes `threads`, `thread=1` (it runs in a thread, as in the dashboard) and `busy`
(so many processes compute beside it), and returns a dict of numbers, which is printed as JSON.
`ours` is the library as `alexnet train` uses it; `plain` is the same net from PyTorch's own layers,
as it is usually written.
"""

import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

STORED = 256


def process_mb() -> float:
    """The most memory that this process had so far, in MB; macOS counts it in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


BASE_MB = process_mb()  # PyTorch itself


def plain_alexnet(lrn: bool = True) -> nn.Module:
    """The paper's net from PyTorch's layers; nn.LocalResponseNorm divides its alpha by the size."""
    def norm():
        return [nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)] if lrn else []
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, 4), nn.ReLU(), *norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), *norm(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 1000))


def synthetic(count: int):
    """Stored images of noise, 256 pixels, labels of 1000 classes: speed does not see content."""
    from alexnet_lib.datasets import Dataset, Split
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, STORED, STORED, 3), dtype=np.uint8)
    labels = rng.integers(0, 1000, count)
    splits = {"train": Split(images, labels), "val": Split(images[:1], labels[:1])}
    return Dataset("noise", tuple(map(str, range(1000))), splits, images.mean(0),
                   np.array([4e3, 300, 60]), np.eye(3), "noise")


def settle(device: str) -> None:
    """Wait for a GPU to finish what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def timed(step, seconds: float, device: str = "cpu", warm: int = 10, least: int = 3) -> dict:
    """Durations of `step` in seconds: `warm` calls (as many as fit in `seconds`) unmeasured.

    On a GPU a duration is the mean of ten steps, since training does not wait after each.
    """
    burst = 10 if device.startswith("cuda") else 1
    first = time.perf_counter()
    done = 0
    while done < warm and (done == 0 or time.perf_counter() - first < seconds):
        step()
        done += 1
    settle(device)
    times, begun = [], time.perf_counter()
    while len(times) < least or time.perf_counter() - begun < seconds:
        started = time.perf_counter()
        for _ in range(burst):
            step()
        settle(device)
        times.append((time.perf_counter() - started) / burst)
    return {"times": times, "median": float(np.median(times))}


def peak_mb(device: str) -> float:
    """The most memory so far, in MB: of the GPU, or of this process less PyTorch itself."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e6
    return process_mb() - BASE_MB


def step_ours(batch: int = 128, seconds: float = 6, lrn: int = 1, variant: str = "paper",
              device: str = "auto", precision: str = "auto", fast: int = 1, keep: int = 1) -> dict:
    """A training step of `alexnet train`, from stored images to updated weights.

    fast=0 leaves out the compiled kernels, keep=0 the kept memory.
    """
    from contextlib import ExitStack

    from alexnet_lib import memory, ops
    from alexnet_lib.config import TrainConfig
    from alexnet_lib.training import Trainer
    run = Trainer(TrainConfig("imagenet", model="alexnet", variant=variant, batch_size=batch,
                              lr=1e-4, epochs=10**6, lrn=bool(lrn), device=device,
                              precision=precision), synthetic(batch), progress=False)
    run.start_epoch()
    device = run.config.device
    with ExitStack() as stack:
        if keep:
            stack.enter_context(memory.keep_freed_memory())
        if not fast:
            stack.enter_context(ops.plain())
        found = timed(run.train_step, seconds, device)
        peak = peak_mb(device)
        making = timed(run.batch, min(seconds, 2), device)
    run.collect()
    return found | {"images_per_s": batch / found["median"], "peak_mb": peak,
                    "batch_s": making["median"], "precision": run.config.precision}


def small_step(seconds: float = 6, device: str = "auto", precision: str = "auto") -> dict:
    """A training step of `alexnet train --data shapes`, by its default choices."""
    from alexnet_lib import memory
    from alexnet_lib.config import TrainConfig
    from alexnet_lib.training import Trainer
    run = Trainer(TrainConfig("shapes", epochs=10**6, device=device, precision=precision),
                  progress=False)
    run.start_epoch()

    def epoch():
        for _ in range(run.steps_per_epoch):
            run.train_step()
        run.collect()

    with memory.keep_freed_memory():
        found = timed(epoch, seconds)
    images = run.steps_per_epoch * run.config.batch_size
    return found | {"images_per_s": images / found["median"], "precision": run.config.precision}


def step_rival(net: str = "plain", batch: int = 128, seconds: float = 6, bf16: int = 0,
               channels_last: int = 0, lrn: int = 1, compiled: int = 0, keep: int = 0,
               device: str = "cpu") -> dict:
    """A training step as it is usually written, on a float batch that is there already."""
    from alexnet_lib import memory
    torch.manual_seed(0)
    if net == "torchvision":
        from torchvision.models import alexnet
        model, size = alexnet(), 224
    else:
        model, size = plain_alexnet(bool(lrn)), 227
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(device, memory_format=layout).train()
    x = torch.randn(batch, 3, size, size, device=device).to(memory_format=layout)
    y = torch.randint(1000, (batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9, weight_decay=5e-4)
    run = torch.compile(model) if compiled else model

    def step():
        with torch.autocast(device, torch.bfloat16, enabled=bool(bf16)):
            logits = run(x)
        loss = F.cross_entropy(logits.float(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    from contextlib import nullcontext
    with memory.keep_freed_memory() if keep else nullcontext():
        found = timed(step, seconds, device, warm=2 if net == "plain" and not bf16 else 6)
    return found | {"images_per_s": batch / found["median"], "peak_mb": peak_mb(device)}


def lrn(shape: str = "64x96x55x55", dtype: str = "float32", channels_last: int = 0, keep: int = 1,
        seconds: float = 3, device: str = "cpu") -> dict:
    """Forward and backward of three layers in turn: ours, torch's LRN (float32) and a ReLU."""
    from contextlib import nullcontext

    from alexnet_lib import memory
    from alexnet_lib.layers import LocalResponseNorm
    size = tuple(map(int, shape.split("x")))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    layers = {"ours": LocalResponseNorm(size[1]), "torch": nn.LocalResponseNorm(5, 5e-4, 0.75, 2),
              "relu": nn.ReLU()}
    found = {}
    with memory.keep_freed_memory() if keep else nullcontext():
        for name, layer in layers.items():
            kind = torch.float32 if name == "torch" else getattr(torch, dtype)
            x = torch.randn(size, dtype=kind, device=device).to(memory_format=layout)
            x, grad = x.requires_grad_(), torch.randn_like(x)
            layer = layer.to(device)

            def both(x=x, grad=grad, layer=layer):
                x.grad = None
                layer(x).backward(grad)
            found[name] = timed(both, seconds, device)["median"]
    return found


def ten_views(net: str = "ours", images: int = 64, seconds: float = 4,
              device: str = "cpu") -> dict:
    """Evaluation with ten views: ours, or torch's layers on torchvision's ten crops, fp32."""
    data = synthetic(images)
    stored = data.splits["train"].images
    if net == "ours":
        from alexnet_lib.config import TrainConfig
        from alexnet_lib.evaluation import probabilities
        from alexnet_lib.training import Trainer
        run = Trainer(TrainConfig("imagenet", model="alexnet", batch_size=images, device=device),
                      data, progress=False)

        def evaluate():
            probabilities(run, stored, views=10)
    else:
        from torchvision.transforms.v2.functional import ten_crop
        model = plain_alexnet().eval().to(device)
        mean = torch.from_numpy(data.mean).permute(2, 0, 1).float().to(device)

        @torch.no_grad()
        def evaluate():
            x = torch.from_numpy(stored).to(device).permute(0, 3, 1, 2) - mean
            sum(model(view).softmax(1) for view in ten_crop(x, 227)) / 10
    found = timed(evaluate, seconds, device, warm=2, least=2)
    return found | {"images_per_s": images / found["median"]}


def batches(way: str = "ours", images: int = 512, batch: int = 128, seconds: float = 3,
            keep: int = 1, side: int = STORED) -> dict:
    """Training batches on one core: the packed store, or torchvision's folder of JPEG files.

    Both cut 227 from 256 pixels at random and mirror half. The files, `side` pixels, are drawn by
    `shapes` and decode faster than photographs; larger ones are scaled to 256 each time, as the
    packed store does once.
    """
    from contextlib import nullcontext

    from alexnet_lib import memory
    from alexnet_lib.datasets import shapes
    torch.set_num_threads(1)
    drawn, _ = shapes.render(0, min(images, 512), side)
    context = memory.keep_freed_memory() if keep else nullcontext()
    with tempfile.TemporaryDirectory() as folder, context:
        if way == "ours":
            epoch = _cutting(drawn, images, batch, folder)
        else:
            epoch = _decoding(drawn, batch, folder)
        found = timed(epoch, seconds, warm=3)
    return found | {"images_per_s": images / found["median"]}


def _cutting(drawn, images: int, batch: int, folder: str):
    from alexnet_lib.augment import Augment
    store = np.lib.format.open_memmap(Path(folder) / "store.npy", "w+", np.uint8,
                                      (images, *drawn.shape[1:]))
    for at in range(0, images, len(drawn)):
        store[at:at + len(drawn)] = drawn[:images - at]
    store.flush()
    augment = Augment(227, drawn.mean(0), dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(0)

    def epoch():
        for index in torch.randperm(images, generator=generator).split(batch):
            augment.train(store, index, generator)
    return epoch


def _decoding(drawn, batch: int, folder: str):
    from PIL import Image
    from torchvision import transforms
    from torchvision.datasets import ImageFolder
    (Path(folder) / "class").mkdir()
    for i, image in enumerate(drawn):
        Image.fromarray(image).save(Path(folder) / "class" / f"{i:05}.jpg", quality=90)
    cut = transforms.Compose([
        *([transforms.Resize(STORED)] if drawn.shape[1] != STORED else []),
        transforms.RandomCrop(227), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
    loader = torch.utils.data.DataLoader(ImageFolder(folder, cut), batch, shuffle=True)

    def epoch():
        for _ in loader:
            pass
    return epoch


def matrix_peak(device: str = "cuda", n: int = 8192) -> dict:
    """Multiply-adds per second of a large bf16 matrix product, the most the chip gives."""
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16)
    found = timed(lambda: a @ a, 2, device)
    return {"macs_per_s": n**3 / found["median"]}


WORKLOADS = {f.__name__: f for f in (step_ours, small_step, step_rival, lrn, ten_views, batches,
                                     matrix_peak)}


def main() -> None:
    """Run one workload and print what it found as JSON."""
    name, *settings = sys.argv[1:]
    given = dict(setting.split("=", 1) for setting in settings)
    threads, busy, thread = (int(given.pop(key, "0")) for key in ("threads", "busy", "thread"))
    kinds = WORKLOADS[name].__annotations__

    def run() -> dict:
        if threads:
            torch.set_num_threads(threads)
        return WORKLOADS[name](**{key: kinds[key](value) for key, value in given.items()})

    with computing_beside(busy):
        if thread:
            with ThreadPoolExecutor(1) as pool:
                found = pool.submit(run).result()
        else:
            found = run()
    print(json.dumps(found))


@contextlib.contextmanager
def computing_beside(count: int) -> Iterator[None]:
    """Within this context so many other processes keep a core busy each; they end with this one."""
    endless = "import os; p = os.getppid()\nwhile os.getppid() == p: sum(range(10**6))"
    others = [subprocess.Popen([sys.executable, "-c", endless]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main()
