"""One column for color, one without (section 6.1, Fig. 3): in every run?"""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C14", "6.1", "One column's kernels have color and the other's have none, in every run",
    "no figure", "points of color energy between the columns, beyond chance", ("imagenette",),
    (Arm("the columns", metric="color_difference"), Arm("dealt at random",
                                                        metric="color_by_chance")),
    effect=lambda apart, by_chance: apart - by_chance,
    note="color: the share of a kernel's energy that is not gray; mean of each column's conv1"),)
