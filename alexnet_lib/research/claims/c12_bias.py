"""Initial biases of 1 (section 5): the early stages of learning."""

from alexnet_lib.research.claims import Arm, Claim

CLAIMS = (Claim(
    "C12", "5", "Initial biases of 1 speed up the early stages", "no figure",
    "nats of mean training loss in the first fifth", ("imagenette",),
    (Arm("biases 1"), Arm("biases 0", {"hidden_bias": 0.0})), "early_loss",
    margin=0.01),)
