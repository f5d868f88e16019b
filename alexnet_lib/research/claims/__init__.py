"""The paper's claims, measured: one short file for each, a runner, and the ledger.

A claim compares arms that differ in one choice. Every arm is trained with several seeds, its rate
searched on a validation split, and looked at once on the test set. Arms that two claims share
are run once.
"""

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module

from alexnet_lib.errors import UserError
from alexnet_lib.research.verdicts import OURS, PAPER, effect_of, size_of

ANYWHERE = "anywhere"  # the set-up of claims that need no data
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


@dataclass(frozen=True)
class Claim:
    """What the paper says, and how it is tested.

    paper: its figure, as text. setups: kinds of data it is tested on. metric: of `METRICS`.
    choose: of `METRICS`, too: the rate of an arm is the one with the lowest.
    rates: where the search begins, if not where the set-up's does.
    effect: (with, without): the number that the ledger shows for one seed, from the metrics of
    the arm that follows the paper and of the one that does not.
    null: that number if the claim were wrong. margin: what would not matter, in the claim's unit;
    where the paper gives a figure, at most half of that. figure: from and to what number the
    figure stands, by set-up or for all of them; see `verdicts`. alike: the claim is that nothing
    changes. asked: who makes the claim. beyond: set-ups for which they don't. tested: False for a
    number that no rule can judge.
    measure: for a claim that needs no training, instead of arms: gives the record of one seed,
    whose "effect" is that number; its "interval" and "p", if it has them, are over images.
    exact: one record is enough. most: the highest number of seeds. judge: (effect, size) of that
    record, if no interval tells.
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
    null: float = 0.0
    margin: float = 0.5
    figure: tuple[float, float] | dict[str, tuple[float, float]] | None = None
    alike: bool = False
    asked: str = PAPER
    beyond: tuple[str, ...] = ()
    tested: bool = True
    measure: Callable[[int], dict] | None = None
    exact: bool = False
    most: int | None = None
    judge: Callable[[dict], tuple[str, str | None]] | None = None
    note: str = ""

    def figure_of(self, setup: str) -> tuple[float, float] | None:
        """What the paper's figure for a set-up stands for, from and to."""
        if setup in self.beyond:
            return None
        return self.figure.get(setup) if isinstance(self.figure, dict) else self.figure

    def margin_of(self, setup: str) -> float:
        """The largest effect that would not matter."""
        figure = self.figure_of(setup)
        return min(self.margin, (figure[0] - self.null) / 2) if figure else self.margin

    def judged(self, interval: tuple[float, float], setup: str) -> tuple[str, str | None]:
        """Effect and size, from the 95% interval of the mean effect."""
        figure = self.figure_of(setup)
        return (effect_of(interval, self.null, self.margin_of(setup), self.alike),
                size_of(interval, figure) if figure else None)

    def asked_on(self, setup: str) -> str:
        """Who makes the claim for such data."""
        return OURS if setup in self.beyond else self.asked


def top5(claim: Claim, paper: str) -> Claim:
    """The same comparison by top-5 errors, on photographs.

    No size is judged: the right class is more easily among five of ten than of a thousand.
    """
    views = {"test_error": "test_top5_error", "test_error_10": "test_top5_error_10"}
    arms = tuple(replace(arm, metric=views[arm.metric or claim.metric]) for arm in claim.arms)
    return replace(claim, id=f"{claim.id}-top5", paper=paper, unit="points top-5", arms=arms,
                   setups=("imagenette",), beyond=(), figure=None, margin=0.2,
                   statement=f"{claim.statement}, top-5",
                   note="five of ten classes here, five of a thousand there: no size is compared")


def claims() -> dict[str, Claim]:
    """All claims by id, from the modules of this package whose name begins with c, s or z."""
    modules = [info.name for info in pkgutil.iter_modules(__path__)
               if info.name[0] in "csz" and info.name[1:3].isdigit()]
    found = [claim for name in modules for claim in import_module(f"{__name__}.{name}").CLAIMS]
    return {claim.id: claim for claim in sorted(found, key=lambda claim: claim.id)}


def claim(name: str) -> Claim:
    """The claim of that id, in any case. Raises UserError."""
    found = {id.lower(): claim for id, claim in claims().items()}
    if name.lower() not in found:
        raise UserError(f"unknown claim {name!r}: use one of {', '.join(claims())}")
    return found[name.lower()]
