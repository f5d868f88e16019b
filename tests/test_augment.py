"""Batch transforms against torchvision and plain formulas."""

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tvf
from hypothesis import given, settings
from hypothesis import strategies as st

from alexnet_lib import ops
from alexnet_lib.augment import Augment, crop, pca_color, ten_view_places
from alexnet_lib.errors import UserError
from alexnet_lib.ops.batch import _gather


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 20, 20, 3), dtype=np.uint8)


def chw(image):
    return torch.from_numpy(image).permute(2, 0, 1)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_crop_is_torchvisions(data):
    images = np.random.default_rng(0).integers(0, 256, (4, 15, 15, 3), dtype=np.uint8)
    size = data.draw(st.integers(1, 15))
    place = st.integers(0, 15 - size)
    index = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    top = data.draw(st.lists(place, min_size=len(index), max_size=len(index)))
    left = data.draw(st.lists(place, min_size=len(index), max_size=len(index)))
    flip = data.draw(st.lists(st.booleans(), min_size=len(index), max_size=len(index)))
    found = crop(images, index, top, left, flip, size)
    gathered = _gather(torch.from_numpy(images), *map(torch.tensor, (index, top, left, flip)),
                       size)
    for i, which in enumerate(index):
        expected = tvf.crop(chw(images[which]), top[i], left[i], size, size)
        expected = tvf.hflip(expected) if flip[i] else expected
        assert torch.equal(found[i], expected)
    assert torch.equal(found, gathered)


def test_ten_views_are_torchvisions(images):
    mean = np.zeros((20, 20, 3))
    augment = Augment(12, mean)
    ours = torch.stack([augment.view(images, [2], v)[0] for v in range(10)])
    theirs = tvf.ten_crop(chw(images[2]), 12)
    # torchvision's order: corners and center, then the same of the mirrored image, whose left
    # corners are ours at the right.
    for i, j in enumerate([0, 1, 2, 3, 4, 6, 5, 8, 7, 9]):
        assert torch.equal(ours[i], theirs[j].float())


def test_ten_views_of_the_paper():
    assert ten_view_places(256, 224)[:5] == [(0, 0, False), (0, 32, False), (32, 0, False),
                                             (32, 32, False), (16, 16, False)]
    assert [v[:2] for v in ten_view_places(256, 224)[5:]] == [v[:2] for v in
                                                              ten_view_places(256, 224)[:5]]


def test_every_position_is_drawn_33_by_33_by_2():
    """The source draws 0 ... 32 inclusive (convdata_jpeg.py:239): 2178 crops, not 2048."""
    grid = np.arange(256)
    image = np.stack(np.broadcast_arrays(grid[:, None], grid[None, :], 0 * grid), -1)
    augment = Augment(224, np.zeros((256, 256, 3)))
    batch = augment.train(image[None].astype(np.uint8), [0] * 400,
                          torch.Generator().manual_seed(0))
    tops = batch[:, 0, 0, 0].int().tolist()
    flipped = (batch[:, 1, 0, 0] > batch[:, 1, 0, 1]).tolist()
    assert set(tops) == set(range(33))
    assert 140 < sum(flipped) < 260


def test_mean_is_subtracted_at_the_pixels_own_place_or_from_the_center(images):
    mean = np.random.default_rng(1).random((20, 20, 3), dtype=np.float32) * 255
    def drawn(at):
        return Augment(12, mean, mean_at=at).train(images, [3], torch.Generator().manual_seed(5))
    plain = Augment(12, 0 * mean).train(images, [3], torch.Generator().manual_seed(5))
    own, center = plain - drawn("pixel"), plain - drawn("center")
    torch.testing.assert_close(center[0], torch.from_numpy(mean[4:16, 4:16]).permute(2, 0, 1))
    moved = Augment(12, 0 * mean).train(mean[None], [0], torch.Generator().manual_seed(5))
    torch.testing.assert_close(own, moved)
    assert not torch.allclose(own, center)


def test_one_crop_and_flip_for_32_images():
    grid = np.arange(40)
    image = np.stack(np.broadcast_arrays(grid[:, None], grid[None, :], 0 * grid), -1)
    augment = Augment(8, np.zeros((40, 40, 3)), crop_group_size=32)
    batch = augment.train(image[None].astype(np.uint8), [0] * 128,
                          torch.Generator().manual_seed(1))
    chunks = batch.split(32)
    assert all((chunk == chunk[0]).all() for chunk in chunks)
    assert len({tuple(chunk[0, :, 0, 0].tolist()) for chunk in chunks}) > 1


def test_without_crop_and_flip_it_is_the_center(images):
    augment = Augment(12, np.zeros((20, 20, 3)), crop=False, flip=False)
    batch = augment.train(images, [0, 1], torch.Generator().manual_seed(0))
    assert torch.equal(batch, augment.view(images, [0, 1]))
    assert torch.equal(batch[1], tvf.center_crop(chw(images[1]), 12).float())


@pytest.mark.parametrize("kind", [np.uint8, np.float32])  # cut by the kernel, and without it
@pytest.mark.parametrize("color", ["none", "2012"])
def test_batches_can_be_divided(images, kind, color):
    made = [Augment(12, np.full((20, 20, 3), 100.0), VALUES, VECTORS, color=color,
                    input_divisor=divisor) for divisor in (1.0, 58.0)]
    for plain, divided in zip(*([augment.train(images.astype(kind), [0, 3],
                                               torch.Generator().manual_seed(0)),
                                 augment.view(images.astype(kind), [1])] for augment in made),
                              strict=True):
        torch.testing.assert_close(divided, plain / 58)


VALUES = np.array([9000.0, 900.0, 90.0])
VECTORS = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]


@pytest.mark.parametrize("definition, scale, divisor", [("paper", VALUES / 255, 1.0),
                                                        ("2012", VALUES ** 0.5, 1.1)])
def test_color_noise_has_the_stated_strength(definition, scale, divisor):
    batch = torch.zeros(4000, 3, 2, 2)
    noisy = pca_color(batch, VALUES, VECTORS, definition, 0.1, torch.Generator().manual_seed(0))
    assert (noisy == noisy[:, :, :1, :1]).all()  # the same for all pixels of an image
    along = noisy[:, :, 0, 0].double().numpy() @ VECTORS
    np.testing.assert_allclose(along.std(0), 0.1 * scale / divisor, rtol=0.05)
    correlation = np.corrcoef(along.T) - np.eye(3)
    assert abs(correlation).max() < 0.06


def test_source_divides_the_image_by_1_1():
    batch = torch.full((1, 3, 2, 2), 11.0)
    still = pca_color(batch, np.zeros(3), VECTORS, "2012")
    torch.testing.assert_close(still, batch / 1.1)
    assert torch.equal(pca_color(batch, VALUES, VECTORS, "none"), batch)


def test_gray_is_the_mean_of_the_channels(images):
    gray = Augment(20, np.zeros((20, 20, 3)), gray=True).view(images, [0])
    np.testing.assert_allclose(gray[0, 0].numpy(), images[0].mean(-1), rtol=1e-6)


def test_the_same_generator_draws_the_same_batch(images):
    augment = Augment(12, np.zeros((20, 20, 3)), VALUES, VECTORS, color="paper")
    one, two = (augment.train(images, [0, 1, 2], torch.Generator().manual_seed(9))
                for _ in range(2))
    assert torch.equal(one, two)
    assert one.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])  # cut by the kernel, and without it
def test_images_of_another_size_than_the_mean_are_refused(images, kind):
    augment = Augment(12, np.zeros((20, 20, 3)))
    generator = torch.Generator()
    for side in (18, 24):
        others = np.zeros((2, side, side, 3), kind)
        told = f"these images are {side} px, but .* stored at 20 px: load them with that size"
        for make in (lambda x: augment.train(x, [0], generator), lambda x: augment.view(x, [0])):
            with pytest.raises(UserError, match=told):
                make(others)
            with pytest.raises(UserError, match=told):
                make(torch.from_numpy(others))
    with pytest.raises(UserError, match=r"of shape \(20, 24, 3\), but"):
        augment.view(np.zeros((2, 20, 24, 3), kind), [0])
    with pytest.raises(UserError, match=r"of shape \(20, 20, 1\), but"):
        augment.view(images[..., :1].astype(kind), [0])


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("gray", [False, True])
def test_no_images_make_an_empty_batch(images, kind, gray):
    augment = Augment(12, np.zeros((20, 20, 3)), VALUES, VECTORS, color="paper", gray=gray)
    for index in ([], torch.arange(0), range(0)):
        for batch in (augment.view(images.astype(kind), index),
                      augment.train(images.astype(kind), index, torch.Generator())):
            assert batch.shape == (0, 1 if gray else 3, 12, 12) and batch.dtype == torch.float32
    none = torch.arange(0)
    assert _gather(torch.from_numpy(images), none, none, none, none > 0, 12).shape[0] == 0


def test_only_the_share_is_cut(images, monkeypatch):
    """What a process of several makes for itself is its part of what one would make."""
    cut = []
    make = ops.make_batch
    monkeypatch.setattr(ops, "make_batch", lambda images, index, *args: cut.append(len(index))
                        or make(images, index, *args))
    index = torch.tensor([5, 0, 3, 3, 1, 2, 4])
    Augment(12, np.zeros((20, 20, 3)), mean_at="center").train(
        images, index, torch.Generator(), share=slice(1, 3))
    assert cut == [2]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("options", [
    {}, {"color": "2012"}, {"mean_at": "center", "crop_group_size": 3}])
def test_a_share_is_that_part_of_the_whole_batch(images, kind, options):
    mean = np.random.default_rng(1).random((20, 20, 3), dtype=np.float32) * 255
    augment = Augment(12, mean, VALUES, VECTORS, **options)
    for index in (torch.tensor([5, 0, 3, 3, 1, 2, 4]), [5, 0, 3, 3, 1, 2, 4]):
        generator = torch.Generator().manual_seed(3)
        whole, after = augment.train(images.astype(kind), index, generator), generator.get_state()
        for share in (slice(0, 4), slice(4, 7), slice(2, 2), slice(None, None, 2)):
            generator.manual_seed(3)
            part = augment.train(images.astype(kind), index, generator, share=share)
            assert torch.equal(part, whole[share])
            assert torch.equal(generator.get_state(), after)


@pytest.mark.parametrize("make, told", [
    (lambda: Augment(21, np.zeros((20, 20, 3))), "do not fit"),
    (lambda: Augment(12, np.zeros((20, 20, 3)), color="pink"),
     "^color must be none, paper or 2012, not 'pink'$"),
    (lambda: Augment(12, np.zeros((20, 20, 3)), mean_at="corner"),
     "^mean-at must be pixel or center, not 'corner'$"),
    (lambda: pca_color(torch.zeros(1, 3, 2, 2), VALUES, VECTORS, "2014"), "color must be"),
])
def test_bad_input_is_refused(make, told):
    with pytest.raises(UserError, match=told):
        make()
