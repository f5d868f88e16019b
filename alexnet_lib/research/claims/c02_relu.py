"""ReLU against tanh: the paper's Fig. 1 (section 3.1)."""

from alexnet_lib.research.claims import AGREES, DIFFERS, UNSURE, Arm, Claim


def six_times(interval: tuple[float, float]) -> str:
    """The claim is a number: it must lie in the interval, and 1 (no gain) must not."""
    low, high = interval
    if low <= 1:
        return UNSURE
    return AGREES if low <= 6 <= high else DIFFERS


def fig1(id: str, statement: str, note: str, rates: tuple[float, ...] = (),
         long: dict | None = None, **start) -> Claim:
    """The race to 25 % training error, from the given start. long: of the runs of tanh."""
    return Claim(
        id, "3.1", statement, "6 times (four layers, no regularization)", "times", ("cifar10",),
        (Arm("ReLU"), Arm("tanh", {"activation": "tanh"}, long=long or {})), "epochs_to_quarter",
        choose="way_to_quarter", rates=rates, settings=start | {
            "variant": "four-layer", "epochs": 40, "until_error": 0.25, "lr_scheduler": "constant"},
        effect=lambda relu, tanh: tanh / relu, verdict=six_times, note=note)


CLAIMS = (
    fig1("C02", "ReLU reaches 25 % training error several times faster than tanh",
         "the paper does not publish its net; this is cuda-convnet's, without normalization, with "
         "the first weights of its files; each rate was tried for 40 epochs", long={"epochs": 64}),
    fig1("C02b", "The same from today's start",
         "first weights by He et al. (2015), inputs of about unit variance",
         (0.005, 0.01, 0.02), init="he", input_divisor=58.0))
