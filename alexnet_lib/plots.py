"""Figures: functions that take arrays and return a matplotlib Figure.

House style: the Okabe-Ito colours (safe for colour-blind readers), a white ground in light
and dark notebooks alike, labels and units on every axis.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, RED, YELLOW, GREY = "#56B4E9", "#D55E00", "#F0E442", "#666666"
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, RED)


def use_style() -> None:
    """Set the house style for all figures made after this call."""
    plt.rcParams.update({
        "figure.facecolor": "white", "savefig.facecolor": "white", "figure.dpi": 100,
        "figure.constrained_layout.use": True, "font.size": 11,
        "axes.prop_cycle": plt.cycler(color=CYCLE), "axes.spines.top": False,
        "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
        "legend.frameon": False, "image.interpolation": "nearest",
    })
