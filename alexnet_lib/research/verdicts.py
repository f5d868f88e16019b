"""Verdicts in two parts: is there an effect, and is it of the paper's size?

Both follow from a 95% interval. A wide interval leads to "cannot tell", never to a yes or a no.
"""

YES, NO, UNSURE = "yes", "no", "cannot tell"
THE_PAPERS, SMALLER, LARGER = "the paper's", "smaller", "larger"
NOT_RUN, NOT_TESTED = "not run", "measured, not tested"
PAPER, LOG, OURS = "the paper", "the authors' log", "us"  # who makes a claim
FACTOR = 2  # within it, two sizes count as alike


def effect_of(interval: tuple[float, float], null: float, margin: float,
              alike: bool = False) -> str:
    """Whether an effect lies above `null`.

    "yes": the whole interval does. "no": the effect is reversed, or shown to be smaller than
    `margin`, because the whole interval lies below null + margin. alike: the claim is that there
    is no difference. Then "yes" means that the whole interval lies within `margin` of `null`, and
    "no" that, although it doesn't, it excludes `null`.
    """
    low, high = interval
    if alike:
        if null - margin < low and high < null + margin:
            return YES
        return UNSURE if low <= null <= high else NO
    return YES if low > null else NO if high < null + margin else UNSURE


def size_of(interval: tuple[float, float], figure: tuple[float, float]) -> str:
    """How the size compares with the paper's figure.

    figure: what the printed figure may stand for, such as 1.65 to 1.75 for 1.7. "smaller",
    "larger": the interval excludes all of it. "the paper's": it doesn't, and the whole interval
    lies within a factor of two.
    """
    low, high = interval
    if high < figure[0]:
        return SMALLER
    if low > figure[1]:
        return LARGER
    inside = figure[0] / FACTOR <= low and high <= FACTOR * figure[1]
    return THE_PAPERS if inside else UNSURE


def summary(effect: str, size: str | None, asked: str) -> str:
    """Both parts in a few words. Only what someone has claimed can agree or differ."""
    words = {YES: "agrees", NO: "differs"} if asked != OURS else {}
    told = words.get(effect, effect)
    if size is None or effect == NO or (effect == UNSURE and size == UNSURE):
        return told
    return f"{told}, {'size unclear' if size == UNSURE else size}" + " size" * (size == THE_PAPERS)


def holm(values: list[float]) -> list[float]:
    """p values adjusted for their number by Holm's method, in the given order.

    Reject what is at most 0.05 here, and the chance of even one false rejection is at most 5%,
    however the tests depend on each other.
    """
    adjusted, most = [0.0] * len(values), 0.0
    for place, i in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        most = max(most, min(1.0, (len(values) - place) * values[i]))
        adjusted[i] = most
    return adjusted
