"""What Zeiler and Fergus (2013, section 4.1) found wrong with AlexNet's first layer."""

import torch

from alexnet_lib.research.claims import Claim
from alexnet_lib.research.measures import FULL_NETS, learned

STRIDE = 4  # of conv1: what has more than half a cycle in so many pixels is aliased
DEAD = 0.1  # of the median kernel's learned weights, root mean square


def dead(seed: int) -> dict:
    """How many of a full net's 96 kernels have learned next to nothing."""
    _, added = learned(seed)
    size = added.square().mean((1, 2, 3)).sqrt()
    return FULL_NETS[seed].about | {
        "effect": int((size < DEAD * size.median()).sum()), "seed": seed,
        "least": float(size.min() / size.median())}


def aliased(seed: int) -> dict:
    """How much of what a full net's kernels have learned is too fine for their stride."""
    initial, added = learned(seed)
    return FULL_NETS[seed].about | {"effect": 100 * _fine(added), "initial": 100 * _fine(initial),
                                    "seed": seed}


def _fine(kernels: torch.Tensor) -> float:
    """The share of energy at frequencies that sampling every `STRIDE` pixels cannot carry."""
    power = torch.fft.fft2(kernels).abs().square()
    frequency = torch.fft.fftfreq(kernels.shape[-1])
    fine = frequency.square()[:, None] + frequency.square() > (0.5 / STRIDE)**2
    return float(power[..., fine].sum() / power.sum())


ASKED = "Zeiler and Fergus"
CLAIMS = (
    Claim("Z01", "Zeiler and Fergus, 4.1", "Some kernels of AlexNet's conv1 are dead",
          "no figure", "dead kernels of 96",
          measure=dead, most=len(FULL_NETS), margin=1.0, asked=ASKED,
          note="dead: what was learned is below a tenth of the median kernel's"),
    Claim("Z02", "Zeiler and Fergus, 4.1", "A stride of 4 aliases what AlexNet's conv1 sees",
          "no figure", "% of the learned energy above 1/8 cycle a pixel", measure=aliased,
          most=len(FULL_NETS), null=10.0, margin=5.0, asked=ASKED,
          note="of white noise 96%; up to 10% count as none, for kernels of 11 pixels cannot cut "
               "off sharply"))
