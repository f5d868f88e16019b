"""Common mistakes in the exercises of notebook 00."""

import math

WRONG = {
    "00-1": [math.log10(1000), math.log2(1000), -math.log(1000), 1 / 1000, "ln 1000"],
    "00-2": [
        {"A": "learns", "B": "guesses", "C": "memorizes"},  # the lowest training error wins
        {"A": "memorizes", "B": "learns", "C": "guesses"},
        {"A": "guesses", "B": "memorizes", "C": "learns"},
    ],
}
