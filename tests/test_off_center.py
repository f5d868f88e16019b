"""Photographs moved about: where they end up, what is counted, and what the record says."""

import json

import numpy as np
import pytest

from alexnet_lib import course, datasets
from alexnet_lib.config import TrainConfig
from alexnet_lib.research import off_center
from alexnet_lib.training import Trainer


@pytest.fixture(scope="module")
def net():
    data = datasets.load("shapes", 72, counts={"train": 24, "val": 10, "test": 12}, progress=False)
    return Trainer(TrainConfig(data="shapes", input_size=67, stored_size=72, width=0.1,
                               device="cpu", precision="fp32"), data, progress=False)


@pytest.mark.parametrize("down, across, top, left", [(0, 0, 16, 16), (-1, -1, 2, 2), (1, 1, 29, 29),
                                                     (0, 1, 16, 29), (-1, 0, 2, 16)])
def test_a_moved_photograph_lies_where_it_should(net, down, across, top, left):
    """40 of the 67 pixels that the net sees of 72, from pixel 2 to 68."""
    images = np.full((2, 72, 72, 3), 255, np.uint8)
    out = off_center.moved(net, images, down, across)
    assert out.shape == images.shape and out.dtype == np.uint8
    white = (out == 255).all(3)
    rows, columns = white[1].any(1).nonzero()[0], white[1].any(0).nonzero()[0]
    assert (rows[0], columns[0], len(rows), len(columns)) == (top, left, 40, 40)
    assert white.sum() == 2 * 40 * 40
    ground = net.augment.mean.mean((0, 1)).round()
    assert out[0, 0, 0].tolist() == ground.tolist()


def test_a_whole_photograph_is_that_photograph(net):
    images, _ = datasets.shapes.render(0, 2, 67)
    out = off_center.moved(net, images, 0, 0, share=1)
    assert np.array_equal(out[:, 2:69, 2:69], images)


def test_answers_come_in_the_order_of_the_places(net):
    from alexnet_lib.evaluation import probabilities
    images, _ = datasets.shapes.render(0, 3, 72)
    found = off_center.answers(net, images)
    assert found.shape == (10, 3)
    assert found[9].tolist() == probabilities(net, images).argmax(1).tolist()
    right = probabilities(net, off_center.moved(net, images, 0, 1)).argmax(1)
    assert off_center.PLACES[5] == (0, 1) and found[5].tolist() == right.tolist()


def test_the_record_adds_up():
    record = json.loads((course.ROOT / "data" / "results" / "off-center.json").read_text())
    middle = record["wrong"][4]
    assert record["places"][4] == [0, 0] and len(record["said"]) == 10
    assert all(sum(said) == record["images"] for said in record["said"])
    for wrong, there, center in zip(record["wrong"], record["wrong_only_there"],
                                    record["wrong_only_in_the_center"], strict=True):
        assert wrong - there == middle - center
    assert record["wrong_whole"] < min(record["wrong"])
