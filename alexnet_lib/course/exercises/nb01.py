"""Exercises of notebook 01, the dataset."""

import numpy as np
import torch

from alexnet_lib.course.exercises import exercise, expect, number
from alexnet_lib.course.photos import photographs

CLOUDS = {"A": "retina", "B": "hubble_deep_field", "C": "immunohistochemistry", "D": "astronaut"}
BUGS = {"Ann": "divided", "Ben": "swapped", "Cy": "none", "Dee": "mean"}


@exercise("01-1", "Only the shape of the picture counts: how wide is the central square in the "
          "original?")
def crop(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2,
           "Pass (first_column, bird_is_there).")
    first, there = number(answer[0]), answer[1]
    expect(abs(first - 99.5) > 1, "That's a column of the scaled picture; the question is about "
           "the original.")
    expect(abs(first - 840) > 1, "840 columns go in all, but half of them are on the right.")
    expect(first > 1, "1920 columns and 1080 rows don't make a square: some "
           "columns on the left are cut off.")
    expect(abs(first - 420) <= 1, f"With {first:g} columns gone on the left and as many on the "
           f"right, {1920 - 2 * first:g} remain. That isn't a square.")
    expect(isinstance(there, (bool, np.bool_)), "Is the bird there? Answer True or False.")
    expect(not there, f"Column 400 is to the left of {first:g}.")
    return "The bird is out of the picture, and the label is still “bird”."


@exercise("01-2", "Find the corners of black, white, and red in the plane. Then ask which "
          "photograph has pixels there.")
def clouds(answer):
    expect(isinstance(answer, dict) and set(answer) == set(CLOUDS), "Fill in A, B, C, and D.")
    expect(set(answer.values()) <= set(CLOUDS.values()),
           f"Use the names {', '.join(sorted(CLOUDS.values()))}.")
    why = {"B": "In B, nearly all pixels are in the lower left corner, which is black.",
           "A": "A runs toward the lower right corner: much red, hardly any blue.",
           "C": "C has no dark pixels at all, and many that are nearly white.",
           "D": "D has every brightness along the diagonal, and a second arm toward red."}
    for letter, words in why.items():
        expect(answer[letter] == CLOUDS[letter], words)
    return "You can read a picture's light and color from its cloud alone."


@exercise("01-3", "Call `stuck` for each of the three changes. Compare the results with "
          "`stuck(raw)` and `stuck(centered)`.")
def what_frees(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2 and isinstance(answer[0], dict),
           "Pass (percent, what_matters).")
    percent, matters = answer
    expect({"divide by 255", "subtract 128", "subtract 230"} <= set(percent)
           and not {None, ...} & set(percent.values()), "Measure all three.")
    found = {name: number(value) for name, value in percent.items()}
    expect(not all(0 <= value <= 1 for value in found.values()), "Give percentages, 0 to 100.")
    expect(found["divide by 255"] > 30, "Dividing by 255 keeps the sign of every response; "
           f"{found['divide by 255']:.0f}% stuck is too low. Did you subtract something, too?")
    expect(found["subtract 128"] < 30, f"{found['subtract 128']:.0f}% stuck is too high for "
           "pixels around zero. Subtract 128 from the raw pixels.")
    expect(found["subtract 230"] > 30, "230 is nearly white, so most pixels become negative. "
           f"{found['subtract 230']:.0f}% stuck is too low.")
    expect(matters in ("size", "center"), 'Is it the "size" or the "center"?')
    expect(matters == "center", "Dividing by 255 changed the size by a factor of 255, but it "
           "didn't free a single filter.")
    return ("Pixels must lie on both sides of zero. The exact number hardly matters, so "
            "the mean image could shrink to a mean color.")


def loaders() -> dict[str, torch.Tensor]:
    """The batches of exercise 01-4, by colleague: four photographs, (4, 3, 64, 64) float32."""
    raw = np.stack(list(photographs(64, ("astronaut", "cat", "coffee", "grace_hopper")).values()))
    mean = raw.mean(0)
    ways = {"none": raw - mean, "mean": raw, "divided": (raw - mean) / 255,
            "swapped": raw[..., ::-1] - mean}
    return {name: torch.tensor(ways[bug].copy()).permute(0, 3, 1, 2).float()
            for name, bug in BUGS.items()}


@exercise("01-4", "For each batch, print the smallest and the largest value and the mean of each "
          "color. What should these be after the paper's preparation?")
def bugs(answer):
    expect(isinstance(answer, dict) and set(answer) == set(BUGS), "Fill in all four names.")
    expect(set(answer.values()) <= set(BUGS.values()),
           'Use "none", "mean", "divided" and "swapped".')
    expect(len(set(answer.values())) == 4, "Use each of the four once.")
    batches = loaders()
    for name, bug in answer.items():
        x = batches[name]
        low, high = x.min().item(), x.max().item()
        middle = ", ".join(f"{value:.0f}" for value in x.mean((0, 2, 3)))
        expect(bug == BUGS[name], f"{name}'s values run from {low:.1f} to {high:.1f}, with means "
               f"of {middle}. Is that “{bug}”?")
    return "Print these numbers for every loader you write. It takes ten seconds."


@exercise("01-5", "Keep three totals over all pixels: their number, the sum of x, and the sum of "
          "the products x.T @ x.")
def color_statistics(answer):
    rng = np.random.default_rng(1)
    mix = np.array([[40, 5, 1], [40, -9, 3], [40, 4, -6]], float)
    parts = [(rng.standard_normal((n, 6, 6, 3)) @ mix.T + light).clip(0, 255).astype(np.uint8)
             for n, light in ((7, (150, 120, 90)), (2, (60, 70, 90)), (5, (190, 170, 160)))]

    def batches():
        memory = np.empty((7, 6, 6, 3), np.uint8)
        for part in parts:
            memory[:len(part)] = part
            yield memory[:len(part)]

    mean, covariance = (np.asarray(value, float) for value in answer(batches()))
    pixels = np.concatenate([part.reshape(-1, 3) for part in parts]).astype(float)
    right, right_mean = np.cov(pixels.T, bias=True), pixels.mean(0)
    expect(mean.shape == (3,) and covariance.shape == (3, 3),
           f"The shapes should be (3,) and (3, 3); yours are {mean.shape} and {covariance.shape}.")

    def close(found, wanted):
        return np.allclose(found, wanted, rtol=0.01)

    by_part = [part.reshape(-1, 3).astype(float) for part in parts]
    expect(not close(mean, np.mean([x.mean(0) for x in by_part], 0)),
           "That's the mean of the batches' means. A batch of 2 images must not count as much as "
           "one of 7.")
    expect(close(mean, right_mean), f"The mean should be near {right_mean.round()}; yours is "
           f"{mean.round()}. Did you store batches that the loader has overwritten?")
    expect(not close(covariance, (pixels.T @ pixels) / len(pixels)),
           "That's the mean of the products. What still has to be subtracted?")
    expect(not close(covariance, right * len(pixels)),
           "Divide by the number of pixels: a covariance is a mean.")
    expect(not close(covariance, sum(len(x) * np.cov(x.T, bias=True) for x in by_part)
                     / len(pixels)),
           "You subtracted each batch's own mean. That some batches are darker than others is "
           "part of the covariance, too.")
    expect(close(covariance, right), "The mean is right, but the covariance isn't. Did you "
           "multiply bytes? In uint8, 200 * 2 is 144.")
    return "That's how the components of 1.2 million photographs are found, in one pass."
