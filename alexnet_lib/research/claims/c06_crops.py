"""Random crops and mirrors (section 4.1): overfitting with and without."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C06", "4.1", "Without crops and mirrors the net overfits substantially", "no figure",
    "points of test minus training error", ("imagenette",),
    (Arm("with"), Arm("without", {"crop": False, "flip": False})), "gap",
    note="without them the test error, ten views, is 0.16 points higher (-0.63 to 0.96)"),)
