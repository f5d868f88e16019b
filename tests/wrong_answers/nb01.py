"""Common mistakes in the exercises of notebook 01."""

import numpy as np

RIGHT = {"A": "retina", "B": "hubble_deep_field", "C": "immunohistochemistry", "D": "astronaut"}


def _swapped(answer, one, other):
    return {**answer, one: answer[other], other: answer[one]}


def _pixels(batches, kind=float):
    return [batch.reshape(-1, 3).astype(kind) for batch in batches]


def _whole(parts):
    x = np.concatenate(parts)
    return x.mean(0), np.cov(x.T, bias=True)


def _stored(batches):
    return _whole([x.reshape(-1, 3) for x in list(batches)])


def _mean_of_means(batches):
    parts = _pixels(batches)
    return np.mean([x.mean(0) for x in parts], 0), np.mean([np.cov(x.T) for x in parts], 0)


def _within_batches(batches):
    parts = _pixels(batches)
    count = sum(map(len, parts))
    return (np.concatenate(parts).mean(0),
            sum(len(x) * np.cov(x.T, bias=True) for x in parts) / count)


def _sums(batches, kind=float, center=True, divide=True):
    parts = _pixels(batches, kind)
    count, middle = sum(map(len, parts)), np.concatenate(parts).mean(0)
    covariance = sum(x.T @ x for x in parts) / count - center * np.outer(middle, middle)
    return middle, covariance if divide else covariance * count


def _last(batches):
    return _whole(_pixels(batches)[-1:])


BUGS = {"Ann": "divided", "Ben": "swapped", "Cy": "none", "Dee": "mean"}
PERCENT = {"divide by 255": 63.5, "subtract 128": 0.0, "subtract 230": 74.0}

WRONG = {
    "01-1": [
        (99.5, False),  # after scaling
        (840, False),  # all cut off on the left
        (0, True),  # nothing cut off
        (480, False),  # a quarter on each side
        (420, True),  # the right column, the wrong side
    ],
    "01-2": [
        _swapped(RIGHT, "A", "D"),
        _swapped(RIGHT, "A", "B"),
        _swapped(RIGHT, "C", "D"),
        dict.fromkeys("ABCD", "retina"),
    ],
    "01-3": [
        (PERCENT, "size"),  # the wrong reason
        ({**PERCENT, "divide by 255": 0.0}, "center"),  # of the centered pixels
        ({**PERCENT, "subtract 128": 63.5}, "center"),  # raw
        ({**PERCENT, "subtract 230": 0.0}, "center"),
        ({name: value / 100 for name, value in PERCENT.items()}, "center"),  # shares
    ],
    "01-4": [
        _swapped(BUGS, "Ben", "Cy"),
        _swapped(BUGS, "Ann", "Dee"),
        _swapped(BUGS, "Cy", "Dee"),
        dict.fromkeys(BUGS, "none"),
    ],
    "01-5": [
        _stored,  # the loader has overwritten them
        _mean_of_means,
        _within_batches,
        _last,
        lambda batches: _sums(batches, np.uint8),  # bytes overflow
        lambda batches: _sums(batches, divide=False),  # a sum, no mean
        lambda batches: _sums(batches, center=False),  # the mean still in
    ],
}
