"""Exercises of notebook 11, evaluation."""

import math

import torch

from alexnet_lib.course.exercises import exercise, expect, number, tensor


def _near(value, right: float, tolerance: float = 1e-4) -> bool:
    return abs(number(value) - right) < tolerance


def _numbers(answer, count: int, what: str) -> list[float]:
    try:
        values = list(answer)
    except TypeError:
        values = []
    expect(len(values) == count, f"Return {what}.")
    return [number(value) for value in values]


@exercise("11-1", "Two standard errors are to be d: solve 2 sqrt(p (1 - p) / n) = d for n.")
def images_needed(answer):
    value = number(answer(0.2, 0.08))
    expect(abs(value - 25) > 1.5, "That is for one standard error; two are to be below d.")
    expect(abs(value - 100) <= 1, "20 % error, to 8 points: 100 images, as in the text.")
    expect(abs(number(answer(0.4, 0.01)) - 9600) <= 1, "40 % error, to one point: 9600 images. "
           "Half the interval costs four times the images.")
    expect(abs(number(answer(0.5, 0.1)) - 100) <= 1, "50 % error, to ten points: 100 images.")
    return "For a tenth of a point at 40 %, that is 960,000 images."


@exercise("11-2", "Precision goes down the column, recall along the row.")
def measures(answer):
    fox = [[8, 2, 0], [1, 6, 3], [0, 4, 6]]
    precision, recall, f1 = _numbers(answer(fox, 1), 3, "three numbers: precision, recall, F1")
    expect(not (abs(precision - 0.6) < 1e-4 and abs(recall - 0.5) < 1e-4),
           "Precision and recall are exchanged: a row holds the images of one true class.")
    expect(abs(precision - 0.5) < 1e-4, "The fox: 12 answers name it, 6 of them rightly.")
    expect(abs(recall - 0.6) < 1e-4, "The fox: 10 images, 6 of them found.")
    expect(abs(f1 - 0.55) > 1e-4, "F1 is the harmonic mean, 2PR/(P + R), not the plain one.")
    expect(abs(f1 - 6 / 11) < 1e-4, "F1 of the fox is 0.545.")
    for never in ([[5, 0], [3, 0]], [[5, 1], [3, 0]]):
        try:
            found = _numbers(answer(never, 1), 3, "three numbers also for such a class")
        except ZeroDivisionError:
            found = [math.nan]
        expect(found == [0, 0, 0], "A class that was never named, or never rightly: nothing to "
               "divide by; return zeros.")
    return "Two numbers that pull against each other, and one that is low if either is."


@exercise("11-3", "The difference is that of the two counts; its chance comes from the images on "
                  "which only one net errs.")
def paired(answer):
    difference, error = _numbers(answer(60, 40, 1000), 2, "two numbers: difference, standard error")
    expect(abs(difference + 0.02) > 1e-6, "A less B: A errs more often here, so it is above 0.")
    expect(abs(difference - 0.02) < 1e-6, "60 and 40 of 1000: the difference is 0.02.")
    expect(abs(error - 0.1) > 1e-3, "Divide by all n images, not by the 100 that differ.")
    expect(abs(error - 0.01) < 2e-4, "60 and 40 of 1000: the standard error is about "
           "sqrt(100)/1000 = 0.01.")
    difference, error = _numbers(answer(90, 70, 4000), 2, "two numbers")
    expect(abs(difference - 0.005) < 1e-6, "90 and 70 of 4000: the difference is 0.005.")
    expect(abs(error - 0.00316) < 2e-5, "90 and 70 of 4000: the standard error is 0.0032.")
    return "The images that both nets know, or neither, say nothing about which is better."


@exercise("11-4", "Count, for each image, the classes that are not less probable than the right "
                  "one; an error is a rank above k.")
def top_k_error(answer):
    probs = torch.tensor([[70, 20, 6, 4], [30, 60, 8, 2], [10, 15, 70, 5], [4, 6, 30, 60],
                          [25, 35, 28, 12.0]]) / 100
    labels = torch.tensor([0, 0, 3, 3, 2])
    one = number(answer(probs, labels, 1))
    expect(abs(one - 0.4) > 1e-4, "That is the share of right answers; the error is the rest.")
    expect(abs(one - 3) > 1e-4, "A share is asked for: divide by the number of images.")
    expect(abs(one - 0.6) < 1e-4, "On the five images of the table, the top-1 error is 0.6.")
    expect(_near(answer(probs, labels, 2), 0.2), "On the same five, the top-2 error is 0.2.")
    expect(_near(answer(probs, labels, 4), 0), "With four guesses of four, nothing is missed.")
    dead, every = torch.full((10, 10), 0.1), torch.arange(10)
    expect(_near(answer(dead, every, 1), 1) and _near(answer(dead, every, 5), 1),
           "A net that says 0.1 to each of ten classes has shown nothing: with ties against it, "
           "its top-1 and its top-5 error are 1.")
    silent = torch.full((10, 10), float("nan"))
    expect(_near(answer(silent, every, 1), 1), "A net that says NaN has shown nothing either: "
           "count the classes that are not less probable.")
    return "A dead net fails this test, as it should."


@exercise("11-5", "Sort the answers into bins by how sure they are; compare, in each, the mean of "
                  "sure with the share of right; weight each gap by the answers of its bin.")
def calibration_error(answer):
    sure = [0.3, 0.5, 0.4, 0.6, 0.5, 0.9, 0.8, 0.9, 0.99, 0.91]
    right = [False, True, False, True, False, True, True, False, True, True]
    value = number(answer(sure, right, 3))
    expect(abs(value - 0.4 / 3) > 1e-4, "Bins do not count all the same, but by their answers.")
    expect(abs(value - 0.3) > 1e-4, "That is the largest gap; the mean of the gaps is asked for.")
    expect(abs(value - 0.8) > 1e-4, "Divide by the number of answers at the end.")
    expect(abs(value - 0.08) < 1e-4, "The ten answers of the table (with 99 and 91 for 100 and 90 "
           "%) have 0.08, with three bins.")
    value = number(answer([0.55, 0.95, 0.95, 0.95], [True, False, True, False], 10))
    expect(abs(value - 0.35) > 1e-4, "Gaps do not cancel: take the size of each, without its sign.")
    expect(abs(value - 0.575) < 1e-4, "Three answers of 95 %, one of them right, and one of 55 %, "
           "which is right: with ten bins 0.575.")
    for hit in (True, False):
        expect(abs(number(answer([1.0], [hit], 4)) - (not hit)) < 1e-4, "An answer of 100 % "
               "belongs to the last bin.")
    return "It is small if the net means what it says, and says nothing of how often it is right."


def _asked(scale: float):
    """Logits `scale` times as large as the labels deserve: (logits, labels)."""
    generator = torch.Generator().manual_seed(11)
    honest = 2 * torch.randn(500, 6, generator=generator) + 1
    labels = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    return scale * honest, labels


def _lowest(logits, labels) -> float:
    """The temperature with the lowest loss: a valley, halved until it is found."""
    def slope(log_t):  # of the loss by 1 / T
        p = (logits.double() / math.exp(log_t)).softmax(1)
        return float((logits * p).sum(1).mean() - logits.gather(1, labels[:, None]).mean())

    low, high = math.log(1e-3), math.log(1e3)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return math.exp(low)


@exercise("11-6", "Three steps: the loss at a temperature, the temperature with the lowest loss, "
                  "the probabilities of `new` at it.")
def mended(answer):
    for scale, told in ((1.7, "A net that is too sure"), (0.6, "A net that is not sure enough"),
                        (40.0, "A net of logits 40 times too large"),
                        (0.02, "A net of logits 50 times too small")):
        logits, labels = _asked(scale)
        best = _lowest(logits, labels)
        new = best * torch.tensor([[2.0, 0, 0, 0, 0, 0], [0, 1, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
        probs = tensor(answer(logits.clone(), labels.clone(), new.clone()))
        expect(probs.shape == new.shape, f"The probabilities of `new` are asked for, "
               f"{tuple(new.shape)}; these are {tuple(probs.shape)}.")
        expect(bool(probs.isfinite().all()), f"{told}: your probabilities are not finite. A "
               "softmax can come to 0, and its logarithm is infinite: take log_softmax.")
        expect(torch.allclose(probs.sum(1), torch.ones(3), atol=1e-4), "Each row of probabilities "
               "sums to 1: softmax over the classes, after the division.")
        ratio = float((probs[0, 0] / probs[0, 1]).log())
        found = float(new[0, 0]) / ratio if ratio else math.inf
        expect(abs(found * best - 1) > 0.02 or abs(best - 1) < 0.05,
               "The other way round: logits are divided by T.")
        expect(abs(found / best - 1) < 0.02, f"{told}: the loss is lowest at T = {best:.3g}, and "
               f"you took {found:.3g}. It may lie anywhere between 0.01 and 100, and it is the "
               "loss that chooses: the mean of -ln p of the right class, on all of the images.")
        expect(torch.allclose(probs, (new / found).softmax(1), atol=1e-3),
               "One temperature for all images.")
    return "And not one answer has changed: only how sure they are."
