"""Common mistakes in the exercises of notebook 07."""


def _cutmix(order=-1, copy=True, clipped=True, labels_too=True, swapped=False):
    def cutmix(images, labels, top, left, side):
        mixed = images.clone() if copy else images
        rows, columns = slice(top, top + side), slice(left, left + side)
        if swapped:
            rows, columns = columns, rows
        mixed[..., rows, columns] = images.clone().roll(order, 0)[..., rows, columns]
        area = mixed[0, 0, rows, columns].numel() if clipped else side**2
        share = area / mixed[0, 0].numel() if labels_too else 0
        return mixed, (1 - share) * labels + share * labels.roll(order, 0)
    return cutmix


def _curves(**changed):
    right = {"RandomCrop(224)": "D", "RandomCrop(96)": "A", "RandomCrop(256, padding=32)": "C",
             "RandomResizedCrop(224)": "B", "worst at the edge": "A"}
    return right | changed


FORGOTTEN = [3, 5, 12, 19, 25]
WRONG = {
    "07-1": [
        (128, 4.05),  # fields, not posts
        (81, 4.05),  # no mirrors
        (2, 4.05),  # the padding forgotten
        (162, 0.0405),  # a fraction
        (162, 100),  # the factor of the paper
        (162, 90),  # inputs, not percent
    ],
    "07-2": [
        _curves(**{"RandomCrop(224)": "C", "RandomCrop(256, padding=32)": "D"}),
        _curves(**{"RandomCrop(96)": "B", "RandomResizedCrop(224)": "A"}),
        _curves(**{"worst at the edge": "D"}),
        _curves(**{"worst at the edge": "C"}),
        _curves(**{"RandomCrop(224)": "B", "RandomResizedCrop(224)": "D"}),
    ],
    "07-3": [
        ([3, 3, 3, 3, 3], "fully connected layers"),  # not moved
        ([0.03, 0.05, 0.12, 0.19, 0.25], "fully connected layers"),  # fractions
        (FORGOTTEN[::-1], "fully connected layers"),
        (FORGOTTEN, "convolutions"),
        (FORGOTTEN, "pooling"),
        (FORGOTTEN[:4], "fully connected layers"),
    ],
    "07-4": [
        lambda label, h, v: label,  # what the notebook did
        lambda label, h, v: label ^ (2 * h + v),  # the mirrors exchanged
        lambda label, h, v: label ^ 1 if h else label,  # one mirror alone
        lambda label, h, v: label ^ 1 if h else label ^ 2 if v else label,  # not both at once
        lambda label, h, v: (label + h + 2 * v) % 4,  # right for b only
        lambda label, h, v: 3 - label if h or v else label,
    ],
    "07-5": [
        _cutmix(order=1),  # the one before
        _cutmix(copy=False),  # in place
        _cutmix(clipped=False),  # the area of the whole square
        _cutmix(labels_too=False),  # as the fade of 2012
        _cutmix(swapped=True),
    ],
}
