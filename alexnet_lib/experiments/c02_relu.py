"""ReLU against tanh: the paper's Fig. 1 (section 3.1)."""

from alexnet_lib.experiments import AGREES, DIFFERS, UNSURE, Arm, Claim


def six_times(interval: tuple[float, float]) -> str:
    """The claim is a number: it must lie in the interval, and 1 (no gain) must not."""
    low, high = interval
    if low <= 1:
        return UNSURE
    return AGREES if low <= 6 <= high else DIFFERS


CLAIM = Claim(
    "C02", "3.1", "ReLU reaches 25 % training error several times faster than tanh",
    "6 times (four layers, no regularisation)", ("cifar10",),
    (Arm("ReLU"), Arm("tanh", {"activation": "tanh"})), "epochs_to_quarter", "times",
    settings={"variant": "four-layer", "epochs": 20},
    effect=lambda relu, tanh: tanh / relu, verdict=six_times,
    note="the paper does not publish its net; this is cuda-convnet's, without normalisation")
