"""Exercises of notebook 11, evaluation."""

import torch

from alexnet_lib.course.exercises import exercise, expect, filled, number


def _numbers(answer, count: int, what: str) -> list[float]:
    expect(isinstance(answer, (tuple, list)) and len(answer) == count and ... not in answer,
           f"Give {what}.")
    return [number(value) for value in answer]


@exercise("11-1", "(a) Set two standard errors equal to one point. (b) How far is 90 from half of "
                  "150, and how large is one standard deviation of 150 coin tosses?")
def by_hand(answer):
    images, tosses = _numbers(answer, 2, "both numbers")
    expect(abs(images - 2400) > 5, "(a) That's for one standard error. Two of them "
           "should make a point.")
    expect(images > 100, "(a) One point is 0.01 as a share. Are all your numbers shares?")
    expect(abs(images - 9600) < 10, f"(a) isn't {images:g}. Solve 2 sqrt(p(1 - p)/n) = 0.01.")
    expect(abs(tosses - 30) > 0.5 and abs(tosses - 15) > 0.5,
           "(b) That counts images. Divide by the standard deviation.")
    expect(abs(tosses - 1.22) > 0.03, "(b) With 150 tosses the standard deviation is half of the "
           "square root of 150.")
    expect(abs(tosses - 2.45) < 0.03, f"(b) isn't {tosses:g}. Only 150 images count.")
    return "That's above 2, so the two networks differ. Do their recipes? One pair can't say."


@exercise("11-2", "Find the dark cells off the diagonal first, then the empty columns.")
def diagnoses(answer):
    names = ("two labels swapped", "labels off by one", "one class never answered",
             "one class catches everything", "accuracy near zero")
    answer = filled(answer, names, tuple("ABCD"))
    swapped, shifted, never, catches, zero = (answer[name] for name in names)
    expect(catches == "A", "A class that catches everything is a dark column.")
    expect(never == "C", "A class that is never answered leaves its column white.")
    expect((swapped, shifted) == ("D", "B"), "Two swapped labels hurt two rows only.")
    expect(zero == "B", "Accuracy is what's on the diagonal. In which matrix is it empty?")
    return "In B and D, the network is fine, but somebody's list of labels isn't."


def _chain_saws(threshold: float) -> tuple[float, float, float]:
    """Recall, precision and false-alarm rate of the recorded network, fractions."""
    from alexnet_lib import course
    one = course.predictions("imagenette-1-view")
    said, there = one.probs[:, 3] > threshold, one.labels == 3
    hits = float((said & there).sum())
    return (hits / float(there.sum()), hits / float(said.sum()),
            float((said & ~there).sum()) / float((~there).sum()))


@exercise("11-3", "Call chain_saws for one threshold after the other. For the last number, put "
                  "recall, false alarms and a prevalence of 0.01 into the formula.")
def threshold(answer):
    cut, precision, rare = _numbers(answer, 3, "three numbers")
    tried = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
    expect(cut in tried, "Choose one of the seven thresholds.")
    enough = [t for t in tried if _chain_saws(t)[0] >= 0.8]
    expect(cut in enough, f"At {cut:g}, the network finds fewer than 80% of the chain saws.")
    expect(cut == max(enough), f"{cut:g} finds 80%, but so does a higher threshold, with fewer "
           "false alarms.")
    recall, right, alarms = _chain_saws(cut)
    expect(precision > 1 and rare > 1, "Give both precisions in percent.")
    expect(abs(precision - 100 * recall) > 0.6, "That's the recall. We asked for the precision.")
    expect(abs(precision - 100 * right) < 0.6, f"The precision at {cut:g} isn't {precision:g}%.")
    at_one = recall * 0.01 / (recall * 0.01 + alarms * 0.99)
    expect(abs(rare - precision) > 0.6, "When chain saws get rarer, precision falls.")
    expect(abs(rare - 100 * at_one) < 0.4, f"At a prevalence of 1%, it isn't {rare:g}%. The "
           "recall and the false-alarm rate stay as they are. Use the formula.")
    return ("A lower threshold finds more chain saws and raises more false alarms. Which is worse, "
            "a miss or a false alarm? The data can't tell you.")


@exercise("11-4", "Write down the formula for the precision. Solve it for the false-alarm rate.")
def alarms_allowed(answer):
    for prevalence, recall, precision in ((0.1, 0.8, 0.5), (0.01, 0.9, 0.5), (0.5, 1.0, 0.9),
                                          (0.001, 0.6, 0.2), (0.25, 0.75, 1.0)):
        right = recall * prevalence * (1 - precision) / (precision * (1 - prevalence))
        found = number(answer(prevalence, recall, precision))
        expect(abs(found - right * (1 - prevalence)) > 1e-6 or right == 0,
               "The false-alarm rate is a share of the images that are *not* of the class.")
        expect(abs(found - right) < 1e-6, f"With a prevalence of {prevalence:g}, a recall of "
               f"{recall:g}, and a demanded precision of {precision:g}, {found:.5g} isn't the "
               "false-alarm rate. Put it into the formula: which precision comes out?")
    return "For a class of one in a thousand, even a tiny false-alarm rate is too high."


@exercise("11-5", "Sort, multiply by the number of comparisons that are left, never let a later "
                  "value be smaller than an earlier one, cut at 1, and restore the order.")
def adjusted(answer):
    for p in ([0.03], [0.004, 0.02, 0.03, 0.5], [0.5, 0.03, 0.004, 0.02], [0.9, 0.8, 0.01],
              [0.01, 0.04, 0.03, 0.005], [0.2, 0.2, 0.001]):
        given = list(p)
        found = answer(given)
        expect(given == p, "Your function changes the list it's given. Sort a copy.")
        found = torch.as_tensor(found).tolist() if hasattr(found, "shape") else found
        found = _numbers(found, len(p), f"a list of {len(p)} adjusted p-values for {p}")
        right = _slowly(p)
        expect(max(found) <= 1, f"{p}: a p-value can't be above 1.")
        expect(sorted(found) != sorted(right) or all(
            abs(a - b) < 1e-9 for a, b in zip(found, right, strict=True)),
               f"{p}: the right values, in the wrong order. They belong where their p-values were.")
        for value, wanted, raw in zip(found, right, p, strict=True):
            expect(abs(value - wanted) < 1e-9 or abs(value - min(1, raw * len(p))) > 1e-9,
                   f"{p}: that's Bonferroni's method, which multiplies all by {len(p)}. Holm's "
                   "factor shrinks as you go through the sorted list.")
            expect(abs(value - wanted) < 1e-9, f"{p}: the adjusted value of {raw:g} isn't "
                   f"{value:.4g}.")
    return "These are the numbers in the course's ledger."


def _slowly(p: list[float]) -> list[float]:
    """Holm's method by its definition: of all p-values up to this one, the largest product."""
    return [min(1.0, max(q * sum(r >= q for r in p) for q in p if q <= value)) for value in p]
