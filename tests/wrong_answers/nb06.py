"""Common mistakes in the exercises of notebook 06."""


def _cut(rows, key):
    """The cut that is best by `key` of (first card's work, second card's, units)."""
    work = [row["macs"] for row in rows]
    best = min(range(len(rows) - 1),
               key=lambda k: key(sum(work[:k + 1]), sum(work[k + 1:]), rows[k]["units"]))
    return rows[best]["name"], rows[best]["units"]


ERRORS = {"response normalization": 2e-7, "max pooling": 2e-7, "dropout": 0.4,
          "batch normalization": 0.3}
SPOILERS = {"dropout", "batch normalization"}

WRONG = {
    "06-1": [
        {"conv2", "conv4", "conv5"},  # the paper's net
        {"conv1", "conv2", "conv3", "conv5"},  # conv1 reads no maps
        {"conv2", "conv5"},
        {"conv2", "conv3"},
        {"conv4", "fc6", "fc7", "fc8"},  # those that talk
        {"conv2", "conv3", "conv5", "fc8"},
        "conv2",
        3,
    ],
    "06-2": [
        {"A": "kernels", "B": "image", "C": "units", "D": "bytes"},  # more
        {"A": "units", "B": "bytes", "C": "kernels", "D": "image"},  # less
        {"A": "bytes", "B": "image", "C": "kernels", "D": "units"},  # half for double
        {"A": "units", "B": "image", "C": "kernels", "D": "image"},
        {"A": "units", "B": "image", "C": "kernels"},
    ],
    "06-3": [
        (ERRORS, {"batch normalization"}),  # dropout mixes no images
        (ERRORS, {"dropout"}),
        (ERRORS, {"response normalization", "batch normalization"}),  # by the name
        (ERRORS | {"batch normalization": 1e-7}, SPOILERS),  # in evaluation mode
        (ERRORS | {"max pooling": 0.4}, SPOILERS),  # the wrong net
        (dict.fromkeys(ERRORS, ...), SPOILERS),  # not measured
    ],
    "06-4": [
        lambda gradients, counts: sum(gradients) / len(gradients),  # shares count alike
        lambda gradients, counts: sum(gradients),
        lambda gradients, counts: sum(g * n for g, n in zip(gradients, counts)),  # noqa: B905
        lambda gradients, counts: sum(g / n for g, n in zip(gradients, counts)),  # noqa: B905
        lambda gradients, counts: gradients[0],
    ],
    "06-5": [
        lambda rows: _cut(rows, lambda first, second, units: units),  # least traffic
        lambda rows: _cut(rows, lambda first, second, _: max(first, second)),  # first of equals
        lambda rows: _cut(rows, lambda first, second, units: (first, units)),
        lambda rows: _cut(rows, lambda first, second, units: (max(first, second), -units)),
        lambda rows: (rows[len(rows) // 2]["name"], rows[len(rows) // 2]["units"]),  # half the rows
        lambda rows: (_cut(rows, lambda a, b, units: (max(a, b), units))[0], 58_624),
        lambda rows: _cut(rows, lambda a, b, units: (max(a, b), units))[0],  # the name alone
    ],
}
