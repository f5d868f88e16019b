"""Common mistakes in the exercises of notebook 00."""

import math

WRONG = {
    "00-1": [math.log10(1000), math.log2(1000), -math.log(1000), 1 / 1000, "ln 1000"],
    "00-2": [
        lambda g, t: sum(a == b for a, b in zip(g, t, strict=True)) / len(t),  # the accuracy
        lambda g, t: sum(a != b for a, b in zip(g, t, strict=True)),  # a count
        lambda g, t: sum(abs(a - b) for a, b in zip(g, t, strict=True)) / len(t),  # a distance
        lambda g, t: 100 * sum(a != b for a, b in zip(g, t, strict=True)) / len(t),  # per cent
    ],
}
