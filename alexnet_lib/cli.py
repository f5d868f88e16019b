"""The `alexnet` command. Results go to stdout, progress to stderr, bad input to one line."""

import contextlib
import json
import os
import sys
from dataclasses import Field, fields
from importlib import import_module
from pathlib import Path
from types import NoneType
from typing import get_args

import click

from alexnet_lib.choices import NetConfig, TrainConfig, describe, named_values
from alexnet_lib.errors import UserError
from alexnet_lib.old_names import renamed_option
from alexnet_lib.text import Printable, fitting, printable, say
from alexnet_lib.text import table as tabulate

SHORT = {"data": ["-d"], "epochs": ["-e"]}


def option_for(one: Field, default=None):
    """The option of a choice, with the help that is declared there."""
    word = one.name.replace("_", "-")
    kinds = [kind for kind in get_args(one.type) if kind is not NoneType] or [one.type]
    flags = [f"--{word}/--no-{word}" if kinds == [bool] else f"--{word}", *SHORT.get(word, ())]
    names = named_values(one)
    kind = click.Choice(names) if names else tuple(kinds) if len(kinds) > 1 else kinds[0]
    return click.option(*flags, type=kind, default=default,
                        help=describe(one, with_values=one.metadata["allowed"] != tuple(names)))


def options_for(config: type[NetConfig]):
    """An option for each choice of that configuration: those of the run, then those of the net."""
    def decorate(command):
        for one in reversed(sorted(fields(config), key=lambda one: bool(one.kw_only))):
            if one.metadata["option"]:
                command = option_for(one)(command)
        return command
    return decorate


def given(choices: dict, checkpoint: str | None = None) -> dict:
    """The choices that were made; UserError if a trained net brings its own."""
    made = {name: value for name, value in choices.items() if value is not None}
    if made and checkpoint:
        raise UserError("a trained net has its choices already: leave out "
                        f"--{min(made).replace('_', '-')}, or --checkpoint")
    return made


CHOICES = {one.name: one for one in fields(TrainConfig)}
DEVICE = option_for(CHOICES["device"], default="auto")
SKIP = option_for(CHOICES["skip_broken"])
# Choices that all who train make, or that commands share: they come first in the help.
FIRST = ("data", "out", "epochs", "device", "skip_broken")
# What each option writes, in the words of `checkpoints.kind_of`.
WRITES = {"json_file": "JSON", "predictions": "predictions", "out": "a net", "onnx": "ONNX"}


def _writable(context, option, path: str | None) -> str | None:
    """Marks an option that names a file to be written: `Careful` looks at it."""
    return path


class Careful(click.Command):
    """A command that looks at its outputs before it works.

    They replace neither what the command reads nor a file of another kind.
    """

    def parse_args(self, context, args: list[str]) -> list[str]:
        """As click does, with the names that options had in earlier versions, too."""
        known = [renamed_option(word) for word in args]
        for old, new in zip(args, known, strict=True):
            if old != new:
                say(f"{old.partition('=')[0]} is called {new.partition('=')[0]} now")
        return super().parse_args(context, known)

    def format_options(self, context, formatter):
        """As click does; the choices of a net and of a run stand apart from what is used most."""
        own = {one.name: "The net" for one in fields(NetConfig)}
        groups: dict[str, list] = {"Options": [], "The run": [], "The net": []}
        for option in self.get_params(context):
            first = option.name not in CHOICES or option.name in FIRST
            if record := option.get_help_record(context):
                groups["Options" if first else own.get(option.name, "The run")].append(record)
        for title, rows in groups.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def invoke(self, context):
        made = {option.name: context.params[option.name] for option in self.params
                if option.callback is _writable
                and context.params[option.name] not in (None, "-")}
        if made:
            from alexnet_lib.checkpoints import check_place
            inputs = [file for name, value in context.params.items() if name not in made
                      for file in _read(name, value)]
            for name, path in made.items():
                check_place(path, WRITES.get(name), inputs)
            if len(set(map(os.path.realpath, made.values()))) < len(made):
                raise UserError("two outputs cannot be one file: give each its own name")
        return super().invoke(context)


def _read(name: str, value) -> list[Path]:
    """The files that a command reads, or keeps, which is given this path, or these."""
    if isinstance(value, tuple):
        return [file for one in value for file in _read(name, one)]
    if name == "results":
        return [value / "ledger.json", *(value / "runs").rglob("*.json")]
    if not isinstance(value, str):
        return []
    from alexnet_lib.checkpoints import BEST, CHECKPOINT, HISTORY
    path = Path(value.removeprefix("folder:"))
    return [path, *(folder / name for folder in (path, path.parent)
                    for name in (CHECKPOINT, BEST, HISTORY))]


# Commands whose code stands outside the core; it is imported when they are called.
ELSEWHERE = {"bench": "research", "doctor": "course", "experiment": "research",
             "filters": "course", "info": "research", "ledger": "research"}


class Commands(click.Group):
    """A group of such commands."""

    command_class = Careful
    group_class = type  # its subgroups are such groups, too

    def list_commands(self, context) -> list[str]:
        """Their names, in order."""
        return sorted([*super().list_commands(context), *(ELSEWHERE if self is cli else ())])

    def get_command(self, context, name: str) -> click.Command | None:
        """The command of that name, if there is one."""
        if self is cli and name in ELSEWHERE:
            return getattr(import_module(f"alexnet_lib.{ELSEWHERE[name]}.cli"), name)
        return super().get_command(context, name)


AS_JSON = click.option("--json", "json_file", metavar="FILE", callback=_writable,
                       help="write the result as JSON too; - is stdout")


CHECKPOINT = click.option("-c", "--checkpoint", required=True, metavar="FILE",
                          help="a trained net: its file, or the folder of its run")


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0; 2 for bad input, told in one line; 130 if interrupted.

    1: of several images to `predict`, some could not be read.
    """
    args = sys.argv[1:] if args is None else args
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    try:
        with contextlib.redirect_stdout(sys.stdout and Printable(sys.stdout)):
            cli(args, prog_name="alexnet", standalone_mode=False)
    except (UserError, click.ClickException, OSError) as error:
        if debug:
            raise
        complain(_told(error))
        sys.exit(2)
    except ModuleNotFoundError as error:
        if debug or not error.name or error.name.startswith("alexnet_lib"):
            raise
        complain(f"this needs the package {error.name}: pip install {error.name}")
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):  # a RuntimeError, so before the next
        complain("interrupted")
        sys.exit(130)
    except (MemoryError, RuntimeError) as error:
        from alexnet_lib.memory import is_out_of_memory
        if debug or not is_out_of_memory(error):
            raise
        complain(f"there is not enough memory for this ({' '.join(str(error).split())}): "
                 + _less_memory(args))
        sys.exit(2)
    sys.exit(0)


def _told(error: Exception) -> str:
    """The error in one line, without what is for programmers."""
    if isinstance(error, click.ClickException):
        return " ".join(error.format_message().split())
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {os.fsdecode(error.filename)}"
    return str(error)


def _less_memory(args: list[str]) -> str:
    """What may help the command that was called: the options that it has."""
    command = cli.get_command(None, "".join(args[:1]))
    if command and any(option.name == "width" for option in command.params):
        return "choose smaller images or a smaller net (--input-size, --width)"
    return "give it fewer images at once, use --device cpu, or a machine with more memory"


def complain(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    with contextlib.suppress(UserError, OSError):  # that nobody can be told, either
        if sys.stderr:
            Printable(sys.stderr).write(f"alexnet: {printable(message)}\n")


def deliver(result: dict, json_file: str | None) -> None:
    """Write `result` as JSON where `--json` says."""
    if json_file is None:
        return
    text = json.dumps(result, indent=1)
    if json_file == "-":
        click.echo(text)
        return
    from alexnet_lib.checkpoints import write_atomically
    write_atomically(Path(json_file), lambda path: path.write_text(text + "\n"))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]},
             epilog="Every command takes --debug, which shows the traceback of an error.")
@click.version_option(package_name="alexnet-course", prog_name="alexnet")
def cli():
    """AlexNet, faithful to the paper of 2012 and to its original source."""


@cli.group()
def data():
    """List, get, pack and check data sets."""


SIZE = click.option("--size", type=int, help="side of the stored images, pixels")


@data.command("list")
@AS_JSON
def data_list(json_file):
    """Show the data sets that `--data` can name."""
    from alexnet_lib import datasets
    rows = datasets.sources()
    deliver({"sources": rows}, json_file)
    if json_file != "-":
        click.echo(tabulate(rows, headers="keys", disable_numparse=True))


def _load_command(name: str, text: str):
    @data.command(name, help=text)
    @click.argument("source")
    @SIZE
    @SKIP
    def command(source, size, skip_broken):
        from alexnet_lib import datasets
        found = datasets.load(source, size, skip_broken=skip_broken)
        splits = ", ".join(f"{name} {len(split):,}" for name, split in found.splits.items())
        click.echo(f"{datasets.signature(found.name, found.fingerprint)}: {splits} images of "
                   f"{found.size} px, {len(found.classes)} classes")


_load_command("get", "Download SOURCE, check it, and pack it.")
_load_command("pack", "Prepare SOURCE as the paper did: scale, crop, store, compute statistics.")


@data.command("check")
@click.argument("source")
@SIZE
def data_check(source, size):
    """Verify every image of SOURCE and the checksums of its packed store."""
    from alexnet_lib import datasets
    found = datasets.check(source, size)
    del found["notes"]
    click.echo(tabulate(found.items(), tablefmt="plain"))


@data.command("clean")
@click.option("--yes", is_flag=True, help="remove them, not only show them")
def data_clean(yes):
    """Find packed stores that nothing reads any more: unfinished, or of a source that changed."""
    from alexnet_lib import datasets
    found = datasets.leftovers()
    for folder, size, why in found:
        if yes:
            datasets.remove(folder)
        click.echo(f"{'removed' if yes else 'left over'}: {folder} ({size / 1e6:,.1f} MB, {why})")
    if not found:
        click.echo("nothing is left over")
    elif not yes:
        click.echo("add --yes to remove them")


@cli.command()
@click.option("-o", "--out", required=True, metavar="DIR",
              help="folder for checkpoint and history")
@click.option("--resume", is_flag=False, flag_value="yes", type=click.Choice(["yes", "auto"]),
              help="go on from the checkpoint in --out, as it was begun; auto: if there is one")
@SKIP
@DEVICE
@options_for(TrainConfig)
def train(out, resume, device, **choices):
    """Train a net. What is not given is chosen to fit the data, and told.

    Killed or interrupted, `--resume` goes on exactly where the last checkpoint stood. `--resume
    auto` starts or goes on: one command for machines that may be taken away. Ctrl-C, SIGTERM and
    SIGHUP save first, and end with exit code 130, 143 or 129.

    In --out: last.safetensors, to resume and for --checkpoint; best.safetensors, the net of the
    epoch with the lowest validation error, for --checkpoint and --init-from; history.json.

    Data parallel: torchrun --nproc-per-node=K -m alexnet_lib train ...; K processes share each
    minibatch, on a GPU each or, with --device cpu, on the CPU. With --max-restarts and --resume
    auto, the run survives the loss of a process. Several machines must share the folder --out.
    """
    from alexnet_lib import parallel
    from alexnet_lib.checkpoints import BEST
    from alexnet_lib.config import resume_config
    from alexnet_lib.devices import pick_device
    from alexnet_lib.reporting import shows_top5
    from alexnet_lib.training import train as run_training
    chosen = given(choices) | {"device": device}
    config = resume_config(out, **chosen) if resume else TrainConfig(out=out, **chosen)
    with parallel.torchrun(pick_device(device)) as group:
        if group.size > 1:
            config.device = group.device
        run = run_training(config, resume={"yes": True}.get(resume, resume), say=say, group=group)
    if group.rank:
        return
    last, best = run.history[-1], run.path.with_name(BEST)
    top5 = f"top-5 {last['val_top5_error']:.2%}  " if shows_top5(len(run.classes)) else ""
    line = (f"{run.path}  val top-1 error {last['val_error']:.2%}  {top5}"
            f"epoch {last['epoch']}")
    if best.exists():  # an earlier version wrote none
        line += f"; best {run.best['val_error']:.2%}, epoch {run.best['epoch']}: {best}"
    click.echo(line)


def _loaded(checkpoint: str, device: str):
    """The net of a file, or torchvision's."""
    if checkpoint == "torchvision":
        from alexnet_lib.pretrained import torchvision_alexnet
        return torchvision_alexnet(device)
    from alexnet_lib.weights import load_model
    return load_model(checkpoint, device)


@cli.command()
@CHECKPOINT
@click.option("-d", "--data", required=True, metavar="NAME", help="see `alexnet data list`")
@click.option("--split", help="train, val, test or all [val, if there is one]")
@click.option("--views", default=1, show_default=True, help="1 or 10")
@click.option("--predictions", metavar="FILE", callback=_writable,
              help="keep the probabilities of every image, as safetensors")
@SKIP
@DEVICE
@AS_JSON
def evaluate(checkpoint, data, split, views, predictions, skip_broken, device, json_file):
    """Measure a checkpoint: top-1 and top-5 error, scores of each class, confusion.

    Of folder:PATH with PATH/<class>/*, all images are measured, unless the net was trained on
    that folder: then those that training held out. Some of the net's classes are enough.

    A folder stands for its last.safetensors; name best.safetensors in it for the net with the
    lowest validation error.

    --checkpoint torchvision is the AlexNet that torchvision distributes, trained on ImageNet; of
    data with fewer classes, only those that ImageNet has under the same name.
    """
    from alexnet_lib import datasets, evaluation
    from alexnet_lib.reporting import shows_top5
    net = _loaded(checkpoint, device)
    bought = checkpoint == "torchvision"
    dataset, split = datasets.load_split(
        data, net.config.stored_size, split, None if bought else tuple(net.classes),
        net.config.data, skip_broken=skip_broken)
    if bought:
        from alexnet_lib.pretrained import among
        net = among(net, dataset.classes)
    if told := datasets.other_copy(dataset, net.config.data, net.meta.get("fingerprint")):
        say(told)
    answers = evaluation.predictions(net, dataset, split, views, progress=True)
    if predictions:
        answers.save(predictions)
    found = answers.scores()
    if not shows_top5(len(net.classes)):
        del found["top5_error"]
    deliver(found, json_file)
    if json_file == "-":
        return
    click.echo(f"{dataset.name} {split}, {found['images']:,} images, {views} "
               f"view{'s' if views > 1 else ''}")
    top5 = f"top-5 error {found['top5_error']:.2%}   " if "top5_error" in found else ""
    click.echo(f"top-1 error {found['top1_error']:.2%}   {top5}"
               f"precision {found['precision']:.3f}   recall {found['recall']:.3f}   "
               f"F1 {found['f1']:.3f}   calibration error {found['calibration_error']:.2%}\n")
    there = [name for name, row in found["per_class"].items() if row["images"]]
    if len(there) <= 100:
        click.echo(tabulate([(name, *found["per_class"][name].values()) for name in there],
                            ("class", "precision", "recall", "F1", "images"), floatfmt=".3f"))
    if len(net.classes) <= 20:
        click.echo("\nconfusion (rows: true class, columns: predicted)")
        rows = [(name, *row) for name, row in zip(net.classes, found["confusion"], strict=True)
                if name in there]
        click.echo(tabulate(rows, ("", *abbreviated(net.classes)), disable_numparse=True,
                            colalign=("left", *["right"] * len(net.classes))))


def abbreviated(names) -> list[str]:
    """The beginnings of the names, as short as tells them apart, of four letters or more."""
    most = max(map(len, names))
    length = next(n for n in range(4, most + 5)
                  if len({name[:n] for name in names}) == len(names) or n > most)
    return [name[:length].strip() for name in names]


@cli.command()
@CHECKPOINT
@click.option("-o", "--out", metavar="FILE", callback=_writable, help="the net for this library")
@click.option("--features", is_flag=True, help="in --out: the convolutions alone")
@click.option("--onnx", metavar="FILE", callback=_writable, help="the net for other programs")
@click.option("--probabilities", is_flag=True, help="in --onnx: end in a softmax")
@click.option("--uint8", is_flag=True, help="in --onnx: take pixels as bytes instead of floats")
def export(checkpoint, out, features, onnx, probabilities, uint8):
    """Write a checkpoint's net without what only training needs.

    --out: in half precision. The other commands take the file as --checkpoint, and `train` as
    --init-from. Of the convolutions alone (--features), only `filters` and `train --init-from` can
    make use.

    --onnx: in the ONNX format, in single precision. The input is a batch of RGB crops, (batch, 3,
    size, size), with values from 0 to 255: the file itself subtracts the mean. The file's metadata
    name the classes and say how to get such a crop from a picture. --checkpoint torchvision works
    here, too.
    """
    if not (out or onnx):
        raise UserError("say where to write the net: --out FILE, or --onnx FILE")
    if features and not out:
        raise UserError("--features is for --out: leave it out, or add --out FILE")
    if (probabilities or uint8) and not onnx:
        raise UserError("--probabilities and --uint8 are for --onnx: leave them out, or add "
                        "--onnx FILE")
    if out:
        from alexnet_lib import weights
        weights.export(checkpoint, out, features)
        click.echo(f"{out}  {Path(out).stat().st_size / 1e6:.1f} MB")
    if onnx:
        from alexnet_lib.exporting import export_onnx
        difference = export_onnx(_loaded(checkpoint, "cpu"), onnx, probabilities, uint8)
        checked = ("not checked, because onnxruntime is not installed" if difference is None else
                   f"onnxruntime's probabilities differ by at most {difference:.0e}")
        click.echo(f"{onnx}  {Path(onnx).stat().st_size / 1e6:.1f} MB  {checked}")


# The net that `predict` asks by default.
OURS = Path(__file__).parents[1] / "data" / "weights" / "imagenette.safetensors"


def _bar() -> str:
    """What bars are made of, in the letters that the terminal has."""
    return "#" if "\\" in fitting("█", sys.stdout) else "█"


@cli.command()
@click.option("-c", "--checkpoint", metavar="FILE",
              help="a trained net: its file, or the folder of its run [that of the course]")
@click.option("--top", type=click.IntRange(1), default=5, show_default=True,
              help="how many classes")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@DEVICE
@AS_JSON
def predict(checkpoint, top, images, device, json_file):
    """Name the most probable classes of each IMAGE, or of the images in a folder.

    Without --checkpoint you ask the net that comes with the course, which knows ten classes. A net
    calls anything else one of its classes, too, and may be sure of it.

    An image that cannot be read costs its own answer alone; the exit code is then 1.
    """
    import numpy as np

    from alexnet_lib import datasets, evaluation
    paths, notes = datasets.images_named(images)
    net = _loaded(checkpoint or str(OURS), device)
    if checkpoint is None:
        notes.append(f"this net knows {len(net.classes)} classes: {', '.join(net.classes)}; it "
                     "calls anything else one of these")
    for line in notes:
        say(line)
    found, broken = dict[str, list](), []
    for at in range(0, len(paths), 128):  # all at once, a large folder would fill the memory
        stored = {}
        for path in paths[at:at + 128]:
            try:
                stored[path] = datasets.prepare_image(path, net.config.stored_size)
            except datasets.BrokenImage as error:
                broken.append(str(error))
        if stored:
            answers = evaluation.top_predictions(net, np.stack([*stored.values()]), top)
            found |= dict(zip(stored, answers, strict=True))
    for line in broken if found else broken[:-1]:
        complain(line)
    if not found:
        raise UserError(broken[-1])
    deliver(found, json_file)
    for path, best in found.items() if json_file != "-" else ():
        click.echo(printable(path))
        rows = [(f"{p:.1%}", name, round(40 * p) * _bar()) for name, p in best]
        click.echo(tabulate(rows, tablefmt="plain", colalign=("right", "left", "left")))
    if broken:
        sys.exit(1)
