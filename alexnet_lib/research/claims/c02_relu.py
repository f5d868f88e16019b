"""ReLU against tanh: the paper's Fig. 1 (section 3.1)."""

from alexnet_lib.research.claims import Arm, Claim
from alexnet_lib.research.verdicts import OURS, PAPER


def fig1(id: str, statement: str, note: str, rates: tuple[float, ...] = (),
         long: dict | None = None, asked: str = PAPER, **start) -> Claim:
    """The race to 25% training error, from the given initialization. long: of the runs of tanh."""
    return Claim(
        id, "3.1", statement, "6 times (four layers, no regularization)", "times", ("cifar10",),
        (Arm("ReLU"), Arm("tanh", {"activation": "tanh"}, long=long or {})), "epochs_to_quarter",
        choose="way_to_quarter", rates=rates, settings=start | {
            "variant": "four-layer", "epochs": 40, "until_error": 0.25, "lr_scheduler": "constant"},
        effect=lambda relu, tanh: tanh / relu, null=1.0, margin=0.1,
        figure=(5.5, 6.5), asked=asked, note=note)


CLAIMS = (
    fig1("C02", "ReLU reaches 25% training error several times faster than tanh",
         "the paper does not publish its net; this is cuda-convnet's, without normalization, "
         "with the initial weights in its files; each rate was tried for 40 epochs",
         long={"epochs": 64}),
    fig1("C02b", "The same with modern initialization",
         "initial weights by He et al. (2015), inputs of about unit variance",
         (0.005, 0.01, 0.02), asked=OURS, init="he", input_divisor=58.0))
