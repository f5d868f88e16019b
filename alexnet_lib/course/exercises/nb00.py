"""Exercises of notebook 00, start here."""

import math

from alexnet_lib.course.exercises import exercise, expect, number


@exercise("00-1", "The probability of the right class is 1/1000; the loss is minus its logarithm.")
def loss_of_guessing(answer):
    value = number(answer)
    expect(value > 0, "The logarithm of 1/1000 is negative; the loss is minus that.")
    expect(abs(value - 3) > 1e-6 and abs(value - math.log2(1000)) > 1e-3,
           "The natural logarithm is meant: math.log.")
    expect(abs(value - math.log(1000)) < 0.01, "It is ln 1000.")
    return "ln 1000 = 6.9: where every ImageNet training begins."


@exercise("00-2", "Count the answers that differ, then divide by their number.")
def error(answer):
    expect(abs(number(answer([1, 2, 3, 4], [1, 2, 3, 4]))) < 1e-9,
           "When all answers are right, the error is 0.")
    expect(abs(number(answer([1, 2, 3, 4], [1, 0, 3, 4])) - 0.25) < 1e-9,
           "One wrong answer of four is an error of 0.25.")
    expect(abs(number(answer([5, 5], [0, 9])) - 1) < 1e-9, "All wrong is an error of 1.")
    return "Accuracy is 1 minus this."
