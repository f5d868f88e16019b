"""The paper's claims, measured: one short file for each, a runner, and the ledger.

A claim compares arms that differ in one choice. Every arm is trained with several seeds, its rate
searched on a validation split, and looked at once on the test set. Arms that two claims share
are run once.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from alexnet_lib.errors import UserError

ANYWHERE = "anywhere"  # the set-up of claims that need no data
AGREES, DIFFERS, UNSURE, NOT_RUN = "agrees", "differs", "cannot tell", "not run"
# In which net and for how long an arm is trained, by kind of data: sizes that leave time for many
# seeds on two cores. Rates are those where the search begins. 91 pixels: of few sizes, both
# poolings end in maps of the same size, so that C05 compares nets of as many parameters.
SETUPS = {
    "imagenette": {
        "settings": {"model": "alexnet", "variant": "2012", "input_size": 91, "stored_size": 103,
                     "width": 0.25, "epochs": 20, "lr_scheduler": "cifar",
                     "precision": "fp32"},  # on every machine, so that all runs can be compared
        "rates": (0.0025, 0.005, 0.01)},
    "cifar10": {
        "settings": {"model": "cifar", "variant": "cross-map", "epochs": 12,
                     "precision": "fp32"},
        "rates": (0.001, 0.002, 0.004)},
}


@dataclass(frozen=True)
class Arm:
    """One side of a comparison.

    settings: of `TrainConfig`, on top of the set-up's. metric: of `METRICS`, if it is another
    than the claim's. long: settings of the runs with the rate that was found, not of the search:
    for an arm that needs more epochs than each rate can be given.
    """

    name: str
    settings: dict = field(default_factory=dict)
    metric: str | None = None
    long: dict = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The settings as a folder's name; arms with the same settings share their runs."""
        return ",".join(f"{key}={value}".replace(" ", "") for key, value in
                        sorted(self.settings.items())) or "reference"


def more_is_agreement(interval: tuple[float, float]) -> str:
    """The usual verdict: the claim says that the difference is above zero."""
    low, high = interval
    return AGREES if low > 0 else DIFFERS if high < 0 else UNSURE


@dataclass(frozen=True)
class Claim:
    """What the paper says, and how it is tested.

    paper: its figure, as text. setups: kinds of data it is tested on. metric: of `METRICS`.
    choose: of `METRICS`, too: the rate of an arm is the one with the lowest.
    rates: where the search begins, if not where the set-up's does.
    effect: (with, without): the number that the ledger shows for one seed, from the metrics of
    the arm that follows the paper and of the one that does not.
    verdict: from the 95 % interval of the mean effect.
    measure: for a claim that needs no training, instead of arms: gives the record of one seed,
    whose "effect" is that number. exact: one record is enough, and there is no interval.
    """

    id: str
    section: str
    statement: str
    paper: str
    unit: str
    setups: tuple[str, ...] = (ANYWHERE,)
    arms: tuple[Arm, ...] = ()
    metric: str = "test_error_10"
    choose: str = "last_val_error"
    rates: tuple[float, ...] = ()
    settings: dict = field(default_factory=dict)
    effect: Callable[[float, float], float] = lambda kept, left_out: left_out - kept
    verdict: Callable[[tuple[float, float]], str] = more_is_agreement
    measure: Callable[[int], dict] | None = None
    exact: bool = False
    note: str = ""


def claims() -> dict[str, Claim]:
    """All claims by id, from the modules of this package whose name begins with c or s."""
    modules = [info.name for info in pkgutil.iter_modules(__path__)
               if info.name[0] in "cs" and info.name[1:3].isdigit()]
    found = [claim for name in modules for claim in import_module(f"{__name__}.{name}").CLAIMS]
    return {claim.id: claim for claim in sorted(found, key=lambda claim: claim.id)}


def claim(name: str) -> Claim:
    """The claim of that id, in any case. Raises UserError."""
    found = {id.lower(): claim for id, claim in claims().items()}
    if name.lower() not in found:
        raise UserError(f"unknown claim {name!r}: use one of {', '.join(claims())}")
    return found[name.lower()]
