"""What a checker of types says about programs that use the library. `make test` checks its own."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("wrong, right, said", [
    ('AlexNet(varian="2012")', 'AlexNet(variant="2012")', '"varian" for "AlexNet"'),
    ("TrainConfig(modle='cifar')", "TrainConfig(model='cifar')", '"modle"'),
    ("PaperSGD([], lr='fast')", "PaperSGD([], lr=0.01)", '"float"'),
    ("features.kernels('net')", "features.kernels(load_model('net'))", '"LoadedModel')])
def test_wrong_calls_are_refused_and_right_ones_are_not(wrong, right, said, tmp_path):
    names = "AlexNet, LocalResponseNorm, PaperSGD, TrainConfig, features, load_model"
    program = tmp_path / "program.py"
    program.write_text(f"from alexnet_lib import {names}\n{wrong}\n{right}\n")
    done = subprocess.run([sys.executable, "-m", "mypy", str(program)], text=True,
                          cwd=Path(__file__).parents[1], capture_output=True)
    fault, = (line for line in done.stdout.splitlines() if "error:" in line and "program" in line)
    assert "program.py:2:" in fault and said in fault
