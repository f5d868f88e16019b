"""Dropout in the first two full layers (section 4.2)."""

from alexnet_lib.research.claims import Arm, Claim

ARMS = (Arm("with"), Arm("without", {"dropout": 0.0}))
CLAIMS = (
    Claim("C08", "4.2", "Without dropout the net overfits substantially", "no figure",
          "points of test minus training error", ("imagenette",), ARMS, "gap"),
    Claim("C08b", "4.2", "Dropout roughly doubles the iterations needed", "2 times",
          "times the epochs to 35% training error", ("imagenette",), ARMS, "epochs_to_35",
          effect=lambda kept, left_out: kept / left_out, null=1.0, margin=0.1, figure=(1.5, 2.5),
          note="training error of minibatches, with dropout in one arm and without in the other; "
               "1.7 times to 60%, 1.1 times to 30%, when the rates have fallen"))
