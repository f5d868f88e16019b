"""Why does it not train? Quick checks of data, net and rate; each gives a `Finding`.

`examine` runs them all, in under a minute on two CPU cores with small images. What each looks for
and where its limits come from is shown, one cause at a time, in notebook 10. Biases of 1 and the
strength of response normalization are not checked: there they are found innocent.
"""

import copy
import dataclasses
import math
import shutil
from collections.abc import Callable

import torch
from torch import nn

from alexnet_lib import datasets, ops
from alexnet_lib.checkpoints import read_checkpoint
from alexnet_lib.config import (
    TrainConfig,
    autocast,
    build_augment,
    build_model,
    fit_to_data,
    resolve,
)
from alexnet_lib.course.doctor.data import class_sizes, duplicates, images, labels, same_meaning
from alexnet_lib.course.doctor.finding import LOOK, OK, WRONG, Finding
from alexnet_lib.course.doctor.net import (
    HANDFUL,
    IMAGES,
    LARGE,
    batch,
    class_count,
    dead_units,
    depends_on_image,
    drawn_batch,
    evaluation_mode,
    first_loss,
    first_steps,
    gradients,
    guessing,
    input_scale,
    layers,
    learning,
    outcome,
    overfit_batch,
    probabilities_out,
    run_length,
)
from alexnet_lib.course.doctor.trained import class_order, permuted
from alexnet_lib.course.environment_check import report
from alexnet_lib.weights import LoadedModel, load_pretrained

__all__ = ["LOOK", "OK", "WRONG", "Finding", "as_json", "batch", "by_layer", "environment",
           "examine", "guessing", "layers", "outcome", "overfit_batch", "summary"]


def examine(config: TrainConfig, dataset: datasets.Dataset | None = None,
            net: nn.Module | LoadedModel | None = None,
            say: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """All checks, in the order in which their causes should be mended.

    Args:
        config: of the run that does not train. dataset: instead of loading `config.data`.
        net: a fresh net of your own, called as `net(images)`, instead of the one that `config`
            describes; or a trained one, from `weights.load_model`, for which the checks of the
            first step and of the rate are left out.
        say: gets a line before each part that takes time.

    Raises UserError for a configuration that cannot be.
    """
    trained = isinstance(net, LoadedModel)
    given, config = config, net.config if trained else resolve(config)
    if config.init_from and not trained:
        read_checkpoint(config.init_from)  # what is damaged is told before the data are read
    found = [environment(config)]
    say("reading the data")
    if dataset is None:
        dataset = datasets.load(config.data, config.stored_size, skip_broken=config.skip_broken,
                                say=lambda line: None)
    for line in dataset.notes:
        say(line)
    if config.limit is not None and not labels(dataset).fatal:
        some = dataset.splits["train"].subset(config.limit, config.seed)
        dataset = dataclasses.replace(dataset, splits=dataset.splits | {"train": some})
    found += examine_data(dataset)
    broken = [f.name for f in found if f.fatal]
    if broken:
        return [*found, Finding("net", LOOK, f"not checked: fix the {broken[0]} first")]
    found += [] if config.num_classes is None else [class_count(config, dataset)]
    if found[-1].fatal and not trained:
        return found
    say("looking into the network")
    if trained:
        return found + examine_trained(net, dataset)
    return found + examine_fresh(fit_to_data(given, dataset), dataset, net, say)


def examine_data(dataset: datasets.Dataset) -> list[Finding]:
    """The checks that need no net."""
    named, shown = labels(dataset), images(dataset)
    found = [named] if named.fatal else [named, class_sizes(dataset)]
    if named.fatal or shown.fatal:
        return [*found, shown]
    return [*found, shown, duplicates(dataset), same_meaning(dataset)]


def examine_fresh(config: TrainConfig, dataset: datasets.Dataset, model: nn.Module | None = None,
                  say: Callable[[str], None] = lambda line: None) -> list[Finding]:
    """The checks of a net before its first step, and of its first steps."""
    own, device = model is not None, config.device
    model = copy.deepcopy(model) if own else initial_model(config, dataset)
    model = model.to(device)
    train = dataset.splits["train"]
    augment = build_augment(config, dataset.mean, dataset.color_values, dataset.color_vectors)
    fresh = not config.init_from
    found = [run_length(config, len(train)),
             input_scale(drawn_batch(augment, train), config if fresh and not own else None)]
    x, y = batch(augment, train, device, IMAGES // (4 if config.input_size > LARGE else 1))
    with autocast(config):
        softmax = probabilities_out(model, x, len(dataset.classes))
        found += [softmax, evaluation_mode(model, x)]
        if softmax.fatal:
            return found
        rows = layers(model, x, y)
        found += [first_loss(model, x, y, len(dataset.classes), fresh), depends_on_image(rows)]
    learn = [row for row in rows if not (config.frozen and row["name"].startswith("conv"))]
    found += [dead_units(rows), gradients(learn, fresh)]
    say("overfitting a single small batch")
    x, y = batch(augment, train, device, HANDFUL)
    found += learning(model, x, y, config, learn)
    if found[-1].verdict != OK:
        return found
    say(f"taking steps with {config.batch_size} images each")
    return [*found, first_steps(model, augment, train, config)]


def initial_model(config: TrainConfig, dataset: datasets.Dataset) -> nn.Module:
    """The net that a run begins with: fresh, or with the weights that --init-from names."""
    model = build_model(config)
    if config.frozen:
        model.features.requires_grad_(False)
    if config.init_from:
        load_pretrained(model, config, dataset.classes)
    return model


def examine_trained(net: LoadedModel, dataset: datasets.Dataset) -> list[Finding]:
    """The checks of a trained net on data that it should know."""
    found = [class_order(net.classes, dataset)]
    train = dataset.splits["train"]
    x, y = batch(net.augment, train, net.config.device)
    with autocast(net.config):
        found += [input_scale(x), probabilities_out(net.model, x),
                  evaluation_mode(net.model, x, trained=True)]
        if found[0].verdict != WRONG:
            rows = layers(net.model, x, y)
            found += [depends_on_image(rows), dead_units(rows)]
            found.append(permuted(net, dataset))
    return found


# The environment.

def environment(config: TrainConfig | None = None) -> Finding:
    """Versions, device and fast paths, for an issue form; "look" if a GPU lies idle."""
    numbers = report() | {"kernels": ops.describe()}
    if config is not None:
        numbers |= {"asked for": f"{config.device}, {config.precision}"}
    if shutil.which("nvidia-smi") and not torch.cuda.is_available():
        why = ("this torch is built without CUDA" if torch.version.cuda is None else
               "torch cannot use it")
        return Finding("environment", LOOK, f"there is an NVIDIA driver, but {why}: install torch "
                       "as pytorch.org says for your CUDA", numbers)
    return Finding("environment", OK, f"python {numbers['python']}, torch {numbers['torch']}, "
                   f"{numbers['device']}", numbers)


def summary(found: list[Finding]) -> str:
    """One line: how many findings are wrong, and with which to begin."""
    wrong = [f.name for f in found if f.verdict == WRONG]
    look = [f.name for f in found if f.verdict == LOOK]
    if wrong:
        return (f"wrong: {', '.join(wrong)}. Start with the first: one cause often shows up in "
                "several checks")
    if look:
        return f"nothing is wrong; look at: {', '.join(look)}"
    return "nothing is wrong: let it train. The loss may stay flat for the first 50 to 300 steps"


def by_layer(found: list[Finding]) -> list[tuple]:
    """(layer, share that depends on the image, gradient over weights, share of units off); None
    where it was not measured."""
    numbers = {f.name: f.numbers for f in found}
    shares, grads, off = (numbers.get(name, {}) for name in ("image in the output", "gradients",
                                                             "dead units"))
    return [(name, share, grads.get(name), off.get(name)) for name, share in shares.items()]


def as_json(found: list[Finding]) -> list[dict]:
    """The findings as plain dicts; numbers that are not finite become None."""
    def plain(value):
        if isinstance(value, dict):
            return {key: plain(v) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value
    return [plain(dataclasses.asdict(f)) for f in found]
