"""Ten views against one (section 4.1): the same nets, measured twice."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C10", "4.1", "Ten views err less than one", "39.0 % to 37.5 %: 1.5 points top-1", "points",
    ("imagenette",), (Arm("ten views", metric="test_error_10"), Arm("one view")), "test_error"),)
