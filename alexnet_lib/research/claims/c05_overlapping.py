"""Overlapping pooling (section 3.4): 3x3 with stride 2 against 2x2, as run #147."""

from dataclasses import replace

from alexnet_lib.research.claims import Arm, Claim, top5

LESS_ERROR = Claim(
    "C05", "3.4", "Overlapping pooling lowers the error", "0.4 points top-1", "points",
    ("imagenette", "cifar10"), (Arm("overlapping"), Arm("not overlapping", {"pool": (2, 2)})),
    figure=(0.35, 0.45), beyond=("cifar10",))
CLAIMS = (
    LESS_ERROR, top5(LESS_ERROR, "0.3 points top-5"),
    replace(LESS_ERROR, id="C05b", statement="Nets with overlapping pooling are slightly harder "
            "to overfit", paper="no figure", unit="points of test minus training error",
            setups=("imagenette",), metric="gap", figure=None, beyond=()))
