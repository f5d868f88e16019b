"""One column for colour, one without (section 6.1, Fig. 3): in every run?"""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C14", "6.1", "One column's kernels have colour and the other's have none, in every run",
    "no figure", "points of colour energy between the columns, beyond chance", ("imagenette",),
    (Arm("the columns", metric="colour_difference"), Arm("dealt at random",
                                                         metric="colour_by_chance")),
    effect=lambda apart, by_chance: apart - by_chance,
    note="colour: the share of a kernel's energy that is not grey; mean of each column's conv1"),)
