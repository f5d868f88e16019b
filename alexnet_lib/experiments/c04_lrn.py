"""Response normalisation (section 3.3): with, and without any, as run #148 of the source."""

from alexnet_lib.experiments import Arm, Claim

CLAIM = Claim(
    "C04", "3.3", "Response normalisation lowers the error",
    "1.4 points top-1; CIFAR-10: 13 % to 11 %", ("imagenette", "cifar10"),
    (Arm("with"), Arm("without", {"lrn": False})), "test_error_10", "points",
    note="on photographs the arm without leaves out the spatial norm too, as the paper's own did")
