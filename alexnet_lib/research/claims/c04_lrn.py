"""Response normalization (section 3.3): with, and without any, as run #148 of the source."""

from alexnet_lib.research.claims import Arm, Claim, top5

CLAIMS = (Claim(
    "C04", "3.3", "Response normalization lowers the error",
    "1.4 points top-1; CIFAR-10: 13% to 11%", "points", ("imagenette", "cifar10"),
    (Arm("with"), Arm("without", {"lrn": False})),
    figure={"imagenette": (1.35, 1.45), "cifar10": (1.0, 3.0)},
    note="on photographs the arm without leaves out the spatial norm too, as the paper's own did"),)
CLAIMS += (top5(CLAIMS[0], "1.2 points top-5"),)
