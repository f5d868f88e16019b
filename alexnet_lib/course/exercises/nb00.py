"""Exercises of notebook 00, start here."""

import math

from alexnet_lib.course.exercises import exercise, expect, filled, number


@exercise("00-1", "The probability of the right class is 1/1000; the loss is minus its logarithm.")
def loss_of_guessing(answer):
    value = number(answer)
    expect(value > 0, "The logarithm of 1/1000 is negative; the loss is minus that.")
    expect(abs(value - 3) > 1e-6 and abs(value - math.log2(1000)) > 1e-3,
           "Use the natural logarithm, math.log.")
    expect(abs(value - math.log(1000)) < 0.01, "It is ln 1000.")
    return "ln 1000 = 6.9: that's where every training run on ImageNet begins."


@exercise("00-2", "Compare each error with 90%, the error of guessing. Then compare the two "
          "errors of each network.")
def diagnosis(answer):
    answer = filled(answer, "ABC", ("guesses", "memorizes", "learns"))
    expect(answer["B"] == "guesses", "B gets nine in ten wrong, on old and new pictures alike.")
    expect(answer["A"] != "learns",
           "A is perfect on pictures it has seen. How does it do on new ones?")
    expect((answer["A"], answer["C"]) == ("memorizes", "learns"),
           "C does about as well on new pictures as on the old ones.")
    return "Half of this course is about the gap between those two errors."
