"""Dropout in the first two full layers (section 4.2)."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C08", "4.2", "Without dropout the net overfits substantially", "no figure",
    "points of test less training error", ("imagenette",),
    (Arm("with"), Arm("without", {"dropout": 0.0})), "gap"),)
