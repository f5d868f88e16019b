"""Common mistakes in the exercises of notebook 11."""

FOUR = {"two labels swapped": "D", "labels off by one": "B", "one class never answered": "C",
        "one class catches everything": "A", "accuracy near zero": "B"}


def _holm(count=lambda n, place: n - place, running=True, cut=1.0, back=True, copy=True):
    """What 11-5 asks for, with a mistake."""
    def adjust(p):
        order = sorted(range(len(p)), key=p.__getitem__)
        if not copy:
            p.sort()
            order = list(range(len(p)))
        found, most = [0.0] * len(p), 0.0
        for place, i in enumerate(order):
            value = min(cut, count(len(p), place) * p[i])
            most = max(most, value) if running else value
            found[i if back else place] = most
        return found
    return adjust


WRONG = {
    "11-1": [
        (2400, 2.45),  # one standard error
        (0.96, 2.45),  # percent and shares mixed
        (19200, 2.45),
        (9600, 1.22),  # the standard deviation of twice the images
        (9600, 30),  # images
        (9600, 0.47),  # all 4,000 images as coins
    ],
    "11-2": [
        FOUR | {"two labels swapped": "B", "labels off by one": "D"},
        FOUR | {"one class never answered": "A", "one class catches everything": "C"},
        FOUR | {"accuracy near zero": "D"},
        FOUR | {"accuracy near zero": "A"},
    ],
    "11-3": [
        (0.1, 50.5, 8.6),  # 79% are found, and 80 are asked for
        (0.02, 34.6, 4.7),  # a threshold lower than needed
        (0.05, 0.428, 0.065),  # shares
        (0.05, 42.8, 42.8),  # precision does not depend on how rare they are
        (0.05, 86.0, 6.5),  # recall for precision
        (0.05, 42.8, 4.28),  # a tenth of the chain saws, a tenth of the precision
        (0.3, 60, 12),  # another threshold
    ],
    "11-4": [
        lambda q, r, p: r * q * (1 - p) / p,  # a share of all images
        lambda q, r, p: r * (1 - p) / p,  # prevalence forgotten
        lambda q, r, p: 1 - p,  # what most people think
        lambda q, r, p: r * q * p / ((1 - p + 1e-9) * (1 - q)),  # upside down
        lambda q, r, p: q * (1 - p) / (p * (1 - q)),  # recall forgotten
    ],
    "11-5": [
        lambda p: [min(1, len(p) * q) for q in p],  # Bonferroni
        lambda p: list(p),  # nothing
        _holm(running=False),  # a later one may be smaller
        _holm(cut=9.0),  # above 1
        _holm(back=False),  # sorted
        _holm(copy=False),  # in place
        _holm(count=lambda n, place: n / (place + 1)),  # Benjamini and Hochberg, wrong way
        _holm(count=lambda n, place: place + 1),
    ],
}
