"""What comes in is checked, whatever it is; what goes out replaces nothing and moves no cursor."""

import numpy as np
import pytest

HOSTILE = ["$x^$", r"$\frac$", "a\x1b]52;c;bad\x07", "two\nlines", "caf\udce9", "a\u202eb"]


def draw_all(classes):
    from alexnet_lib import plots
    from alexnet_lib.plots import augmentation, dropout, evaluation, features
    k = len(classes)
    images = np.zeros((k, 8, 8, 3), np.uint8)
    probs = np.full((10, k), 1 / k)
    history = [{"epoch": 1, "train_error": 0.5, "val_error": 0.5}]
    return [
        plots.image_grid(images, classes),
        plots.first_run([1.0], history, images, range(k), [0] * k, [0.5] * k, classes),
        plots.templates(np.zeros((k, 8, 8, 3)), classes),
        augmentation.ten_views(images[0], [(0, 0, False)] * 10, np.zeros((10, 6, 6, 3), np.uint8),
                               probs, classes, 0),
        dropout.thinned(probs, probs[0], probs[0], probs[0], classes),
        dropout.committee(images[0], probs, probs[0], classes, 0),
        evaluation.confusion(np.ones((k, k)), classes),
        features.planes({"plane": np.zeros((k, 2))}, np.arange(k), classes),
        *(features.looked_at(images[0] / 255, np.zeros((8, 8)), np.zeros((8, 8)), name)
          for name in classes)]


@pytest.mark.filterwarnings("ignore:Glyph")
def test_class_names_are_drawn_as_they_are():
    import matplotlib.pyplot as plt
    for figure in draw_all(HOSTILE):
        figure.canvas.draw()  # a formula that is none would raise here
        plt.close(figure)
