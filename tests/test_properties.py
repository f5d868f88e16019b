"""What holds for all inputs, tried on many drawn ones."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as tvf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from alexnet_lib import datasets
from alexnet_lib.augment import Augment
from alexnet_lib.config import TrainConfig
from alexnet_lib.models import AlexNet, alexnet_sizes, smallest_input
from alexnet_lib.training import begin, go_on, train

POOLS = st.sampled_from([(3, 2), (2, 2)])


@settings(max_examples=30, deadline=None)
@given(pool=POOLS, extra=st.integers(0, 90), columns=st.sampled_from([1, 2]), lrn=st.booleans(),
       variant=st.sampled_from(["paper", "2012"]),
       omit_layer=st.sampled_from([None, "conv3", "conv4", "norm2"]), connect_columns=st.booleans(),
       channels=st.sampled_from([1, 3]), classes=st.integers(1, 12), images=st.integers(1, 3))
def test_every_net_has_the_sizes_that_are_promised(pool, extra, columns, lrn, variant, omit_layer,
                                                   connect_columns, channels, classes, images):
    size = smallest_input(pool) + extra
    net = AlexNet(classes, channels, size, variant, columns, lrn=lrn, pool=pool, width=0.03,
                  omit_layer=omit_layer, connect_columns=connect_columns).eval()
    seen = {}
    for name, layer in net.features.named_children():
        layer.register_forward_hook(lambda m, x, y, name=name: seen.update({name: y.shape}))
    with torch.no_grad():
        out = net(torch.randn(images, channels, size, size))
    assert out.shape == (images, classes)
    for name, side in alexnet_sizes(size, pool).items():
        if name != omit_layer:
            assert seen[name][0] == images and seen[name][2:] == (side, side), name


@settings(max_examples=50, deadline=None)
@given(stored=st.integers(2, 40), data=st.data())
def test_ten_views_of_any_size(stored, data):
    size = data.draw(st.integers(1, stored))
    image = np.random.default_rng(stored).integers(0, 256, (stored, stored, 3), dtype=np.uint8)
    augment = Augment(size, np.zeros((stored, stored, 3)))
    views = torch.stack([augment.view(image[None], [0], v)[0] for v in range(10)])
    picture = torch.from_numpy(image).permute(2, 0, 1)
    far, mid = stored - size, (stored - size) // 2
    for view, (top, left) in zip(views, [(0, 0), (0, far), (far, 0), (far, far), (mid, mid)],
                                 strict=False):
        assert torch.equal(view, tvf.crop(picture, top, left, size, size).float())
    assert torch.equal(views[5:], views[:5].flip(3))


@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70),
                                st.sampled_from(["RGB", "L", "RGBA", "1"])),
                      min_size=4, max_size=9),
       size=st.integers(8, 40))
def test_a_store_gives_back_every_image(sizes, size):
    rng = np.random.default_rng(len(sizes))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        for i, (height, width, mode) in enumerate(sizes):
            path = folder / ("train", "val")[i // 2 % 2] / f"class{i % 2}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
            Image.fromarray(pixels, "RGBA").convert(mode).save(path)
        data = datasets.load(f"folder:{folder}", size, root=Path(name) / "root", progress=False)
        assert data.classes == ("class0", "class1")
        for split in ("train", "val"):
            paths = sorted((folder / split).rglob("*.png"))
            assert len(data.splits[split]) == len(paths)
            found = {(int(label), image.tobytes()) for image, label in
                     zip(data.splits[split].images, data.splits[split].labels, strict=True)}
            assert found == {(int(path.parent.name[-1]),
                              datasets.prepare_image(path, size).tobytes()) for path in paths}
        again = datasets.load(f"folder:{folder}", size, root=Path(name) / "root", progress=False)
        assert again.fingerprint == data.fingerprint


TINY = {"data": "shapes", "input_size": 36, "stored_size": 40, "width": 0.03, "epochs": 3,
        "batch_size": 16, "precision": "fp32", "device": "cpu"}


@cache
def few():
    return datasets.load("shapes", 40, counts={"train": 64, "val": 16, "test": 10}, progress=False)


@cache
def undisturbed(schedule):
    return train(TrainConfig(**TINY, lr_scheduler=schedule), few(), progress=False)


@settings(max_examples=8, deadline=None)
@given(stops=st.lists(st.integers(1, 11), min_size=1, max_size=3, unique=True),
       schedule=st.sampled_from(["plateau", "145", "restart", "steps", "cifar", "constant"]))
def test_stopped_anywhere_a_run_ends_in_the_same_bits(stops, schedule):
    with tempfile.TemporaryDirectory() as out:
        config = TrainConfig(**TINY, lr_scheduler=schedule, out=out)
        for i, stop in enumerate(sorted(stops)):
            run = begin(config, few(), resume=i > 0, progress=False)
            go_on(run, progress=False, on_step=lambda run, stop=stop: run.step == stop)
            assert run.step == stop
        run = train(config, few(), resume=True, progress=False)
    whole = undisturbed(schedule)
    assert run.losses == whole.losses
    for ours, theirs in zip(run.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
