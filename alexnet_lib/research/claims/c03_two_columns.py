"""Two columns against one of half the width (section 3.2; layers-145-half.cfg)."""

from alexnet_lib.research.claims import Arm, Claim, top5

CLAIMS = (Claim(
    "C03", "3.2", "Two columns err less than one with half as many channels", "1.7 points top-1",
    "points", ("imagenette",),
    # conv5 and the fully connected layers keep their size: the numbers of parameters are alike.
    (Arm("two columns"), Arm("one column", {"columns": 1, "channels": (48, 128, 192, 192, 256)})),
    figure=(1.65, 1.75)),)
CLAIMS += (top5(CLAIMS[0], "1.2 points top-5"),)
