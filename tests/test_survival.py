"""What a run survives: kills at any moment, a full disk, a folder that became read-only, too
little memory, files with hostile content.

`ALEXNET_KILLS=50 pytest tests/test_survival.py -k killed -s` kills fifty times and says how many
of the kills fell while a checkpoint was being written.
"""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trouble import full_disk, read_only

from alexnet_lib import cli, datasets
from alexnet_lib.checkpoints import BEST, CHECKPOINT, HISTORY, read_checkpoint
from alexnet_lib.config import TrainConfig
from alexnet_lib.datasets import shapes
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import read_predictions
from alexnet_lib.training import Trainer, begin, go_on, train
from alexnet_lib.weights import load_features, load_model

KILLS = int(os.environ.get("ALEXNET_KILLS", 5))
TINY = {"data": "shapes", "model": "alexnet", "input_size": 36, "stored_size": 40, "width": 0.03,
        "limit": 64, "batch_size": 16, "precision": "fp32", "device": "cpu", "save_minutes": 0.0}
FORK = multiprocessing.get_context("forkserver")


def data():
    return datasets.load("shapes", 40, counts={"train": 64, "val": 16, "test": 10}, progress=False)


@pytest.fixture
def photos(tmp_path):
    """A folder of images in two classes."""
    images, _ = shapes.render(0, 80, 48)
    for i, image in enumerate(images):
        path = tmp_path / "photos" / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return f"folder:{tmp_path / 'photos'}"


@pytest.fixture
def quick_folder():
    """A folder in memory, if there is one: to wait for a disk at each save takes long. Many kills
    are made on the disk, where some fall into the writing."""
    shared = Path("/dev/shm")
    quick = KILLS < 20 and os.access(shared, os.W_OK)
    folder = tempfile.mkdtemp(dir=shared if quick else None)
    yield Path(folder)
    shutil.rmtree(folder)


def start(out: Path, epochs: int, photos: str):
    """A process that runs `alexnet train`, or goes on with `--resume`."""
    settings = TINY | {"data": photos, "epochs": epochs, "out": out}
    options = [str(part) for name, value in settings.items()
               for part in (f"--{name.replace('_', '-')}", value)]
    again = ["--resume"] if (out / CHECKPOINT).exists() else []
    child = FORK.Process(target=_command, args=(["train", *options, *again], str(out.parent)))
    child.start()
    return child


def _command(args: list[str], root: str) -> None:
    os.environ["ALEXNET_DATA_ROOT"] = root
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    torch.set_num_threads(1)
    cli.main(args)


def written(path: Path) -> float:
    return path.stat().st_mtime_ns if path.exists() else 0


def test_killed_again_and_again_it_ends_in_the_same_bits(quick_folder, photos):
    """SIGKILL, and every sixth time Ctrl-C, at random moments and while a checkpoint is being
    written; it saves after every step."""
    # More than it gets through before the last kill, even where other work delays that.
    epochs, rng, torn = 24 * KILLS, np.random.default_rng(), 0
    FORK.set_forkserver_preload(["alexnet_lib.training", "alexnet_lib.cli", "torch._dynamo"])
    killed, whole = quick_folder / "killed", quick_folder / "whole"
    half = killed / f"{CHECKPOINT}.part"
    for kill in range(KILLS * 6 // 5):
        before, child = written(killed / CHECKPOINT), start(killed, epochs, photos)
        while written(killed / CHECKPOINT) == before and child.is_alive():
            time.sleep(0.002)
        if kill % 2:  # in the middle of writing
            while not half.exists() and child.is_alive():
                pass
        else:
            time.sleep(rng.uniform(0, 0.05))
        os.kill(child.pid, signal.SIGINT if kill % 6 == 5 else signal.SIGKILL)
        child.join(60)
        assert child.exitcode in (-signal.SIGKILL, 130)
        torn += half.exists()
    for out in (killed, whole):
        child = start(out, epochs, photos)
        child.join(300)
        assert child.exitcode == 0
    print(f"{KILLS} kills and {KILLS // 5} Ctrl-C, {torn} while a checkpoint was being written")
    (ours, k), (theirs, w) = (read_checkpoint(out) for out in (killed, whole))
    assert k["step"] == w["step"] == 4 * epochs and len(k["history"]) == len(w["history"])
    ours_told, theirs_told = (json.loads((out / "history.json").read_text())["history"]
                              for out in (killed, whole))
    assert [row["step"] for row in ours_told] == [row["step"] for row in theirs_told]
    # Old versions of torch add in an order that depends on where an array lies in memory.
    exact = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 10)
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], **(
            {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-4, "atol": 1e-5}))


# The disk.

@pytest.mark.parametrize("trouble", [lambda folder: full_disk(10_000), read_only])
def test_a_checkpoint_that_cannot_be_written(public, trouble):
    config = TrainConfig(**TINY, epochs=3, out=str(public))
    run = train(config, data(), progress=False, on_step=lambda run: run.step == 5)
    before, step = run.path.read_bytes(), run.step
    resumed = begin(config, data(), resume=True, progress=False)
    with trouble(public), pytest.raises(UserError, match="could not write .*earlier file is int"):
        go_on(resumed, progress=False)
    assert run.path.read_bytes() == before
    assert sorted(p.name for p in public.iterdir()) == [".lock", BEST, HISTORY, CHECKPOINT]
    assert read_checkpoint(public)[1]["step"] == step == 5
    again = train(config, data(), resume=True, progress=False)
    whole = train(TrainConfig(**TINY, epochs=3), data(), progress=False)
    assert all(torch.equal(a, b) for a, b in zip(again.model.parameters(),
                                                 whole.model.parameters(), strict=True))


def test_a_disk_that_fills_while_packing(tmp_path, photos):
    other = datasets.load(photos, 24, root=tmp_path / "root", progress=False)
    with full_disk(50_000), pytest.raises(UserError, match="cannot write the packed store"):
        datasets.load(photos, 48, root=tmp_path / "root", progress=False)
    packed = datasets.load(photos, 48, root=tmp_path / "root", progress=False)
    fresh = datasets.load(photos, 48, root=tmp_path / "fresh", progress=False)
    np.testing.assert_array_equal(packed.splits["train"].images, fresh.splits["train"].images)
    again = datasets.load(photos, 24, root=tmp_path / "root", progress=False)
    assert again.fingerprint == other.fingerprint


# Memory.

@pytest.mark.parametrize("words", ["CUDA out of memory. Tried to allocate", "DefaultCPUAllocator: "
                                   "can't allocate memory: you tried to allocate",
                                   "DefaultCPUAllocator: not enough memory: you tried to allocate",
                                   "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"])
def test_too_little_memory_names_a_batch_that_fits(words):
    """A net that refuses more than 20 images at once, as an allocator would."""
    run = Trainer(TrainConfig(**TINY | {"batch_size": 64}), data(), progress=False)

    def full(module, given):
        if len(given[0]) > room:
            raise RuntimeError(words)

    run.model.features.conv3.register_forward_pre_hook(full)
    room = 20
    with pytest.raises(UserError, match="batch of 64 does not fit .* cpu: --batch-size 16 does"):
        go_on(run, progress=False)
    room = 0
    with pytest.raises(UserError, match="nor does one image; use a smaller --input-size"):
        go_on(run, progress=False)
    words = "another error"
    with pytest.raises(RuntimeError, match="another error"):
        go_on(run, progress=False)


# Hostile files.

class Hostile:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("write", [
    lambda path, bad: torch.save({"model": bad}, path),
    lambda path, bad: path.write_bytes(pickle.dumps(bad)),
    lambda path, bad: np.save(path.open("wb"), np.array([bad], object), allow_pickle=True)])
def test_nothing_in_a_file_of_weights_is_run(tmp_path, write, capsys):
    path, mark = tmp_path / "run" / CHECKPOINT, tmp_path / "mark"
    path.parent.mkdir()
    write(path, Hostile(mark))
    for read in (load_model, load_features, read_predictions):
        with pytest.raises(UserError, match="not a (checkpoint|file of predictions)"):
            read(path)
    for command in (["train", "--out", path.parent, "--resume"],
                    ["train", "--out", tmp_path / "new", "--init-from", path],
                    ["predict", "--checkpoint", path, path], ["doctor", "--checkpoint", path]):
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in command])
        assert stop.value.code == 2 and "not a checkpoint" in capsys.readouterr().err
    assert not mark.exists()
