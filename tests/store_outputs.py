"""Run notebooks in order and store their outputs: python tests/store_outputs.py 00 02

Without a number: all. stderr is not stored, and of the metadata only what lasts. With --time, the
seconds that they took go into their heads: for a machine of two cores that does nothing else.
With --alt nothing is run: figures get their alternative text anew, for the site as well, and the
first cell becomes the set-up cell of today.
"""

import math
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from alexnet_lib import course
from alexnet_lib.course import writing

WIDGET = "application/vnd.jupyter.widget-view+json"
FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def store_outputs(path: Path, timed: bool = False, timeout: int = 600) -> float:
    """Run the notebook in its folder and write it back with its outputs; returns the seconds."""
    os.environ["ALEXNET_OFFLINE"] = "1"  # what fetched photographs look like is not stored
    notebook = nbformat.read(path, as_version=4)
    if path.parent == FOLDER:
        refresh(notebook, path.name)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    start = time.perf_counter()
    NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False,
                   resources={"metadata": {"path": str(path.parent)}}).execute()
    seconds = time.perf_counter() - start
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = joined(out for out in cell.outputs if lasts(out, cell))
    describe(notebook)
    if timed:
        head = notebook.cells[0]
        head.source = re.sub(r"([Aa]ll cells run in) \d+ s",
                             rf"\1 {5 * math.ceil(seconds / 5)} s", head.source)
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        # The ending is for `nbconvert --to script`.
        "language_info": {"name": "python", "file_extension": ".py"}})
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds


def lasts(out, cell) -> bool:
    """Whether an output is stored: no stderr, no bar; text alone beside fetched photographs."""
    if "fetched" in cell.metadata.get("tags", []) or out.output_type == "stream":
        return out.get("name") == "stdout"
    return set(out.get("data", {"error": ""})) != {WIDGET}


def refresh(notebook, name: str) -> None:
    """Put today's set-up cell in the place of the one that is there, and the links at the end."""
    next(cell for cell in notebook.cells if cell.cell_type == "code").source = course.SETUP_CELL
    last = notebook.cells[-1]
    last.source = (re.sub(r"\n+\*In Colab:\* .*$", "", last.source)
                   + f"\n\n{writing.neighbors(name)}")


def describe(notebook) -> None:
    """Give each figure its alternative text: from `course.show`, or from the words below it.

    nbconvert's classic template looks for it at the output, myst-nb (the site) at the cell.
    """
    for cell, below in zip(notebook.cells, notebook.cells[1:], strict=False):
        cell.metadata.pop("mystnb", None)
        told = []
        for out in cell.get("outputs", []):
            for mime in writing.PICTURES & set(out.get("data", {})):
                told.append(writing.alt_text(out, below.source))
                out.metadata[mime] = {**out.metadata.get(mime, {}), "alt": told[-1]}
        if told:
            cell.metadata["mystnb"] = {"image": {"alt": " ".join(dict.fromkeys(told))}}


def store_descriptions(path: Path) -> None:
    """Write the notebook back with the alternative texts of its figures, and nothing else."""
    notebook = nbformat.read(path, as_version=4)
    refresh(notebook, path.name)
    describe(notebook)
    nbformat.write(notebook, path)


def joined(outputs) -> list:
    """The outputs, pieces of stdout that follow each other made one."""
    result = []
    for out in outputs:
        if result and out.output_type == result[-1].output_type == "stream":
            result[-1].text += out.text
        else:
            result.append(out)
    return result


if __name__ == "__main__":
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    numbers = [word for word in sys.argv[1:] if word not in options]
    if options - {"--time", "--alt"}:
        sys.exit("options: --time, --alt")
    paths = [path for path in sorted(FOLDER.glob("*.ipynb"))
             if not numbers or path.name[:2] in numbers]
    if not paths:
        sys.exit(f"no notebook {' '.join(numbers)} in notebooks/")
    for path in paths:
        if "--alt" in options:
            store_descriptions(path)
        else:
            print(f"{path.name}: {store_outputs(path, '--time' in options):.0f} s")
