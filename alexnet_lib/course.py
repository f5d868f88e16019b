'''What the notebooks share: set-up, environment check, exercise checks, recorded results.

For whoever writes notebook NN (a two-digit number); `tests/test_notebooks.py` and
`tests/test_exercises.py` check all of this:

**The head**, one or more markdown cells before the first code cell: the title `# NN · Title`,
the badge (`course.badge("NN-name.ipynb")` gives its markdown), then paragraphs that begin with
`**Goals**` (a list of 3 to 5), `**Prerequisites**`, `**Paper**` (the section), `**Time**` (the
minutes to read and try, and the seconds in which all cells run on a 2-core CPU, which `make outputs
ARGS=--time` measures and writes). The first code cell is `course.SETUP_CELL`, to the letter.

**The tail**, markdown headings in this order: `## Exercises` (at least 3; notebook 00 at least
1), `## Recall` (at least 3 questions, as a list), `## Summary` (one paragraph), `## What comes
next`. From notebook 01 on there is somewhere a **Predict before you run** in a markdown cell.

**Cells.** Ids are names, unique and lasting, and begin with the number: `02-conv1-by-hand`.
Code cells: median at most 5 lines, none over 25, no trailing `;`, no `clear_output`. A figure
(`plt.show()`) is followed at once by a markdown cell that holds a paragraph `**Figure.** ...`,
which says in words what the picture shows, also for those who cannot see it. Its first sentences
become the picture's alternative text, when outputs are stored or by `make outputs ARGS=--alt`.

**Outputs** are committed, from one run in order: `make outputs NB=02` runs and stores them, and
drops stderr. They hold discrete facts and verdict lines (`course.within`); what depends on the
machine goes into a cell tagged `nbval-ignore-output`, of which there are at most half.
Call `course.seed()` in each cell that draws random numbers.

**An exercise** NN-K has four parts.

1. The stub, a code cell with the id `NN-ex-K`. Its last line is the one call of `course.check`;
   the name it passes is what the learner fills. Untouched, it is `...`, or a function whose body
   is `...`::

       def conv_size(n, kernel, stride, padding):
           ...  # how many outputs?

       course.check("02-1", conv_size)

2. The help and the solution, the markdown cell right after it, with the id `NN-sol-K`: one
   `<details>` whose summary begins with "Help", one whose summary begins with "Solution". The
   solution has one fenced python block, which takes the stub's place (all but its last line).
   It may use what the cells above it have made; anything else it imports itself.

3. The checker, in `alexnet_lib/exercises/nbNN.py`::

       from alexnet_lib.exercises import exercise, expect

       @exercise("02-1", "Count the places where the kernel fits, first without padding.")
       def conv_size(answer):
           expect(answer(227, 11, 4, 0) == 55, "On 227 pixels conv1 gives 55 places.")
           expect(answer(27, 5, 1, 2) == 27, "Padding adds on both sides.")
           return "Stride and padding both count."      # said after "Correct."

   The first hint is for the untouched stub. A failed `expect` is "not yet" with its hint; so is
   an answer that raises. `number(answer)` and `tensor(answer)` read an answer's value, whatever
   its type, with a hint of their own.

4. At least three wrong answers, in `tests/wrong_answers/nbNN.py`, the common mistakes::

       WRONG = {"02-1": [lambda n, k, s, p: (n - k) // s + 1,   # padding forgotten
                         ...]}

The tests prove that the stub is not yet, the solution is correct, each wrong answer is refused
with a hint of its checker.
'''

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

from alexnet_lib import memory
from alexnet_lib.errors import UserError

REPOSITORY = "https://github.com/alexnet-course/alexnet-course"  # pyproject.toml says the same
ROOT = Path(__file__).resolve().parent.parent
MINIMUM = {"python": "3.10", "torch": "2.6", "torchvision": "0.21"}
# What a notebook host may lack, by module. Never torch or numpy: those are the host's own.
MISSING_MAY_BE = {"torchmetrics": "torchmetrics", "lightning_utilities": "lightning-utilities",
                  "safetensors": "safetensors", "captum": "captum",
                  "skimage": "scikit-image"}

SETUP_CELL = f'''\
# Fetch the course where it is not there yet (Colab, an empty folder), then set it up.
import importlib.util, os, subprocess, sys
sys.path += ["..", "alexnet-course"]
if importlib.util.find_spec("alexnet_lib") is None:
    repo = os.environ.get("ALEXNET_COURSE_REPO", "{REPOSITORY}")
    subprocess.run(["git", "clone", "-q", "--depth", "1", repo, "alexnet-course"], check=True)
    importlib.invalidate_caches()
from alexnet_lib import course
course.setup()'''

data = "shapes"  # the data's name, for datasets.load; setup() reads ALEXNET_DATA
full = False     # live cells at full size; setup() reads ALEXNET_FULL


def setup() -> None:
    """Make a notebook ready: data choice, seed, threads, style of figures; say so in one line."""
    global data, full
    data = os.environ.get("ALEXNET_DATA") or "shapes"
    full = os.environ.get("ALEXNET_FULL") == "1"
    installed = install_missing()
    import torch

    from alexnet_lib import plots
    from alexnet_lib.devices import device_name
    if not full:
        torch.set_num_threads(2)  # a sum's last digits depend on the number of threads
    seed()
    plots.use_style()
    explain_missing_names()
    source = ("embedded; ALEXNET_DATA=imagenette takes photographs" if data == "shapes"
              else "from ALEXNET_DATA")
    size = "full" if full else "quick; ALEXNET_FULL=1 for full size"
    print(f"Ready. {_brought(installed)}Data: {data} ({source}). Live cells: {size}.")
    print(f"torch {torch.__version__}, {device_name()}, {torch.get_num_threads()} threads",
          file=sys.stderr)


def _brought(installed: list[str]) -> str:
    """What the set-up cell had to bring, as sentences; empty where all was there."""
    said = []
    if Path("alexnet-course").resolve() == ROOT:  # where the cell puts it
        seen = ROOT / ".git" / "seen-by-setup"
        said.append("Course: found in alexnet-course. " if seen.exists()
                    else "Course: fetched into alexnet-course. ")
        with contextlib.suppress(OSError):
            seen.touch()
    if installed:
        said.append(f"Installed: {', '.join(installed)}. ")
    return "".join(said)


def seed(value: int = 0) -> None:
    """Seed Python, numpy and torch: the first line of every cell that draws random numbers."""
    import numpy as np
    import torch
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def explain_missing_names() -> None:
    """After a NameError in a notebook, a sentence that says which cells to run first."""
    try:
        shell = get_ipython()
    except NameError:  # not in a notebook
        return
    shell.set_custom_exc((NameError,), missing_name)


def missing_name(shell, kind, error, traceback, tb_offset=None) -> None:
    """What IPython calls at a NameError (see also .ci/startup.py): the traceback, the sentence."""
    shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
    print(f"`{error.name}` is made in a cell further up: choose Run > Run All Above Selected "
          "Cell (in Colab: Runtime > Run before), then run this cell again.", file=sys.stderr)


def pick(quick, whole):
    """`quick` by default, `whole` where ALEXNET_FULL=1."""
    return whole if full else quick


def install_missing() -> list[str]:
    """Install the small packages that a notebook host lacks; never torch, numpy or their like.

    Returns what was installed.
    """
    wanted = [package for module, package in MISSING_MAY_BE.items()
              if importlib.util.find_spec(module) is None]
    if not wanted:
        return []
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *wanted]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise UserError(f"cannot install {' and '.join(wanted)}: look whether the network is "
                        f"there, or install by hand: pip install {' '.join(wanted)}")
    importlib.invalidate_caches()
    return wanted


# The environment check.

def environment() -> None:
    """Print the environment check: a row for each thing that matters, OK or what to do."""
    from tabulate import tabulate
    print(tabulate(environment_rows(), headers=["", "found", "verdict"], disable_numparse=True))


def environment_rows() -> list[tuple[str, str, str]]:
    """(what, found, "OK ..." or what to do) for each thing the course needs."""
    rows = [_version_row("python", sys.version.split()[0], "install a newer Python")]
    rows += [_package_row("torch"), _package_row("torchvision")]
    if rows[1][2] != "OK":
        return rows
    from alexnet_lib.devices import device_name  # imports torch, which is there by now
    rows.append(("device", device_name(), "OK" if device_name() != "cpu"
                 else "OK: every live cell is made for it"))
    rows.append(_size_row("memory", memory.total(), 4, "close other programs"))
    rows.append(_size_row("free disk", shutil.disk_usage(ROOT).free, 2, "make room"))
    rows.append(_data_row())
    return rows


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])


def _version_row(name: str, found: str, cure: str) -> tuple[str, str, str]:
    enough = _numbers(found) >= _numbers(MINIMUM[name])
    return name, found, "OK" if enough else f"{cure}: {MINIMUM[name]} or later is needed"


def _package_row(name: str) -> tuple[str, str, str]:
    cure = "pip install --upgrade torch torchvision (in Colab: take the newest runtime)"
    try:
        return _version_row(name, importlib.import_module(name).__version__, cure)
    except ImportError:
        return name, "missing", cure
    except Exception as error:  # a torchvision built for another torch fails as it pleases
        return name, f"fails: {str(error).splitlines()[0]}", f"it does not fit its torch; {cure}"


def _size_row(name: str, found: int | None, needed: int, cure: str) -> tuple[str, str, str]:
    if found is None:
        return name, "unknown", f"OK if there are {needed} GB"
    gb = found / 1e9
    return name, f"{gb:.0f} GB", "OK" if gb >= needed else f"{cure}: {needed} GB are needed"


def _data_row() -> tuple[str, str, str]:
    if data == "shapes":
        return "data", data, "OK: embedded, nothing to download"
    if data.startswith("folder:") and not Path(data[7:]).expanduser().is_dir():
        return "data", data, "no such folder: set ALEXNET_DATA anew, then restart the kernel"
    return "data", data, f"OK: packed at first use, or now with: alexnet data pack {data}"


# What is live beside what is recorded.

def within(name: str, value: float, low: float, high: float) -> None:
    """Print whether a live value lies in its recorded range: the same line whenever it does."""
    if low <= value <= high:
        print(f"{name}: as recorded ({low:g} to {high:g})")
    else:
        print(f"{name}: {value:.4g}, outside of what was recorded ({low:g} to {high:g}); "
              "another device, data or size explains a small difference")


def ledger(claim: str) -> list[dict]:
    """Print what the ledger says about a claim of the paper, and return its rows.

    The rows are made from the runs in data/results/runs; see `experiments.ledger.row`.
    """
    from alexnet_lib import experiments
    from alexnet_lib.experiments import ledger as book
    found = experiments.claim(claim)
    rows = [book.row(found, setup) for setup in found.setups]
    where = f"section {found.section}" if found.section[0].isdigit() else found.section
    print(f"{found.id}, {where}: {found.statement} ({found.paper}).")
    for setup, row in zip(found.setups, rows, strict=True):
        print(f"{setup}: {book.ours(row)}")
    return rows


def runs(claim: str, setup: str) -> dict[str, list[dict]]:
    """The records of a claim's runs by arm, in the order of the seeds; empty where none was run.

    setup: "imagenette" or "cifar10". A record has `config`, `curves` (lists by epoch:
    `train_loss`, `train_error`, `val_loss`, `val_error`), `test` and `train`.
    """
    from alexnet_lib import experiments
    from alexnet_lib.experiments import ledger as book
    found = experiments.claim(claim)
    return {arm.name: [run for _, run in sorted(book.runs_of(found, arm, setup).items())]
            for arm in found.arms}


def searched(claim: str, setup: str) -> dict[str, dict[float, float]]:
    """What the search found for each arm: by rate, the quantity that chose it (one seed)."""
    from alexnet_lib import experiments
    from alexnet_lib.experiments import runner
    found = experiments.claim(claim)
    return {arm.name: dict(sorted(runner.searched(
        runner.folder_of(found, arm, setup, search=True), found.choose).items()))
        for arm in found.arms}


def recorded(name: str) -> dict:
    """Read data/results/NAME.json and print where it comes from.

    The record's "provenance" is a dict; of `command`, `data`, `seeds`, `device`, `date` and
    `seconds`, those that are there are printed.
    """
    path = ROOT / "data" / "results" / f"{name}.json"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise UserError(f"no recorded result {name} in data/results; there are: {there}")
    record = json.loads(path.read_text())
    origin = record.get("provenance", {})
    parts = [str(origin[key]) for key in ("command", "data", "device", "date") if key in origin]
    if "seeds" in origin:
        parts.insert(1, f"seeds {origin['seeds']}")
    if "seconds" in origin:
        parts.append(_duration(origin["seconds"]))
    print("Recorded: " + " · ".join(parts or ["without provenance"]))
    return record


def predictions(name: str):
    """What a recorded net said about every test image: `evaluation.Predictions`.

    name: of a file in data/results/predictions, such as "imagenette-10-views".
    """
    from alexnet_lib.evaluation import read_predictions
    return read_predictions(ROOT / "data" / "results" / "predictions" / f"{name}.safetensors")


def trained(name: str = "imagenette"):
    """A recorded net from data/weights, ready to be asked: `weights.Loaded`, CPU and fp32."""
    from alexnet_lib.weights import load_model
    return load_model(ROOT / "data" / "weights" / f"{name}.safetensors", "cpu", "fp32")


def photographs(size: int) -> dict:
    """Photographs that scikit-image ships, by name: (size, size, 3) uint8, the central square."""
    import numpy as np
    import skimage.data
    from PIL import Image, ImageOps
    names = ("astronaut", "cat", "coffee", "rocket", "retina", "hubble_deep_field",
             "immunohistochemistry")
    return {name: np.asarray(ImageOps.fit(Image.fromarray(getattr(skimage.data, name)()),
                                          (size, size))) for name in names}


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def source(thing) -> None:
    """Print a function's or a class's source."""
    print(inspect.getsource(thing).rstrip())


# Exercises.

def check(name: str, answer) -> None:
    """Check an exercise's answer and say at once: correct, or not yet and a hint."""
    right, words = verdict(name, answer)
    print(f"{name} · {'Correct ✓' if right else 'Not yet.'} {words}".rstrip())


def verdict(name: str, answer) -> tuple[bool, str]:
    """(is it correct?, what to say about it). Whatever the answer does, nothing is raised."""
    from alexnet_lib import exercises
    exercise = exercises.find(name)
    if exercise is None:
        return False, f"There is no exercise {name}: see the number in the heading."
    return exercise.verdict(answer)


# For whoever writes notebooks.

def figure_words(markdown: str, length: int = 200) -> str:
    """A figure's alternative text: the first sentences of the paragraph **Figure.**, or "".

    As many whole sentences as fit into `length`, at least one; plain, without Markdown's marks.
    """
    found = re.search(r"^\*\*Figure\.\*\* +(\S.*)", markdown, flags=re.MULTILINE)
    if not found:
        return ""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", found[1])  # of links, the words
    plain = re.sub(r"[*`$]", "", plain).replace(r"\cdot", "·").strip()
    words, *others = re.split(r"(?<=[.!?]) (?=[A-Z(])", plain)
    for sentence in others:
        if len(f"{words} {sentence}") > length:
            break
        words += f" {sentence}"
    return words


def badge(notebook: str) -> str:
    """The markdown of the badge that opens `notebook` in Colab."""
    repository = REPOSITORY.removeprefix("https://github.com/")
    colab = "https://colab.research.google.com"
    return (f"[![Open in Colab]({colab}/assets/colab-badge.svg)]"
            f"({colab}/github/{repository}/blob/main/notebooks/{notebook})")
