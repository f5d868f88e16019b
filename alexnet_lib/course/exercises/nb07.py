"""Exercises of notebook 07, data augmentation."""

import math

import numpy as np
import torch

from alexnet_lib.course.exercises import exercise, expect, number, tensor


@exercise("07-1", "Along one side: how many first pixels can a crop have? Two sides, then mirrors.")
def inputs(answer):
    expect(number(answer(4, 3)) == 8, "Crops of 3 in a picture of 4 begin at pixel 0 or 1, along "
           "each side: 4 places, and each of them has its mirror.")
    expect(number(answer(256, 224)) == 2178, "256 - 224 = 32 pixels are free, and that makes 33 "
           "first pixels, from 0 to 32.")
    expect(number(answer(224, 224)) == 2, "Without a free pixel there is one place and its mirror.")
    expect(number(answer(40, 32, False)) == 81, "Without mirrors there is only one input a place.")
    return "2178 in the source, 2048 in the paper."


@exercise("07-2", "Slice `size` rows from `top` and `size` columns from `left`; then mirror.")
def cut(answer):
    image = np.arange(6 * 6 * 3).reshape(6, 6, 3)
    found = tensor(answer(image.copy(), 1, 2, False, 3), (3, 3, 3))
    expect(torch.equal(found, tensor(image[1:4, 2:5])),
           "`top` counts rows, which come first in the array; `left` counts columns.")
    found = tensor(answer(image.copy(), 1, 0, True, 3), (3, 3, 3))
    expect(not torch.equal(found, tensor(image[1:4, 0:3])), "The mirror is missing.")
    expect(not torch.equal(found, tensor(image[1:4, 0:3][::-1].copy())),
           "That is upside down: left and right are to be exchanged.")
    expect(not torch.equal(found, tensor(image[1:4, 0:3, ::-1].copy())),
           "That exchanges red and blue: mirror the second axis, not the last.")
    expect(torch.equal(found, tensor(image[1:4, 0:3][:, ::-1].copy())),
           "Cut first, then mirror: else `left` counts from the wrong edge.")
    return "One slice and one mirror."


@exercise("07-3", "Strengths times alphas, as a sum over the columns of `vectors`.")
def shift(answer):
    values = np.array([6502.5, 900.0, 100.0])
    vectors = np.array([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0], [0.8, -0.6, 0.0]])
    alphas = np.array([0.1, -0.2, 0.05])
    root = vectors @ (alphas * np.sqrt(values))
    found = tensor(answer(values, vectors, alphas, "2012"), (3,))
    expect(not torch.allclose(found, tensor(vectors.T @ (alphas * np.sqrt(values))), atol=1e-3),
           "The components are the columns of `vectors`: `vectors[:, 0]` is the first.")
    expect(torch.allclose(found, tensor(root), atol=1e-3),
           "In the source, the strength of a component is the root of its eigenvalue.")
    found = tensor(answer(values, vectors, alphas, "paper"), (3,))
    expect(not torch.allclose(found, tensor(vectors @ (alphas * values)), atol=1e-3),
           "That is 255 times too strong: with pixels from 0 to 1 the eigenvalue is divided by "
           "255 twice, and the result comes back to gray levels by 255 once.")
    expect(torch.allclose(found, tensor(vectors @ (alphas * values / 255)), atol=1e-3),
           "In the paper, the strength is the eigenvalue itself, at pixels from 0 to 1; give the "
           "result in gray levels.")
    return "Two definitions, one line apart."


@exercise("07-4", "A softmax for each view, then the mean over the views.")
def combine(answer):
    logits = np.random.default_rng(0).normal(size=(10, 3, 4)) * 3
    exact = np.exp(logits)
    exact /= exact.sum(2, keepdims=True)
    found = tensor(answer(torch.tensor(logits)), (3, 4))
    expect(torch.allclose(found.sum(1), torch.ones(3), atol=1e-4),
           "Probabilities of an image sum to 1: softmax over the classes, mean over the views.")
    pooled = np.exp(logits.mean(0))
    expect(not torch.allclose(found, tensor(pooled / pooled.sum(1, keepdims=True)), atol=1e-4),
           "That averages the logits, and takes the softmax of the mean. The other way round.")
    expect(torch.allclose(found, tensor(exact.mean(0)), atol=1e-4),
           "The mean over the first axis of each view's probabilities is asked for.")
    return "As src/layer.cu:1810-1821 does."


@exercise("07-5", "How long is the sum of two independent arrows at right angles, 1 and 0.1 long?")
def divisor(answer):
    value = number(answer)
    expect(not math.isclose(value, 1.1, abs_tol=1e-3), "1.1 is the source's: it adds standard "
           "deviations. Of independent things the variances add.")
    expect(not math.isclose(value, 1.01, abs_tol=1e-3),
           "1.01 is the variance; a division needs its root.")
    expect(math.isclose(value, math.sqrt(1.01), abs_tol=1e-3),
           "The variance along an axis is 1 before, in units of the eigenvalue; what is added "
           "has a variance of 0.1 squared.")
    return "So a division by 1.1 makes the training pictures about 9 % fainter."
