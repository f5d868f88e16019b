"""AlexNet as in the paper of 2012 and as in its original source, to learn from and to use.

`AlexNet`, `CifarNet` (models), `train`, `TrainConfig`, `load_model` (weights), `evaluate`
(evaluation), `load` (datasets), and the module `features`. They are fetched at first use:
importing the package costs nothing that its user does not ask for.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in _HOMES, for type checkers and editors
    from alexnet_lib import features as features
    from alexnet_lib.choices import TrainConfig as TrainConfig
    from alexnet_lib.datasets import load as load
    from alexnet_lib.errors import UserError as UserError
    from alexnet_lib.evaluation import evaluate as evaluate
    from alexnet_lib.exporting import export_onnx as export_onnx
    from alexnet_lib.layers import Dropout as Dropout
    from alexnet_lib.layers import LocalResponseNorm as LocalResponseNorm
    from alexnet_lib.layers import MaxPool as MaxPool
    from alexnet_lib.layers import SpatialResponseNorm as SpatialResponseNorm
    from alexnet_lib.models import AlexNet as AlexNet
    from alexnet_lib.models import CifarNet as CifarNet
    from alexnet_lib.models import layer_table as layer_table
    from alexnet_lib.optim import PaperSGD as PaperSGD
    from alexnet_lib.training import Trainer as Trainer
    from alexnet_lib.training import train as train
    from alexnet_lib.weights import export as export
    from alexnet_lib.weights import load_model as load_model

# By default OpenMP's threads spin while they wait for each other. Beside another busy process this
# made training on small images ten times as slow. OpenMP reads its settings once, when PyTorch
# loads it: this is the last moment.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"

_HOMES = {
    "AlexNet": "models", "CifarNet": "models", "layer_table": "models", "Dropout": "layers",
    "LocalResponseNorm": "layers", "MaxPool": "layers", "SpatialResponseNorm": "layers",
    "PaperSGD": "optim", "TrainConfig": "choices", "Trainer": "training", "train": "training",
    "load_model": "weights", "export": "weights", "export_onnx": "exporting",
    "evaluate": "evaluation", "load": "datasets", "UserError": "errors",
    "features": "features",  # the module itself
}
__all__ = sorted(_HOMES)


if not TYPE_CHECKING:  # else any name would pass
    def __getattr__(name: str):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOMES[name]}")
        return home if name == _HOMES[name] else getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
