"""Common mistakes in the exercises of notebook 07."""

import numpy as np
import torch


def _strength(values, definition):
    return values / 255 if definition == "paper" else np.sqrt(values)


WRONG = {
    "07-1": [
        lambda stored, size, mirror=True: (stored - size) ** 2 * (2 if mirror else 1),  # 32 x 32
        lambda stored, size, mirror=True: (stored - size + 1) ** 2,  # no mirrors
        lambda stored, size, mirror=True: 2 * (stored - size + 1) ** 2,  # always mirrors
        lambda stored, size, mirror=True: (stored - size + 1) * (2 if mirror else 1),  # one side
    ],
    "07-2": [
        lambda im, t, le, flip, n: im[le:le + n, t:t + n][:, ::-1 if flip else 1].copy(),
        lambda im, t, le, flip, n: im[t:t + n, le:le + n],  # never mirrored
        lambda im, t, le, flip, n: im[t:t + n, le:le + n][::-1 if flip else 1].copy(),
        lambda im, t, le, flip, n: im[:, ::-1 if flip else 1][t:t + n, le:le + n].copy(),
        lambda im, t, le, flip, n: im[t:t + n, le:le + n, ::-1 if flip else 1].copy(),
    ],
    "07-3": [
        lambda val, vec, a, d: vec @ (a * (val if d == "paper" else np.sqrt(val))),  # 0-255
        lambda val, vec, a, d: vec.T @ (a * _strength(val, d)),  # rows
        lambda val, vec, a, d: vec @ (a * np.sqrt(val)),  # one definition for both
        lambda val, vec, a, d: vec @ (a * val / 255),  # the other for both
        lambda val, vec, a, d: a * _strength(val, d),  # no vectors
    ],
    "07-4": [
        lambda logits: logits.mean(0).softmax(1),
        lambda logits: logits.softmax(0).mean(0),  # over the views
        lambda logits: logits.softmax(2).sum(0),  # not divided
        lambda logits: logits.softmax(2).max(0).values,
        lambda logits: logits[4].softmax(1),  # one view
        lambda logits: torch.nn.functional.one_hot(logits.argmax(2), 4).float().mean(0),  # a vote
    ],
    "07-5": [1.1, 1.01, 1.0, 0.995],
}
