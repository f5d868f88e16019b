"""The sizes of the net: counted, not measured (section 3.5)."""

from alexnet_lib.models import AlexNet, layer_table
from alexnet_lib.research.claims import Claim
from alexnet_lib.research.verdicts import LARGER, NO, SMALLER, THE_PAPERS, YES

UNITS_IN_FIGURE_2 = 253440  # that the paper's Fig. 2 gives for conv1
PARAMETERS, UNITS = 60_000_000, 650_000


def count(seed: int) -> dict:
    """Parameters of the two-column net for 1000 classes; its units, in the record's note."""
    rows = layer_table(AlexNet())
    units = {row["name"]: row["units"] for row in rows if row["params"]}
    total = sum(units.values())
    with_figure = total - units["conv1"] + UNITS_IN_FIGURE_2
    return {"effect": sum(row["params"] for row in rows), "units": total,
            "note": f"{total:,} units; {with_figure:,} with the {UNITS_IN_FIGURE_2:,} that Fig. 2 "
                    f"gives for conv1, which has {units['conv1']:,}"}


def both_sizes(run: dict) -> tuple[str, str]:
    """Parameters and units, cut off after two digits, must both be the paper's."""
    shares = [run["effect"] / PARAMETERS, run["units"] / UNITS]
    if all(_cut(share * paper) == paper
           for share, paper in zip(shares, (PARAMETERS, UNITS), strict=True)):
        return YES, THE_PAPERS
    return NO, SMALLER if min(shares) < 1 else LARGER


def _cut(number: float) -> int:
    """The first two digits, and zeros for the others."""
    step = 10 ** (len(str(round(number))) - 2)
    return round(number) // step * step


CLAIMS = (Claim(
    "C01", "3.5", "60 million parameters and 650,000 units", "60 million", "parameters",
    measure=count, exact=True, judge=both_sizes),)
