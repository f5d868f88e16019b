"""The library as others install it: without the repository around it, with names and types."""

import ast
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import alexnet_lib

HOME = Path(alexnet_lib.__file__).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Runs a command with a copy of the library alone, in a folder of its own."""
    root = tmp_path_factory.mktemp("installed")
    shutil.copytree(HOME, root / "site" / "alexnet_lib", ignore=shutil.ignore_patterns("*.pyc"))
    (root / "here").mkdir()

    def run(*args):
        return subprocess.run(
            [sys.executable, "-m", "alexnet_lib", *args], capture_output=True, text=True,
            cwd=root / "here", env=os.environ | {
                "PYTHONPATH": str(root / "site"), "ALEXNET_DATA_ROOT": str(root / "cache"),
                "ALEXNET_KERNELS": "plain"})

    return run


def test_the_wheel_takes_every_file():
    """A folder with modules is a package, and package-data names all that is no module."""
    tomllib = pytest.importorskip("tomllib")  # since Python 3.11
    told = tomllib.loads((HOME.parent / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = ["*.py", *told["package-data"]["*"]]
    files = [path for path in HOME.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert [path for path in files if not any(map(path.match, patterns))] == []
    assert [path for path in files if not (path.parent / "__init__.py").exists()] == []
    assert {"py.typed", "kernels.cpp"} <= {path.name for path in files}


def test_the_weights_of_the_repository_are_named(installed):
    done = installed("predict", "--checkpoint", "data/weights/imagenette.safetensors", "a.png")
    assert done.returncode == 2 and "from its repository" in done.stderr


@pytest.mark.parametrize("command", ["ledger", "experiment C04"])
def test_what_needs_the_repository_says_so(installed, command):
    done = installed(*command.split())
    assert done.returncode == 2 and done.stdout == ""
    assert "clone the repository" in done.stderr and done.stderr.count("\n") == 1


def test_the_core_does_without_scipy():
    """And what needs it says so in one line."""
    code = "\n".join([
        "import sys, pkgutil; from importlib import import_module; sys.modules['scipy'] = None",
        "import alexnet_lib; from alexnet_lib.cli import main",
        "for found in pkgutil.walk_packages(alexnet_lib.__path__, 'alexnet_lib.'):",
        "    if not {'course', 'research', '__main__', 'triton_norm'} & {*found.name.split('.')}:",
        "        import_module(found.name)",
        "print('all'); main(['ledger'])"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("all\n", 2), done.stderr
    assert "pip install scipy" in done.stderr and done.stderr.count("\n") == 1


def test_the_rest_works_anywhere(installed, tmp_path):
    for i in range(40):
        file = tmp_path / ("train", "val")[i // 20] / f"class{i % 2}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((48, 48), 10 + i).save(file)
    done = installed("train", "--data", f"folder:{tmp_path}", "--out", "run", "--epochs", "1",
                     "--model", "alexnet", "--width", "0.03", "--input-size", "36",
                     "--stored-size", "40", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    done = installed("predict", "--checkpoint", "run", str(file))
    assert done.returncode == 0 and "class1" in done.stdout, done.stderr


def test_public_names_are_shown_and_typed():
    shown = [name for name in dir(alexnet_lib) if not name.startswith("_")]
    assert shown == sorted(alexnet_lib.__all__)
    assert {"AlexNet", "LocalResponseNorm", "PaperSGD", "features", "load_model"} <= {*shown}
    tree = ast.parse((HOME / "__init__.py").read_text())
    block, = (node for node in tree.body if isinstance(node, ast.If)
              and any(isinstance(line, ast.ImportFrom) for line in node.body))
    typed = {alias.asname: (line.module, alias.name) for line in block.body
             for alias in line.names}
    assert sorted(typed) == shown
    for name in shown:
        found = getattr(alexnet_lib, name)
        if inspect.ismodule(found):
            assert found.__name__ == f"alexnet_lib.{name}" and typed[name] == ("alexnet_lib", name)
            continue
        assert (found.__module__, found.__name__) == typed[name] or (
            found.__module__.startswith(typed[name][0] + "."))
    with pytest.raises(AttributeError):
        alexnet_lib.Alexnet  # noqa: B018
    assert (HOME / "py.typed").exists()
