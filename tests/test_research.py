"""Claims, the runner that resumes, and the ledger made from its records."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from alexnet_lib import cli, datasets
from alexnet_lib.config import TrainConfig, build_model, resolve
from alexnet_lib.course.scaling import exchanges
from alexnet_lib.datasets import listing, shapes
from alexnet_lib.errors import UserError
from alexnet_lib.models import AlexNet
from alexnet_lib.research import claims as experiments
from alexnet_lib.research import ledger, metrics, runner
from alexnet_lib.research.claims import Arm, Claim
from alexnet_lib.research.verdicts import NO, NOT_RUN, UNSURE, YES

QUICK = {"model": "alexnet", "variant": "2012", "width": 0.03, "input_size": 36, "stored_size": 40,
         "epochs": 2, "limit": 64, "batch_size": 16, "lr_scheduler": "constant"}
CLAIM = Claim("C99", "0", "Dropout matters", "none", "points", ("cifar10",),
              (Arm("with"), Arm("without", {"dropout": 0.0})), "test_error", settings=QUICK)
TRAINED = [name for name, claim in experiments.claims().items() if claim.arms]


@pytest.fixture
def quick(monkeypatch):
    """A small grid without further rates, and few images to look at."""
    monkeypatch.setattr(runner, "MOST_RATES", 2)
    monkeypatch.setitem(experiments.SETUPS, "cifar10", {"settings": {}, "rates": (0.01, 0.02)})
    monkeypatch.setattr(runner, "TRAIN_SAMPLE", 50)


@pytest.fixture
def few(monkeypatch):
    """Shapes of few images, in this process."""
    monkeypatch.setattr(shapes, "SPLITS", {"train": 128, "val": 50, "test": 50})
    runner._dataset.cache_clear()
    yield
    runner._dataset.cache_clear()


def run(results, seeds=2, **options):
    lines = []
    done = runner.run_claim(CLAIM, "shapes", seeds, results=results, say=lines.append,
                            progress=False, **options)
    return done, lines


def test_runs_what_is_missing_and_nothing_else(tmp_path, quick, few):
    done, lines = run(tmp_path)
    assert done and len(lines) == 2 * 2 + 2 * 2  # two rates and two seeds, for two arms
    files = sorted(tmp_path.rglob("*.json"))
    assert [f.name for f in files] == ["rate-0.01.json", "rate-0.02.json", "seed-0.json",
                                       "seed-1.json"] * 2
    assert run(tmp_path) == (True, [])
    before = json.loads(files[2].read_text())
    files[2].unlink()
    done, lines = run(tmp_path)
    assert done and len(lines) == 1
    again = json.loads(files[2].read_text())
    # The same run: on the same machine its numbers come out the same, to the last digit.
    assert again["test"] == before["test"]
    assert again["curves"]["train_loss"] == before["curves"]["train_loss"]
    assert again["config"] == before["config"]


def test_the_rate_is_the_best_of_the_grid_on_validation(tmp_path, quick, few):
    run(tmp_path, seeds=1)
    for folder in {f.parent for f in tmp_path.rglob("seed-0.json")}:
        searched = {json.loads(f.read_text())["config"]["lr"]:
                    json.loads(f.read_text())["curves"]["val_error"][-1]
                    for f in folder.glob("rate-*.json")}
        chosen = json.loads((folder / "seed-0.json").read_text())["config"]["lr"]
        assert searched[chosen] == min(searched.values())
        assert "test" not in json.loads((folder / "rate-0.01.json").read_text())


def test_jobs_side_by_side_find_the_same(tmp_path, quick):
    run(tmp_path / "one", seeds=1)
    done, lines = run(tmp_path / "two", seeds=1, jobs=2)
    assert done and len(lines) == 6
    files = sorted(f.relative_to(tmp_path / "one") for f in (tmp_path / "one").rglob("*.json"))
    assert files == sorted(f.relative_to(tmp_path / "two")
                           for f in (tmp_path / "two").rglob("*.json"))
    for file in files:
        one, two = (json.loads((tmp_path / folder / file).read_text()) for folder in ("one", "two"))
        assert one["curves"]["train_loss"] == two["curves"]["train_loss"]
        assert one.get("test") == two.get("test") and one["config"] == two["config"]


def test_as_many_runs_as_jobs_are_under_way(tmp_path, quick, monkeypatch):
    """A seed waits for its arm's search, and for nothing else."""
    class Slow:
        most = 0

        def __init__(self):
            self.waiting = []

        def submit(self, function, config, progress):
            self.waiting.append((future := Future(), config))
            Slow.most = max(Slow.most, len(self.waiting))
            return future

    pool = Slow()

    def first_ends(under_way, return_when):
        future, config = pool.waiting.pop(0)
        future.set_result({"config": {"lr": config.lr}, "curves": {"val_error": [config.lr]}})
        return SimpleNamespace(done=[future])

    monkeypatch.setattr(runner, "_workers", lambda jobs: nullcontext(pool))
    monkeypatch.setattr(runner, "wait", first_ends)
    counts = []
    runner.run_claim(CLAIM, "shapes", 3, jobs=3, results=tmp_path, progress=False,
                     say=lambda line: counts.append((len(pool.waiting), line)))
    assert Slow.most == 3
    assert max(count for count, line in counts if "seed" in line) == 2  # besides the one begun
    assert len(list(tmp_path.rglob("*.json"))) == 2 * 2 + 2 * 3


def test_minutes_end_it_before_a_run(tmp_path, quick, few):
    done, lines = run(tmp_path, minutes=0.0)
    assert not done and len(list(tmp_path.rglob("*.json"))) < 2
    assert "runs left" in lines[-1]


def test_a_run_that_diverges_is_kept_and_not_chosen(tmp_path, quick, few, monkeypatch):
    monkeypatch.setitem(experiments.SETUPS, "cifar10", {"settings": {}, "rates": (0.01, 1e30)})
    run(tmp_path, seeds=1)
    record = json.loads(next(tmp_path.rglob("rate-1e+30.json")).read_text())
    assert "the loss is" in record["diverged"]
    chosen = json.loads(next(tmp_path.rglob("seed-0.json")).read_text())
    assert chosen["config"]["lr"] == 0.01


def test_the_ledger_tells_of_a_run_that_diverged(tmp_path):
    for slug, first in (("reference", {"diverged": "the loss is nan"}), ("dropout=0.0", {})):
        name = Arm("", CLAIM.settings | ({} if slug == "reference" else {"dropout": 0.0})).slug
        folder = tmp_path / "runs" / "cifar10" / name
        folder.mkdir(parents=True)
        for seed in range(3):
            (folder / f"seed-{seed}.json").write_text(json.dumps(
                {"test": {"1": {"top1_error": 0.1}}, "provenance": {"data": "d, print"}}
                | (first if seed == 0 else {})))
    row = ledger.row(CLAIM, "cifar10", tmp_path)
    assert row["seeds"] == [1, 2] and "seed 0" in row["note"] and "diverged" in row["note"]


@pytest.mark.parametrize("freedom, quantile", [(1, 12.706), (12, 2.179), (13, 2.160), (19, 2.093),
                                               (29, 2.045), (99, 1.984)])
def test_the_interval_is_students(freedom, quantile):
    """As in printed tables, for samples whose mean has the standard error 1."""
    values = np.random.default_rng(0).standard_normal(freedom + 1)
    values *= math.sqrt(len(values)) / values.std(ddof=1)
    low, high = ledger.interval(values)
    assert (high - low) / 2 == pytest.approx(quantile, abs=0.0006)


def test_the_stored_ledger_follows_from_the_records():
    """To the last digit."""
    stored = json.loads((runner.RESULTS / "ledger.json").read_text())
    assert len(stored) > 20 and json.loads(json.dumps(ledger.all_rows())) == stored


def test_the_ledger_is_the_paired_difference(tmp_path):
    errors = {"reference": [10, 12, 11], "dropout=0.0": [13, 13, 15]}
    for slug, values in errors.items():
        name = Arm("", CLAIM.settings | ({} if slug == "reference" else {"dropout": 0.0})).slug
        folder = tmp_path / "runs" / "cifar10" / name
        folder.mkdir(parents=True)
        for seed, value in enumerate(values):
            (folder / f"seed-{seed}.json").write_text(json.dumps(
                {"test": {"1": {"top1_error": value / 100}}, "provenance": {"data": "d, print"}}))
    row = ledger.row(CLAIM, "cifar10", tmp_path)
    # Differences 3, 1, 4: mean 8/3, deviation 1.528, t = 4.303 with two degrees of freedom.
    assert row["ours"] == pytest.approx(8 / 3)
    assert row["interval"] == pytest.approx([8 / 3 - 3.795, 8 / 3 + 3.795], abs=1e-3)
    assert row["verdict"] == UNSURE and row["seeds"] == [0, 1, 2]
    assert row["dataset"] == "d, print" and row["command"].startswith("alexnet experiment C99 ")


def test_one_seed_has_a_number_and_no_interval(tmp_path):
    claim = Claim("C97", "0", "It is fast", "none", "times", measure=lambda seed: {"effect": 2.5})
    runner.run_claim(claim, "", 1, results=tmp_path, say=lambda line: None)
    row = ledger.row(claim, "anywhere", tmp_path)
    assert (row["ours"], row["interval"], row["verdict"]) == (2.5, None, UNSURE)
    assert ledger.ours(row).startswith("2.5 times, of one seed: cannot tell; alexnet experiment")
    assert " 2.5 times " in ledger.table([row])


def test_an_arm_that_never_gets_there_leaves_no_number(tmp_path):
    claim = experiments.claim("C02")
    for arm, ends in zip(claim.arms, ([0.2, 0.2, 0.3], [0.2, 0.3, 0.3]), strict=True):
        folder = runner.folder_of(claim, arm, "cifar10", tmp_path)
        folder.mkdir(parents=True)
        for seed, end in enumerate(ends):
            (folder / f"seed-{seed}.json").write_text(json.dumps(
                {"curves": {"train_error": [0.9, end]}, "provenance": {"data": "d, print"}}))
    row = ledger.row(claim, "cifar10", tmp_path)
    assert (row["ours"], row["interval"], row["verdict"]) == (None, None, UNSURE)
    assert row["note"].endswith("2 of 3 runs did not get there in their time")


def test_intervals():
    assert ledger.interval([1, 2, 3, 4, 5]) == pytest.approx((3 - 1.963, 3 + 1.963), abs=1e-3)
    assert ledger.interval([1.0]) == (-math.inf, math.inf)
    assert ledger.interval([1.0, math.inf]) == (-math.inf, math.inf)


def test_when_a_curve_falls_to_a_level():
    assert metrics.epochs_until([0.5, 0.3, 0.2], 0.25) == pytest.approx(2.5)
    assert metrics.epochs_until([0.2, 0.1], 0.25) == 1
    assert metrics.epochs_until([0.5, 0.3], 0.25) == math.inf


def searched(folder, errors):
    folder.mkdir(exist_ok=True)
    for lr, error in errors.items():
        end = {"curves": {"val_error": [0.9, error]}} if error < 1 else {"diverged": "the loss is"}
        (folder / f"rate-{lr:g}.json").write_text(json.dumps({"config": {"lr": lr}} | end))


@pytest.mark.parametrize("errors, further", [
    ({0.01: 0.5, 0.02: 0.4, 0.04: 0.3}, 0.08), ({0.01: 0.1, 0.02: 0.2, 0.04: 0.3}, 0.005),
    ({0.01: 0.3, 0.02: 0.2, 0.04: 0.3}, None), ({0.01: 1, 0.02: 1, 0.04: 1}, None),
    ({0.01: 0.3, 0.02: 0.2, 0.04: 1}, None),
    ({0.01: 0.5, 0.02: 0.4, 0.04: 0.3, 0.08: 0.2}, 0.16),
    ({0.01: 0.6, 0.02: 0.5, 0.04: 0.4, 0.08: 0.3, 0.16: 0.2, 0.32: 0.1}, None)])
def test_a_best_rate_at_the_edge_goes_on(tmp_path, errors, further):
    searched(tmp_path, errors)
    tried = runner.rates_to_try(tmp_path, (0.01, 0.02, 0.04), "last_val_error")
    assert set(tried) - set(errors) == ({further} if further else set())
    if min(errors.values()) < 1:
        assert errors[runner.best_rate(tmp_path, "last_val_error")] == min(errors.values())
    else:
        with pytest.raises(UserError, match=r"no rate of 0.01, 0.02, 0.04 trained"):
            runner.best_rate(tmp_path, "last_val_error")


def test_the_search_goes_on_in_a_run(tmp_path, few, monkeypatch):
    monkeypatch.setitem(experiments.SETUPS, "cifar10", {"settings": {}, "rates": (1e-9, 2e-9)})
    monkeypatch.setattr(runner, "run_once", lambda config, *a, **k: {
        "config": {"lr": config.lr}, "curves": {"val_error": [abs(config.lr - 4e-9)]}})
    run(tmp_path, seeds=1)
    for folder in {f.parent for f in tmp_path.rglob("seed-0.json")}:
        tried = {f"rate-{k}e-09.json" for k in (1, 2, 4, 8)}
        assert {f.name for f in folder.glob("rate*")} == tried
        assert json.loads((folder / "seed-0.json").read_text())["config"]["lr"] == 4e-9


def test_a_long_arm_is_searched_in_short_runs(tmp_path, few, monkeypatch):
    monkeypatch.setitem(experiments.SETUPS, "cifar10", {"settings": {}, "rates": (1, 2)})
    monkeypatch.setattr(runner, "MOST_RATES", 2)
    monkeypatch.setattr(runner, "run_once", lambda config, *a, **k: {
        "config": {"lr": config.lr, "epochs": config.epochs}, "curves": {"val_error": [config.lr]}})
    arms = Arm("short"), Arm("long", {"dropout": 0.0}, long={"epochs": 7})
    claim = dataclasses.replace(CLAIM, arms=arms)
    runner.run_claim(claim, "shapes", 1, results=tmp_path, say=lambda line: None, progress=False)

    def epochs(arm, search, name):
        folder = runner.folder_of(claim, arm, "cifar10", tmp_path, search)
        return json.loads((folder / name).read_text())["config"]["epochs"]

    assert [epochs(arm, True, "rate-2.json") for arm in arms] == [2, 2]
    assert [epochs(arm, False, "seed-0.json") for arm in arms] == [2, 7]
    assert len(list(tmp_path.rglob("*.json"))) == 6


def test_runs_of_two_data_sets_do_not_share_a_folder(tmp_path, quick, few, monkeypatch):
    run(tmp_path, seeds=1)
    first = {file: file.read_text() for file in tmp_path.rglob("*.json")}
    monkeypatch.setattr(shapes, "SPLITS", {"train": 130, "val": 50, "test": 50})
    runner._dataset.cache_clear()
    assert run(tmp_path, seeds=1)[0]
    assert all(file.read_text() == text for file, text in first.items())
    setups = runner.setups_of(CLAIM, tmp_path)
    assert setups[0] == "cifar10" and setups[1].startswith("cifar10@") and len(setups) == 2
    marks = [ledger.row(CLAIM, setup, tmp_path)["dataset"].split()[-1] for setup in setups]
    assert marks[0] != marks[1] and setups[1].endswith(marks[1])
    assert len(list((tmp_path / "runs" / setups[1]).rglob("*.json"))) == len(first)
    _, lines = run(tmp_path, seeds=2)  # the same data find the same folder again
    assert len(runner.setups_of(CLAIM, tmp_path)) == 2 and "fingerprint" in lines[0]


def test_the_real_download_is_listed_beside_the_copies(tmp_path, quick, monkeypatch):
    """A claim runs on Imagenette as the loader fetches it: 320 px, where ours are copies."""
    root, results = tmp_path / "root", tmp_path / "results"
    for split, count in (("train", 20), ("val", 4)):
        for wnid in ("n01440764", "n02102040"):
            home = root / "imagenette2-320" / split / wnid
            home.mkdir(parents=True)
            for i in range(count):
                pixels = np.random.default_rng([count, i, int(wnid[1:])]).integers(
                    0, 256, (40, 48, 3), np.uint8)
                Image.fromarray(pixels).save(home / f"{i}.JPEG")
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(root))
    monkeypatch.setattr(listing, "IMAGENETTE_COUNT", 48)
    monkeypatch.setitem(experiments.SETUPS, "imagenette", {
        "settings": QUICK | {"epochs": 1}, "rates": (0.01, 0.02)})
    claim, ours = experiments.claim("C04"), {}
    for arm in claim.arms:
        file = runner.folder_of(claim, arm, "imagenette", results) / "seed-0.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({
            "provenance": {"data": "imagenette, fingerprint b2d47ac2be57b5f1"},
            "test": {"1": {"top1_error": 0.5}, "10": {"top1_error": 0.5}}}))
        ours[file] = file.read_text()
    with pytest.raises(SystemExit) as end:
        cli.main(["experiment", "C04", "--data", "imagenette", "--seeds", "1",
                  "--results", str(results)])
    assert end.value.code == 0
    assert all(file.read_text() == text for file, text in ours.items())
    rows = [row for row in json.loads((results / "ledger.json").read_text())
            if row["claim"] == "C04" and row["seeds"]]
    assert [row["seeds"] for row in rows] == [[0], [0]]
    assert "b2d47ac2be57b5f1" in rows[0]["dataset"] and "b2d4" not in rows[1]["dataset"]
    assert all(Path(where).parent.name.startswith("imagenette@") for where in rows[1]["runs"])


def test_a_claim_without_training_is_measured_once_a_seed(tmp_path):
    made = []
    claim = Claim("C98", "0", "It is fast", "none", "times", measure=lambda seed: made.append(
        seed) or {"effect": 2.0 + seed, "note": "seen"})
    assert ledger.row(claim, "anywhere", tmp_path)["verdict"] == NOT_RUN
    for _ in range(2):
        assert runner.run_claim(claim, "anything", 3, results=tmp_path, say=lambda line: None)
    assert made == [0, 1, 2]
    row = ledger.row(claim, "anywhere", tmp_path)
    assert (row["ours"], row["note"], row["dataset"]) == (3.0, "seen", "none")
    assert row["interval"] == pytest.approx([3 - 2.484, 3 + 2.484], abs=1e-3)
    assert row["command"] == "alexnet experiment C98 --seeds 3" and row["verdict"] == "agrees"


def test_the_sizes_of_the_net_are_counted(tmp_path):
    claim = experiments.claim("C01")
    runner.run_claim(claim, "", 5, results=tmp_path, say=lambda line: None)
    row = ledger.row(claim, "anywhere", tmp_path)
    # 48 x 11 x 11 x 3 + 48 a column, and so on: facts, section 12.
    assert row["ours"] == 60_965_224 and row["effect"] == YES
    assert "659,272 units; 622,312 with" in row["note"]
    assert ledger.figure(row) == "60,965,224 parameters"


def test_the_race_of_the_columns(monkeypatch):
    race, module = experiments.claim("C16"), "alexnet_lib.research.claims.c16_two_gpus_faster"
    small = partial(AlexNet, width=0.1)
    for name, value in {"AlexNet": small, "SIZE": 67, "BATCH": 1, "STEPS": 2}.items():
        monkeypatch.setattr(f"{module}.{name}", value)
    found = race.measure(0)
    assert found["effect"] == pytest.approx(
        found["seconds_of_a_step"]["one"] / found["seconds_of_a_step"]["two"])
    values = sum(row["values"] for row in exchanges(small(input_size=67)))  # of both columns
    assert found["bytes_sent_in_a_step"] == 2 * 4 * values  # forth and back, four bytes each
    ends = (1.01, 1.1), (0.9, 0.99), (0.9, 1.1)
    assert [race.judged(e, "anywhere") for e in ends] == [(YES, None), (NO, None), (UNSURE, None)]


@pytest.mark.parametrize("name", TRAINED)
def test_every_claim_can_be_run(name):
    claim = experiments.claim(name)
    assert claim.metric in metrics.METRICS
    for setup in claim.setups:
        sizes = []
        for arm in claim.arms:
            config = runner.config_of(claim, arm, setup, setup, 0, 0.01)
            assert config.precision == "fp32"  # whatever the machine: runs are compared in pairs
            config = resolve(config)
            net = build_model(dataclasses.replace(config, num_classes=10))
            sizes.append(sum(p.numel() for p in net.parameters()))
        # Two columns and one half as wide cost alike: that is the comparison.
        assert max(sizes) / min(sizes) < 1.15


def test_claims_share_their_reference_runs():
    as_published = [claim for claim in experiments.claims().values()
                    if "imagenette" in claim.setups and not claim.arms[0].settings]
    folders = {runner.folder_of(claim, claim.arms[0], "imagenette") for claim in as_published}
    assert len(as_published) > 8 and len(folders) == 1


def test_nothing_run_is_said(tmp_path):
    assert {ledger.row(claim, setup, tmp_path)["verdict"]
            for claim in experiments.claims().values() for setup in claim.setups} == {NOT_RUN}


def test_all_claims_of_the_design_are_there():
    assert {f"C{i:02}" for i in range(1, 19)} <= set(experiments.claims())


def test_one_half_width_net_is_the_sources():
    net = AlexNet(columns=1, channels=(48, 128, 192, 192, 256))
    assert [p.shape[0] for name, p in net.named_parameters() if name.endswith("weight")] == [
        48, 128, 192, 192, 256, 4096, 4096, 1000]


@pytest.mark.parametrize("args", [["experiment", "C77"], ["experiment", "C04", "--seeds", "0"],
                                  ["experiment", "C04", "--jobs", "0"],
                                  ["experiment", "C02", "--data", "folder:nowhere"],
                                  ["experiment"]])
def test_bad_input_is_one_line(args, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(args)
    assert stop.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_data_for_a_claim():
    with pytest.raises(UserError, match="not tested on"):
        runner.setup_of(experiments.claim("C03"), "cifar10")


def test_a_record_tells_what_the_net_has_learned_to_see():
    data = datasets.load("shapes", 40, counts={"train": 32, "val": 16, "test": 20}, progress=False)
    config = TrainConfig(data="shapes", input_size=36, stored_size=40, width=0.1, epochs=1,
                         batch_size=16, device="cpu", precision="fp32")
    found = runner.run_once(config, data, progress=False)
    assert len(found["color"]["selectivity"]) == 10
    first, second = np.array(found["color"]["selectivity"]).reshape(2, 5).mean(1)
    assert metrics.color_difference(found) == pytest.approx(100 * abs(first - second), abs=0.01)
    assert 0 < metrics.color_by_chance(found) < 100
    assert all(0 <= f(found) <= 100 for f in (metrics.precision_features,
                                              metrics.precision_pixels))
    one = runner.run_once(dataclasses.replace(config, columns=1), data, progress=False)
    assert metrics.color_difference(one) is None and metrics.precision_pixels(one) is None


def test_runs_that_never_get_there_are_still_compared():
    def run(*errors):
        return {"curves": {"train_error": list(errors)}}
    slow, slower, there = run(0.5, 0.4, 0.3), run(0.5, 0.45, 0.4), run(0.5, 0.3, 0.2)
    assert metrics.epochs_to_quarter(slow) == math.inf
    assert metrics.way_to_quarter(there) == metrics.epochs_to_quarter(there) == 2.5
    assert 3 < metrics.way_to_quarter(slow) < metrics.way_to_quarter(slower) < math.inf


def test_the_days_are_those_of_the_whole_net():
    """Data like shapes would else choose a narrow one."""
    from alexnet_lib.research.claims import c17_days
    config = dataclasses.replace(resolve(TrainConfig(**c17_days.NET)), num_classes=1000)
    assert sum(p.numel() for p in build_model(config).parameters()) == 60_965_224


# Records as disks and sync programs leave them; workers that are killed.

GOOD = {"test": {"1": {"top1_error": 0.1}}, "provenance": {"data": "d, fingerprint f"}}


def kept(results, seeds=2):
    """Records of CLAIM; returns the folder of its first arm."""
    for arm in CLAIM.arms:
        folder = runner.folder_of(CLAIM, arm, "cifar10", results)
        folder.mkdir(parents=True, exist_ok=True)
        for seed in range(seeds):
            (folder / f"seed-{seed}.json").write_text(json.dumps(GOOD))
    return runner.folder_of(CLAIM, CLAIM.arms[0], "cifar10", results)


@pytest.mark.parametrize("text", [
    "", "{", "[" * 100_000, "[]", "null", "{}", '{"name": "package", "version": "1"}',
    json.dumps(GOOD | {"test": {"10": 0.1}}), json.dumps(GOOD | {"curves": {"val_error": "x"}}),
    json.dumps(GOOD | {"provenance": {"data": 3}}), json.dumps(GOOD | {"diverged": True})])
def test_a_record_that_is_none_is_named(tmp_path, text):
    file = kept(tmp_path) / "seed-1.json"
    file.write_text(text)
    for ask in (lambda: ledger.row(CLAIM, "cifar10", tmp_path),
                lambda: runner.run_claim(CLAIM, "cifar10", 2, results=tmp_path)):
        with pytest.raises(UserError) as error:
            ask()
        assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_copies_of_records_are_left_out_and_named(tmp_path, capsys):
    folder = kept(tmp_path)
    for name in ("seed-0 (copy).json", "seed-0.sync-conflict.json", "seed-x.json", "rate-.json"):
        (folder / name).write_text(json.dumps(GOOD))
    assert ledger.row(CLAIM, "cifar10", tmp_path)["seeds"] == [0, 1]
    assert len(runner.strays(tmp_path)) == 4
    with pytest.raises(SystemExit) as stop:
        cli.main(["ledger", "--results", str(tmp_path)])
    assert stop.value.code == 0 and "(copy).json is left out" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["ledger", "--results", str(tmp_path), "--json", str(folder / "seed-0.json")])
    assert "reads this file" in capsys.readouterr().err


def test_a_record_without_the_metric_does_not_count(tmp_path):
    file = kept(tmp_path) / "seed-1.json"
    file.write_text(json.dumps({"provenance": GOOD["provenance"], "curves": {"val_error": []}}))
    assert ledger.effects(CLAIM, "cifar10", tmp_path) == {0: 0.0}
    searched(tmp_path, {0.01: 0.5})
    (tmp_path / "rate-0.01.json").write_text(json.dumps({"config": {"lr": 0.01}}))
    with pytest.raises(UserError, match=r"rate-0.01.json does not hold what last_val_error needs"):
        runner.searched(tmp_path, "last_val_error")


def test_results_that_cannot_be_written_are_refused_before_the_run(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "run_claim", lambda *args, **kwargs: pytest.fail("it has begun"))
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(SystemExit) as stop:
            cli.main(["experiment", "C01", "--results", str(place)])
        assert stop.value.code == 2 and "--results" in capsys.readouterr().err
    for options in (("--minutes", "nan"), ("--minutes", "-1")):
        with pytest.raises(SystemExit) as stop:
            cli.main(["experiment", "C01", *options, "--results", str(tmp_path)])
        assert stop.value.code == 2 and "minutes" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"seeds": 10**9}, {"jobs": 0}, {"jobs": 10**6}])
def test_absurd_numbers_are_refused(tmp_path, wrong):
    with pytest.raises(UserError, match=f"{next(iter(wrong))} must be 1 or more, and at most"):
        runner.run_claim(CLAIM, "shapes", **{"seeds": 1, "results": tmp_path} | wrong)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_worker_is_one_line():
    with pytest.raises(UserError, match="was killed.*fewer --jobs"), runner._workers(2) as pool:
        pool.submit(os._exit, 1).result()


def test_an_interruption_does_not_wait_for_the_runs():
    with pytest.raises(KeyboardInterrupt), runner._workers(2) as pool:
        pid = pool.submit(os.getpid).result()
        pool.submit(time.sleep, 600)
        begun = time.monotonic()
        raise KeyboardInterrupt
    assert time.monotonic() - begun < 10 and not alive(pid)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(number):
    code = ("import os, time\nfrom alexnet_lib.research import runner\n"
            "if __name__ == '__main__':\n"
            "    with runner._workers(2) as pool:\n"
            "        print(pool.submit(os.getpid).result(), flush=True)\n"
            "        pool.submit(time.sleep, 600).result()\n")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.send_signal(number)
    parent.wait()
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(pid)


def test_every_record_says_which_code_and_which_data_made_it():
    for file in (runner.RESULTS / "runs").rglob("*.json"):
        record = json.loads(file.read_text())
        made = record["provenance"]
        added = made.get("added", {})
        assert made.get("code") or added["code"], file
        if "data" in made:
            copy = datasets.title_of(made["data"])
            assert copy in (added.get("data"), made["data"].split(", ", 2)[-1]), file
        assert all({"date", "what"} <= set(edit) for edit in record.get("edits", []))


def test_an_edit_leaves_a_line_in_the_record(tmp_path):
    file = tmp_path / "seed-0.json"
    file.write_text(json.dumps(GOOD))
    runner.edit_record(file, lambda record: record.pop("test"), "test removed: another net's")
    record = json.loads(file.read_text())
    assert "test" not in record and record["provenance"] == GOOD["provenance"]
    assert [edit["what"] for edit in record["edits"]] == ["test removed: another net's"]


def test_the_stored_answers_give_the_stored_errors():
    """Each test image's answer, kept as bits since the seeds of the H200."""
    checked = 0
    for file in (runner.RESULTS / "runs").rglob("seed-*.json"):
        record = json.loads(file.read_text())
        for views, found in record.get("test", {}).items():
            if "right" in found:
                right = runner.right_images(record, int(views))
                assert len(right) == found["images"], file
                assert 1 - right.mean() == pytest.approx(found["top1_error"], abs=1e-6), file
                checked += 1
    assert checked > 100
