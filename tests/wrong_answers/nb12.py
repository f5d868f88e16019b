"""The common mistakes, each of which the checks must refuse."""

import torch


def _covered(ask, x, size, fill=0.0, copy=True, sign=1, channels=slice(None)):
    rows, columns = x.shape[2] // size, x.shape[3] // size
    fall, whole, piled = torch.zeros(rows, columns), float(ask(x)), x.clone()
    for i in range(rows):
        for j in range(columns):
            covered = x.clone() if copy else piled
            covered[:, channels, i * size:(i + 1) * size, j * size:(j + 1) * size] = fill
            fall[i, j] = sign * (whole - float(ask(covered)))
    return fall


def _in_place(ask, x, size):
    whole, rows, columns = float(ask(x)), x.shape[2] // size, x.shape[3] // size
    fall = torch.zeros(rows, columns)
    for i in range(rows):
        for j in range(columns):
            x[:, :, i * size:(i + 1) * size, j * size:(j + 1) * size] = 0
            fall[i, j] = whole - float(ask(x))
    return fall


def _strongest(padded=True, late=False, clip=True, wide=0, swap=False, low=False, again=False,
               order=True, start=0):
    """What 12-5 asks for, with a mistake."""
    def find(maps, steps, side, k):
        field, jump, begin = 1, 1, start
        for kernel, stride, padding in steps:
            field += (kernel - 1) * jump
            jump *= stride if late else 1
            begin -= padding * jump if padded else 0
            jump *= 1 if late else stride
        best = maps.flatten(1).amin(1) if low else maps.flatten(1).amax(1)
        if again:
            which = maps.flatten().topk(k).indices.tolist()
            which = [(i // maps[0].numel(), i % maps[0].numel()) for i in which]
        else:
            chosen = best.topk(k).indices.tolist() if order else list(range(k))
            which = [(i, int(maps[i].argmax())) for i in chosen]
        rows = []
        for i, at in which:
            row, column = divmod(at, maps.shape[2])
            if swap:
                row, column = column, row
            top, left = begin + row * jump, begin + column * jump
            box = top, left, top + field + wide, left + field + wide
            rows.append((i, *(min(max(v, 0), side) if clip else v for v in box)))
        return rows
    return find


WRONG = {
    "12-1": [
        ("conv4", 4),  # one more: 16 pixels
        ("conv1", 13),  # the stub's
        ("conv2", 7),  # two more, as in conv4
        ("conv4", 35),  # 32 more
        ("pool3", 5),  # no convolution
        ("conv5", 5.5),
        5,
    ],
    "12-2": [
        {"A": "end learned", "B": "start", "C": "early learned", "D": "end"},  # blurs for the end
        {"A": "early learned", "B": "end", "C": "end learned", "D": "start"},  # the grains swapped
        {"A": "start", "B": "end", "C": "end learned", "D": "early learned"},
        {"A": "early learned", "B": "start", "C": "end learned", "D": "end learned"},  # one twice
    ],
    "12-3": [
        ({"all": 0.044, "fourier": 0.046, "color": 0.063, "jitter": 0.225}, "fourier"),
        ({"all": 0.044, "fourier": 0.046, "color": 0.063, "jitter": 0.225}, "color"),
        ({"all": 4.4, "fourier": 4.6, "color": 6.3, "jitter": 22.5}, "jitter"),  # percent
        ({"all": 0.044, "fourier": 0.046, "color": 0.063, "jitter": 0.05}, "jitter"),  # jitter on
        ({"all": 0.044, "fourier": 0.044, "color": 0.044, "jitter": 0.225}, "jitter"),  # the same
        ({"all": 0.3, "fourier": 0.046, "color": 0.063, "jitter": 0.225}, "jitter"),
    ],
    "12-4": [
        _in_place,  # the squares pile up
        lambda ask, x, size: _covered(ask, x, size, copy=False),  # on one copy
        lambda ask, x, size: _covered(ask, x, size, sign=-1),  # the rise
        lambda ask, x, size: _covered(ask, x, size, fill=1.0),  # covered with ones
        lambda ask, x, size: _covered(ask, x, size, channels=slice(1)),  # one channel alone
        lambda ask, x, size: _covered(ask, x, size).T,  # rows and columns swapped
    ],
    "12-5": [
        _strongest(padded=False),  # the padding forgotten
        _strongest(late=True),  # padding times the jump behind it
        _strongest(clip=False),  # beyond the picture
        _strongest(wide=-1),  # the last pixel left out
        _strongest(swap=True),  # rows for columns
        _strongest(low=True),  # by the lowest answer
        _strongest(again=True),  # one picture several times
        _strongest(order=False),  # the first pictures, not the strongest
        _strongest(start=1),  # one pixel too far
        lambda maps, steps, side, k: maps.flatten(1).amax(1).topk(k).indices.tolist(),  # no frames
    ],
}
