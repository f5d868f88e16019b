"""Overlapping pooling (section 3.4): 3x3 with stride 2 against 2x2, as run #147."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C05", "3.4", "Overlapping pooling lowers the error", "0.4 points top-1", "points",
    ("imagenette", "cifar10"), (Arm("overlapping"), Arm("not overlapping", {"pool": (2, 2)}))),)
