"""Checks of a net: what goes in, what its layers do, what it does in its first steps."""

import contextlib
import copy
import itertools
import math
import time
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet_lib import datasets
from alexnet_lib.augment import Augment
from alexnet_lib.batches import seeded
from alexnet_lib.config import LEAST_STEPS, TrainConfig, autocast
from alexnet_lib.course.doctor.finding import LOOK, OK, WRONG, Finding
from alexnet_lib.errors import UserError
from alexnet_lib.layers import Dropout
from alexnet_lib.optim import START, PaperSGD, first_drop, lr_scheduler, parameter_groups, update
from alexnet_lib.probe import probe

HANDFUL = 16     # images to overfit
STEPS = 100      # at most, on the handful, at each rate
SECONDS = 8.0    # at most, at each rate; no further rate is tried after twice as long
IMAGES = 64      # that the layers are measured on; a quarter of it above LARGE pixels
LARGE = 128
# Standard deviation of the inputs that each initialization is made for: 0-255 less the mean
# has about 70, and "he" keeps the size of its input, which should be about 1.
INPUT_STD = {"he": (0.1, 10.0), "other": (15.0, 250.0)}
# A gradient beside the weights it belongs to: too small, too large (see `gradients`).
VANISHED, EXPLODED = 2e-4, 1e3
# Units of a layer that the first steps may silence. Beyond it nets learn late, or never: the batch
# of 8 in notebook 10 loses more, that of 32 and that of 8 at a quarter of the rate lose less.
SILENCED = 0.8


def class_count(config: TrainConfig, dataset: datasets.Dataset) -> Finding:
    """Has the net an output for each class of the data?"""
    asked, found = config.num_classes, len(dataset.classes)
    if asked != found:
        return Finding("class count", WRONG, f"the network has {asked} outputs, the data have "
                       f"{found} classes: leave out --num-classes, or choose other data",
                       fatal=True)
    return Finding("class count", OK, f"{found} outputs, {found} classes")


def run_length(config: TrainConfig, images: int) -> Finding:
    """Has the run enough steps for a net to learn, and enough of them at the first rate?"""
    name, each = "schedule", max(1, images // config.batch_size)
    total = each * config.epochs
    drop = first_drop(lr_scheduler(config.lr_scheduler, config.epochs, each), config.epochs)
    high = total if drop is None else each * drop
    numbers = {"steps in an epoch": each, "steps": total, "steps before a drop": high}
    told = f"{total:,} steps, {each:,} in an epoch"
    if drop is not None:
        told += f"; {config.lr_scheduler!r} may lower the rate after {high:,}"
    if config.init_from or high >= START:
        return Finding(name, OK, told, numbers)
    told += f". An untrained network may show nothing for the first {START}: take "
    more = f"--epochs {math.ceil(LEAST_STEPS / each)}"
    if total < START:
        return Finding(name, LOOK, told + more, numbers)
    return Finding(name, LOOK, f"{told}--lr-scheduler plateau, which waits, or {more}", numbers)


# What goes in.

def drawn_batch(augment: Augment, train: datasets.Split, count: int = IMAGES) -> Tensor:
    """A training batch, augmented: (count, C, size, size)."""
    index = torch.randperm(len(train), generator=seeded(0, 0, 0))[:count]
    return augment.train(train.images, index, seeded(0, 1, 0))


def batch(augment: Augment, part: datasets.Split, device: str, count: int = IMAGES):
    """Center crops of `count` images, class after class in turn, and their labels (count,)."""
    known = np.asarray(part.labels)
    order = np.random.default_rng(0).permutation(len(known))
    turn = np.empty(len(known), int)  # how many of the image's class came before it
    met: dict[int, int] = {}
    for i in order:
        turn[i] = met[int(known[i])] = met.get(int(known[i]), -1) + 1
    index = torch.from_numpy(order[np.argsort(turn[order], kind="stable")][:count].copy())
    x = augment.view(part.images, index)
    return x, torch.as_tensor(known[index.numpy()], dtype=torch.int64, device=device)


def input_scale(x: Tensor, config: TrainConfig | None = None) -> Finding:
    """Have the net's inputs the scale that its first weights are made for?

    Args:
        x: a training batch. config: resolved; None for a net whose weights are of another kind.
    """
    x = x.float()
    std, mean = x.std().item(), x.mean().item()
    numbers = {"std": std, "mean": mean, "min": x.min().item(), "max": x.max().item()}
    told = f"inputs of std {std:.3g}, mean {mean:.3g}"
    if not math.isfinite(std) or std == 0:
        return Finding("input scale", WRONG, f"{told}: look at the images, and at the "
                       "divisor", numbers)
    if config is not None:
        low, high = INPUT_STD.get(config.init or "", INPUT_STD["other"])
        init = config.init or config.variant
        if std < low:
            return Finding("input scale", WRONG, f"{told}: too small for the initial weights "
                           f"of {init!r}, which expect std {low:g} to {high:g}: take "
                           "--input-divisor 1 (0-255 minus the mean)"
                           + ("" if init == "he" else ", or --init he"), numbers)
        if std > high:
            return Finding("input scale", WRONG, f"{told}: too large for the initial weights "
                           f"of {init!r}, which expect std {low:g} to {high:g}: take "
                           + ("--input-divisor 58, or --init 2012" if init == "he" else
                              "--input-divisor 1"),
                           numbers)
    if abs(mean) > 0.5 * std:
        return Finding("input scale", LOOK, f"{told}: was the mean subtracted?", numbers)
    return Finding("input scale", OK, told, numbers)


# The net.

def probabilities_out(model: nn.Module, x: Tensor, classes: int | None = None) -> Finding:
    """Does the net end in a softmax, which the loss would then take a second time?"""
    name = "softmax"
    with in_mode(model, False), torch.no_grad():
        out = model(x)
    near = 2e-2 if out.dtype == torch.bfloat16 else 1e-3  # it has three digits
    out = out.float()
    if out.dim() != 2 or (classes or out.shape[-1]) != out.shape[-1]:
        return Finding(name, WRONG, f"the network returns {tuple(out.shape)} for {len(x)} images: "
                       "it must return a row for each image with a number for each class",
                       fatal=True)
    if not out.isfinite().all():
        return Finding(name, WRONG, "the network's outputs are not finite: check the scale of each "
                       "layer", fatal=True)
    if (out >= 0).all() and torch.allclose(out.sum(1), torch.ones(len(out), device=out.device),
                                           atol=near):
        k = out.shape[1]
        floor = math.log(math.e + k - 1) - 1
        return Finding(name, WRONG, "the network's outputs are already probabilities (they sum to "
                       "1), and the loss applies a softmax as well: remove the one in the network. "
                       f"As it is, the loss can't fall below {floor:.2f}", {"floor": floor})
    if torch.allclose(out.logsumexp(1), torch.zeros(len(out), device=out.device), atol=near):
        return Finding(name, OK, "outputs are log-probabilities; a second log-softmax changes "
                       "nothing")
    return Finding(name, OK, "outputs are logits, as the loss expects")


@torch.no_grad()
def evaluation_mode(model: nn.Module, x: Tensor, trained: bool = False) -> Finding:
    """Does the net answer alike each time, as it should when it is measured?

    trained: the net is about to be measured, so it should be in evaluation mode already.
    """
    name, was = "evaluation", model.training

    def spread(training: bool) -> float:
        with in_mode(model, training):
            one, two = model(x).float(), model(x).float()
        return ((one - two).square().mean().sqrt() / one.std().clamp(min=1e-12)).item()

    numbers = {"change in eval mode": spread(False), "change in train mode": spread(True)}
    if numbers["change in eval mode"] > 1e-3:
        return Finding(name, WRONG, "in evaluation mode the same images get different answers: "
                       "something is still random. F.dropout needs training=self.training",
                       numbers)
    with in_mode(model, False):
        together, alone = model(x[:4]).float(), model(x[:1]).float()
    apart = (together[:1] - alone).abs().max() / together.std().clamp(min=1e-12)
    if apart > 0.05:
        return Finding(name, WRONG, "an image's answer depends on the images beside it: batch "
                       "statistics are used in evaluation mode", numbers)
    if trained and was and numbers["change in train mode"] > 1e-3:
        return Finding(name, WRONG, "the network is in training mode, where dropout drops units: "
                       "call net.eval() before you measure", numbers)
    return Finding(name, OK, "in evaluation mode each image has one answer", numbers)


@torch.no_grad()
def first_loss(model: nn.Module, x: Tensor, y: Tensor, classes: int,
               fresh: bool = True) -> Finding:
    """Is the first loss near that of guessing, ln(classes)? Below it, too, unless `fresh`."""
    with in_mode(model, False):
        out = model(x).float()
    loss, guess = F.cross_entropy(out, y).item(), math.log(classes)
    numbers = {"loss": loss, "guessing": guess, "std of outputs": out.std().item()}
    told = f"{loss:.2f}; guessing among {classes} classes costs ln {classes} = {guess:.2f}"
    if not math.isfinite(loss):
        return Finding("first loss", WRONG, f"it is {loss}: check the scales of inputs and layers",
                       numbers)
    if loss > guess + 0.7:
        return Finding("first loss", WRONG if loss > guess + 2 else LOOK, f"{told}: the outputs "
                       f"are too large (std {out.std():.2g}). Take smaller inputs or initial "
                       "weights",
                       numbers)
    if fresh and loss < 0.7 * guess:
        return Finding("first loss", LOOK, f"{told}: an untrained network can't know this much. Is "
                       "it untrained? Does the image show its label?", numbers)
    return Finding("first loss", OK, told, numbers)


def layers(model: nn.Module, x: Tensor, y: Tensor) -> list[dict]:
    """What each layer with weights does at this moment, from the first to the last.

    Returns rows with `name`; `size`, the root mean square of its outputs, before the activation;
    `by_image`, the part of it that differs from image to image (standard deviation over images,
    root mean square over units); `share`, the second over the first; `off`, the share of units
    (maps of a convolution) that are not above 0 for any image, at any place; `weight` and `grad`,
    root mean squares of its weights and of the gradient of the loss with respect to them.
    Measured in evaluation mode, without dropout's noise; the model is left as it was.
    """
    weighted = {path: layer for path, layer in model.named_modules()
                if isinstance(layer, (nn.Conv2d, nn.Linear))}
    short = {path: path.rsplit(".", 1)[-1] for path in weighted}
    names = short if len(set(short.values())) == len(short) and not any(
        name.isdigit() for name in short.values()) else {path: path for path in weighted}

    def measured(layer, inputs, output) -> dict:
        out = output.detach().float()
        units = out.transpose(0, 1).flatten(1) if out.dim() > 2 else out.reshape(
            -1, out.shape[-1]).T
        size = out.square().mean().sqrt().item()
        by_image = out.var(0, unbiased=False).mean().sqrt().item()
        return {"size": size, "by_image": by_image, "share": by_image / size if size else 0.0,
                "off": (units <= 0).all(1).float().mean().item()}

    with in_mode(model, False), torch.enable_grad(), probe(weighted, measured) as rows:
        loss = F.cross_entropy(model(x).float(), y)
        used = [path for path in rows if weighted[path].weight.requires_grad]
        grads = torch.autograd.grad(loss, [weighted[path].weight for path in used],
                                    allow_unused=True)
    if not rows:
        raise UserError("the network has no nn.Conv2d or nn.Linear: there is nothing to measure")
    found = dict(zip(used, grads, strict=True))
    for path, row in rows.items():
        row["weight"] = weighted[path].weight.detach().float().square().mean().sqrt().item()
        grad = found.get(path)
        row["grad"] = 0.0 if grad is None else grad.float().square().mean().sqrt().item()
    return [{"name": names[path], **row} for path, row in rows.items()]


def depends_on_image(rows: list[dict]) -> Finding:
    """Does the net's output depend on the image, or only on the biases?"""
    share = rows[-1]["share"]
    numbers = {row["name"]: row["share"] for row in rows}
    told = f"{share:.2g} of the output depends on the image"
    if not math.isfinite(share):
        return Finding("image in the output", WRONG, "the outputs are not finite", numbers)
    if share > 0.01:
        return Finding("image in the output", OK, told, numbers)
    kept = [(after["share"] / before["share"] if before["share"] else 0.0, after["name"])
            for before, after in zip(rows, rows[1:], strict=False)]
    where = min(kept)[1] if kept else rows[-1]["name"]
    return Finding("image in the output", WRONG if share < 2e-3 else LOOK, f"{told}: the rest "
                   "comes from the biases, the same for all images. The image fades from layer to "
                   f"layer, most in {where}. What helps: inputs that are not divided, and larger "
                   "initial weights (--init 2012); or --input-divisor 58 with --init he",
                   numbers)


def dead_units(rows: list[dict], most: float = 0.6) -> Finding:
    """Are many units off for every image, so that no gradient reaches them?"""
    hidden = rows[:-1] or rows
    worst = max(hidden, key=lambda row: row["off"])
    numbers = {row["name"]: row["off"] for row in hidden}
    told = f"at most {worst['off']:.0%} of a layer's units are off for all images ({worst['name']})"
    if worst["off"] >= most:
        return Finding("dead units", WRONG if worst["off"] > 0.95 else LOOK, f"{worst['off']:.0%} "
                       f"of {worst['name']} is off for all images: a learning rate that is too "
                       "high does this, or initial biases below 0", numbers)
    return Finding("dead units", OK, told, numbers)


def gradients(rows: list[dict], fresh: bool = True) -> Finding:
    """Does a gradient reach every layer, neither vanished nor exploded?

    By layer, the gradient's size is divided by that of the weights: a step at the rate r changes
    the weights by r times this. A net that is not `fresh` may know the images: then it is small.
    """
    ratio = {row["name"]: row["grad"] / row["weight"] if row["weight"] else math.inf
             for row in rows}
    bad = [name for name, value in ratio.items() if not math.isfinite(value)]
    if bad:
        return Finding("gradients", WRONG, f"the gradient of {bad[0]} is not finite", ratio)
    low, high = min(ratio, key=ratio.get), max(ratio, key=ratio.get)
    told = f"{ratio[low]:.1e} ({low}) to {ratio[high]:.1e} ({high}) of the weights"
    if ratio[low] == 0:
        return Finding("gradients", WRONG, f"none reaches {low}: are its weights frozen, or are "
                       "all units after it off?", ratio)
    if ratio[high] > EXPLODED:
        return Finding("gradients", WRONG, f"{told}: too large in {high}; take smaller inputs or "
                       "initial weights, or a lower learning rate", ratio)
    if fresh and ratio[low] < VANISHED:
        return Finding("gradients", WRONG, f"{told}: next to nothing reaches {low}; take larger "
                       "inputs or initial weights", ratio)
    return Finding("gradients", OK, told, ratio)


@contextlib.contextmanager
def in_mode(model: nn.Module, training: bool):
    """Within this context the model is in training mode or not; afterwards each part as before."""
    before = [(part, part.training) for part in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for part, was in before:
            part.training = was


# The first steps.

def overfit_batch(model: nn.Module, x: Tensor, y: Tensor, lr: float,
                  config: TrainConfig | None = None, steps: int = STEPS,
                  seconds: float | None = None) -> list[float]:
    """Loss by step, in nats, of a copy of the net that learns this one batch without dropout.

    Ends early at a loss that is not finite, when the batch is learned (the loss is below a
    twentieth of that of guessing), and after `seconds` (SECONDS). config: for momentum, decay,
    the biases' rate and precision; by default the paper's, in the precision of x.
    """
    config = config or TrainConfig(device=x.device.type, precision=(
        "bf16" if x.dtype == torch.bfloat16 else "fp32"))
    model = without_dropout(copy.deepcopy(model))
    same = itertools.repeat((x, y), steps)
    return descend(model, same, lr, config, seconds, enough=0.05 * guessing(y))


def descend(model: nn.Module, batches: Iterable, lr: float, config: TrainConfig,
            seconds: float | None = None, enough: float = 0.0) -> list[float]:
    """Train the net on these batches of images and labels; its loss by step, in nats.

    Ends early at a loss that is not finite, when the mean of five is below `enough`, and after
    `seconds` (SECONDS).
    """
    model.train()
    named = model if all("." in name for name, _ in model.named_parameters()) else (
        nn.Sequential(model))
    optimizer = PaperSGD(parameter_groups(named, lr, config.weight_decay,
                                          config.bias_lr_factor or 1.0), lr, config.momentum)
    losses, ends = [], time.monotonic() + (SECONDS if seconds is None else seconds)
    for x, y in batches:
        loss, _ = update(model, optimizer, x, y, precision=autocast(config))
        losses.append(loss.item())
        late = len(losses) >= 3 and time.monotonic() > ends
        if late or not math.isfinite(losses[-1]) or np.mean(losses[-5:]) < enough:
            break
    return losses


def without_dropout(model: nn.Module) -> nn.Module:
    """The model, each dropout layer set to drop nothing."""
    for part in model.modules():
        if isinstance(part, (Dropout, nn.Dropout, nn.Dropout2d)):
            part.p = 0.0
    return model


def guessing(y: Tensor) -> float:
    """The lowest loss, in nats, without looking at the images: the entropy of their labels."""
    share = torch.bincount(y).float() / len(y)
    return -torch.xlogy(share, share).sum().item()


def outcome(losses: list[float], guess: float, steps: int = STEPS) -> str:
    """"How `overfit_batch` ended: "learned", "falling", "stuck", "not finite" or "no time"."""
    if not math.isfinite(losses[-1]):
        return "not finite"
    best = np.convolve(losses, np.ones(5) / 5, "valid").min() if len(losses) >= 5 else losses[-1]
    if best < 0.5 * guess:
        return "learned"
    if len(losses) < min(steps, 30):
        return "no time"
    return "falling" if best < 0.95 * guess else "stuck"


def learning(model: nn.Module, x: Tensor, y: Tensor, config: TrainConfig,
             rows: list[dict] | None = None) -> list[Finding]:
    """Can it overfit these images at its learning rate? Could it at another one? Two findings."""
    guess, lr = guessing(y), config.lr
    if guess == 0:
        return [Finding("one batch", LOOK, "all images of the batch are of one class")]
    tried = {}

    def attempt(rate: float) -> str:
        losses = overfit_batch(model, x, y, rate, config)
        tried[rate] = {"outcome": outcome(losses, guess), "steps": len(losses),
                       "loss": losses[-1] if math.isfinite(losses[-1]) else None}
        return tried[rate]["outcome"]

    begun, own = time.monotonic(), attempt(lr)
    for factor in (0.1, 10) if own == "learned" else (0.1, 10, 0.01, 100):
        helped = own != "learned" and "learned" in [row["outcome"] for row in tried.values()]
        late = time.monotonic() - begun > 2 * SECONDS
        if own != "no time" and not late and not (helped and factor in (0.01, 100)):
            attempt(lr * factor)
    return [overfits(tried, lr, guess, len(y), rows), rate(tried, lr)]


def overfits(tried: dict, lr: float, guess: float, count: int, rows: list[dict] | None) -> Finding:
    """The finding about overfitting `count` images at the learning rate `lr`."""
    found, name = tried[lr], "one batch"
    numbers = {"guessing": guess, **found}
    if found["outcome"] == "learned":
        return Finding(name, OK, f"memorizes {count} images in {found['steps']} steps", numbers)
    if found["outcome"] == "no time":
        return Finding(name, LOOK, f"only {found['steps']} steps in {SECONDS:.0f} s: try it on a "
                       "GPU, or with a smaller --input-size or --width", numbers)
    if found["outcome"] == "not finite":
        return Finding(name, WRONG, f"the loss is not finite after {found['steps']} steps: see "
                       "the learning rate", numbers)
    told = (f"after {found['steps']} steps on {count} images the loss is {found['loss']:.2f}; "
            f"guessing costs {guess:.2f}")
    if found["outcome"] == "falling":
        return Finding(name, LOOK, f"{told}: it falls, but slowly", numbers)
    if any(row["outcome"] == "learned" for row in tried.values()):
        return Finding(name, WRONG, f"{told}: see the learning rate", numbers)
    if rows:
        weakest = min(rows, key=lambda row: row["grad"] / row["weight"] if row["weight"] else 0)
        told += (f". The weakest gradient is that of {weakest['name']}, "
                 f"{weakest['grad'] / max(weakest['weight'], 1e-30):.1e} of its weights")
    return Finding(name, WRONG, told + ": fix what is wrong above", numbers)


def rate(tried: dict, lr: float) -> Finding:
    """The finding about the learning rate, from what the same net did at several."""
    numbers = {f"{r:g}": row for r, row in sorted(tried.items())}
    told = ", ".join(f"{r:g} {row['outcome']}"
                     + (f" in {row['steps']} steps" if row["outcome"] == "learned" else "")
                     for r, row in sorted(tried.items()))
    own = tried[lr]["outcome"]
    outcomes = [row["outcome"] for row in tried.values()]
    good = [r for r, row in tried.items() if row["outcome"] == "learned"]
    if not good and own == "stuck" and "not finite" not in outcomes:  # far too low, perhaps
        good = [r for r, row in tried.items() if row["outcome"] == "falling" and r > 50 * lr]
    if own in ("learned", "no time"):
        return Finding("learning rate", OK if own == "learned" else LOOK, told, numbers)
    if not good:
        if set(outcomes) == {"not finite"}:
            return Finding("learning rate", WRONG, f"{told}: far too high, or the inputs are too "
                           "large", numbers)
        return Finding("learning rate", LOOK, f"{told}: no learning rate helps, so the cause is "
                       "elsewhere", numbers)
    best = min(good, key=lambda r: (tried[r]["steps"], tried[r]["loss"]))
    which = "too high" if best < lr else "too low"
    near = own == "falling" and 0.05 < best / lr < 20
    return Finding("learning rate", LOOK if near else WRONG, f"{told}: {lr:g} is {which}; take "
                   f"--lr {best:g}", numbers)


def minibatches(augment: Augment, train: datasets.Split, config: TrainConfig,
                steps: int = STEPS) -> Iterator[tuple[Tensor, Tensor]]:
    """Minibatches of the run's size, augmented and drawn anew for each step: images, labels."""
    labels = torch.as_tensor(np.asarray(train.labels), dtype=torch.int64)
    for step in range(steps):
        shuffled = torch.randperm(len(train), generator=seeded(config.seed, 0, step))
        index = shuffled[:config.batch_size]
        x = augment.train(train.images, index, seeded(config.seed, 1, step))
        yield x, labels[index].to(x.device)


def first_steps(model: nn.Module, augment: Augment, train: datasets.Split,
                config: TrainConfig) -> Finding:
    """Does the rate suit the size of the minibatches, or do the first steps silence the units?

    A handful of images, always the same, does not show it: the fewer images a minibatch has, the
    rougher is its gradient, and at too high a rate rough steps kill. Lower rates are tried, too.
    """
    tried = {}
    for lr in (config.lr, config.lr / 4, config.lr / 16):
        tried[lr] = _silenced(model, augment, train, config, lr)
        if tried[lr]["off"] < SILENCED:
            break
    return silenced(tried, config)


def _silenced(model: nn.Module, augment: Augment, train: datasets.Split, config: TrainConfig,
              lr: float) -> dict:
    """The layer that has most units off after the first steps at this rate, and their share."""
    model = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):  # for dropout
        torch.manual_seed(config.seed)
        losses = descend(model, minibatches(augment, train, config), lr, config)
    if not math.isfinite(losses[-1]):
        return {"steps": len(losses), "layer": None, "off": 1.0}
    with autocast(config):
        rows = layers(model, *batch(augment, train, config.device))
    worst = max(rows[:-1] or rows, key=lambda row: row["off"])
    return {"steps": len(losses), "layer": worst["name"], "off": worst["off"]}


def silenced(tried: dict, config: TrainConfig) -> Finding:
    """The finding about the minibatches, from what the first steps did at several rates."""
    name, own, last = "minibatches", tried[config.lr], min(tried)
    numbers = {f"{lr:g}": row for lr, row in tried.items()}
    told = (f"after {own['steps']} steps with {config.batch_size} images each "
            + (f"{own['off']:.0%} of {own['layer']} is off for all images" if own["layer"] else
               "the loss is not finite"))
    if own["off"] < SILENCED:
        if own["steps"] < STEPS / 2:
            return Finding(name, LOOK, f"only {own['steps']} steps in {SECONDS:.0f} s: too few to "
                           "tell whether the learning rate suits the --batch-size; try it on a "
                           "GPU", numbers)
        return Finding(name, OK, told, numbers)
    verdict = WRONG if own["off"] == 1 else LOOK
    if tried[last]["off"] >= SILENCED:
        return Finding(name, verdict, f"{told}, and {tried[last]['off']:.0%} at the learning rate "
                       f"{last:g}: look at the layers", numbers)
    return Finding(name, verdict, f"{told}: at the learning rate {config.lr:g} it may learn late, "
                   f"or never. At {last:g} at most {tried[last]['off']:.0%} of a layer is off: "
                   f"take --lr {last:g}, or a larger --batch-size", numbers)
