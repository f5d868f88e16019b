"""The course machinery and the set-up files that must agree with it."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import store_outputs
import torch
from matplotlib import pyplot as plt
from PIL import Image

from alexnet_lib import course
from alexnet_lib.course import environment_check, plots, records
from alexnet_lib.course.photos import SHIPPED
from alexnet_lib.datasets import listing
from alexnet_lib.errors import UserError

PYPROJECT = (course.ROOT / "pyproject.toml").read_text()


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    """No choice from outside, and what setup() changes is put back."""
    for name in ("ALEXNET_DATA", "ALEXNET_FULL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("data", "full"):
        monkeypatch.setattr(course, name, getattr(course, name))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# setup()

def test_setup_says_one_line_that_names_no_machine(capsys):
    course.setup()
    out, err = capsys.readouterr()
    assert out == ("Ready. Data: shapes (embedded; ALEXNET_DATA=imagenette takes photographs). "
                   "Live cells: quick; ALEXNET_FULL=1 for full size.\n")
    assert torch.__version__ in err
    assert torch.get_num_threads() == 2


def test_setup_says_what_it_had_to_bring(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(course, "install_missing", lambda: ["torchmetrics", "captum"])
    monkeypatch.setattr(course, "ROOT", tmp_path / "alexnet-course")
    monkeypatch.chdir(tmp_path)
    course.setup()
    assert capsys.readouterr().out.startswith(
        "Ready. Course: fetched into alexnet-course. Installed: torchmetrics, captum. Data: shapes")


def test_setup_seeds(capsys):
    draws = []
    for _ in range(2):
        course.setup()
        draws.append(torch.rand(1).item())
    assert draws[0] == draws[1]


def test_setup_takes_data_and_size_from_outside(monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA", "imagenette")
    monkeypatch.setenv("ALEXNET_FULL", "1")
    course.setup()
    assert (course.data, course.full, course.pick(2, 90)) == ("imagenette", True, 90)
    assert "Data: imagenette (from ALEXNET_DATA). Live cells: full." in capsys.readouterr().out


def test_only_what_is_missing_is_installed(monkeypatch):
    """... and never torch or numpy, not even as something that another package asks for."""
    commands = []
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "torchmetrics" else real(name))
    monkeypatch.setattr(subprocess, "run", lambda command, **kwargs: commands.append(command) or
                        subprocess.CompletedProcess(command, 0))
    assert course.install_missing() == ["torchmetrics"]
    assert commands == [[sys.executable, "-m", "pip", "install", "--quiet", "--no-deps",
                         "torchmetrics"]]
    assert not {"torch", "torchvision", "numpy"} & set(course.MISSING_MAY_BE.values())


def test_failed_install_says_what_to_do(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run",
                        lambda command, **kwargs: subprocess.CompletedProcess(command, 1))
    with pytest.raises(UserError, match="pip install torchmetrics"):
        course.install_missing()


# The environment check.

def test_environment_is_ok_here(capsys):
    course.environment()
    out = capsys.readouterr().out
    for word in ("python", "torch", "torchvision", "device", "memory", "free disk", "data"):
        assert re.search(rf"^{word} ", out, flags=re.MULTILINE)


@pytest.mark.parametrize("name, spoil, cure", [
    ("python", lambda mp: mp.setattr(sys, "version", "3.9.2 (old) [GCC 9]"),
     "a newer Python: 3.10"),
    ("torch", lambda mp: mp.setattr(torch, "__version__", "2.5.1"), "pip install --upgrade torch"),
    ("torchvision", lambda mp: mp.setitem(sys.modules, "torchvision", None),
     "pip install --upgrade torch"),
    ("memory", lambda mp: mp.setattr(environment_check.memory, "available", lambda: 1e9),
     "close other programs"),
    ("data", lambda mp: mp.setattr(course, "data", "folder:/nowhere"), "no such folder"),
])
def test_environment_says_what_to_do(monkeypatch, name, spoil, cure):
    spoil(monkeypatch)
    verdict = {row[0]: row[2] for row in course.environment_rows()}[name]
    assert cure in verdict and not verdict.startswith("OK")


def test_environment_reports_a_torchvision_that_does_not_fit(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist\nmore")
    monkeypatch.setattr(environment_check.importlib, "import_module", broken)
    name, found, verdict = environment_check._package_row("torchvision")
    assert "nms does not exist" in found and "does not fit" in verdict


@pytest.mark.parametrize("found, enough", [("2.6.0", True), ("2.15.0+cu132", True),
                                           ("3.0.0a1", True), ("2.5.1", False)])
def test_versions_are_compared_as_numbers(found, enough):
    assert (environment_check._version_row("torch", found, "upgrade")[2] == "OK") is enough


# Live and recorded.

@pytest.mark.parametrize("value, low, high, unit, line", [
    (34.123, 33.2, 36.0, "%", "x: 34.1% (ours: 33.2 to 36.0%). Good."),
    (torch.tensor(3), 0, 16, "", "x: 3 (ours: 0 to 16). Good."),
    (1.3, 0, 5, "points", "x: 1.30 points (ours: 0 to 5 points). Good."),
    (-0.5, -1, 9, "", "x: -0.500 (ours: -1 to 9). Good."),
    (2.0004e-4, 1e-5, 4e-4, "", "x: 2.00e-04 (ours: 1e-05 to 0.0004). Good."),
    (0.0, 0, 1.5, "%", "x: 0.0% (ours: 0.0 to 1.5%). Good."),
    (0.2004, 0.01, 0.2, "", "x: 0.200 (ours: 0.01 to 0.20). Good."),  # judged as printed
    (2.333, 2.202585, 2.452585, "", "x: 2.333 (ours: 2.203 to 2.453). Good."),
    (torch.tensor([2.5]), 0, 3, "s", "x: 2.50 s (ours: 0 to 3 s). Good."),
])
def test_within_shows_the_value_beside_our_range(value, low, high, unit, line, capsys):
    course.within("x", value, low, high, unit, means="Good.")
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize("value", [0.2, 0.04, float("nan"), float("inf")])
def test_within_says_that_a_value_is_outside_and_why(value, capsys, monkeypatch):
    course.within("x", value, 0.05, 0.15, means="Good.")
    said = capsys.readouterr().out
    assert "outside" in said and "processor" in said and "Good" not in said
    monkeypatch.setattr(course, "data", "imagenette")
    course.within("x", value, 0.05, 0.15)
    assert "you changed the data" in capsys.readouterr().out


def test_nbval_masks_the_value_of_within_and_nothing_else(tmp_path):
    """One cell for each stored line; each runs `within` with 34.1%."""
    call = "course.within('error: b', 34.123, {}, {}, '%', 'It helps.')"
    right = "error: b: 35.9% (ours: 33.2 to 36.0%). It helps.\n"
    outside = "error: b: 40.9% (ours: 35.0 to 36.5%), outside our range. " + \
        records._why_outside() + "\n"
    stored = {
        right: (True, 33.2, 36.0), outside: (True, 35.0, 36.5),
        right + " ": (False, 35.0, 36.0),  # it is outside now
        right.replace("35.9", "n/a"): (False, 33.2, 36.0),
        right.replace("33.2", "33.3"): (False, 33.2, 36.0),
        right.replace("error", "loss"): (False, 33.2, 36.0),
        right.replace("helps", "hurts"): (False, 33.2, 36.0),
        right.replace("%", ""): (False, 33.2, 36.0),
        "error: 34 of 40\n": (False, 33.2, 36.0)}
    cells = [nbformat.v4.new_code_cell("from alexnet_lib import course")] + [
        nbformat.v4.new_code_cell(call.format(low, high), execution_count=1, outputs=[
            nbformat.v4.new_output("stream", text=text)])
        for text, (_, low, high) in stored.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    shutil.copy(course.ROOT / "conftest.py", tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider",
         "-p", "no:xdist", f"--nbval-sanitize-with={course.ROOT / 'tests' / 'sanitize.cfg'}", "-rA",
         "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(course.ROOT)})
    verdicts = {int(cell): word == "PASSED" for word, cell in
                re.findall(r"^(PASSED|FAILED) \S*::Cell (\d+)", run.stdout, re.MULTILINE)}
    assert [verdicts[n] for n in range(1, len(cells))] == [ok for ok, *_ in stored.values()], \
        run.stdout


def test_a_figure_has_a_caption_and_an_alternative_text_apart(tmp_path):
    """... stored where the site, nbconvert and screen readers find them."""
    path = tmp_path / "98-a.ipynb"
    cells = ["from alexnet_lib import course\nfrom matplotlib import pyplot as plt\n"
             "figure, _ = plt.subplots()",
             "course.show(figure, caption='ReLU < tanh.', alt='A \"falling\" line.')",
             "figure, _ = plt.subplots()\nfigure.alt = 'Bars.'\ncourse.show(figure, caption='Up.')"]
    nbformat.write(nbformat.v4.new_notebook(cells=[
        *map(nbformat.v4.new_code_cell, cells), nbformat.v4.new_markdown_cell("More.")]), path)
    store_outputs.store_outputs(path)
    _, first, second, _ = nbformat.read(path, as_version=4).cells
    picture, caption = first.outputs
    assert picture.metadata["image/png"]["alt"] == 'A "falling" line.'
    assert first.metadata["mystnb"]["image"]["alt"] == 'A "falling" line.'
    assert "<figcaption>ReLU &lt; tanh.<" in caption.data["text/html"]
    assert 'aria-label="A &quot;falling&quot; line."' in caption.data["text/html"]
    assert second.metadata["mystnb"]["image"]["alt"] == "Bars."


def test_a_figure_without_its_words_is_refused():
    figure = plt.figure()
    for words in ({"caption": " ", "alt": "A line."}, {"caption": "It rises."}):
        with pytest.raises(UserError, match="needs a"):
            course.show(figure, **words)
    plt.close(figure)


def test_recorded_prints_provenance(monkeypatch, tmp_path, capsys):
    folder = tmp_path / "data" / "results"
    folder.mkdir(parents=True)
    monkeypatch.setattr(course, "ROOT", tmp_path)
    (folder / "run.json").write_text(json.dumps({"error": 0.4, "provenance": {
        "command": "alexnet train", "device": "one GPU", "date": "2026-11-20", "seconds": 5400}}))
    assert course.recorded("run")["error"] == 0.4
    assert capsys.readouterr().out == (
        "Recorded: alexnet train · one GPU · 2026-11-20 · 90 min\n")
    with pytest.raises(UserError, match="there are: run"):
        course.recorded("other")


def test_source_is_printed(capsys):
    course.source(course.pick)
    assert capsys.readouterr().out.startswith("def pick(")


# One truth in several files.

def requirements(text):
    """{package: lower bound} of the requirement strings in `text`."""
    return dict(re.findall(r'^\s*(?:- |")?([a-z0-9_-]+)>=([\d.]+)', text, flags=re.MULTILINE))


def test_repository_and_minimum_versions_are_those_of_pyproject():
    assert f'Repository = "{course.REPOSITORY}"' in PYPROJECT
    assert f'requires-python = ">={environment_check.MINIMUM["python"]}"' in PYPROJECT
    for name in ("torch", "torchvision"):
        assert f'"{name}>={environment_check.MINIMUM[name]}"' in PYPROJECT
    assert course.REPOSITORY in course.SETUP_CELL


def test_conda_route_asks_for_the_same():
    conda = requirements((course.ROOT / "environment.yml").read_text())
    asked = re.sub(r"^(site|browser) = .*$", "", PYPROJECT, flags=re.MULTILINE)  # not for learners
    wanted = dict(re.findall(r'"([a-z0-9_-]+)>=([\d.]+)"', asked))
    wanted.pop("setuptools")
    wanted["pytorch"] = wanted.pop("torch")
    assert {name: conda.get(name) for name in wanted} == wanted
    assert conda["python"] == environment_check.MINIMUM["python"]


def test_lower_bounds_only():
    project = PYPROJECT[PYPROJECT.index("[project]"):PYPROJECT.index("[project.urls]")]
    assert not re.search(r"==|<|~=", project)


def test_library_imports_no_notebook_software():
    """`alexnet_lib.course` itself, too: it is imported before anything is installed."""
    code = ("import sys, alexnet_lib, alexnet_lib.course, alexnet_lib.course.exercises;"
            "print({'IPython', 'ipywidgets', 'matplotlib', 'torch'} & set(sys.modules))")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                         cwd=course.ROOT)
    assert run.stdout == "set()\n"


# make

def make(*args, cwd=course.ROOT, **env):
    return subprocess.run(["make", *args], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **env})


def test_make_help_lists_every_target():
    text = (course.ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)", text, flags=re.MULTILINE)[1].split())
    assert set(re.findall(r"^  make ([\w-]+)", make("help").stdout, flags=re.MULTILINE)) == targets


@pytest.fixture
def bare(tmp_path):
    """A folder with the set-up files, no environment, and a `python3` that is told what to be."""
    for name in ("pyproject.toml", "Makefile", ".ci/env", ".ci/startup.py"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes((course.ROOT / name).read_bytes())

    def python(script):
        fake = tmp_path / "fake-python"
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        return str(fake)
    return tmp_path, python


@pytest.mark.parametrize("script, complaint", [
    ('case "$1" in --version) echo Python 3.8.1;; *) exit 1;; esac', "Python 3.8.1 is too old"),
    ('case "$1" in --version) echo Python 3.11.2;; -m) exit 1;; esac', "python3-venv"),
])
def test_unfit_python_is_told_in_one_line(bare, script, complaint):
    folder, python = bare
    run = make("env", "PYTHON=" + python(script), cwd=folder, PATH="/usr/bin:/bin")
    told = [line for line in run.stderr.splitlines()
            if line.startswith("env: ") and "making" not in line]
    assert run.returncode and len(told) == 1 and complaint in told[0]
    assert not (folder / ".venv").exists()


def test_missing_python_is_told(bare):
    run = make("env", "PYTHON=python3.99", cwd=bare[0])
    assert run.returncode and "no python3.99 here" in run.stderr


def test_environment_is_remade_only_when_requirements_change(bare):
    """The stamp of a finished environment is kept over edits that require nothing new."""
    folder, _ = bare
    log, python = folder / "log", folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    for tool in (python, python.with_name("uv")):
        tool.write_text(f'#!/bin/sh\ncase "$*" in *--dry-run*) exit 1;; esac\necho "$@" >>{log}\n')
        tool.chmod(0o755)
    environment = {"PATH": f"{python.parent}:/usr/bin:/bin"}

    def installs():
        assert make("env", cwd=folder, **environment).returncode == 0
        return len(log.read_text().splitlines())

    assert installs() == 1
    assert (folder / ".venv" / "etc" / "ipython" / "startup" / "alexnet-course.py").is_file()
    assert installs() == 1
    later = (folder / ".venv" / ".ready").stat().st_mtime + 5
    (folder / "pyproject.toml").write_text(PYPROJECT.replace("--durations=5", ""))
    os.utime(folder / "pyproject.toml", (later, later))
    assert installs() == 1
    (folder / "pyproject.toml").write_text(PYPROJECT.replace("torch>=2.6", "torch>=2.7"))
    os.utime(folder / "pyproject.toml", (later, later))
    assert installs() == 2


def test_a_name_of_an_earlier_cell_is_explained(capsys):
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell()
    shell.run_cell("from alexnet_lib import course; course.explain_missing_names()")
    shell.run_cell("losses[-1]")
    said = capsys.readouterr()
    assert "`losses` is made in a cell further up: choose Run" in said.err
    assert "NameError" in said.out
    shell.run_cell("[][0]")
    assert "further up" not in capsys.readouterr().err


def test_a_name_is_explained_before_the_first_cell_has_run(capsys):
    """After a restart, say: each kernel runs this file, and it leaves no name behind."""
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell()
    before = set(shell.user_ns)
    shell.safe_execfile(str(course.ROOT / ".ci" / "startup.py"), shell.user_ns)
    assert set(shell.user_ns) - before <= {"__file__", "__doc__", "__name__"}
    shell.run_cell("losses[-1]")
    said = capsys.readouterr()
    assert "`losses` is made in a cell further up: choose Run" in said.err
    assert "NameError" in said.out


def passes_its_own_check(fork):
    """What `make test` of the fork says about badges and set-up cells."""
    for name in ("alexnet_lib/__init__.py", "tests/test_notebooks.py", "tests/store_outputs.py"):
        (fork / name).parent.mkdir(exist_ok=True)
        shutil.copy(course.ROOT / name, fork / name)
    return not subprocess.run([
        sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider",
        "-k", "badge or setup_cell and not empty_folder", "tests/test_notebooks.py"],
        cwd=fork, stdout=sys.stderr).returncode


@pytest.mark.skipif(not (course.ROOT / ".git").exists(), reason="searches what is tracked")
def test_a_fork_can_be_stamped(tmp_path):
    own = course.REPOSITORY.removeprefix("https://")
    names = subprocess.run(["git", "grep", "-l", own.removeprefix("github.com/")], text=True,
                           cwd=course.ROOT, check=True, capture_output=True).stdout.split()
    assert len(names) > 20  # whatever names it, be it in a list of .ci/colab or not
    shutil.copytree(course.ROOT / "alexnet_lib", tmp_path / "alexnet_lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    for name in [".ci/colab", *names]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(course.ROOT / name, tmp_path / name)
    before = {name: (tmp_path / name).read_bytes() for name in names}

    def stamp(*repo):
        return subprocess.run([sys.executable, tmp_path / ".ci" / "colab", *repo], text=True,
                              capture_output=True)

    assert stamp("me/fork").returncode == 0
    whose = own.removeprefix("github.com/")
    assert [name for name in names if whose in (tmp_path / name).read_text()] == []
    badge = (tmp_path / next(name for name in names if name.endswith(".ipynb"))).read_text()
    assert "github.com/github/me/fork/blob" not in badge
    assert "google.com/github/me/fork/blob/main" in badge
    assert passes_its_own_check(tmp_path)
    assert stamp(whose).returncode == 0
    assert before == {name: (tmp_path / name).read_bytes() for name in names}
    for wrong in ((), ("fork",), ("a/b/c",)):
        assert "owner/name" in stamp(*wrong).stderr


# Progress in a notebook.

def test_progress_in_a_notebook_is_no_error_and_nothing_to_compare():
    """Widgets alone: JupyterLab paints stderr red, and nbval compares what is printed."""
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell, new_notebook
    code = ("from alexnet_lib import text\ntext.say('one <line>')\n"
            "assert list(text.bar(range(3), 'three')) == [0, 1, 2]")
    notebook = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [out.get("data", out) for out in notebook.cells[0].outputs]
    assert [list(data) for data in shown] == [["application/vnd.jupyter.widget-view+json"]] * 2
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert any("one &lt;line&gt;" in str(widget) for widget in state.values())


def test_a_learners_copy_is_brought_up_to_date_until_it_is_changed(tmp_path):
    (tmp_path / "notebooks" / "appendix").mkdir(parents=True)
    files = [Path("00.ipynb"), Path("appendix/A1.ipynb")]

    def copy(text):
        for file in files:
            (tmp_path / "notebooks" / file).write_text(text)
        done = subprocess.run([sys.executable, course.ROOT / ".ci" / "copy", "notebooks", "mine"],
                              cwd=tmp_path, text=True, capture_output=True, check=True)
        return [(tmp_path / "mine" / file).read_text() for file in files], done.stderr

    assert copy("1")[0] == ["1", "1"]
    assert copy("2")[0] == ["2", "2"]
    (tmp_path / "mine" / "00.ipynb").write_text("my own")
    assert "00.ipynb" not in copy("2")[1]
    found, said = copy("3")
    assert found == ["my own", "3"] and "newer" in said and "00.ipynb" in said
    (tmp_path / "mine" / "00.ipynb").rename(tmp_path / "mine" / "00-old.ipynb")
    assert copy("3")[0] == ["3", "3"]


# Photographs.

def test_photographs_that_our_packages_ship():
    found = course.photographs(48, tuple(SHIPPED))
    assert list(found)[:7] == list(course.photographs(48))
    for name, image in found.items():
        assert image.shape == (48, 48, 3) and image.dtype == np.uint8 and image.std() > 10, name
    with pytest.raises(UserError, match="no photograph 'dog'"):
        course.photographs(48, ["dog"])


def test_fetched_photographs_take_turns_and_name_who_took_them(tmp_path, monkeypatch):
    home = tmp_path / "flower_photos"
    for place, color in (("daisy", "white"), ("roses", "red")):
        (home / place).mkdir(parents=True)
        for i in range(20):
            Image.new("RGB", (50, 40), color).save(home / place / f"{i}.png")
    (home / "CREDITS.txt").write_text("".join(
        f"{path.parent.name}/{path.name} CC-BY by Ann - https://x.org/\n"
        for path in home.rglob("*.png")))
    monkeypatch.setattr(listing, "FLOWERS_COUNT", 40)
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")  # what is there needs no network
    shown = course.fetched_photographs(count=3, size=32)
    assert [one.label for one in shown] == ["daisy", "roses", "daisy"]
    assert {one.credit for one in shown} == {"Ann, CC BY 2.0"}
    assert all(one.image.shape == (32, 32, 3) for one in shown)
    assert shown[0].image.min() > 250 and shown[1].image[..., 1].max() < 5
    figure = plots.photographs(shown)
    assert ["Ann" in panel.texts[0].get_text() for panel in figure.axes] == [True] * 3
    plots.plt.close(figure)


def test_shipped_photographs_stand_in_without_a_network(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALEXNET_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("ALEXNET_OFFLINE", "1")
    shown = course.fetched_photographs("flowers", count=4, size=32)
    assert [one.label for one in shown] == ["astronaut", "cat", "coffee", "rocket"]
    assert "alexnet data get flowers" in capsys.readouterr().out
    with pytest.raises(UserError, match="flowers or imagenette"):
        course.fetched_photographs("shapes")


def test_by_seed_pairs_what_the_ledger_pairs():
    from alexnet_lib.research import claims, ledger
    for claim, setup in (("C06", "imagenette"), ("C10", "imagenette")):
        first, second = course.by_seed(claim, setup).values()
        effects = ledger.effects(claims.claim(claim), setup)
        assert np.allclose(np.subtract(second, first), list(effects.values()))
    arms = course.by_seed("C06", "imagenette", "train_error")
    assert list(arms) == ["with", "without"] and min(arms["with"]) > max(arms["without"])
