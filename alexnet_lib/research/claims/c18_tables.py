"""The paper's own numbers on ImageNet (Tables 1 and 2): from a net that was trained on it."""

from alexnet_lib import datasets
from alexnet_lib.checkpoints import CHECKPOINT
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import evaluate
from alexnet_lib.research.claims import Claim
from alexnet_lib.research.verdicts import LARGER, NO, SMALLER, THE_PAPERS, YES
from alexnet_lib.weights import load_model

TRAIN = "alexnet train --data imagenet --variant 2012 --epochs 90 --out runs/imagenet"
PAPER, TOLERANCE = 40.7, 1.0  # per cent, "1 CNN", top-1 on the validation set; points


def measure(seed: int) -> dict:
    """Ten-view error in per cent of the net that TRAIN left in runs/imagenet."""
    path = f"runs/imagenet/{CHECKPOINT}"
    try:
        net = load_model(path)
    except UserError as error:
        raise UserError(f"C18 measures a net trained on ImageNet: first {TRAIN} "
                        f"({error})") from None
    made, wanted = net.config, ("imagenet", "2012", 90)
    if (made.data, made.variant, made.epochs) != wanted or len(net.meta["history"]) < made.epochs:
        raise UserError(f"{path} is not what C18 measures, or not finished: {TRAIN}")
    found = evaluate(net, datasets.load("imagenet", net.config.stored_size), "val", 10,
                     progress=True)
    return {"effect": 100 * found["top1_error"], "top5": 100 * found["top5_error"],
            "config": net.meta["config"], "seed": seed,
            "note": f"top-5 error {found['top5_error']:.1%}; the paper: 18.2%"}


def near_theirs(run: dict) -> tuple[str, str]:
    """Whether the error is the paper's, give or take `TOLERANCE`."""
    more = run["effect"] - PAPER
    if abs(more) <= TOLERANCE:
        return YES, THE_PAPERS
    return NO, LARGER if more > 0 else SMALLER


CLAIMS = (Claim(
    "C18", "6", "One net errs in 40.7% of ILSVRC-2012's validation images (Table 2)",
    "40.7% top-1, 18.2% top-5", "% top-1, ten views", measure=measure, exact=True,
    judge=near_theirs,
    note=f"needs ImageNet: {TRAIN}"),)
