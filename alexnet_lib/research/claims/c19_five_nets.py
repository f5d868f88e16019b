"""The average of five nets against one (section 6, Table 2)."""

import torch
from scipy import stats

from alexnet_lib.evaluation import read_predictions
from alexnet_lib.research.claims import Claim
from alexnet_lib.research.measures import in_data

NETS = [f"results/predictions/imagenette-small-{seed}.safetensors" for seed in range(5)]


def averaged(seed: int) -> dict:
    """How much less the mean of five nets' probabilities errs than one of them, on the average.

    The interval is over test images: there is one ensemble.
    """
    nets = [read_predictions(in_data(name)) for name in NETS]
    probs, labels = torch.stack([net.probs for net in nets]), nets[0].labels
    alone = (probs.argmax(-1) != labels).double().mean(0)
    together = (probs.mean(0).argmax(-1) != labels).double()
    gained = 100 * (alone - together)
    test = stats.ttest_1samp(gained.numpy(), 0.0)
    half = stats.t.ppf(0.975, len(gained) - 1) * float(gained.std()) / len(gained)**0.5
    gain = float(gained.mean())
    return {"effect": gain, "interval": [gain - half, gain + half], "p": float(test.pvalue),
            "one": 100 * float(alone.mean()), "five": 100 * float(together.mean()),
            "data": "imagenette, fingerprint b2d47ac2be57b5f1", "nets": NETS, "seed": seed}


CLAIMS = (Claim(
    "C19", "6", "The average of five nets errs less than one", "40.7% to 38.1%: 2.6 points top-1",
    "points", measure=averaged, exact=True, figure=(2.5, 2.7),
    note="one view; five small nets that differ in the seed alone; the interval is over the 3,925 "
         "test images, for these five nets"),)
