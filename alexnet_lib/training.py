"""Training: the loop, to be read from `train` to `optim.update`.

A run that was killed and resumed is the same run, on a CPU bit for bit on the same machine: what
is random in a step depends on the seed and the step alone (`batches`), and a checkpoint holds all
the rest (`run_state`).
"""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import advice, datasets, memory, pretrained, run_folder, run_state, signals, text
from alexnet_lib.augment import Augment
from alexnet_lib.batches import Batches, seed_for
from alexnet_lib.checkpoints import (
    BEST,
    CHECKPOINT,
    HISTORY,
    read_checkpoint,
    read_config,
    write_atomically,
    write_checkpoint,
)
from alexnet_lib.choices import check_choices
from alexnet_lib.config import (
    TrainConfig,
    autocast,
    build_augment,
    build_model,
    fit_to_data,
    resolve,
)
from alexnet_lib.errors import Diverged, UserError
from alexnet_lib.locks import Lock
from alexnet_lib.optim import PaperSGD, current_lr, parameter_groups, update
from alexnet_lib.parallel import ALONE, Group
from alexnet_lib.reporting import command_line, describe, epoch_line, provenance
from alexnet_lib.resume import for_more
from alexnet_lib.weights import load_pretrained

SAVING = 0.05  # at most this part of the time goes into the checkpoints at the ends of epochs


class Trainer:
    """One run: net, optimizer, data and all that a checkpoint must hold.

    history: one dict per epoch with `epoch` (1-based), `step`, `lr` (`current_lr`),
    `train_loss` (nats), `train_error`, `val_loss`, `val_error`, `val_top5_error` (fractions),
    `seconds` of training and `images_per_s`. losses, num_errors: per step, the mean loss in nats
    and the number of wrong answers in the minibatch. commands: what started the run, and what
    resumed it, each with its date.

    In a `group` of processes each has a Trainer and takes its share of every minibatch; all have
    the same weights and losses, and process 0 writes the files. Without dropout the run is that of
    one process, but for rounding; each share draws its own dropout masks.
    """

    def __init__(self, config: TrainConfig, dataset: datasets.Dataset | None = None,
                 progress: bool = True, group: Group = ALONE):
        self.given, self.group = config, group
        config = resolve(config)
        with group.main_process_first():  # one process packs the data, the others find it packed
            dataset = dataset or datasets.load(
                config.data, config.stored_size, skip_broken=config.skip_broken,
                progress=progress, say=lambda line: None)
        self.config = config = fit_to_data(self.given, dataset)
        self.dataset, self.classes = dataset, dataset.classes
        self.model = build_model(config).to(config.device).to(memory_format=torch.channels_last)
        if config.frozen:
            self.model.features.requires_grad_(False)
        self.optimizer = PaperSGD(
            parameter_groups(self.model, config.lr, config.weight_decay, config.bias_lr_factor),
            config.lr, config.momentum)
        self.augment = build_augment(config, dataset.mean, dataset.color_values,
                                     dataset.color_vectors)
        self.batches = Batches(config, dataset.splits["train"].subset(config.limit, config.seed),
                               self.augment, group)
        self.steps_per_epoch, self.in_batch = self.batches.per_epoch, self.batches.size
        if self.in_batch < group.size:
            raise UserError(f"{group.size} processes cannot share a minibatch of {self.in_batch}: "
                            "use fewer processes or a larger --batch-size")
        self.class_weights = (class_weights(self.batches.labels, len(self.classes))
                              if config.class_weights == "balanced" else None)
        self.lr_scheduler = self.batches.lr_scheduler
        self.replica = group.replicate(self.model)  # the same weights; averages gradients
        self.step, self.seconds = 0, 0.0
        self.history: list[dict] = []
        self.losses: list[float] = []
        self.num_errors: list[int] = []
        self.commands = [{"command": command_line(sys.argv), "date": time.strftime("%Y-%m-%d")}]
        self.asked: list[int] = []  # signals that ask to stop
        self._group_asked = False
        self._pending: list[Tensor] = []  # of each step: loss, errors, whether asked to stop
        self.path = Path(config.out) / CHECKPOINT if config.out else None
        self.lock = Lock()  # of the folder, see `begin`
        self._saved: tuple = (-1, None)  # the step of the checkpoint, and when it was written
        self._best: tuple[dict, dict] | None = None  # a better net, not written yet

    @property
    def total_steps(self) -> int:
        """Minibatches in the whole run."""
        return self.batches.total

    @property
    def epoch(self) -> int:
        """The epoch that the next step belongs to, from 0."""
        return self.step // self.steps_per_epoch

    def start_epoch(self) -> None:
        """Set the rates of the epoch that begins."""
        self.lr_scheduler.update(self.optimizer, self.epoch,
                                 self.history[-1]["val_error"] if self.history else None)

    def batch(self) -> tuple[Tensor, Tensor]:
        """The current step's minibatch, or this process's share of it; see `Batches.at`."""
        return self.batches.at(self.step)

    def train_step(self) -> None:
        """One step of the update rule on the next minibatch."""
        begun = time.perf_counter()
        x, labels = self.batch()
        torch.manual_seed(seed_for(self.config.seed, 2, self.step) + self.group.rank)  # for dropout
        self.model.train()
        loss, logits = update(self.replica, self.optimizer, x, labels, loss=self._loss,
                              scale=self.group.size, precision=autocast(self.config))
        # Read later, in bulk: asking a GPU for a number makes the program wait for it.
        num_errors = (logits.argmax(1) != labels).sum()
        asked = loss.new_full((), bool(self.asked))
        self._pending.append(self.group.all_reduce(torch.stack([loss, num_errors.float(), asked])))
        self.step += 1
        self.seconds += time.perf_counter() - begun

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What these images, this process's share, add to the minibatch's mean loss, in nats.

        Shares may differ by an image, and by what their classes count.
        """
        if self.class_weights is None:
            part: float | Tensor = len(labels) / self.in_batch
        else:
            own = self.class_weights[labels].sum()
            part = own / self.group.all_reduce(own.clone())
        return F.cross_entropy(logits, labels, self.class_weights) * part

    def collect(self) -> float:
        """Fetch the losses of the steps since the last call; returns the latest, in nats.

        Raises Diverged if a loss is not finite, with the step, the rate and what to go back to.
        """
        begun = time.perf_counter()
        pending, self._pending = self._pending, []
        for loss, num_errors, asked in pending:
            self._group_asked |= bool(asked)
            self.losses.append(loss.item())
            self.num_errors.append(int(num_errors))
            if not math.isfinite(self.losses[-1]):
                raise self._diverged(f"the loss is {self.losses[-1]} at step {len(self.losses)}")
        self.seconds += time.perf_counter() - begun
        return self.losses[-1]

    def _diverged(self, what: str) -> Diverged:
        saved = self.path and self.path.exists()
        return Diverged(f"{what}, rate {current_lr(self.optimizer):g}: begin again with a lower "
                        "--lr" + (" and another --out; last good checkpoint, for --init-from: "
                                  f"{self.path}" if saved else ""))

    @property
    def finished(self) -> bool:
        """Whether all steps are done, or one of the conditions holds that end a run earlier."""
        config, history = self.config, self.history
        goal, patience = config.until_error, config.early_stop
        return (self.step >= self.total_steps
                or bool(history and goal is not None and history[-1]["train_error"] <= goal)
                or bool(history and patience is not None
                        and history[-1]["epoch"] - self.best["epoch"] >= patience))

    @property
    def saved_step(self) -> int:
        """The step that the checkpoint holds; -1 before there is one."""
        return self._saved[0]

    @property
    def best(self) -> dict:
        """The row in the history with the lowest validation error, the first of equal ones."""
        return min(self.history, key=lambda row: row["val_error"])

    @property
    def stopping(self) -> bool:
        """Whether a signal asks to stop. All processes of a group stop after the same step."""
        return bool(self.asked) if self.group.size == 1 else self._group_asked

    def end_epoch(self) -> dict:
        """Validate, and add a row to the history."""
        self.collect()
        first = self.step - self.steps_per_epoch
        seen = self.steps_per_epoch * self.in_batch
        val = validate(self.model, self.dataset.splits["val"], self.augment, self.config,
                       self.group)
        self.history.append({
            "epoch": len(self.history) + 1, "step": self.step,
            "lr": current_lr(self.optimizer),
            "train_loss": float(np.mean(self.losses[first:])),
            "train_error": sum(self.num_errors[first:]) / seen,
            **{f"val_{name}": value for name, value in val.items()},
            "seconds": round(self.seconds, 2), "images_per_s": round(seen / self.seconds, 1),
        })
        self.seconds = 0.0
        if self.path and not self.group.rank and self.best is self.history[-1]:
            tensors, meta = run_state.net(self)
            self._best = {name: t.to("cpu", copy=True) for name, t in tensors.items()}, meta
        return self.history[-1]

    def save(self) -> None:
        """Write the checkpoint and the history; a kill at any moment leaves a whole file.

        Raises Diverged, and keeps the earlier file, if a weight is not finite: the last update
        may have made it so, which no loss has told yet.
        """
        if not self.path or self.group.rank:
            return
        if self._pending:
            self.collect()
        if not all(p.isfinite().all() for p in self.model.parameters()):
            raise self._diverged(f"weights are not finite after step {self.step}")
        if self._best:  # first: after a kill between the two, the run finds this net once more
            write_checkpoint(self.path.with_name(BEST), *self._best)
            self._best = None
        write_checkpoint(self.path, *run_state.whole(self))
        self._saved = self.step, self.path.stat().st_mtime
        self._write_history()

    def _write_history(self) -> None:
        record = {"provenance": provenance(self), "commands": self.commands, "losses": self.losses,
                  "config": dataclasses.asdict(self.config),
                  "fingerprint": self.dataset.fingerprint, "history": self.history}
        write_atomically(self.path.with_name(HISTORY),
                         lambda p: p.write_text(json.dumps(record) + "\n"))

    def check_unchanged(self) -> None:
        """Raises UserError if another run has written to the folder since this one did."""
        found = self.path.stat().st_mtime if self.path and self.path.exists() else None
        if not self.group.rank and found != self._saved[1]:
            raise UserError(f"another run has changed {self.path} since this one stopped: go on "
                            "from there with --resume")

    def restore(self) -> None:
        """Go back to the checkpoint in the run's folder, exactly."""
        run_state.restore(self)
        self._saved = self.step, self.path.stat().st_mtime
        if not self.group.rank:
            self._write_history()  # a kill may have come between the two files


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """Weights of the classes in the loss that let each count alike, however many images it has.

    labels: (N,) int64. Returns (classes,) float32, inversely proportional to the number of images
    of the class; the mean over the images is 1.
    """
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (classes * counts.clamp(min=1))


def train(config: TrainConfig, dataset: datasets.Dataset | None = None, *,
          resume: bool | str = False, progress: bool = True,
          say: Callable[[str], None] = lambda line: None,
          on_epoch: Callable[[list[dict]], None] = lambda history: None,
          on_step: Callable[[Trainer], bool] = lambda run: False,
          group: Group = ALONE) -> Trainer:
    """Train a net as `config` says, to the end of its epochs.

    Args:
        dataset: instead of loading `config.data`.
        resume: go on from the checkpoint in `config.out`, exactly where it stood; "auto" does so
            if there is one, and else starts.
        progress: show a bar on stderr. say: gets a line about each choice made for the user.
        on_epoch: is called with the history after each epoch. on_step: is called with the
            Trainer after each step; the run stops where it says True, and `go_on` continues it.
        group: of processes that train together, each of which calls this. Only process 0 shows
            progress, calls `say` and `on_epoch`, and writes.

    Ctrl-C (as KeyboardInterrupt), SIGTERM and SIGHUP (as SystemExit) end the run after the step
    that is under way, and save a checkpoint first; a second time, at once. The caller's random
    numbers go on as if nothing had been drawn.
    Returns the finished `Trainer`. Raises UserError for bad input, for a loss that is no longer
    finite, for a batch that does not fit into memory, for a checkpoint of other data or another
    configuration, and if another run is at work in `config.out`.
    """
    if group.rank:
        progress, say, on_epoch = False, lambda line: None, lambda history: None
    run = begin(config, dataset, resume=resume, progress=progress, group=group)
    if run.saved_step >= 0:
        say(f"resumed at step {run.step} of {run.total_steps}")
        if run.finished:
            say(f"the run is finished; for more: {for_more(run.path, run.config)}")
    for line in (*run.dataset.notes, describe(run)):
        say(line)
    if not run.step:
        for line in advice.before(run.given, run.config, run.dataset):
            say(line)
    go_on(run, progress=progress, say=say, on_epoch=on_epoch, on_step=on_step)
    if run.finished:
        for line in advice.after(run.config, run.dataset, run.history[-1],
                                 run.steps_per_epoch * run.in_batch):
            say(line)
    return run


def begin(config: TrainConfig, dataset: datasets.Dataset | None = None, *,
          resume: bool | str = False, progress: bool = True, group: Group = ALONE) -> Trainer:
    """The Trainer of a run that has yet to be made, or that of the checkpoint; see `train`."""
    check_choices(config)
    lock = Lock()
    if not group.rank:
        resume, lock = run_folder.enter(config.out, resume, config.data)
    try:
        resume = bool(group.broadcast("resume" if resume else ""))
        if resume and not (Path(config.out) / CHECKPOINT).exists():
            raise UserError(f"process 0 has a {CHECKPOINT} in {config.out}, this one has not: "
                            "--out must be a folder that all machines share")
        if resume:  # these went by the machine, maybe another one now, or by the number of images
            before = read_config(config.out)
            config = dataclasses.replace(config, **{
                name: before[name] for name in ("precision", "batch_size", "epochs", "lr_scheduler")
                if getattr(config, name) in (None, "auto") and name in before})
        torchvisions = config.init_from and pretrained.is_torchvisions(config.init_from)
        if config.init_from and not (resume or torchvisions):
            read_checkpoint(config.init_from)  # a damaged one is told before the data are read
        run = Trainer(config, dataset, progress, group)
        if resume:
            run.restore()
        elif torchvisions:
            pretrained.take_convolutions(run.model, run.config)
        elif config.init_from:
            load_pretrained(run.model, run.config, run.classes)
    except BaseException:
        lock.release()
        raise
    run.lock = lock
    return run


def go_on(run: Trainer, *, progress: bool = True, say: Callable[[str], None] = lambda line: None,
          on_epoch: Callable[[list[dict]], None] = lambda history: None,
          on_step: Callable[[Trainer], bool] = lambda run: False) -> None:
    """Train from where `run` stands to its end, or until `on_step` says True; see `train`."""
    bar = text.bar(total=run.total_steps, initial=run.step, unit="step", disable=not progress)
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    run.lock.acquire()
    try:
        run.check_unchanged()
        with signals.stop_requests() as run.asked:
            with memory.keep_freed_memory(), bar, torch.random.fork_rng(gpus):
                _steps(run, bar, say, on_epoch, on_step)
            if run.stopping and not run.finished:
                if run.path:
                    say(f"interrupted at step {run.step}, saved in {run.path}")
                else:  # in a notebook, whose next cells would use an earlier net
                    print(f"interrupted at step {run.step}, and not kept: run the cell again, or "
                          "give the configuration a folder (out)", file=sys.stderr)
                signals.end(*run.asked[:1])
    finally:
        run.lock.release()


def _steps(run: Trainer, bar, say, on_epoch, on_step) -> None:
    saved, cost = time.monotonic(), 0.0
    while not run.finished and not run.stopping:
        if run.step % run.steps_per_epoch == 0:
            run.start_epoch()
        if not memory.fits_in_memory(run.train_step):
            raise UserError(advice.too_large(run))
        bar.update()
        if run.step % 10 == 0 or run.config.device == "cpu":
            bar.set_postfix(loss=f"{run.collect():.3f}", refresh=False)
        ended = run.step % run.steps_per_epoch == 0
        row = run.end_epoch() if ended else {}
        waited = time.monotonic() - saved
        if waited > 60 * run.config.save_minutes or (ended and waited * SAVING > cost):
            begun = time.monotonic()
            run.save()
            saved = time.monotonic()
            cost = saved - begun
        if ended:
            say(epoch_line(row, run.config.epochs, len(run.classes)))
            on_epoch(run.history)
        if on_step(run):
            break
    if run.saved_step != run.step:
        run.save()


@torch.no_grad()
def validate(model: nn.Module, split: datasets.Split, augment: Augment,
             config: TrainConfig, group: Group = ALONE) -> dict[str, float]:
    """`loss` (nats), `error` and `top5_error` (fractions) of the center crops of a split."""
    model.eval()
    loss, wrong, wrong5 = 0.0, 0, 0
    for index in torch.arange(len(split)).split(config.batch_size)[group.rank::group.size]:
        x = augment.view(split.images, index)
        labels = torch.as_tensor(split.labels[index.numpy()], device=x.device)
        with autocast(config):
            logits = model(x)
        logits = logits.float()
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        top = logits.topk(min(5, logits.shape[1])).indices == labels[:, None]
        wrong += int((~top[:, 0]).sum())
        wrong5 += int((~top.any(1)).sum())
    if group.size > 1:
        loss, wrong, wrong5 = group.all_reduce(
            torch.tensor([loss, wrong, wrong5], dtype=torch.float64)).tolist()
    return {"loss": loss / len(split), "error": wrong / len(split),
            "top5_error": wrong5 / len(split)}
