"""Several processes for one net: the paper's two columns, and data parallel.

`columns` (section 3.2): `Column` is one half of an `AlexNet(columns=2)`, in a process of its own;
`run_columns` starts both and brings back their results. `processes`: a `Group` is what
`training.Trainer` knows of its fellow processes, each of which holds the whole net and takes a
share of every minibatch; `torchrun` gives the group of a run under `torchrun --nproc-per-node=K -m
alexnet_lib train ...`.

Everything goes by torch.distributed: gloo between CPUs, nccl between GPUs.
"""

from .columns import (
    Column,
    connected_layers,
    gather_columns,
    join_columns,
    layers,
    run_columns,
    swap,
    train_columns,
    train_whole,
)
from .processes import ALONE, Group, is_connection_error, run_processes, torchrun

__all__ = [
    "ALONE", "Column", "Group", "connected_layers", "gather_columns", "is_connection_error",
    "join_columns", "layers", "run_columns", "run_processes", "swap", "torchrun", "train_columns",
    "train_whole",
]
