"""Ten views against one (section 4.1): the same nets, measured twice."""

from alexnet_lib.research.claims import Arm, Claim, top5

CLAIMS = (Claim(
    "C10", "4.1", "Ten views err less than one", "39.0% to 37.5%: 1.5 points top-1", "points",
    ("imagenette",), (Arm("ten views", metric="test_error_10"), Arm("one view")), "test_error",
    figure=(1.4, 1.6)),)
CLAIMS += (top5(CLAIMS[0], "18.3% to 17.0%: 1.3 points top-5"),)
