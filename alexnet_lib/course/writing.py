'''How a notebook is written, and two helpers for it.

For whoever writes notebook NN (a two-digit number); `tests/test_notebooks.py` and
`tests/test_exercises.py` check all of this:

**The head**, one or more markdown cells before the first code cell: the title `# NN · Title`,
the badge (`writing.badge("NN-name.ipynb")` gives its markdown), then paragraphs that begin with
`**Goals**` (a list of 3 to 5), `**Prerequisites**`, `**Paper**` (the section), `**Time**` (the
minutes to read and try, and the seconds in which all cells run on a 2-core CPU, which `make outputs
ARGS=--time` measures and writes). The first code cell is `course.SETUP_CELL`, to the letter.

**The tail**, markdown headings in this order: `## Exercises` (at least 3; notebook 00 at least
1), `## Recall` (at least 3 questions, as a list), `## Summary` (one paragraph), `## What comes
next`. The last line is `writing.neighbors(...)`, which `make outputs` writes. From notebook 01 on
there is somewhere a **Predict before you run** in a markdown cell.

**Cells.** Ids are names, unique and lasting, and begin with the number: `02-conv1-by-hand`.
Code cells: median at most 5 lines, none over 25, no trailing `;`, no `clear_output`. A figure
is shown by `course.show(figure, caption=..., alt=...)`: the caption is one or two sentences that
say what to notice; the alternative text describes the picture to those who cannot see it. In a
notebook not yet rewritten a markdown cell with a paragraph `**Figure.** ...` follows `plt.show()`,
and its first sentences become the alternative text (`make outputs ARGS=--alt`).

**Outputs** are committed, from one run in order: `make outputs NB=02` runs and stores them, and
drops stderr. They hold discrete facts and `course.within` lines, which show the live value beside
our range and of which nbval compares all but that value; what else depends on the machine goes
into a cell tagged `nbval-ignore-output`, of which there are at most half.
Call `course.seed()` in each cell that draws random numbers.

**Photographs.** Outputs may hold those of `course.photographs`, which our packages ship. A cell
that calls `course.fetched_photographs`, and each later cell that uses a name assigned there, has
the tags `fetched` and `nbval-ignore-output`; of its outputs only text is stored.

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

3. The checker, in `alexnet_lib/course/exercises/nbNN.py`::

       from alexnet_lib.course.exercises import exercise, expect

       @exercise("02-1", "Count the positions where the kernel fits, first without padding.")
       def conv_size(answer):
           expect(answer(227, 11, 4, 0) == 55, "On 227 pixels conv1 gives 55 places.")
           expect(answer(27, 5, 1, 2) == 27, "Padding adds on both sides.")
           return "Stride and padding both count."      # said after "Correct."

   An untouched stub gets "Not attempted yet." and no hint. A failed `expect` is "not yet" with
   its hint, which says what is wrong with the answer; so is an answer that raises. From the second
   attempt on the hint of `@exercise` follows, which says how to go about it. `number(answer)` and
   `tensor(answer)` read an answer's value, whatever its type, with a hint of their own.

4. At least three wrong answers, in `tests/wrong_answers/nbNN.py`, the common mistakes::

       WRONG = {"02-1": [lambda n, k, s, p: (n - k) // s + 1,   # padding forgotten
                         ...]}

The tests prove that the stub gets no hint, the solution is correct, each wrong answer is refused
with a hint of its checker.
'''

import re

from alexnet_lib import course

PICTURES = {"image/png", "image/jpeg"}


def alt_text(output, below: str = "") -> str:
    """A stored picture's alternative text: from `course.show`, or from the Markdown below it."""
    if "caption" in output.metadata:
        return next(output.metadata[mime]["alt"] for mime in PICTURES & set(output.data))
    return figure_words(below)


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


COLAB = "https://colab.research.google.com"


def in_colab(notebook: str) -> str:
    """The address that opens `notebook` in Colab."""
    repository = course.REPOSITORY.removeprefix("https://github.com/")
    return f"{COLAB}/github/{repository}/blob/main/notebooks/{notebook}"


def badge(notebook: str) -> str:
    """The markdown of the badge that opens `notebook` in Colab."""
    return f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({in_colab(notebook)})"


def neighbors(notebook: str) -> str:
    """The last line of a notebook: links to the one before and the one after that work in Colab,
    where relative links lead nowhere."""
    names = sorted(path.name for path in (course.ROOT / "notebooks").glob("*.ipynb"))
    place = names.index(notebook)
    found = [f"[{mark} {names[i][:2]}]({in_colab(names[i])})"
             for mark, i in (("←", place - 1), ("→", place + 1)) if 0 <= i < len(names)]
    return f"*In Colab:* {' · '.join(found)}"
