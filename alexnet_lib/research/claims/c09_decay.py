"""Weight decay (section 5): the paper says that it lowers even the training error."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C09", "5", "Weight decay lowers the training error", "no figure", "points",
    ("imagenette",), (Arm("with"), Arm("without", {"weight_decay": 0.0})), "train_error"),)
