"""Does a net know an object that is off center? The same photographs, made smaller, at nine places.

    python -m alexnet_lib.research.off_center data/results/off-center.json
"""

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from alexnet_lib import datasets
from alexnet_lib.datasets import signature
from alexnet_lib.devices import machine
from alexnet_lib.evaluation import probabilities
from alexnet_lib.research.measures import in_data
from alexnet_lib.weights import LoadedModel, load_model

SHARE = 0.6  # of the side of the net's input
PLACES = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]


def moved(net: LoadedModel, images, down: float, across: float, share: float = SHARE) -> np.ndarray:
    """Each image, made smaller, on a ground of the mean color of the net's training data.

    Args:
        images: (N, S, S, 3) uint8, as the net's images are stored.
        down, across: 0 is the center, -1 and 1 the edges of the net's input.
        share: how large the image is, of the net's input; at most 1.

    Returns: (N, S, S, 3) uint8.
    """
    side, stored = round(share * net.augment.size), net.augment.stored
    small = F.interpolate(torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float(),
                          (side, side), mode="bilinear", antialias=True)
    ground = net.augment.mean.mean((0, 1))[:, None, None].expand(len(images), 3, stored, stored)
    corner, free = (stored - net.augment.size) // 2, net.augment.size - side
    top, left = (corner + round(free / 2 * (1 + place)) for place in (down, across))
    out = ground.clone()
    out[:, :, top:top + side, left:left + side] = small
    return out.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def answers(net: LoadedModel, images) -> np.ndarray:
    """What the net says of each image at each of `PLACES`, and as it is: (10, N) class numbers."""
    found = []
    for index in torch.arange(len(images)).split(256):
        part = np.asarray(images[index.numpy()])
        sets = [moved(net, part, *place) for place in PLACES] + [part]
        found.append(torch.stack([probabilities(net, some).argmax(1) for some in sets]))
    return torch.cat(found, 1).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    net = load_model(in_data("weights/imagenette.safetensors"), "auto", "fp32")
    data = datasets.load("imagenette", net.config.stored_size)
    test = data.splits["test"]
    said = answers(net, test.images)
    wrong = said != np.asarray(test.labels)
    args.file.write_text(json.dumps({
        "provenance": machine(net.config.device) | {
            "command": "python -m alexnet_lib.research.off_center " + shlex.join(sys.argv[1:]),
            "data": signature("imagenette", data.fingerprint)},
        "net": "data/weights/imagenette.safetensors", "classes": net.classes,
        "images": len(test.labels), "share": SHARE, "places": PLACES,
        "wrong": wrong[:-1].sum(1).tolist(), "wrong_whole": int(wrong[-1].sum()),
        "wrong_only_there": [int((there & ~wrong[4]).sum()) for there in wrong[:-1]],
        "wrong_only_in_the_center": [int((~there & wrong[4]).sum()) for there in wrong[:-1]],
        "said": [np.bincount(row, minlength=len(net.classes)).tolist() for row in said]},
        indent=1) + "\n")


if __name__ == "__main__":
    main()
