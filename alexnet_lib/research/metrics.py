"""Numbers drawn from the record of one run; None where it was not recorded."""

import numpy as np


def test_error(run: dict) -> float:
    """Top-1 error on the test set, center view, in per cent."""
    return 100 * run["test"]["1"]["top1_error"]


def test_error_10(run: dict) -> float:
    """Top-1 error on the test set, ten views, in per cent."""
    return 100 * run["test"]["10"]["top1_error"]


def test_top5_error(run: dict) -> float:
    """Top-5 error on the test set, center view, in per cent."""
    return 100 * run["test"]["1"]["top5_error"]


def test_top5_error_10(run: dict) -> float:
    """Top-5 error on the test set, ten views, in per cent."""
    return 100 * run["test"]["10"]["top5_error"]


def gap(run: dict) -> float | None:
    """Test error less training error, both of center views in evaluation mode, in points."""
    return test_error(run) - train_error(run) if "train" in run else None


def train_error(run: dict) -> float | None:
    """Top-1 error on training images, center views, in evaluation mode, in per cent."""
    return 100 * run["train"]["top1_error"] if "train" in run else None


def epochs_to_quarter(run: dict) -> float:
    """Epochs until the training error first falls to 25%, interpolated; infinite if never."""
    return epochs_until(run["curves"]["train_error"], 0.25)


def epochs_to_35(run: dict) -> float:
    """Epochs until the training error first falls to 35%, interpolated; infinite if never.

    The error is that of the minibatches as they were trained on, dropout included. 35% is the
    lowest multiple of five that nets of the small set-up reach before their rate falls.
    """
    return epochs_until(run["curves"]["train_error"], 0.35)


def way_to_quarter(run: dict) -> float:
    """`epochs_to_quarter`; for a run that never gets there, more, the farther it ended from it.

    So a search can compare rates of which none was fast enough, and go on to others.
    """
    errors = run["curves"]["train_error"]
    epochs = epochs_to_quarter(run)
    return epochs if np.isfinite(epochs) else len(errors) * (1 + errors[-1] - 0.25)


def last_val_error(run: dict) -> float:
    """Top-1 error on the validation split at the end of training, in per cent."""
    return 100 * run["curves"]["val_error"][-1]


def early_loss(run: dict) -> float:
    """Mean training loss of the first fifth of the epochs, in nats."""
    losses = run["curves"]["train_loss"]
    return float(np.mean(losses[:max(1, len(losses) // 5)]))


def color_difference(run: dict) -> float | None:
    """Color in the kernels of one column less that in the other's, in points of their energy."""
    return 100 * run["color"]["difference"] if "color" in run else None


def color_by_chance(run: dict) -> float | None:
    """The same if the kernels had been dealt to the columns at random."""
    return 100 * run["color"]["by_chance"] if "color" in run else None


def precision_features(run: dict) -> float | None:
    """precision@5 of the last hidden layer, in per cent."""
    return 100 * run["retrieval"]["features"] if "retrieval" in run else None


def precision_pixels(run: dict) -> float | None:
    """precision@5 of raw pixels, in per cent."""
    return 100 * run["retrieval"]["pixels"] if "retrieval" in run else None


def epochs_until(errors: list[float], level: float) -> float:
    """When a falling curve, one value at the end of each epoch, first reaches `level`."""
    for i, error in enumerate(errors):
        if error <= level:
            if i == 0:
                return 1.0
            before = errors[i - 1]
            return i + (before - level) / (before - error)
    return float("inf")


def measured(name: str, run: dict) -> float | None:
    """The metric of that name, of `METRICS`; None if the record does not hold what it needs."""
    try:
        return METRICS[name](run)
    except (KeyError, IndexError):
        return None


METRICS = {f.__name__: f for f in (test_error, test_error_10, test_top5_error, test_top5_error_10,
                                   gap, train_error, epochs_to_quarter, epochs_to_35,
                                   last_val_error, early_loss, way_to_quarter, color_difference,
                                   color_by_chance, precision_features, precision_pixels)}
