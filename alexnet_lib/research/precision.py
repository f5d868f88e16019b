"""Does bf16 train as fp32 does? The same runs in both, several seeds, epoch by epoch.

    python -m alexnet_lib.research.precision --seeds 5 data/results/precision-shapes.json
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np

from alexnet_lib import datasets
from alexnet_lib.config import TrainConfig, resolve
from alexnet_lib.reporting import provenance
from alexnet_lib.research.ledger import interval
from alexnet_lib.training import train

PRECISIONS = ("fp32", "bf16")


def main() -> None:
    """Train what is missing, and write the file again after each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    config = resolve(TrainConfig(data=args.data, epochs=args.epochs))
    data = datasets.load(args.data, config.stored_size)
    result = json.loads(args.file.read_text()) if args.file.exists() else {"runs": []}
    done = {(row["precision"], row["seed"]) for row in result["runs"]}
    for seed in range(args.seeds):
        for precision in PRECISIONS:
            if (precision, seed) in done:
                continue
            run = train(TrainConfig(data=args.data, epochs=args.epochs, seed=seed,
                                    precision=precision), data,
                        say=lambda line: print(line, file=sys.stderr))
            result["runs"].append({
                "precision": precision, "seed": seed, "device": provenance(run)["device"],
                **{name: [row[name] for row in run.history]
                   for name in ("train_loss", "val_loss", "val_error", "seconds")}})
            result["provenance"] = provenance(run) | {
                "seeds": sorted({row["seed"] for row in result["runs"]}),
                "command": "python -m alexnet_lib.research.precision " + shlex.join(sys.argv[1:])}
            result["summary"] = summary(result["runs"])
            args.file.write_text(json.dumps(result, indent=1) + "\n")


def summary(runs: list[dict]) -> dict:
    """The share of epochs in which bf16's mean lies within fp32's seeds; the last difference."""
    by = {precision: {row["seed"]: row for row in runs if row["precision"] == precision}
          for precision in PRECISIONS}
    seeds = sorted(set(by["fp32"]) & set(by["bf16"]))
    if len(seeds) < 2:
        return {}
    found = {"seeds": len(seeds)}
    for name in ("train_loss", "val_error"):
        fp32, bf16 = (np.array([by[p][s][name] for s in seeds]) for p in PRECISIONS)
        mean = bf16.mean(0)
        within = (fp32.min(0) <= mean) & (mean <= fp32.max(0))
        change = bf16[:, -1] - fp32[:, -1]
        found[name] = {"epochs_within_fp32_seeds": f"{within.sum()} of {len(within)}",
                       "last": {p: by_mean.tolist() for p, by_mean in
                                zip(PRECISIONS, (fp32[:, -1], bf16[:, -1]), strict=True)},
                       "paired_difference": float(change.mean()),
                       "interval_95": list(interval(change))}
    return found


if __name__ == "__main__":
    main()
