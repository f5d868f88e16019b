"""The sizes of the net: counted, not measured (section 3.5)."""

from alexnet_lib.models import AlexNet, layer_table
from alexnet_lib.research.claims import AGREES, DIFFERS, Claim

UNITS_IN_FIGURE_2 = 253440  # that the paper's Fig. 2 gives for conv1


def count(seed: int) -> dict:
    """Parameters of the two-column net for 1000 classes; its units, in the record's note."""
    rows = layer_table(AlexNet())
    units = {row["name"]: row["units"] for row in rows if row["params"]}
    total = sum(units.values())
    with_figure = total - units["conv1"] + UNITS_IN_FIGURE_2
    return {"effect": sum(row["params"] for row in rows), "units": total,
            "note": f"{total:,} units; {with_figure:,} with the {UNITS_IN_FIGURE_2:,} that Fig. 2 "
                    f"gives for conv1, which has {units['conv1']:,}"}


CLAIMS = (Claim(
    "C01", "3.5", "60 million parameters and 650,000 units", "60 million", "parameters",
    measure=count, exact=True,
    verdict=lambda interval: AGREES if round(interval[0] / 1e7) == 6 else DIFFERS),)
