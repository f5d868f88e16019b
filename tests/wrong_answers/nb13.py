"""Common mistakes in the exercises of notebook 13."""

import torch

RIGHT = {"A": (25, 50), "B": (67, 71), "C": (72, 78), "D": (91, 106)}
IMAGES = {"A": 150_000, "B": 150_000, "C": 50_000, "D": 0}
LESS, MORE, SAME = [0, -200, 50, 0, 0], [0, 0, 50, 100, 0], [0, -100, 50, 0, 0]


def _luck(tries, scatter, lead, times=20_000, reference=True, of="min", sign=1):
    errors = scatter * torch.randn(times, tries)
    best = errors.amin(1) if of == "min" else errors.mean(1)
    gap = sign * (scatter * torch.randn(times) * reference - best)
    return gap.mean().item(), (gap >= lead).float().mean().item()


WRONG = {
    "13-1": [
        (IMAGES | {"A": 50_000}, 23_234),  # never multiplied
        (IMAGES | {"B": 50_000}, 23_234),  # looked at the top-1 error only
        (IMAGES | {"C": 150_000}, 23_234),  # fits too, but so does the smaller number
        (IMAGES | {"D": 50_000}, 23_234),  # rounded without looking back
        (IMAGES | {"D": 150_000}, 23_234),
        (IMAGES, 53_506),  # the top-1 error
        (IMAGES, 7_745),  # of 50,000
        IMAGES,
    ],
    "13-2": [
        RIGHT | {"A": (25, 51)},  # an epoch too many
        RIGHT | {"B": (67, 78)},  # conv1 is frozen from 72 on
        RIGHT | {"C": (72, 90)},  # and the last step comes at 79
        RIGHT | {"D": (25, 50)},  # conv1 was not frozen then
        RIGHT | {"D": (91, 134)},  # the rate of the restart falls, too
        RIGHT | {"A": 25},
    ],
    "13-3": [
        {"less": MORE, "more": LESS, "same": SAME},  # the other way round
        {"less": LESS, "more": [0, 0, 50, 0, 0], "same": SAME},  # more, but hardly
        {"less": LESS, "more": MORE, "same": [0, -50, 50, 0, 0]},  # not the same
        {"less": [50, -200, 0, 0, 0], "more": MORE, "same": SAME},  # not in the middle
        {"less": LESS, "more": MORE, "same": [50, -100]},
    ],
    "13-4": [
        {"A": "better", "B": "can't tell", "C": "less than half a point", "D": "worse"},
        {"A": "worse", "B": "better", "C": "less than half a point", "D": "better"},
        {"A": "worse", "B": "can't tell", "C": "can't tell", "D": "better"},
        {"A": "worse", "B": "can't tell", "C": "worse", "D": "better"},
        {"A": "worse", "B": "less than half a point", "C": "can't tell", "D": "better"},
    ],
    "13-5": [
        lambda tries, scatter, lead: _luck(tries, scatter, lead, reference=False),
        lambda tries, scatter, lead: _luck(tries, scatter, lead, of="mean"),
        lambda tries, scatter, lead: _luck(tries, scatter, lead, sign=-1),
        lambda tries, scatter, lead: _luck(16, scatter, lead),  # always sixteen
        lambda tries, scatter, lead: _luck(tries, 0.12, lead),  # always 0.12
        lambda tries, scatter, lead: _luck(tries, scatter, lead)[0],  # one number
        lambda tries, scatter, lead: (_luck(tries, scatter, lead)[0],
                                      100 * _luck(tries, scatter, lead)[1]),  # in percent
    ],
}
