"""One column for color, one without (section 6.1, Fig. 3): in every run?"""

from alexnet_lib.features import color_selectivity
from alexnet_lib.research.claims import Arm, Claim
from alexnet_lib.research.measures import FULL_NETS, column_difference, learned, permutation_p_value


def divided(seed: int) -> dict:
    """How far a full net's columns divide color between them, by what its conv1 has learned."""
    initial, added = learned(seed)
    color = color_selectivity(added)
    apart, by_chance = column_difference(color)
    most, _ = column_difference(color.sort().values)
    fit = float((initial * (initial + added)).sum() / initial.square().sum())
    return FULL_NETS[seed].about | {
        "effect": 100 * (apart - by_chance) / (most - by_chance), "apart": apart,
        "by_chance": by_chance, "at_most": most, "permutation_p_value": permutation_p_value(color),
        "coefficient_of_initial_weights": fit, "seed": seed}


CLAIMS = (
    Claim(
        "C14", "6.1", "One column's kernels have color and the other's have none, in every run",
        "no figure", "points of color energy between the columns, beyond chance", ("imagenette",),
        (Arm("the columns", metric="color_difference"),
         Arm("dealt at random", metric="color_by_chance")),
        effect=lambda apart, by_chance: apart - by_chance, margin=5.0,
        note="color: the share of a kernel's energy that is not gray; mean of each column's "
             "conv1; most of that energy is still that of the initial weights"),
    Claim(
        "C14b", "6.1", "The same for full-size nets, by what their kernels have learned",
        "no figure",
        "% of a full division, beyond chance", measure=divided, most=len(FULL_NETS), margin=50.0,
        note="trained minus initial weights; 100: all colorful kernels in one column; 0: dealt at "
             "random. Four nets, not five, from two initializations, so they depend on each "
             "other"))
