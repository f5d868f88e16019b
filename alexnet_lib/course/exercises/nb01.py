"""Exercises of notebook 01, the dataset."""

import numpy as np

from alexnet_lib.course.exercises import exercise, expect, number


@exercise("01-1", "Draw the picture, scaled to the shorter side, and shade the central square.")
def kept(answer):
    expect(abs(number(answer(300, 300)) - 1) < 0.005, "Of a square, all is kept: 1.")
    wide = number(answer(500, 375))
    expect(abs(wide - 0.25) > 0.005, "0.25 of a picture of 500 x 375 is lost; what is kept?")
    expect(abs(wide - 0.75) < 0.005, "Of 500 x 375, three quarters are kept.")
    expect(abs(number(answer(375, 500)) - 0.75) < 0.005,
           "A tall picture loses as much as a wide one: ask which side is shorter.")
    expect(abs(number(answer(1000, 400)) - 0.4) < 0.005, "Of 1000 x 400, two fifths are kept.")
    return "Scaling takes nothing away; only the shape of the picture decides."


@exercise("01-2", "Count the numbers in one image, then the bytes of each number.")
def gigabytes(answer):
    expect(abs(number(answer(1000, 1000, 1)) - 3) < 1e-6,
           "1000 images of 1000 x 1000, one byte for each of three colors: 3 GB of 10**9 bytes.")
    expect(abs(number(answer(1_200_000, 256, 1)) - 235.9296) < 1e-3,
           "1.2 million images of 256 x 256 in bytes: 235.9 GB.")
    expect(abs(number(answer(1_200_000, 256, 4)) - 943.7184) < 1e-3,
           "In numbers of four bytes it is four times as much.")
    return "So a byte per value it is, until the very minibatch is made."


@exercise("01-3", "An answer counts as right when its label is among the k highest scores.")
def topk_error(answer):
    scores = np.array([[5, 4, 3, 2, 1, 0], [0, 1, 2, 3, 4, 5], [5, 0, 4, 1, 3, 2]], float)
    labels = np.array([0, 1, 4])

    def error(k, s=scores, y=labels):
        return number(answer(s.copy(), y.copy(), k))

    first = error(1)
    expect(abs(first - 1 / 3) > 1e-6, "One of the three is right at k = 1: that is the share of "
           "right answers, and the error is what is left.")
    expect(abs(first - 2 / 3) < 1e-6, "With k = 1, two of the three examples are wrong: 2/3.")
    expect(abs(error(3) - 1 / 3) < 1e-6, "With k = 3, only the second example is wrong: its label "
           "has the fifth place. Sort by falling score, and give a fraction.")
    expect(abs(error(2) - 2 / 3) < 1e-6, "With k = 2 the third example is still wrong: its label "
           "has the third place.")
    expect(abs(error(4) - 1 / 3) < 1e-6, "With k = 4 the second example is still wrong: its label "
           "has the fifth place.")
    expect(abs(error(5)) < 1e-6, "With k = 5 all three labels are among the best five.")
    expect(abs(error(1, scores - 3.6) - 2 / 3) < 1e-6,
           "Scores may be negative: only their order counts.")
    return "Top-5 never exceeds top-1: what is first is also among the first five."


@exercise("01-4", "Take the mean color away first; then np.cov or a matrix product; then eigh.")
def principal(answer):
    rng = np.random.default_rng(1)
    mix = np.array([[40, 5, 1], [40, -9, 3], [40, 4, -6]], float)
    pixels = rng.standard_normal((500, 3)) @ mix.T + (120, 110, 90)
    values, vectors = answer(pixels.copy())
    values, vectors = np.asarray(values, float), np.asarray(vectors, float)
    expect(values.shape == (3,) and vectors.shape == (3, 3),
           "Give three eigenvalues and a 3 x 3 array whose columns are the vectors.")
    covariance = np.cov(pixels.T, bias=True)
    right = np.linalg.eigvalsh(covariance)[::-1]
    close = {"rtol": 0.01}
    expect(not np.allclose(values, right[::-1], **close),
           "These are the right values, from the smallest up: the first should be the largest.")
    expect(not np.allclose(values, np.sqrt(right), **close),
           "These are standard deviations: the eigenvalues are their squares.")
    second = np.linalg.eigvalsh(pixels.T @ pixels / len(pixels))[::-1]
    expect(not np.allclose(values, second, **close),
           "The mean color is still in: the first axis points at it. Take it away first.")
    expect(not np.allclose(values, right * len(pixels), **close),
           "Divide by the number of pixels: a covariance is a mean.")
    expect(np.allclose(values, right, **close), f"The values should be near {right.round()}.")
    rebuilt = vectors @ np.diag(values) @ vectors.T
    expect(np.allclose(rebuilt, covariance, atol=0.02 * right[0]),
           "The values are right. Are the vectors in the columns, in the same order?")
    return "Each column is a color direction, each value the variance along it."
