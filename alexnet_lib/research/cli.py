"""The commands that measure and compare with the paper: info, experiment, ledger, bench."""

import math
import time
from pathlib import Path

import click

from alexnet_lib.choices import NetConfig
from alexnet_lib.cli import AS_JSON, Careful, deliver, given, options_for
from alexnet_lib.errors import UserError
from alexnet_lib.research.bench import ROOT
from alexnet_lib.text import say
from alexnet_lib.text import table as tabulate


def in_checkout(name: str, otherwise: str = "") -> Path:
    """A file or folder of the repository. Raises UserError where only the library is installed."""
    path = ROOT / name
    if not path.exists():
        raise UserError(f"{name} is not installed with the library: clone the repository and run "
                        f"this there{otherwise}")
    return path


KEPT_IN = click.option("--results", metavar="DIR", type=click.Path(path_type=Path),
                       callback=lambda context, option, path:
                           path or in_checkout("data/results", ", or give --results DIR"),
                       help="where runs and ledger are kept [those of the course]")


@click.command(cls=Careful)
@click.argument("claim")
@click.option("--data", help="the data set [that of the claim]")
@click.option("--seeds", default=5, show_default=True)
@click.option("--minutes", type=float, help="begin no run that would probably end later")
@click.option("--jobs", default=1, show_default=True, help="runs at once, a processor core each")
@KEPT_IN
def experiment(claim, data, seeds, minutes, jobs, results):
    """Run what is missing of a claim's arms and seeds, and put it into the ledger.

    CLAIM is an id such as C04, or all; without --data, every data set that it is tested on.
    Stop it when you like: what has been run is kept, and the same command goes on.
    """
    from alexnet_lib.research import claims as experiments
    from alexnet_lib.research import ledger, runner
    from alexnet_lib.run_folder import prepare_folder
    chosen = ([found for found in experiments.claims().values()
               if not data or runner.fits(found, data)] if claim == "all"
              else [experiments.claim(claim)])
    if minutes is not None and not minutes >= 0:
        raise UserError(f"minutes must be 0 or more, not {minutes}")
    prepare_folder(results, "--results")
    _tell_strays(results)
    ends = time.monotonic() + 60 * (math.inf if minutes is None else minutes)
    for found in chosen:
        for name in (data,) if data else found.setups:
            try:
                runner.run_claim(found, name, seeds, (ends - time.monotonic()) / 60, jobs,
                                 results, say=say)
            except UserError as error:
                if claim != "all":
                    raise
                say(f"{found.id} is left out: {error}")
    ids = {found.id for found in chosen}
    click.echo(ledger.table([row for row in ledger.write(results) if row["claim"] in ids]))


def _tell_strays(results: Path) -> None:
    """Name the files among the records that no record is called."""
    from alexnet_lib.research.runner import strays
    for file in strays(results):
        say(f"{file} is left out: records are called seed-0.json or rate-0.01.json")


@click.command(cls=Careful)
@KEPT_IN
@AS_JSON
def ledger(results, json_file):
    """Show every claim of the paper with our number, its interval and the verdict."""
    from alexnet_lib.research import ledger as book
    _tell_strays(results)
    rows = book.write(results)
    deliver(rows, json_file)
    if json_file != "-":
        click.echo(book.table(rows))


@click.command(cls=Careful)
@click.option("--rounds", default=3, show_default=True, help="how often each workload is run")
@click.option("--seconds", type=float, help="how long each workload is measured [own choice]")
@click.option("--steps", is_flag=True, help="measure how the step became fast instead")
@click.option("--curves", is_flag=True,
              help="measure cost against batch size, images and processes instead")
@AS_JSON
def bench(rounds, seconds, steps, curves, json_file):
    """Measure speed and memory, each row beside its rival in the same run."""
    if rounds < 1 or (seconds is not None and not 0 < seconds < math.inf):
        raise UserError("rounds must be 1 or more, and seconds above 0")
    from alexnet_lib.research import bench as measures
    if curves:
        result = measures.about() | {"curves": measures.bench_curves()}
    elif steps:
        result = measures.about() | {"steps": measures.bench_steps()}
    else:
        result = measures.about() | {"rows": measures.bench_rows(rounds, seconds)}
    deliver(result, json_file)
    if json_file == "-":
        return
    if curves:
        for name, curve in result["curves"].items():
            columns = {key: value for key, value in curve.items() if key not in ("x", "unit")}
            click.echo(tabulate(list(zip(curve["x"], *columns.values(), strict=True)),
                                (name, *columns)) + f"\n{curve['unit']}\n")
        return
    rows = [(r["text"], f"{r['images_per_s']:.1f}", f"{r['peak_mb']:,.0f}")
            for r in result.get("steps", [])] or [
        (r["id"], f"{r['ours']:,.4g}", f"{r['rival']:,.4g}", r["unit"], f"{r['ratio']:.3g}",
         r["target"]) for r in result["rows"]]
    heads = (("step", "images/s", "peak MB") if steps else
             ("row", "ours", "rival", "unit", "ratio", "target"))
    click.echo(f"{result['device']}; {result['kernels']}\n")
    click.echo(tabulate(rows, heads, disable_numparse=True,
                        colalign=("left",) + ("right",) * (len(heads) - 1)))


@click.command(cls=Careful)
@options_for(NetConfig)
@click.option("-c", "--checkpoint", metavar="FILE", help="describe the net of a checkpoint instead")
@AS_JSON
def info(checkpoint, json_file, **choices):
    """Show the layers: output shape, parameters, multiply-adds, memory."""
    from alexnet_lib.config import build_net, on_meta
    from alexnet_lib.models import layer_table
    chosen = given(choices, checkpoint)
    if checkpoint:
        from alexnet_lib.weights import load_model
        loaded = load_model(checkpoint, "cpu")
        net = loaded.model.to("meta")
    else:
        net = on_meta(lambda: build_net(NetConfig(**chosen)))
    rows = layer_table(net)
    shown = [(r["name"], r["kind"], " x ".join(map(str, r["output"])), f"{r['params']:,}",
              f"{r['macs']:,}", f"{r['bytes'] / 1024:,.0f}") for r in rows]
    total = totals(rows)
    about = {}
    if checkpoint:
        from alexnet_lib.datasets import title
        about = {"trained_on": title(loaded.config.data, loaded.meta["fingerprint"])}
    deliver({"layers": rows, **total, **about}, json_file)
    if json_file == "-":
        return
    click.echo(tabulate(shown, ("layer", "kind", "output", "parameters", "multiply-adds",
                                "KiB (fp32)"), colalign=("left", "left") + ("right",) * 4,
                        disable_numparse=True))
    click.echo()
    from alexnet_lib import ops
    click.echo(f"fast paths: {ops.describe()}")
    if about:
        click.echo(f"trained on: {about['trained_on']}")
    click.echo(tabulate(beside_the_paper(total, rows, is_papers(net)), tablefmt="plain",
                        disable_numparse=True))


def totals(rows: list[dict]) -> dict:
    """Sums over a layer table; `units` counts the outputs of convolutions and full layers."""
    return {"parameters": sum(r["params"] for r in rows), "macs": sum(r["macs"] for r in rows),
            "units": sum(r["units"] for r in rows if r["name"].startswith(("conv", "fc")))}


def is_papers(net) -> bool:
    """Whether this is the net whose sizes the paper prints."""
    return (type(net).__name__ == "AlexNet" and net.num_classes == 1000 and net.columns == 2
            and net.input_size in (224, 227) and net.features.conv1.out_channels == 96)


def beside_the_paper(total: dict, rows: list[dict], papers: bool) -> list[tuple[str, str, str]]:
    """The totals and, for the paper's own net, what the paper says of each."""
    printed = 253_440  # units of conv1 in the paper's Fig. 2
    conv1 = next(row["units"] for row in rows if row["name"] == "conv1")
    said = {
        "parameters": "paper: 60 million",
        "units": (f"paper: 650,000; with the {printed:,} units that Fig. 2 prints for conv1 "
                  f"instead of {conv1:,}: {total['units'] - conv1 + printed:,}"),
        "multiply-adds": "for one image, one way",
    } if papers else {}
    values = {"parameters": total["parameters"], "units": total["units"],
              "multiply-adds": total["macs"]}
    return [(name, f"{value:,}", said.get(name, "")) for name, value in values.items()]
