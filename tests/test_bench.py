"""`alexnet bench`: what it asks, how it makes ratios of it, and that the README repeats it."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import readme
import torch
from safetensors.torch import load_file

from alexnet_lib import cli
from alexnet_lib.layers import LocalResponseNorm
from alexnet_lib.models import AlexNet
from alexnet_lib.research import bench, precision, workloads

IDS = {"lrn_vs_torch", "step_vs_plain", "step_vs_no_lrn", "step_vs_torchvision",
       "input_vs_torchvision", "input_share_of_step", "memory_vs_plain", "import_vs_torch"}


def test_rows_are_medians_over_the_rounds_of_ours_and_the_rival(monkeypatch):
    asked = []

    def fake(task, seconds=None):
        asked.append(task)
        pace = 1 + asked.count(task)  # 2, 3, 4 in the three rounds
        # Ours is ten times as fast, and takes a tenth of the memory.
        slow = 10 if "rival" in task or "torchvision" in task or "plain" in task else 1
        return {"median": slow * pace, "images_per_s": 60 / slow, "peak_mb": slow * pace,
                "batch_s": pace / 50, "ours": pace, "torch": 12 * pace}

    monkeypatch.setattr(bench, "measure", fake)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    rows = {row["id"]: row for row in bench.bench_rows(3, progress=False)}
    assert set(rows) >= IDS
    assert rows["lrn_vs_torch"] | {"text": "", "target": ""} == {
        "id": "lrn_vs_torch", "text": "", "ours": 3000, "rival": 36000, "unit": "ms", "ratio": 12,
        "target": "", "runs": {"ours": [2000, 3000, 4000], "rival": [24000, 36000, 48000]}}
    assert rows["step_vs_plain"]["ratio"] == 10
    assert rows["memory_vs_plain"]["ratio"] == pytest.approx(0.1)
    assert rows["input_share_of_step"]["ratio"] == pytest.approx(1 / 50)
    # Each workload once in a round, whatever rows share it, ours and rivals in turn.
    third = len(asked) // 3
    assert len(set(asked)) == third and asked[:third] == asked[third:2 * third]


def test_ours_and_the_rival_run_on_the_same_device():
    """All are told which, but for those that need none."""
    untold = {task.split()[0] for row in bench.EVERYWHERE for task, *_ in (row.ours, row.rival)
              if "device={device}" not in task}
    assert untold == {"batches", "import"}


def test_the_process_has_megabytes_on_every_system(monkeypatch):
    """Linux counts in kilobytes, macOS in bytes."""
    sizes = {"linux": 250_000, "darwin": 250_000_000}
    for system, size in sizes.items():
        monkeypatch.setattr(workloads.sys, "platform", system)
        monkeypatch.setattr(workloads.resource, "getrusage",
                            lambda who, size=size: SimpleNamespace(ru_maxrss=size))
        assert workloads.process_mb() == 250


@pytest.mark.parametrize("seeds", [2, 12])
def test_precision_has_an_interval_for_any_number_of_seeds(seeds):
    runs = [{"precision": name, "seed": seed, "train_loss": [2.0, loss], "val_error": [0.9, loss]}
            for seed in range(seeds) for name, loss in (("fp32", 1.0), ("bf16", 1.0 + seed % 2))]
    found = precision.summary(runs)["train_loss"]
    low, high = found["interval_95"]
    assert found["paired_difference"] == 0.5 and low + high == pytest.approx(1) and low < 0.5


def test_the_plain_build_is_the_same_net():
    """Same sizes, same parameters, and with the same weights the same outputs."""
    plain, ours = workloads.plain_alexnet().eval().double(), AlexNet().eval().double()
    with torch.no_grad():
        for theirs, own in zip(plain.parameters(), ours.parameters(), strict=True):
            own.copy_(theirs)
        x = torch.randn(1, 3, 227, 227, dtype=torch.double) * 60
        # torch's LRN looks across the border of the columns, as plain builds do.
        ours.features.lrn1 = LocalResponseNorm(96).double()
        ours.features.lrn2 = LocalResponseNorm(256).double()
        # nn.Dropout scales in training, ours in evaluation, by half at fc7 and at fc8.
        ours.classifier.drop6.p = ours.classifier.drop7.p = 0.0
        torch.testing.assert_close(ours(x), plain(x))


@pytest.mark.parametrize("task", ["lrn shape=2x6x5x5 seconds=0.01",
                                  "step_ours batch=2 seconds=0.01",
                                  "step_rival batch=2 seconds=0.01",
                                  "batches images=4 batch=2 seconds=0.01",
                                  "batches images=4 batch=2 seconds=0.01 way=torchvision",
                                  "ten_views images=2 seconds=0.01",
                                  "ten_views images=1 seconds=0.01 net=plain device=cpu"])
def test_workloads_run(task):
    name, *settings = task.split()
    kinds = workloads.WORKLOADS[name].__annotations__
    threads = torch.get_num_threads()
    try:
        found = workloads.WORKLOADS[name](**{key: kinds[key](value) for key, value in
                                             (setting.split("=") for setting in settings)})
    finally:
        torch.set_num_threads(threads)
    assert all(value > 0 for value in found.values() if isinstance(value, float))


def test_a_workload_that_fails_is_told_in_one_line(monkeypatch):
    with pytest.raises(bench.UserError, match="'step_ours batch=x' failed: ValueError"):
        bench.measure("step_ours batch=x")


def test_bad_options_are_one_line():
    for options in (["--rounds", "0"], ["--seconds", "-1"], ["--rounds", "many"]):
        done = subprocess.run([sys.executable, "-m", "alexnet_lib", "bench", *options],
                              capture_output=True, text=True)
        assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_json_and_table(monkeypatch, capsys, tmp_path):
    row = {"id": "lrn_vs_torch", "text": "LRN", "ours": 1.0, "rival": 12.0, "unit": "ms",
           "ratio": 12.0, "target": ">= 10", "runs": {"ours": [1.0], "rival": [12.0]}}
    monkeypatch.setattr(bench, "bench_rows", lambda rounds, seconds: [row])
    file = tmp_path / "bench.json"
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "--json", str(file)])
    assert stop.value.code == 0
    assert json.loads(file.read_text())["rows"] == [row]
    shown = capsys.readouterr().out
    assert "lrn_vs_torch" in shown and "12" in shown and ">= 10" in shown


@pytest.mark.parametrize("name", list(readme.TABLES))
def test_the_docs_repeat_the_records(name):
    found = readme.between(name).search(readme.PAGES[name].read_text())
    assert found and found.group() == readme.TABLES[name]()


def test_the_readme_repeats_the_times_of_the_notebooks():
    text = readme.README.read_text()
    assert readme.times(text) == text
    rows = re.findall(r"\(notebooks/\S+\) \|.* \| .+; \d+ s \|$", text, re.MULTILINE)
    assert len(rows) == len(list((readme.ROOT / "notebooks").glob("*.ipynb")))


def test_the_page_of_speed_repeats_the_record():
    page = (readme.ROOT / "docs" / "appendix-speed.md").read_text()
    steps = json.loads((readme.RESULTS / "how-it-became-fast.json").read_text())["steps"]
    for step in steps:
        row = f"| {step['text']} | {step['images_per_s']:.0f} | {step['peak_mb']:,.0f} |"
        assert row in page
    rows = json.loads((readme.RESULTS / "bench-cpu.json").read_text())["rows"]
    norm = next(row for row in rows if row["id"] == "lrn_vs_torch")
    assert f"take {norm['ours']:.0f} ms with ours and {norm['rival']:.0f} ms with" in page


def test_every_small_picture_is_on_the_front_page():
    text = readme.FRONT.read_text()
    shown = set(re.findall(r'data/thumbnails/\w+\.png', text))
    made = {f"data/thumbnails/{path.name[:2]}.png"
            for path in (readme.ROOT / "notebooks").glob("*.ipynb")
            if readme.thumbnail(json.loads(path.read_text()))}
    assert shown == made and all((readme.ROOT / name).exists() for name in shown)


def test_the_record_has_every_row():
    record = json.loads((readme.RESULTS / "bench-cpu.json").read_text())
    assert {row["id"] for row in record["rows"]} >= IDS


def test_what_a_gpus_rate_means(monkeypatch):
    """Of these rows only the rate is measured; the rest is arithmetic on it."""
    monkeypatch.setattr(bench, "measure", lambda task, seconds=None: {
        "images_per_s": 50_000.0, "macs_per_s": 400e12})
    rows = {row["id"]: row for row in bench._gpu_rows([{"images_per_s": 40_000.0}] * 3)}
    assert set(rows) == {"train_images_per_s", "peak_share", "imagenette_90_epochs_s",
                         "paper_90_cycles_h"}
    assert rows["train_images_per_s"]["ours"] == 40_000
    # 724 million multiply-adds for an image, three times for a training step.
    assert rows["peak_share"]["ratio"] == pytest.approx(40_000 * 3 * 724_406_816 / 400e12)
    assert rows["imagenette_90_epochs_s"]["ours"] == pytest.approx(90 * 9469 / 40_000)
    assert rows["paper_90_cycles_h"]["ours"] == pytest.approx(90 * 1_281_167 / 40_000 / 3600)


def test_the_script_for_a_gpu_runs_dry(tmp_path):
    """Without a GPU too, and small: about the machine, and a net trained, filmed and measured."""
    done = script_for_a_gpu(tmp_path, "--only", "about,runs", "--minutes", "5")
    assert done.stdout.count("exit code 0") == 2, done.stdout + done.stderr
    assert json.loads((tmp_path / "about.json").read_text())["versions"]["torch"]
    [run] = json.loads((tmp_path / "runs.json").read_text())["runs"]
    assert run["exit_code"] == 0, (tmp_path / "run-paper-0.log").read_text()
    film = load_file(tmp_path / "film-paper-0.safetensors")
    assert set(film) == {"0", "1", "2"} and not torch.equal(film["0"], film["2"])
    assert 0 <= json.loads((tmp_path / "test-paper-0-10.json").read_text())["top1_error"] <= 1


def test_its_parts_are_known_and_stop_in_time(tmp_path):
    assert "nothing" in script_for_a_gpu(tmp_path, "--only", "about,nothing").stderr
    assert "no time left" in script_for_a_gpu(tmp_path, "--minutes", "0").stdout


def script_for_a_gpu(folder, *choices):
    return subprocess.run([sys.executable, "-m", "alexnet_lib.research.gpu", folder, "--small",
                           *choices], capture_output=True, text=True)
