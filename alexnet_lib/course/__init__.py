"""What the notebooks share: set-up, the environment check, figures, records, exercise checks.

How a notebook is written: see `course.writing`.
"""

import contextlib
import importlib
import importlib.util
import inspect
import os
import random
import subprocess
import sys
from pathlib import Path

from alexnet_lib.errors import UserError
from alexnet_lib.text import say

REPOSITORY = "https://github.com/alexnet-course/alexnet-course"  # pyproject.toml says the same
ROOT = Path(__file__).resolve().parents[2]
# What a notebook host may lack, by module. Never torch or numpy: those are the host's own.
MISSING_MAY_BE = {"torchmetrics": "torchmetrics", "lightning_utilities": "lightning-utilities",
                  "safetensors": "safetensors", "captum": "captum",
                  "skimage": "scikit-image", "anywidget": "anywidget", "psygnal": "psygnal"}

SETUP_CELL = f'''\
# Fetch the course where it is not there yet (Colab, an empty folder), then set it up.
import importlib.util, os, sys
sys.path += ["..", "alexnet-course"]
if importlib.util.find_spec("alexnet_lib") is None:
    repo = os.environ.get("ALEXNET_COURSE_REPO", "{REPOSITORY}")
    pin = os.environ.get("ALEXNET_COURSE_PIN", "HEAD")  # a commit, a tag or a branch
    git = "git -C alexnet-course"
    if os.system(f"git init -q alexnet-course && {{git}} fetch -q --depth 1 {{repo}} {{pin}}"
                 f" && {{git}} checkout -q FETCH_HEAD"):
        sys.exit(f"Cannot fetch the course: are git and a network there, and is this its address? "
                 f"{{repo}} (for another one, set os.environ['ALEXNET_COURSE_REPO'])")
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

    from alexnet_lib.course import plots
    from alexnet_lib.course.environment_check import report
    if not full:
        torch.set_num_threads(2)  # a sum's last digits depend on the number of threads
    seed()
    plots.use_style()
    explain_missing_names()
    source = ("embedded; ALEXNET_DATA=imagenette takes photographs" if data == "shapes"
              else "from ALEXNET_DATA")
    size = "full" if full else "quick; ALEXNET_FULL=1 for full size"
    print(f"Ready. {_brought(installed)}Data: {data} ({source}). Live cells: {size}.")
    here = report()
    say(f"torch {here['torch']}, {here['device']}, {here['threads']} threads")


def _brought(installed: list[str]) -> str:
    """What the set-up cell had to bring, as sentences; empty where all was there."""
    said = []
    if Path("alexnet-course").resolve() == ROOT:  # where the cell puts it
        seen = ROOT / ".git" / "seen-by-setup"
        said.append("Course: found in alexnet-course; delete that folder to fetch the newest. "
                    if seen.exists() else "Course: fetched into alexnet-course. ")
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


def source(thing) -> None:
    """Print a function's or a class's source."""
    print(inspect.getsource(thing).rstrip())


# Exercises.

_attempts: dict[str, int] = {}  # by exercise, since the kernel started
solved: dict = {}  # by exercise, the answer that was correct last


def check(name: str, answer) -> None:
    """Check an exercise's answer and print "Correct", or "Not yet" and a hint.

    The first attempt gets a hint about the answer; the second attempt also gets a hint about the
    way. An untouched stub is no attempt and gets no hint.
    """
    from alexnet_lib.course.exercises import UNTOUCHED
    attempt = _attempts.get(name, 0) + 1
    right, words = verdict(name, answer, attempt)
    if words == UNTOUCHED:
        print(f"{name} · {words}")
        return
    _attempts[name] = attempt
    if right:
        solved[name] = answer
    print(f"{name} · {'Correct ✓' if right else 'Not yet.'} {words}".rstrip())


def verdict(name: str, answer, attempt: int = 1) -> tuple[bool, str]:
    """(is it correct?, what to say about it). Whatever the answer does, nothing is raised."""
    from alexnet_lib.course import exercises
    exercise = exercises.find(name)
    if exercise is None:
        return False, f"There is no exercise {name}: see the number in the heading."
    return exercise.verdict(answer, attempt)


# Last, since these look at what is above.
from alexnet_lib.course.environment_check import environment as environment  # noqa: E402
from alexnet_lib.course.environment_check import environment_rows as environment_rows  # noqa: E402
from alexnet_lib.course.figures import show as show  # noqa: E402
from alexnet_lib.course.photos import fetched_photographs as fetched_photographs  # noqa: E402
from alexnet_lib.course.photos import photographs as photographs  # noqa: E402
from alexnet_lib.course.records import by_seed as by_seed  # noqa: E402
from alexnet_lib.course.records import ledger as ledger  # noqa: E402
from alexnet_lib.course.records import predictions as predictions  # noqa: E402
from alexnet_lib.course.records import recorded as recorded  # noqa: E402
from alexnet_lib.course.records import runs as runs  # noqa: E402
from alexnet_lib.course.records import searched as searched  # noqa: E402
from alexnet_lib.course.records import searches as searches  # noqa: E402
from alexnet_lib.course.records import trained as trained  # noqa: E402
from alexnet_lib.course.records import within as within  # noqa: E402
