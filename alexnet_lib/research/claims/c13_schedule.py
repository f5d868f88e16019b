"""The rate lowered by ten, three times (section 5)."""

from alexnet_lib.research.claims import Arm, Claim
from alexnet_lib.research.verdicts import OURS


def lowered(id: str, statement: str, schedule: str, note: str) -> Claim:
    """A rate that is lowered on the way against one that stays; each begins with its own best."""
    return Claim(id, "5", statement, "no figure", "points", ("imagenette",),
                 (Arm("lowered", {"lr_scheduler": schedule}),
                  Arm("kept", {"lr_scheduler": "constant"})),
                 asked=OURS, note=note)


CLAIMS = (
    lowered("C13",
            "Lowering the learning rate when the validation error stops improving lowers the error",
            "plateau", "by ten, at most three times; its patience is that of optim.schedule"),
    lowered("C13b", "Lowering the learning rate three times lowers the error", "steps",
            "by ten, at the points of the run where run #145 lowered it"))
