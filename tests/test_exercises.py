"""Every exercise, three ways: the stub is not yet, the solution is correct, mistakes are refused.

Stubs and solutions are read from the notebooks, as the docstring of `alexnet_lib.course` says;
the wrong answers are in tests/wrong_answers/nbNN.py. The proofs are shown to fail as well.
"""

import ast
import builtins
import copy
import math
import re
import runpy
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from torch import nn
from torch.nn import functional

from alexnet_lib import course
from alexnet_lib.course import scaling
from alexnet_lib.course.exercises import (
    UNTOUCHED,
    _registry,
    exercise,
    expect,
    find,
    number,
    tensor,
)

GIVEN = {"torch": torch, "nn": nn, "F": functional, "np": np, "math": math, "course": course,
         "scaling": scaling}
NOTEBOOKS = sorted((course.ROOT / "notebooks").glob("*.ipynb"))
WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"


def split_stub(source):
    """A stub's code without its call of course.check, the name checked, the answer's expression."""
    *body, last = ast.parse(source).body
    call = last.value
    assert ast.unparse(call.func) == "course.check" and len(call.args) == 2
    return ast.unparse(ast.Module(body, [])), ast.literal_eval(call.args[0]), call.args[1]


def answer(code, expression):
    """What the learner's name holds after `code`."""
    names = dict(GIVEN)
    torch.manual_seed(0)
    exec(compile(code, "<answer>", "exec"), names)
    return eval(compile(ast.Expression(expression), "<answer>", "eval"), names)


def solution(markdown):
    """The code in the folded solution."""
    for folded in re.findall(r"<details>(.*?)</details>", markdown, flags=re.DOTALL):
        if re.match(r"\s*<summary>(?:<b>)?Solution", folded):
            blocks = re.findall(r"```python\n(.*?)```", folded, flags=re.DOTALL)
            return blocks[0] if len(blocks) == 1 else None
    return None


def read_and_made(code):
    """The names that `code` reads, and those that it makes, wherever it does."""
    nodes = list(ast.walk(ast.parse(code)))
    names = [n for n in nodes if isinstance(n, ast.Name)]
    made = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    made |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    made |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    for n in nodes:
        if isinstance(n, (ast.Import, ast.ImportFrom)):
            made |= {(alias.asname or alias.name).split(".")[0] for alias in n.names}
    return {n.id for n in names if isinstance(n.ctx, ast.Load)}, made


def top_level(code):
    """The names that a cell makes outside of its functions and loops."""
    made = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            made.add(node.name)
        elif isinstance(node, ast.Assign):
            made |= {name.id for target in node.targets for name in ast.walk(target)
                     if isinstance(name, ast.Name)}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            made |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return made


def cells_behind(read, above):
    """The cells above that make a name in `read`, or one that those cells read, in their order."""
    codes = [cell.source for cell in above
             if cell.cell_type == "code" and "course.check(" not in cell.source]
    wanted, needed = set(read), set()
    while more := {i for i, code in enumerate(codes)
                   if i not in needed and top_level(code) & (wanted - set(GIVEN))}:
        needed |= more
        wanted = wanted.union(*(set.difference(*read_and_made(codes[i])) for i in more))
    return [codes[i] for i in sorted(needed)]


def faults(notebook, number, wrong):
    """What is wrong with the exercises of a notebook, given its wrong answers by exercise."""
    cells = notebook.cells
    asked = [i for i, c in enumerate(cells)
             if c.cell_type == "code" and "course.check(" in c.source]
    names, solved = [], {}
    for k, i in enumerate(asked, 1):
        name = f"{number}-{k}"
        names.append(name)
        if cells[i].id != f"{number}-ex-{k}":
            yield f"the stub of {name} has the id {cells[i].id}, not {number}-ex-{k}"
        try:
            stub, called, expression = split_stub(cells[i].source)
        except (AssertionError, AttributeError, SyntaxError, ValueError):
            yield f"{name}: the last line is not course.check(\"{name}\", answer)"
            continue
        if called != name:
            yield f"{name} checks {called}"
        if find(name) is None:
            yield f"{name} has no checker"
            continue
        if course.verdict(name, answer(stub, expression)) != (False, UNTOUCHED):
            yield f"{name}: the untouched stub is not met as not attempted"
        after = cells[i + 1] if i + 1 < len(cells) else None
        if after is None or after.id != f"{number}-sol-{k}" or after.cell_type != "markdown":
            yield f"{name}: the next cell is not the markdown cell {number}-sol-{k}"
            continue
        if not re.search(r"<details>\s*<summary>(?:<b>)?Help", after.source):
            yield f"{name} has no folded help"
        code = solution(after.source)
        if code is None:
            yield f"{name} has no folded solution with one python block"
        else:
            read, made_here = read_and_made(code)
            made = set(made_here)
            for above in cells[:i]:
                made |= read_and_made(above.source)[1] if above.cell_type == "code" else set()
            if unknown := read - made - set(dir(builtins)):
                yield f"{name}: the solution needs {unknown}, which no cell above has made"
            needed = cells_behind(read - made_here, cells[:i])
            needed += [above for above, makes in solved.items() if makes & read]
            solved[code] = made_here
            right, words = course.verdict(name, answer("\n".join([*needed, code]), expression))
            if not right:
                yield f"{name}: the folded solution is refused: {words}"
        mistakes = wrong.get(name, [])
        if len(mistakes) < 3:
            yield f"{name} has {len(mistakes)} wrong answers, not 3 or more"
        for n, mistake in enumerate(mistakes, 1):
            right, words = course.verdict(name, mistake)
            if right:
                yield f"{name}: wrong answer {n} is accepted"
            elif words.startswith("Your code stopped") or not words:
                yield f"{name}: wrong answer {n} is refused without a hint of the checker: {words}"
            elif words == UNTOUCHED:
                yield f"{name}: wrong answer {n} is taken for the untouched stub"
    find(f"{number}-1")
    known = {name for name in _registry if name.startswith(f"{number}-")}
    for name in sorted((known | set(wrong)) - set(names)):
        yield f"{name} has a checker or wrong answers, but no stub"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_exercises(path):
    file = WRONG_ANSWERS / f"nb{path.name[:2]}.py"
    wrong = runpy.run_path(str(file))["WRONG"] if file.is_file() else {}
    assert list(faults(nbformat.read(path, as_version=4), path.name[:2], wrong)) == []


# The proofs themselves, on an exercise made for them.

@pytest.fixture
def conv_size():
    """Exercise 98-1: the size of a convolution's output."""
    @exercise("98-1", "Count the places where the kernel fits.")
    def checker(size):
        expect(number(size(227, 11, 4)) == 55, "On 227 pixels there are 55 places.")
        expect(size(7, 3, 1) == 5, "The first place counts too.")
        return "So it is 55."
    yield
    del _registry["98-1"]
    course._attempts.pop("98-1", None)


STUB = """def size(n, kernel, stride):
    ...  # how many places?

course.check("98-1", size)"""
SOLUTION = """<details><summary>Help</summary>Draw it.</details>

<details><summary>Solution</summary>

```python
def size(n, kernel, stride):
    return (n - kernel) // stride + 1
```

</details>"""
WRONG = [lambda n, k, s: (n - k) // s, lambda n, k, s: n // s, lambda n, k, s: n - k + 1]


def notebook():
    return new_notebook(cells=[new_code_cell(STUB, id="98-ex-1"),
                               new_markdown_cell(SOLUTION, id="98-sol-1")])


def test_a_good_exercise_passes(conv_size):
    assert list(faults(notebook(), "98", {"98-1": WRONG})) == []


@pytest.mark.parametrize("change, complaint", [
    (lambda nb: nb.cells[0].update(id="98-stub"), "has the id"),
    (lambda nb: nb.cells[0].update(source=STUB + "\nprint()"), "last line"),
    (lambda nb: nb.cells[0].update(source=STUB.replace("98-1", "98-2")), "checks 98-2"),
    (lambda nb: nb.cells[0].update(source=STUB.replace("...", "return (n - kernel) // stride + 1")),
     "untouched stub"),
    (lambda nb: nb.cells[0].update(source=STUB.replace("...", "return 1 / 0")), "untouched stub"),
    (lambda nb: nb.cells.pop(), "next cell"),
    (lambda nb: nb.cells[1].update(id="98-answer"), "next cell"),
    (lambda nb: nb.cells[1].update(source=SOLUTION.replace("Help", "?")), "no folded help"),
    (lambda nb: nb.cells[1].update(source=SOLUTION.replace("Solution", "?")), "no folded solution"),
    (lambda nb: nb.cells[1].update(source=SOLUTION.replace("+ 1", "")), "solution is refused"),
    (lambda nb: nb.cells.clear(), "no stub"),
])
def test_a_fault_in_the_notebook_is_found(conv_size, change, complaint):
    spoilt = copy.deepcopy(notebook())
    change(spoilt)
    assert any(complaint in fault for fault in faults(spoilt, "98", {"98-1": WRONG}))


@pytest.mark.parametrize("wrong, complaint", [
    ({}, "0 wrong answers"),
    ({"98-1": WRONG[:2]}, "2 wrong answers"),
    ({"98-1": [*WRONG, lambda n, k, s: (n - k + s) // s]}, "wrong answer 4 is accepted"),
    ({"98-1": [*WRONG, lambda n, k, s: n / 0]}, "without a hint"),
    ({"98-1": [*WRONG, lambda n, k, s: None]}, "untouched"),
    ({"98-1": WRONG, "98-7": WRONG}, "98-7 has a checker or wrong answers"),
])
def test_a_fault_in_the_wrong_answers_is_found(conv_size, wrong, complaint):
    assert any(complaint in fault for fault in faults(notebook(), "98", wrong))


def test_an_exercise_without_checker_is_found():
    assert any("no checker" in fault for fault in faults(notebook(), "98", {"98-1": WRONG}))


# What a learner sees.

class Spiteful:
    """An answer that fails at every touch."""

    def __float__(self):
        raise RuntimeError("no\nway")

    __call__ = __bool__ = __len__ = __iter__ = __float__


def recursive(*args):
    return recursive(*args)


def leaves(*args):
    raise SystemExit(1)


@pytest.mark.parametrize("given", [
    3, "55", [], Spiteful(), recursive, leaves, lambda: 3, int, nn.Linear,
    nn.Linear(2, 2), lambda *args: "many", lambda *args: torch.zeros(3)])
def test_no_answer_raises_and_each_gets_one_line(conv_size, given, capsys):
    course.check("98-1", given)
    out = capsys.readouterr().out
    assert out.startswith("98-1 · Not yet. ") and out.count("\n") == 1
    assert len(out) < 400


@pytest.mark.parametrize("stub", [None, ..., (..., ...), {"a": ...}, lambda *args: None,
                                  lambda *args: (..., ...)])
def test_an_untouched_stub_gets_no_hint_and_is_no_attempt(conv_size, stub, capsys):
    for _ in range(3):
        course.check("98-1", stub)
    assert capsys.readouterr().out == f"98-1 · {UNTOUCHED}\n" * 3
    course.check("98-1", lambda *args: 54)
    assert "Count the places" not in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [lambda *args: 54, lambda *args: 1 / 0])
def test_the_second_hint_follows_the_second_attempt(conv_size, wrong, capsys):
    for _ in range(3):
        course.check("98-1", wrong)
    first, *later = capsys.readouterr().out.splitlines()
    assert "Count the places" not in first
    assert all(line.endswith("Count the places where the kernel fits.") for line in later)


def test_right_answer_is_told(conv_size, capsys):
    course.check("98-1", lambda n, k, s: torch.tensor((n - k) // s + 1))
    assert capsys.readouterr().out == "98-1 · Correct ✓ So it is 55.\n"


@pytest.mark.parametrize("mirror", [lambda a: a[:, ::-1], np.fliplr, lambda a: np.flip(a, 1),
                                    lambda a: torch.tensor(a).flip(1)])
def test_tensor_takes_every_way_to_mirror(mirror):
    assert tensor(mirror(np.array([[1, 2], [3, 4]])), (2, 2)).tolist() == [[2, 1], [4, 3]]


def test_unknown_exercise_is_told(capsys):
    course.check("97-1", 3)
    assert capsys.readouterr().out.startswith("97-1 · Not yet. There is no exercise")


def test_number_and_tensor_take_every_type():
    assert number(np.float32(2)) == number(torch.tensor([2])) == number(2) == 2
    assert tensor([[1, 2]], (1, 2)).dtype == torch.float32
    assert tensor(np.arange(3)[::-1]).tolist() == [2, 1, 0]
    for call in (lambda: number("x"), lambda: number([1, 2]), lambda: tensor("x"),
                 lambda: tensor([1], (2,))):
        with pytest.raises(Exception, match="asked for|shape"):
            call()
