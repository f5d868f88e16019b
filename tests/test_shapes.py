"""The drawn data: the same everywhere, balanced, varied, and too hard for a linear classifier."""

import hashlib

import numpy as np
import pytest

from alexnet_lib import datasets
from alexnet_lib.datasets import shapes


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()


@pytest.mark.parametrize("size, split, expected", [
    (64, "train", "5067779046b4246cc275b0a9f3c691c36aeddd6715fcc388aecc00f62a376647"),
    (64, "test", "e766fd845ede8bdab1e7d4f40ecb7b2a36d38b1ada38aef2781e9c584e3b9ce3"),
    (33, "val", "04c69184658eca972229c5617e16683543227eb8022f0031504007129e3e40e7"),
    (227, "train", "5acca2547fdbafb7c3a3762c1c4778f1c7a61f8203ad2a6e06ef23b08dad4308"),
])
def test_first_images_are_the_same_on_every_machine(size, split, expected):
    images, _ = shapes.render(0, 10, size, split)
    assert sha(images) == expected


def test_shape_type_and_range():
    images, labels = shapes.render(3, 23, 40)
    assert images.shape == (20, 40, 40, 3) and images.dtype == np.uint8
    assert labels.shape == (20,) and labels.dtype == np.int64
    assert images.min() < 20 and images.max() > 235


def test_an_image_does_not_depend_on_its_neighbors():
    images, labels = shapes.render(0, 300, 32)
    for first, last in ((0, 1), (127, 129), (250, 300)):
        some, its = shapes.render(first, last, 32)
        assert np.array_equal(some, images[first:last])
        assert np.array_equal(its, labels[first:last])


def test_splits_and_seeds_differ():
    drawn = [shapes.render(0, 10, 32, split, seed)[0]
             for split in ("train", "val", "test") for seed in (0, 1)]
    assert len({sha(images) for images in drawn}) == 6
    each = np.concatenate(drawn)
    assert len({sha(image) for image in each}) == len(each)


def test_every_size_shows_the_same_scene():
    """An image drawn large and averaged down is, but for its edges, the image drawn small."""
    small = shapes.render(0, 20, 32)[0].astype(float)
    large = shapes.render(0, 20, 128)[0].reshape(20, 32, 4, 32, 4, 3).mean((2, 4))
    assert np.abs(small - large).mean() < 6
    assert np.abs(small - np.roll(large, 1, 0)).mean() > 30


def test_classes_are_balanced_and_any_prefix_nearly_so():
    labels = shapes.render(0, 205, 32)[1]
    counts = np.bincount(labels, minlength=10)
    assert set(counts) <= {20, 21} and len(shapes.CLASSES) == 10


def test_each_scene_has_enough_draws():
    """A scene that needed more numbers than it is given would fail here."""
    assert shapes.render(0, 400, 32)[0].shape[0] == 400


def polygon_signed_distance(points, x, y):
    """A plain loop: distance to the nearest edge, negative inside (ray casting)."""
    nearest, inside = np.inf, False
    for i in range(len(points)):
        (x0, y0), (x1, y1) = points[i], points[(i + 1) % len(points)]
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        t = min(1, max(0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length))
        nearest = min(nearest, np.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0)))
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            inside = not inside
    return -nearest if inside else nearest


def test_polygon_distance_against_a_plain_loop():
    points = [(-0.9, -0.5), (0.3, -0.8), (0.1, 0.0), (0.9, 0.7), (-0.4, 0.6)]
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-1.2, 1.2, (2, 300)).astype(np.float32)
    expected = [polygon_signed_distance(points, a, b) for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(shapes._polygon(*points)(x, y), expected, atol=1e-5)


def test_color_alone_does_not_tell_the_class():
    """The mean color of a class is that of all: nothing is given away by it."""
    data = datasets.load("shapes", 32, counts={"train": 1000})
    train = data.splits["train"]
    color = train.images.reshape(1000, -1, 3).mean(1)
    by_class = np.stack([color[train.labels == k].mean(0) for k in range(10)])
    assert np.abs(by_class - color.mean(0)).max() < 25


def test_a_linear_classifier_fails():
    """Least squares on the pixels, with the best of several penalties."""
    data = datasets.load("shapes", 32, counts={"train": 2000, "val": 500})
    (x, y), (xv, yv) = [(split.images.reshape(len(split), -1) / 255 - data.mean.ravel() / 255,
                         split.labels) for split in data.splits.values()]
    gram = x @ x.T
    best = 0
    for penalty in (10, 100, 1000):
        dual = np.linalg.solve(gram + penalty * np.eye(len(x)), np.eye(10)[y])
        best = max(best, ((xv @ (x.T @ dual)).argmax(1) == yv).mean())
    assert 0.1 < best < 0.45
