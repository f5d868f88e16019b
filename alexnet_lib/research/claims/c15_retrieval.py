"""Likeness by the last hidden layer against likeness by pixels (section 6.1, Fig. 4)."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C15", "6.1", "The last hidden layer finds images of the same class more often than pixels",
    "no figure", "points of precision@5", ("imagenette",),
    (Arm("features", metric="precision_features"), Arm("pixels", metric="precision_pixels")),
    effect=lambda features, pixels: features - pixels,
    note="the five nearest of 2,000 training images, for 2,000 test images; pixels: center crops "
         "of 91, averaged down to 64"),)
