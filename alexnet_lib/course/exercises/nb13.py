"""Exercises of notebook 13, the paper and the 2012 source."""

import torch

from alexnet_lib.course.exercises import exercise, expect, filled, number, tensor
from alexnet_lib.layers import local_response_norm


@exercise("13-1", "Multiply both errors by 50,000, then by 150,000, and allow for six digits.")
def which_images(answer):
    expect(isinstance(answer, (tuple, list)) and len(answer) == 2, "Pass (images, missed).")
    images = filled(answer[0], "ABCD")
    expect(images["A"] == 150_000, "A: 0.356707 · 50,000 is 17,835.35, which is no number of "
           "photographs.")
    expect(images["B"] == 150_000, "B: its top-1 error fits both numbers. Does its top-5 error?")
    expect(images["C"] == 50_000, "C: both of its errors fit the smaller number.")
    expect(images["D"] == 0, "D: multiply, round, divide again. Do all six digits come back?")
    expect(abs(number(answer[1]) - 23_234) < 0.5, "For A, the top-5 error counts the photographs "
           "whose class isn't among the five answers. Round to a whole number.")
    return "D was counted with one view; the notes don't say how."


SNAPSHOTS = {"A": (25, 50), "B": (67, 71), "C": (72, 78), "D": (91, 106)}


@exercise("13-2", "Rule out epochs one line of the file at a time; the restart counts, too.")
def when(answer):
    answer = filled(answer, SNAPSHOTS)
    hints = {"A": "all weights are at 0.001, and the noise is still on",
             "B": "conv1 has taken its last step, but isn't frozen yet",
             "C": "conv1 is frozen, and the other weights haven't taken their last step",
             "D": "conv1 is frozen and yet the others are at 0.001: when did that happen?"}
    for name, (first, last) in SNAPSHOTS.items():
        try:
            given = tuple(int(epoch) for epoch in answer[name])
        except (TypeError, ValueError):
            given = ()
        expect(len(given) == 2, f"{name}: two epochs, such as (0, 24).")
        expect(given[1] != last + 1, f"{name}: at epoch {last + 1} the next change has been made.")
        expect(given == (first, last), f"{name}: {hints[name]}.")
    return "A settings file is a snapshot. Its date has to be worked out."


@exercise("13-3", "The source divides by 2 + 2e-5 times all squares, the paper by 2 + 1e-4 times "
                  "the squares of positive responses only.")
def witnesses(answer):
    found = filled(answer, ("less", "more", "same"))
    for name in ("less", "more", "same"):
        five = tensor(found[name], (5,)).view(1, 5, 1, 1)
        expect(five[0, 2] == 50, f"{name}: the response in the middle should be 50.")
        paper = local_response_norm(five.relu(), alpha=1e-4)[0, 2].item()
        source = local_response_norm(five, alpha=2e-5)[0, 2].item()
        said = f"{name}: the paper leaves {paper:.1f} of the 50, the source {source:.1f}"
        if name == "same":
            expect(abs(source / paper - 1) < 0.005, f"{said}.")
        else:
            expect((source < paper) == (name == "less"), f"{said}: the other way round.")
            expect(abs(source / paper - 1) > 0.1, f"{said}. Make the gap at least a tenth.")
    return "Same layer, same file, and which form quiets more depends on the signs."


@exercise("13-4", "Does the bar cross zero? And does it stay within half a point of it?")
def read_the_bars(answer):
    kinds = ("worse", "better", "less than half a point", "can't tell")
    answer = filled(answer, "ABCD", kinds)
    expect(answer["A"] == "worse", "A: the whole bar is on one side of zero. Which side is it?")
    expect(answer["B"] == "can't tell", "B: the bar reaches more than a point to either side.")
    expect(answer["C"] != "can't tell", "C crosses zero, but look how short it is.")
    expect(answer["C"] == "less than half a point", "C crosses zero, so nobody knows its sign.")
    expect(answer["D"] == "better", "D: the whole bar is on one side of zero. Which side is it?")
    return ("A: columns that never exchange. B: no restart, and 20 epochs instead of 30. C: no "
            "normalization after conv2. D: no restart, and just as long.")


@exercise("13-5", "Draw `tries` errors, keep the lowest, subtract it from one more draw, and "
                  "repeat that thousands of times.")
def luck(answer):
    def ask(*asked):
        torch.manual_seed(0)
        given = answer(*asked)
        expect(isinstance(given, (tuple, list)) and len(given) == 2,
               "Return two numbers: the mean lead, and how often the lead is large enough.")
        return number(given[0]), number(given[1])

    lead, _ = ask(1, 0.12, 0.41)
    expect(abs(lead) < 0.02, f"With one try, luck helps it as often as #145. You have {lead:.2f}.")
    lead, often = ask(16, 0.12, 0.41)
    expect(lead > 0, "A lead counts as positive: the error of #145 minus the best error.")
    expect(abs(lead - 0.212) < 0.02, "16 tries that scatter by 0.12 should lead by about 0.21 "
           f"points, not {lead:.2f}: take the lowest of them, not their mean.")
    expect(often < 1, "How often is asked as a fraction, 0 to 1.")
    expect(often > 0.03, f"A lead of 0.41 should be seen in some 7% of the searches, not in "
           f"{often:.1%}. #145 is a draw, too: it may have been unlucky.")
    expect(abs(often - 0.075) < 0.03, f"A lead of 0.41 should be seen in some 7% of the searches, "
           f"not in {often:.1%}.")
    lead, often = ask(4, 0.5, 0.6)
    expect(abs(lead - 0.514) < 0.05 and abs(often - 0.44) < 0.04,
           "4 tries that scatter by 0.5 points should lead by about 0.51: use all three arguments.")
    return ("With coin tosses alone, sixteen tries that change nothing lead by 0.18 points. With a "
            "scatter of 0.23 they lead by 0.41.")
