"""Numbers drawn from the record of one run."""

import numpy as np


def test_error(run: dict) -> float:
    """Top-1 error on the test set, centre view, in per cent."""
    return 100 * run["test"]["1"]["top1_error"]


def test_error_10(run: dict) -> float:
    """Top-1 error on the test set, ten views, in per cent."""
    return 100 * run["test"]["10"]["top1_error"]


def gap(run: dict) -> float:
    """Test error less training error, both of centre views in evaluation mode, in points."""
    return test_error(run) - train_error(run)


def train_error(run: dict) -> float:
    """Top-1 error on training images, centre views, in evaluation mode, in per cent."""
    return 100 * run["train"]["top1_error"]


def epochs_to_quarter(run: dict) -> float:
    """Epochs until the training error first falls to 25 %, interpolated; infinite if never."""
    return epochs_until(run["curves"]["train_error"], 0.25)


def last_val_error(run: dict) -> float:
    """Top-1 error on the validation split at the end of training, in per cent."""
    return 100 * run["curves"]["val_error"][-1]


def early_loss(run: dict) -> float:
    """Mean training loss of the first fifth of the epochs, in nats."""
    losses = run["curves"]["train_loss"]
    return float(np.mean(losses[:max(1, len(losses) // 5)]))


def epochs_until(errors: list[float], level: float) -> float:
    """When a falling curve, one value at the end of each epoch, first reaches `level`."""
    for i, error in enumerate(errors):
        if error <= level:
            if i == 0:
                return 1.0
            before = errors[i - 1]
            return i + (before - level) / (before - error)
    return float("inf")


METRICS = {f.__name__: f for f in (test_error, test_error_10, gap, train_error, epochs_to_quarter,
                                   last_val_error, early_loss)}
