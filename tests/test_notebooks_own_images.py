"""The live cells work with images of one's own, too: ALEXNET_DATA=folder:PATH.

A flat folder has no test split and lies class by class; its classes may be few or many. The cells
run as they stand in the notebooks, without those between them, and train for two epochs.
"""

import ast
import dataclasses

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from alexnet_lib import config, course, datasets, devices, training, weights
from alexnet_lib.course import widgets
from alexnet_lib.datasets import shapes

CHAINS = {
    "00": "data data-picture config train says picture",
    "01": "load look neighbors",
    "03": "start-data start-look start-run race-net race-run race-data race-search race-2012",
    "05": "edges shift-data shift-measure shift-picture",
    "06": "data columns-run bytes",
    "07": "live-config live-train live-error live-verdict live-moved views-net views-picture "
          "views-torchvision views-all",
    "08": "live-config live-learn live-run committee-ask committee-draw committee-picture "
          "committee-widget",
    "09": "dashboard-make dashboard-show dashboard-run dashboard-picture dashboard-verdict "
          "drop-def drop-run drop-picture range-run range-picture plans learn resume-run "
          "resume-equal",
    "10": "left has-left fresh look-inside race stuck-run stuck-picture hook-batch hook hook-share "
          "inside shuffled heart heart-run heart-picture",
    "11": "live live-ask plant worst-picture worst-verdict rare-features rare-layer rare-thinned "
          "rare-run",
    "13": "race-config race-run race-verdict",
    "14": "data features probe-fit probe-untrained tune-function tune-run tune-picture tune-moved "
          "traps-light traps-light-run looks-own",
    "15": "data pictures prepare yours run run-picture run-verdict tested report report-picture "
          "filters filters-share claim-run claim-row claim-ours claim-picture claim-verdict",
}


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Two epochs, two steps of a race, and all as it was afterwards."""
    threads, train = torch.get_num_threads(), training.train
    monkeypatch.setattr(course, "pick", lambda quick, whole: min(quick, 2))
    monkeypatch.setattr(training, "train", lambda config, data, **how: train(
        dataclasses.replace(config, epochs=2), data, progress=False, **how))
    yield
    plt.close("all")
    torch.set_num_threads(threads)


def run(number: str, names: str) -> dict:
    """What the cells of a notebook leave, by name, after all that the notebook imports."""
    (path,) = (course.ROOT / "notebooks").glob(f"{number}-*.ipynb")
    cells = {c.id: c.source for c in nbformat.read(path, as_version=4).cells
             if c.cell_type == "code"}
    left = {"course": course}
    for source in cells.values():
        found = [node for node in ast.parse(source).body if isinstance(node, (ast.Import,
                                                                              ast.ImportFrom))]
        exec(compile(ast.Module(found, []), path.name, "exec"), left)
    for name in names.split():
        exec(compile(cells[f"{number}-{name}"], f"{number}-{name}", "exec"), left)
    return left


def folder(root, classes: int, each: int):
    """A flat folder of drawings: so many classes, so many of each."""
    images, _ = shapes.render(0, classes * each, 66, "train", 0)
    for k, image in enumerate(images):
        place = root / f"class {k // each:02}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{k}.png")
    return f"folder:{root}"


@pytest.fixture(scope="module", params=[(2, 12), (12, 5)], ids=["two classes", "twelve"])
def own(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    return folder(root / "images", *request.param), root / "packed"


@pytest.mark.parametrize("number", CHAINS)
def test_live_cells_take_a_flat_folder(number, own, monkeypatch):
    name, root = own
    monkeypatch.setattr(course, "data", name)
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(root))
    run(number, CHAINS[number])


@pytest.mark.parametrize("number, names", [
    ("10", "left has-left fresh look-inside race stuck-run hook-batch hook hook-share inside "
           "modes"),
    ("12", "load initial photographs made-picture made-verdict looks-both looks-picture"),
])
def test_live_cells_where_bf16_is_the_usual_precision(number, names, monkeypatch):
    monkeypatch.setattr(devices, "pick_precision", bf16 := lambda name, *where:
                        "bf16" if name == "auto" else name)
    monkeypatch.setattr(config, "pick_precision", bf16)
    monkeypatch.setattr(weights, "pick_precision", bf16)
    run(number, names)


def by_class(name, size=64, counts=None):
    """Noise in three classes, one after the other, and no test split."""
    def split(each):
        images = np.random.default_rng(0).integers(256, size=(3 * each, size, size, 3), dtype="u1")
        return images, np.repeat(np.arange(3), each)
    parts = {"train": split(1100 if size == 32 else 400), "val": split(400)}
    return datasets._in_memory(name, ("a", "b", "c"), parts, size)


@pytest.mark.parametrize("number, cells, labels", [
    ("03", "start-data race-data", ["classes", "y"]),
    ("06", "data", ["labels"]),
    ("07", "live-config", ["known", "test"]),
    ("08", "live-config", ["known"]),
])
def test_some_images_are_of_all_classes(number, cells, labels, monkeypatch):
    monkeypatch.setattr(datasets, "load", by_class)
    left = run(number, cells)
    for name in labels:
        found = getattr(left[name], "labels", left[name])
        assert set(np.asarray(found).tolist()) == {0, 1, 2}, name


def test_of_each_gives_the_first_of_each_class_in_turn():
    split = datasets.Split(np.arange(7), np.array([3, 1, 1, 3, 0, 1, 3]))
    assert split.balanced_subset(2).images.tolist() == [4, 1, 0, 2, 3]  # of class 0 there is one
    assert split.balanced_subset(1, classes=2).labels.tolist() == [0, 1]


def test_held_out_is_the_test_split_or_else_val(own):
    flat, drawn = datasets.load(own[0], 64, root=own[1], progress=False), by_class("x", 8)
    assert flat.held_out is flat.splits["val"]
    both = dataclasses.replace(drawn, splits=drawn.splits | {"test": drawn.splits["train"]})
    assert both.held_out is drawn.splits["train"]


def test_a_widget_says_what_it_shows():
    with pytest.raises(TypeError, match="text"):
        widgets.explore(lambda x: plt.figure(), x=(0, 1, 1))
