"""Evaluation against counting by hand."""

import contextlib

import numpy as np
import pytest
import torch

from alexnet_lib import datasets, ops
from alexnet_lib.augment import ten_view_places
from alexnet_lib.checkpoints import write_checkpoint
from alexnet_lib.config import TrainConfig
from alexnet_lib.errors import UserError
from alexnet_lib.evaluation import (
    calibration_by_chance,
    evaluate,
    predictions,
    probabilities,
    read_predictions,
    scores,
    top_predictions,
)
from alexnet_lib.training import Trainer
from alexnet_lib.weights import LoadedModel

CLASSES = ("a", "b", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def data():
    return datasets.load("shapes", 40, counts={"train": 32, "val": 30})


@pytest.fixture(scope="module")
def net(data):
    run = Trainer(TrainConfig(data="shapes", input_size=36, stored_size=40, width=0.03,
                              device="cpu", precision="fp32"), data)
    for p in run.model.parameters():
        p.data.mul_(3)  # so that its answers depend on the image
    return run


def test_a_batch_too_large_for_the_memory_is_halved(net, data):
    """Ten images are too many, as an allocator would say it; the answers are the same."""
    def full(module, given):
        if len(given[0]) > room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    images = data.splits["val"].images
    whole = probabilities(net, images, 10)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.callback(net.model.features.conv3.register_forward_pre_hook(full).remove)
        room = 9
        torch.testing.assert_close(probabilities(net, images, 10), whole)
        room = 0
        with pytest.raises(UserError, match="with a single image"):
            probabilities(net, images)


def test_scores_by_counting():
    rng = np.random.default_rng(0)
    probs = torch.from_numpy(rng.dirichlet(np.ones(6), 200)).float()
    labels = torch.from_numpy(rng.integers(0, 5, 200))  # class f never occurs
    found = scores(probs, labels, CLASSES)
    guess = probs.argmax(1)
    assert found["top1_error"] == pytest.approx((guess != labels).float().mean().item())
    right = [labels[i] in probs[i].argsort(descending=True)[:5] for i in range(200)]
    assert found["top5_error"] == pytest.approx(1 - np.mean(right))
    for i, name in enumerate(CLASSES):
        hits = int(((guess == i) & (labels == i)).sum())
        said, there = int((guess == i).sum()), int((labels == i).sum())
        row = found["per_class"][name]
        assert row["images"] == there
        assert row["precision"] == pytest.approx(hits / said if said else 0)
        assert row["recall"] == pytest.approx(hits / there if there else 0)
        assert row["f1"] == pytest.approx(2 * hits / (said + there) if said + there else 0)
        assert found["confusion"][i] == [int(((labels == i) & (guess == j)).sum())
                                         for j in range(6)]
    assert found["f1"] == pytest.approx(np.mean([found["per_class"][name]["f1"]
                                                 for name in CLASSES[:5]]))
    truth = probs[torch.arange(200), labels]
    assert found["loss"] == pytest.approx(-truth.log().mean().item(), rel=1e-5)
    sure, right = probs.max(1).values.numpy(), (guess == labels).numpy()
    bins = [(sure > low) & (sure <= low + 1 / 15) for low in np.arange(15) / 15]
    gaps = [chosen.mean() * abs(sure[chosen].mean() - right[chosen].mean())
            for chosen in bins if chosen.any()]
    assert found["calibration_error"] == pytest.approx(sum(gaps), rel=1e-4)


def test_chance_alone_makes_a_calibration_error():
    sure = torch.eye(6)[torch.arange(60) % 6]
    assert calibration_by_chance(sure, CLASSES, 3) == [0, 0, 0]  # where nothing is left to chance
    torch.manual_seed(0)
    probs = torch.tensor([0.6, 0.4, 0, 0, 0, 0])
    few, many = (np.mean(calibration_by_chance(probs.expand(n, 6), CLASSES)) for n in (50, 5000))
    # One bin: the mean of |share - 0.6| over draws of n labels, sqrt(2 / pi) of its std.
    assert few == pytest.approx((0.24 / 50) ** 0.5 * 0.798, rel=0.5)
    assert many == pytest.approx((0.24 / 5000) ** 0.5 * 0.798, rel=0.5)


def test_averages_are_over_the_classes_that_occur():
    """As with 3 of a net's 10 classes in a folder: class c is guessed once, and never there."""
    probs = torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    found = scores(probs, torch.tensor([0, 1, 1, 1]), ("a", "b", "c"))
    assert found["top1_error"] == 0.5
    assert found["precision"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["recall"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found["per_class"]["c"] == {"precision": 0, "recall": 0, "f1": 0, "images": 0}


def test_no_images_have_no_probabilities(net, data):
    for context in (contextlib.nullcontext, ops.plain):
        with context():
            for views in (1, 10):
                found = probabilities(net, data.splits["val"].images[:0], views)
                assert found.shape == (0, len(net.classes)) and found.dtype == torch.float32


def test_images_of_another_size_are_refused(net):
    with pytest.raises(UserError, match="are 48 px, .* stored at 40 px"):
        probabilities(net, np.zeros((2, 48, 48, 3), np.uint8))


def test_ten_views_average_probabilities_not_logits(net, data):
    images = data.splits["val"].images[:5]
    mean = torch.from_numpy(data.mean)
    total, logits = 0, 0
    for top, left, flip in ten_view_places(40, 36):
        x = torch.from_numpy(images).float() - mean
        x = x[:, top:top + 36, left:left + 36].permute(0, 3, 1, 2)
        with torch.no_grad():
            out = net.model.eval()((x.flip(3) if flip else x) if net.config.mean_at == "pixel"
                                   else _centered(images, data.mean, top, left, flip))
        total, logits = total + out.softmax(1), logits + out
    found = probabilities(net, images, 10)
    torch.testing.assert_close(found, total / 10, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found, (logits / 10).softmax(1), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found.sum(1), torch.ones(5))


def _centered(images, mean, top, left, flip):
    """The source takes the center of the mean off whatever the crop."""
    x = torch.from_numpy(images[:, top:top + 36, left:left + 36].copy()).float()
    x = x.flip(2) if flip else x
    return (x - torch.from_numpy(mean)[2:38, 2:38]).permute(0, 3, 1, 2)


def test_evaluate_names_what_it_measured(net, data):
    found = evaluate(net, data, "val", 10)
    assert (found["data"], found["split"], found["views"], found["images"]) == (
        "shapes", "val", 10, 30)
    assert sum(map(sum, found["confusion"])) == 30
    assert net.model.training is False


def test_top_predictions_are_sorted(net, data):
    row, = top_predictions(net, data.splits["val"].images[:1], 3)
    assert len(row) == 3 and row == sorted(row, key=lambda pair: -pair[1])


def test_what_cannot_be_evaluated_is_refused(net, data):
    with pytest.raises(UserError, match="views must be 1 or 10"):
        evaluate(net, data, views=5)
    with pytest.raises(UserError, match="no split 'dev': use one of train, val"):
        evaluate(net, data, "dev")
    with pytest.raises(UserError, match="no images"):
        scores(torch.empty(0, 6), torch.empty(0, dtype=torch.long), CLASSES)


def test_kept_predictions_give_the_same_figures(net, data, tmp_path):
    loaded = LoadedModel(net.model, net.config, data.classes, net.augment, {"config": {"seed": 0}})
    answers = predictions(loaded, data, "val")
    answers.save(tmp_path / "p.safetensors")
    again = read_predictions(tmp_path / "p.safetensors")
    assert again.classes == data.classes and again.about == answers.about
    torch.testing.assert_close(again.probs, answers.probs, rtol=1e-3, atol=1e-4)
    assert (again.labels == answers.labels).all() and again.labels.dtype == torch.int64
    assert (tmp_path / "p.safetensors").stat().st_size < 2500
    found, now = answers.scores(), again.scores()
    assert now["top1_error"] == found["top1_error"] and now["confusion"] == found["confusion"]
    assert found == evaluate(loaded, data, "val")


def test_files_that_hold_no_predictions(tmp_path):
    with pytest.raises(UserError, match="no file of predictions"):
        read_predictions(tmp_path / "none")
    with pytest.raises(UserError, match="not a file of predictions"):
        read_predictions(__file__)
    write_checkpoint(tmp_path / "net.safetensors", {"x": torch.zeros(1)}, {"format": 1})
    with pytest.raises(UserError, match="not a file of predictions"):
        read_predictions(tmp_path / "net.safetensors")
