"""How long a step would take on many GPUs, shared in one of three ways; what an exchange takes."""

import time
from collections import Counter
from dataclasses import dataclass

import torch

from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet, layer_table
from alexnet_lib.parallel import Group, connected_layers, swap


@dataclass(frozen=True)
class Machine:
    """GPUs and the wires between them, as far as `step_time` knows them.

    macs_per_s: multiply-adds that one GPU does in a second of training. bytes_per_s: what it can
    send in a second while it receives as much. latency: seconds that each message costs on top.
    """

    macs_per_s: float
    bytes_per_s: float
    latency: float = 20e-6


WAYS = ("columns", "data", "mix")


@dataclass(frozen=True)
class Cost:
    """What one step of a net costs: multiply-adds and travelling numbers by image, parameters."""

    macs: int
    conv_parameters: int
    full_parameters: int
    conv_values: int  # that travel into conv3
    full_values: int  # into fc6, fc7 and fc8
    maps: int         # of conv1


def cost(net: AlexNet) -> Cost:
    """The numbers that `step_time` needs, from the net itself."""
    rows = layer_table(net)

    def total(key: str, start: str) -> int:
        return sum(row[key] for row in rows if row["name"].startswith(start))

    before = {row["name"]: prior["units"] for prior, row in zip(rows, rows[1:])}  # noqa: B905
    return Cost(total("macs", "conv") + total("macs", "fc"), total("params", "conv"),
                total("params", "fc"), before["conv3"], sum(before[f"fc{k}"] for k in (6, 7, 8)),
                net.features.conv1.out_channels)


def step_time(of: Cost, machine: Machine, way: str, gpus: int,
              images: int) -> tuple[float, float]:
    """(compute, exchange) in seconds of one training step on `gpus` GPUs, or infinities.

    images: in the whole minibatch. The step is three times the way forth (notebook
    02). Numbers travel as fp32, there and back; every GPU gets what the others made
    (all-gather), or the sum of what they have (all-reduce in a ring), and nothing is computed
    meanwhile.

    way: "columns": each GPU holds 1/gpus of the maps, and all talk where the paper's two do, at
    most one GPU for each map of conv1. "data": each GPU holds the whole net and takes its share of
    the images, at least one. "mix": convolutions as "data", full layers as "columns"
    (Krizhevsky 2014).
    """
    if way not in WAYS:
        raise UserError(f"unknown way {way!r}: use {', '.join(WAYS)}")
    if gpus > (of.maps if way == "columns" else images):
        return float("inf"), float("inf")
    values, parameters, messages = {
        "columns": (of.conv_values + of.full_values, 0, 2 * 4),
        "data": (0, of.conv_parameters + of.full_parameters, 2),
        "mix": (of.full_values, of.conv_parameters, 2 + 2 * 3)}[way]
    crossing = 2 * 4 * (images * values + parameters) * (gpus - 1) / gpus
    return (3 * of.macs * images / gpus / machine.macs_per_s,
            crossing / machine.bytes_per_s + messages * (gpus - 1) * machine.latency)


def exchanges(net: AlexNet) -> list[dict]:
    """What travels before each layer that talks, for one image, one way.

    Returns rows with `name`, `reads` (the layer whose output travels), `shape` (of that output,
    both columns together) and `values`: how many numbers cross from one column to the other. Into
    fc8 only half of them do: all of fc8 is in the first column (layers-145.cfg:294-308).
    """
    names = connected_layers(net)
    rows = [row for row in layer_table(net) if row["name"] != "flatten"]
    return [{"name": row["name"], "reads": before["name"], "shape": before["output"],
             "values": before["units"] // (2 if row is rows[-1] else 1)}
            for before, row in zip(rows, rows[1:]) if row["name"] in names]  # noqa: B905


def time_exchange(group: Group, sizes: list[int], repeats: int = 10) -> list[float]:
    """Seconds that two processes take to swap so many bytes with each other, for each size."""
    found = []
    for size in sizes:
        data, spent = torch.zeros(size, dtype=torch.uint8, device=group.device), []
        for _ in range(repeats):
            begun = time.perf_counter()
            swap(data, torch.empty_like(data), Counter(), ())
            if group.device != "cpu":
                torch.cuda.synchronize()
            spent.append(time.perf_counter() - begun)
        found.append(min(spent))
    return found
