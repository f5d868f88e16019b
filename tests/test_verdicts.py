"""Verdicts in two parts, on made-up data: each rule can end in every direction."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from alexnet_lib.research import claims as experiments
from alexnet_lib.research import ledger, runner
from alexnet_lib.research.claims import Arm, Claim
from alexnet_lib.research.measures import FULL_NETS, learned
from alexnet_lib.research.verdicts import effect_of, holm, size_of, summary

CLAIMS = experiments.claims()
TOLD = [(name, setup) for name, claim in CLAIMS.items() for setup in claim.setups
        if claim.tested and not claim.judge]


@pytest.mark.parametrize("ends, alike, effect", [
    ((0.1, 9), False, "yes"), ((0.1, 0.2), False, "yes"), ((-2, -0.1), False, "no"),
    ((-0.3, 0.4), False, "no"), ((-9, 0.4), False, "no"), ((-0.1, 0.6), False, "cannot tell"),
    ((0.0, 1), False, "cannot tell"),
    ((-0.4, 0.4), True, "yes"), ((0.1, 0.4), True, "yes"), ((0.1, 0.6), True, "no"),
    ((-0.7, -0.6), True, "no"), ((-0.6, 0.1), True, "cannot tell")])
def test_is_there_an_effect(ends, alike, effect):
    assert effect_of(ends, 0.0, 0.5, alike) == effect
    assert effect_of((ends[0] + 1, ends[1] + 1), 1.0, 0.5, alike) == effect


@pytest.mark.parametrize("ends, size", [
    ((5.8, 6.4), "the paper's"), ((3, 12), "the paper's"), ((2, 8), "cannot tell"),
    ((1.1, 30), "cannot tell"), ((-50, 60), "cannot tell"), ((1.1, 1.2), "smaller"),
    ((-3, 5.4), "smaller"), ((6.6, 50), "larger")])
def test_is_it_of_the_papers_size(ends, size):
    assert size_of(ends, (5.5, 6.5)) == size


def test_noise_is_never_rewarded():
    """The wider an interval around the paper's own figure, the less it says."""
    told = [CLAIMS["C02"].judged((6 - half, 6 + half), "cifar10") for half in (0.3, 4, 5.5, 60)]
    assert told == [("yes", "the paper's"), ("yes", "cannot tell"), ("cannot tell", "cannot tell"),
                    ("cannot tell", "cannot tell")]


@pytest.mark.parametrize("name, setup", TOLD)
def test_every_claim_can_end_in_every_direction(name, setup):
    claim = CLAIMS[name]
    scale, middle = claim.margin_of(setup), claim.null
    ends = [(middle + a * scale, middle + b * scale) for a, b in
            ((0.1, 0.2), (5, 9), (-9, -8), (-1e3, 1e3))]
    far = "no" if claim.alike else "yes"
    assert [claim.judged(e, setup)[0] for e in ends] == ["yes", far, "no", "cannot tell"]
    if figure := claim.figure_of(setup):
        ends = [(figure[0] / 1.1, 1.1 * min(figure[1], 2 * figure[0])), (-1e9, 0.9 * figure[0]),
                (-1e9, 1e9)]
        assert [claim.judged(e, setup)[1] for e in ends] == ["the paper's", "smaller",
                                                             "cannot tell"]
        assert math.isinf(figure[1]) or claim.judged((1.1 * figure[1], 1e9), setup)[1] == "larger"
        assert 0 < claim.margin_of(setup) <= (figure[0] - claim.null) / 2


@pytest.mark.parametrize("parameters, units, told", [
    (60_965_224, 659_272, ("yes", "the paper's")), (60_000_000, 650_000, ("yes", "the paper's")),
    (60_965_224, 622_312, ("no", "smaller")), (60_965_224, 660_001, ("no", "larger")),
    (61_000_001, 659_272, ("no", "larger")), (59_999_999, 650_000, ("no", "smaller"))])
def test_both_sizes_of_the_net_count(parameters, units, told):
    assert CLAIMS["C01"].judge({"effect": parameters, "units": units}) == told


def test_the_error_on_imagenet_can_be_smaller_or_larger():
    assert [CLAIMS["C18"].judge({"effect": e}) for e in (41.5, 38.0, 44.0)] == [
        ("yes", "the paper's"), ("no", "smaller"), ("no", "larger")]


@pytest.mark.parametrize("effect, size, asked, told", [
    ("yes", "the paper's", "the paper", "agrees, the paper's size"),
    ("yes", "smaller", "the paper", "agrees, smaller"), ("yes", None, "the paper", "agrees"),
    ("no", "smaller", "the paper", "differs"), ("no", None, "us", "no"),
    ("cannot tell", "cannot tell", "the paper", "cannot tell"),
    ("cannot tell", "smaller", "the paper", "cannot tell, smaller"),
    ("yes", "smaller", "us", "yes, smaller"), ("not run", None, "the paper", "not run")])
def test_both_parts_in_a_few_words(effect, size, asked, told):
    assert summary(effect, size, asked) == told


def test_nothing_differs_from_a_claim_that_nobody_makes(tmp_path):
    """The paper compares poolings on ImageNet only."""
    claim = CLAIMS["C05"]
    for arm, error in zip(claim.arms, (0.30, 0.25), strict=True):
        for setup in claim.setups:
            record(tmp_path, claim, arm, setup, [error, 1.01 * error, 0.98 * error])
    photographs, small = (ledger.row(claim, setup, tmp_path) for setup in claim.setups)
    assert (photographs["effect"], photographs["verdict"]) == ("no", "differs")
    assert (small["effect"], small["verdict"], small["asked"]) == ("no", "no", "us")
    assert small["figure"] is None and small["paper"] != photographs["paper"]


def test_the_days_are_measured_and_not_judged(tmp_path):
    folder = runner.folder_of(CLAIMS["C17"], None, "anywhere", tmp_path)
    folder.mkdir(parents=True)
    for seed in range(2):
        (folder / f"seed-{seed}.json").write_text(json.dumps({"effect": 7.0 + seed}))
    row = ledger.row(CLAIMS["C17"], "anywhere", tmp_path)
    assert row["effect"] == row["verdict"] != "cannot tell" and row["p"] is None


@pytest.mark.parametrize("values, adjusted", [
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm's, worked out by hand
    ([0.6, 0.5], [1.0, 1.0]), ([0.02], [0.02]), ([], [])])
def test_adjusted_p(values, adjusted):
    assert holm(values) == pytest.approx(adjusted)


def test_p_and_both_intervals_are_scipys():
    kept, left_out = np.random.default_rng(0).normal([[30], [31]], 1.0, (2, 12))
    assert ledger.p_value(left_out - kept, 0.5) == stats.ttest_1samp(left_out - kept, 0.5).pvalue
    assert ledger.p_value([1.0], 0) is ledger.p_value([2.0, 2.0], 0) is None
    found = ledger.both_intervals(zip(kept, left_out, strict=True))
    welch = stats.ttest_ind(left_out, kept, equal_var=False).confidence_interval()
    assert found["welch"] == pytest.approx([welch.low, welch.high])
    paired = stats.ttest_rel(left_out, kept).confidence_interval()
    assert found["paired"] == pytest.approx([paired.low, paired.high], abs=1e-3)
    assert found["correlation"] == pytest.approx(stats.pearsonr(kept, left_out)[0])


def test_rows_that_share_an_arm_say_so():
    rows = ledger.all_rows()
    told = {(r["claim"], r["runs"][0]): r["comparisons"] for r in rows if r["seeds"]}
    for r in rows:
        if r["seeds"]:
            sharing = [sum(folder in other["runs"] for other in rows if other["seeds"])
                       for folder in r["runs"]]
            assert told[r["claim"], r["runs"][0]] == max(sharing)
    tested = [r for r in rows if r["p"] is not None]
    assert all(r["p"] <= r["adjusted_p"] <= 1 for r in tested)


@pytest.mark.parametrize("errors, close", [([0.30, 0.40], False), ([0.30, 0.301], True)])
def test_a_rate_that_barely_won_is_named(tmp_path, errors, close):
    claim = Claim("C99", "0", "x", "none", "points", ("imagenette",),
                  (Arm("with"), Arm("without", {"dropout": 0.0})))
    for arm in claim.arms:
        folder = record(tmp_path, claim, arm, "imagenette", [0.3, 0.32, 0.28])
        for lr, error in zip((0.01, 0.02), errors, strict=True):
            (folder / f"rate-{lr}.json").write_text(json.dumps(
                {"config": {"lr": lr}, "curves": {"val_error": [error]}}))
    row = ledger.row(claim, "imagenette", tmp_path)
    assert row["search"]["with"] == pytest.approx({
        "rate": 0.01, "lead": 100 * (errors[1] - errors[0]), "sd": 2.0, "close": close})
    assert ("“without” was chosen by less" in row["note"]) == close


def record(results, claim, arm, setup, errors):
    """Records of an arm with these ten-view errors, on a machine of its own; their folder."""
    folder = runner.folder_of(claim, arm, setup, results)
    folder.mkdir(parents=True, exist_ok=True)
    for seed, error in enumerate(errors):
        (folder / f"seed-{seed}.json").write_text(json.dumps({
            "provenance": {"data": f"{setup}, fingerprint b2d47ac2be57b5f1", "device": arm.name},
            "curves": {"val_error": [error]}, "test": {"10": {"top1_error": error}}}))
    return folder


def test_copies_and_machines_are_named(tmp_path):
    claim = CLAIMS["C04"]
    for arm in claim.arms:
        record(tmp_path, claim, arm, "imagenette", [0.3, 0.31])
    row = ledger.row(claim, "imagenette", tmp_path)
    assert "copies of 224 px" in row["data"]
    assert row["machine"] == {"with": {"with": 2}, "without": {"without": 2}}
    assert "2 of 2 pairs" in row["note"]


@pytest.mark.parametrize("number", range(len(FULL_NETS)))
def test_full_nets_remember_their_initial_weights(number):
    """The initialization has hardly been forgotten, so subtracting it shows what was learned."""
    initial, added = learned(number)
    assert initial.shape == added.shape == (96, 3, 11, 11)
    assert float(initial.std()) == pytest.approx(0.01, rel=0.02)
    slope = stats.linregress(initial.flatten(), (initial + added).flatten()).slope
    assert slope == pytest.approx(1.0, abs=0.05)
