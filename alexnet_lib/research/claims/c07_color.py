"""Color noise along the principal components (section 4.1), by the source's definition."""

import math

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C07", "4.1", "Color noise lowers the error", "over 1 point top-1", "points",
    ("imagenette",), (Arm("with"), Arm("without", {"color": "none"})),
    figure=(1.0, math.inf)),)
