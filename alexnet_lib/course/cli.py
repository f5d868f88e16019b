"""The commands that draw and examine: `alexnet filters`, `alexnet doctor`."""

from pathlib import Path

import click

from alexnet_lib.choices import TrainConfig
from alexnet_lib.cli import (
    AS_JSON,
    CHECKPOINT,
    DEVICE,
    SKIP,
    Careful,
    deliver,
    given,
    options_for,
)
from alexnet_lib.errors import UserError
from alexnet_lib.text import say
from alexnet_lib.text import table as tabulate


@click.command(cls=Careful)
@click.option("-c", "--checkpoint", metavar="FILE",
              help="examine this trained net, not a fresh one")
@SKIP
@DEVICE
@options_for(TrainConfig)
@AS_JSON
def doctor(data, checkpoint, skip_broken, device, json_file, **choices):
    """Find out why a net does not train: checks of data, configuration and first steps.

    Give the options of your `alexnet train`. Each check says ok, LOOK or WRONG, and what to do;
    the whole can be pasted into a question.
    """
    from alexnet_lib import datasets
    from alexnet_lib.config import resolve
    from alexnet_lib.course import doctor as checks
    from alexnet_lib.weights import load_model
    chosen = given(choices, checkpoint)
    net = dataset = None
    if checkpoint:
        net = load_model(checkpoint, device)
        dataset = datasets.load(data or net.config.data, net.config.stored_size,
                                skip_broken=skip_broken, say=lambda line: None)
    config = TrainConfig(data=data or "shapes", device=device,
                         skip_broken=bool(skip_broken), **chosen)
    if json_file != "-":  # at once: it is what a report needs first
        about = checks.environment(net.config if net else resolve(config))
        click.echo(tabulate(about.numbers.items(), tablefmt="plain", disable_numparse=True) + "\n")
    found = checks.examine(config, dataset, net, say)
    deliver({"findings": checks.as_json(found), "summary": checks.summary(found)}, json_file)
    if json_file == "-":
        return
    told = [(f.verdict if f.verdict == "ok" else f.verdict.upper(), f.name, f.message)
            for f in found]
    click.echo(tabulate(told, tablefmt="plain", maxcolwidths=[None, None, 72]) + "\n")
    if rows := checks.by_layer(found):
        click.echo(tabulate(rows, ("layer", "image share", "gradient/weights", "units off"),
                            floatfmt=("", ".1e", ".1e", ".0%"), missingval="-") + "\n")
    click.echo(checks.summary(found))


@click.command(cls=Careful)
@CHECKPOINT
@click.option("-o", "--out", required=True, metavar="DIR", help="folder for the pictures")
@click.option("-d", "--data", metavar="NAME",
              help="images for maps and patches [those it learned from]")
@click.option("--split", default="val", show_default=True)
@click.option("--layer", help="whose patches to look for [the last convolution]")
@click.option("--units", type=click.IntRange(1), default=8, show_default=True,
              help="how many of its maps: those whose answers vary most")
@click.option("--unit", "named", type=int, multiple=True, metavar="K",
              help="this map instead, counted from 0; may be repeated")
@SKIP
@DEVICE
def filters(checkpoint, out, data, split, layer, units, named, skip_broken, device):
    """Draw what a net has learned to see, as PNG files.

    kernels.png: the first layer, column above column, as in the paper's Fig. 3; it needs no
    images. maps.png: how an image goes through the layers. patches.png: what excites the maps of
    a layer most. A file of the convolutions alone (`alexnet export --features`) is enough.
    """
    import numpy as np

    from alexnet_lib import datasets, features
    from alexnet_lib.course import plots
    from alexnet_lib.course.plots import nb12 as figures
    from alexnet_lib.run_folder import check_outside, prepare_folder
    from alexnet_lib.weights import load_features
    net = load_features(checkpoint, device)
    convolutions = features.convolutions(net)
    layer, named = layer or convolutions[-1], list(dict.fromkeys(named))
    features.field(net.model, layer)  # what is not there is told before the work begins
    if named:
        blank = np.zeros((1, *[net.augment.stored] * 2, 3), np.uint8)
        features.check_units(named, layer, features.responses(net, blank, layer).shape[1])
    source = data or net.config.data
    datasets.parse(source)
    check_outside(out, source)
    prepare_folder(out)
    for name in ("kernels", "maps", "patches"):
        _place_figure(Path(out) / f"{name}.png")
    plots.use_style()
    weights = features.kernels(net)
    index = features.color_selectivity(weights) if weights.shape[1] == 3 else None
    columns = net.config.columns if net.config.model == "alexnet" else 1
    written = [save_figure(figures.kernels(weights, columns, index), Path(out) / "kernels.png")]
    images = _images(source, split, net.config.stored_size, skip_broken, written[0])
    maps = figures.maps(features.center(net, images, [0])[0],
                        {name: features.responses(net, images[:1], name)[0]
                         for name in convolutions})
    written.append(save_figure(maps, Path(out) / "maps.png"))
    found = features.top_patches(net, images, layer, named or units)
    if not found:
        raise UserError(f"no map of {layer} answers to any of these images: name some with --unit, "
                        f"or give other --data; {written[0]} and {written[1]} are written")
    if len(found) < units and not named:
        say(f"the other maps of {layer} answer to none of these images")
    written.append(save_figure(figures.patches(found, layer), Path(out) / "patches.png"))
    for path in written:
        click.echo(path)


def _images(data: str, split: str, size: int, skip_broken: bool, written: Path):
    """The images that `filters` looks at. Raises UserError, which tells what is `written`."""
    from alexnet_lib import datasets, evaluation
    few = {name: 1000 if name == split else 2 for name in ("train", "val", "test")}  # of shapes
    try:
        dataset = datasets.load(data, size, skip_broken=skip_broken, counts=few)
    except (UserError, OSError) as error:
        other = "" if "--data shapes" in str(error) else ", as with --data shapes"
        raise UserError(f"{error}; {written} is written all the same: give images for maps and "
                        f"patches{other}") from error
    return evaluation.part_of(dataset, split).images


def _place_figure(path: Path) -> None:
    """UserError if a figure of `filters` cannot be written there."""
    from alexnet_lib.checkpoints import check_place
    try:
        check_place(path, "PNG")
    except UserError as error:
        raise UserError(f"cannot write {path}: {error}; choose another --out") from None


def save_figure(figure, path: Path) -> Path:
    """Write a figure of `filters` and close it; returns the path. Raises UserError."""
    import matplotlib.pyplot as plt
    _place_figure(path)
    try:
        figure.savefig(path, dpi=120, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; "
                        "choose another --out") from None
    plt.close(figure)
    return path
