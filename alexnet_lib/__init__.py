"""AlexNet as in the paper of 2012 and as in its original source, to learn from and to use.

`AlexNet`, `CifarNet` (models), `train`, `TrainConfig`, `load_model` (weights), `evaluate`
(evaluation), `load` (datasets). They are fetched at first use: importing the package costs
nothing that its user does not ask for.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "AlexNet": "models", "CifarNet": "models", "layer_table": "models",
    "LocalResponseNorm": "layers", "PaperSGD": "optim", "UserError": "errors",
    "TrainConfig": "config", "train": "training", "load_model": "weights",
    "evaluate": "evaluation", "load": "datasets",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
