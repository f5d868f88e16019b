"""Every notebook keeps the rules that the docstring of `alexnet_lib.course.writing` states.

A rule is a function of a notebook and its number that yields faults. Each rule is shown to
fail: on a good small notebook, spoilt in one place. What stands in PROSE is shown by `make prose`
and blocks nothing.
"""

import ast
import copy
import os
import re
import statistics
import subprocess
import sys
import sysconfig

import nbformat
import pytest
import store_outputs
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from alexnet_lib import course
from alexnet_lib.course import writing

NOTEBOOKS = sorted((course.ROOT / "notebooks").glob("*.ipynb"))
TAIL = ["## Exercises", "## Recall", "## Summary", "## What comes next"]
IGNORED = {"nbval-ignore-output", "nbval-skip", "raises-exception"}
LEVELS = {"easy": 0, "medium": 1, "hard": 2}  # of exercises
WIDGET = "application/vnd.jupyter.widget-view+json"
# A path on somebody's machine: no word or dot before it, so that web addresses pass. Everybody's
# Google Drive is at the same place in Colab.
MACHINE_PATH = re.compile(
    r"(?<![\w.:/])/(?:root|home|work|tmp|Users|content(?!/drive))/|\b[A-Z]:\\{1,2}\w")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines(cell):
    return [line for line in cell.source.splitlines() if line.strip()]


def list_items(text):
    return re.findall(r"^(?:[-*]|\d+\.) +\S", text, flags=re.MULTILINE)


def mimes(cell):
    return {mime for out in cell.outputs for mime in out.get("data", {})}


def head(notebook, number):
    """Title, badge, goals, prerequisites, paper, time, all before the first code cell."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            break
        texts.append(cell.source)
    text = "\n\n".join(texts)
    if not re.match(rf"# {number} · \S", text):
        yield f"the title is not '# {number} · Title'"
    for label in ("Goals", "Prerequisites", "Paper", "Time"):
        if not re.search(rf"^\*\*{label}", text, flags=re.MULTILINE):
            yield f"no paragraph begins with **{label}**"
    goals = list_items(text.partition("**Goals")[2].partition("\n**")[0])
    if not 3 <= len(goals) <= 5:
        yield f"{len(goals)} goals, not 3 to 5"
    if not re.search(r"^\*\*Time.*\d.*CPU", text, flags=re.MULTILINE):
        yield "no measured time for a CPU"


def badge(notebook, number):
    """The badge opens this very notebook of this very repository."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    found = re.findall(r"\[!\[[^]]*\]\([^)]*\)\]\([^)]*\)", text)
    if found != [writing.badge(notebook.metadata["file"])]:
        yield f"the badge is not {writing.badge(notebook.metadata['file'])}"


def neighbors(notebook, number):
    """The last line leads to the notebooks before and after, in Colab too."""
    line = writing.neighbors(notebook.metadata["file"])
    if not notebook.cells[-1].source.endswith(f"\n\n{line}"):
        yield f"the last line is not {line}: run make outputs NB={number} ARGS=--alt"


def setup_cell(notebook, number):
    """The first code cell is the set-up cell; no other is."""
    where = [i for i, c in enumerate(code_cells(notebook)) if c.source == course.SETUP_CELL]
    if where != [0]:
        yield "the first code cell is not course.SETUP_CELL"


def tail(notebook, number):
    """Exercises, recall questions, summary, what comes next: in this order, none empty."""
    text = "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    found = [line.strip() for line in text.splitlines() if line.strip() in TAIL]
    if found != TAIL:
        yield f"the closing headings are {found}, not {TAIL}"
        return
    if not text.index("\n" + TAIL[0]) > text.rfind("\n## ", 0, text.index("\n" + TAIL[0])):
        yield "a section stands between the closing ones"
    recall, rest = text.split("\n" + TAIL[1])[1].split("\n" + TAIL[2])
    summary, after = rest.split("\n" + TAIL[3])
    if len(list_items(recall)) < 3:
        yield "fewer than 3 recall questions"
    if len(summary.strip().split("\n\n")) != 1 or not summary.strip():
        yield "the summary is not one paragraph"
    if not after.partition("*In Colab:*")[0].strip():
        yield "nothing is said of what comes next"


def exercise_count(notebook, number):
    """At least three exercises; in notebook 00, at least one."""
    count = sum("course.check(" in cell.source for cell in code_cells(notebook))
    if count < (1 if number == "00" else 3):
        yield f"{count} exercises are too few"


def prediction(notebook, number):
    """The reader predicts before running something (not asked of notebook 00)."""
    if number != "00" and not any("**Predict before you run" in cell.source
                                  for cell in notebook.cells if cell.cell_type == "markdown"):
        yield "nowhere does it say **Predict before you run**"


def short_cells(notebook, number):
    """Half of the code cells have at most 5 lines that are not blank. No cell, whatever its kind,
    has more than 25 lines, all counted, and no line of code has more than 100 characters.

    The solutions of the capstone are whole programs.
    """
    median = statistics.median(len(lines(cell)) for cell in code_cells(notebook))
    if median > 5:
        yield f"the median code cell has {median} lines"
    for cell in notebook.cells:
        written = cell.source.splitlines()
        if len(written) > 25 and not cell.id.startswith("15-sol-"):
            yield f"{cell.id} has {len(written)} lines"
        if cell.cell_type == "code" and max(map(len, written), default=0) > 100:
            yield f"{cell.id} has a line of {max(map(len, written))} characters"


def one_run_in_order(notebook, number):
    """The stored outputs are those of one run, from the first cell to the last."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the execution counts are {counts}: run it with make outputs NB={number}"


def clean_outputs(notebook, number):
    """No error, no stderr, no SVG among the outputs; a widget only where nbval ignores it, and with
    words beside it for pages without a kernel, not with what Python calls it."""
    for cell in code_cells(notebook):
        if any(out.output_type == "error" for out in cell.outputs):
            yield f"{cell.id} stopped with an error"
        if any(out.get("name") == "stderr" for out in cell.outputs):
            yield f"{cell.id} stores stderr"
        if "image/svg+xml" in mimes(cell):
            yield f"{cell.id} stores an SVG"
        if WIDGET in mimes(cell) and not IGNORED & set(cell.metadata.get("tags", [])):
            yield f"{cell.id} stores a widget (a progress bar?): it cannot be compared"
        for out in cell.outputs:
            data = out.get("data", {})
            if WIDGET in data and re.match(r"\w+\(", data.get("text/plain", "f(")):
                yield f"{cell.id} has no words for where its widget cannot be drawn"


def no_machine_paths(notebook, number):
    """Nothing names a path on somebody's machine; code finds files without relative paths."""
    for cell in notebook.cells:
        texts = [cell.source]
        for out in cell.get("outputs", []):
            texts.append(str(out.get("text", "")))
            texts += [str(v) for m, v in out.get("data", {}).items() if not m.startswith("image/")]
        for text in texts:
            if match := MACHINE_PATH.search(text):
                yield f"{cell.id} names a path on a machine: {match.group()}"
        if cell.cell_type == "code" and cell.source != course.SETUP_CELL and "../" in cell.source:
            yield f"{cell.id} reaches for a relative path; it fails where the folder is another"


def names_as_ids(notebook, number):
    """Cell ids are unique names that begin with the notebook's number."""
    ids = [cell.id for cell in notebook.cells]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"the id {name} occurs twice"
    for name in ids:
        if not re.fullmatch(rf"{number}(-[a-z0-9]+)+", name):
            yield f"the id {name} is not of the form {number}-a-name"


def compared(notebook, number):
    """At least half of the code cells are compared by nbval; marks are tags."""
    cells = code_cells(notebook)
    ignored = [c for c in cells if IGNORED & set(c.metadata.get("tags", []))]
    if 2 * len(ignored) > len(cells):
        yield f"{len(ignored)} of {len(cells)} code cells are not compared"
    for cell in cells:
        if re.search(r"^\s*# *NBVAL_", cell.source, flags=re.MULTILINE):
            yield f"{cell.id} is marked by a comment: use a tag"


def assigned(source):
    """(names that a cell assigns, names that it takes from cells above it)."""
    names = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    local = {node.id for part in ast.walk(ast.parse(source)) if isinstance(part, ast.comprehension)
             for node in ast.walk(part.target) if isinstance(node, ast.Name)}
    first = {kind: {node.id: node.lineno for node in sorted(names, key=lambda n: -n.lineno)
                    if isinstance(node.ctx, kind) and node.id not in local}
             for kind in (ast.Store, ast.Load)}
    return set(first[ast.Store]), {name for name, line in first[ast.Load].items()
                                   if line <= first[ast.Store].get(name, line)}


def no_fetched_pixels(notebook, number):
    """Cells that call `fetched_photographs`, or use a name that such a cell assigns, have the tags
    "fetched" and "nbval-ignore-output", and store nothing but text."""
    fetched = set()
    for cell in code_cells(notebook):
        stored, used = assigned(cell.source)
        if "fetched_photographs" not in cell.source and not fetched & used:
            fetched -= stored
            continue
        fetched |= stored
        if not {"fetched", "nbval-ignore-output"} <= set(cell.metadata.get("tags", [])):
            yield f"{cell.id} uses fetched photographs: give it fetched and nbval-ignore-output"
        if any(out.output_type != "stream" for out in cell.outputs):
            yield f"{cell.id} may store the pixels of fetched photographs"


def figures_in_words(notebook, number):
    """A figure has a caption from course.show, or the cell after it says what it shows."""
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if cell.cell_type != "code" or all(
                "caption" in out.metadata for out in cell.outputs
                if writing.PICTURES & set(out.get("data", {}))):
            continue
        if after is None or after.cell_type != "markdown" or \
                not re.search(r"^\*\*Figure\.\*\* +\S", after.source, flags=re.MULTILINE):
            yield f"after the figure of {cell.id} no paragraph begins with **Figure.**"


def figures_in_metadata(notebook, number):
    """Each figure has its alternative text where all who show it look for it."""
    described = copy.deepcopy(notebook)
    store_outputs.describe(described)
    for cell, right in zip(notebook.cells, described.cells, strict=True):
        if cell != right:
            yield f"the figure of {cell.id}: run make outputs NB={number} ARGS=--alt"


def data_of_choice(notebook, number):
    """Live cells take the data that the learner has chosen, `course.data`."""
    for cell in code_cells(notebook):
        if re.search(r"""(load\(|data=)["']shapes["']""", cell.source):
            yield f"{cell.id} takes shapes whatever is chosen: say course.data"


def precision_told(notebook, number):
    """A live run says its precision: what "auto" takes differs, and so would what comes out."""
    for cell in code_cells(notebook):
        if re.search(r"TrainConfig\((?!\*\*)", cell.source) and "precision" not in cell.source:
            yield f"{cell.id} leaves the precision to the machine: say precision=\"fp32\""


def rising(notebook, number):
    """No exercise is easier than the one before it, and from notebook 01 on the last one is hard.

    The capstone follows the parts of the net.
    """
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    labels = re.findall(r"^\*\*Exercise \S+\*\* \(\d+ minutes?, (\w+)\)", text, flags=re.MULTILINE)
    count = sum("course.check(" in cell.source for cell in code_cells(notebook))
    if len(labels) != count or set(labels) - set(LEVELS):
        yield f"of {count} exercises {labels} have minutes and one of {', '.join(LEVELS)}"
    elif number != "15" and labels != sorted(labels, key=LEVELS.get):
        yield f"the exercises are {', '.join(labels)}: the easy ones come first"
    elif number != "00" and labels[-1] != "hard":
        yield f"the last exercise is {labels[-1]}, not hard"


def no_habits(notebook, number):
    """No trailing semicolon, no clear_output: nbval cannot compare what they leave."""
    for cell in code_cells(notebook):
        if any(line.rstrip().endswith(";") for line in lines(cell)):
            yield f"{cell.id} has a trailing semicolon"
        if "clear_output" in cell.source or "update_display" in cell.source:
            yield f"{cell.id} rewrites its output"


PROSE = [head, tail, prediction, short_cells, figures_in_words, figures_in_metadata, rising]
RULES = [badge, neighbors, setup_cell, exercise_count, one_run_in_order, clean_outputs,
         no_machine_paths, names_as_ids, compared, no_fetched_pixels, data_of_choice,
         precision_told, no_habits, *PROSE]


def marked(rule, *others):
    """The parameters of a test of that rule."""
    return pytest.param(rule, *others, id=rule.__name__,
                        marks=pytest.mark.prose if rule in PROSE else ())


every_rule = pytest.mark.parametrize("rule", map(marked, RULES))


def faults(rule, notebook, file):
    notebook.metadata["file"] = file
    return list(rule(notebook, file[:2]))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
@every_rule
def test_notebook(rule, path):
    assert faults(rule, nbformat.read(path, as_version=4), path.name) == []


def test_notebooks_are_valid_and_numbered():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)
    for path in NOTEBOOKS:
        assert re.fullmatch(r"\d\d-[a-z0-9-]+\.ipynb", path.name)
        nbformat.validate(nbformat.read(path, as_version=4))


# Each rule can fail.

FILE = "07-data-augmentation.ipynb"  # the rules look at its neighbors
OWNER = course.REPOSITORY.removeprefix("https://github.com/")


def good():
    """A small notebook that keeps all rules."""
    words = "A line that rises."
    picture = new_output("display_data", {"image/png": "iVBOR/tmp/w0KGgo=", "text/plain": "<F>"},
                         metadata={"image/png": {"alt": words}})
    title = f"""# 07 · A good one

{writing.badge(FILE)}

**Goals**

- one
- two
- three

**Prerequisites** None.

**Paper** Section 3.

**Time** 2 min on a 2-core CPU."""
    stubs = [cell for k, level in enumerate(("easy", "medium", "hard"), 1) for cell in (
        new_markdown_cell(f"**Exercise 07-{k}** (5 minutes, {level}). Find x.",
                          id=f"07-ex-{k}-text"),
        new_code_cell(f"x = ...\n\ncourse.check('07-{k}', x)", id=f"07-ex-{k}"),
        new_markdown_cell("<details></details>", id=f"07-sol-{k}"))]
    notebook = new_notebook(cells=[
        new_markdown_cell(title, id="07-head"),
        new_code_cell(course.SETUP_CELL, id="07-setup"),
        new_markdown_cell("## An idea\n\n**Predict before you run.** What?", id="07-predict"),
        new_code_cell("plt.plot(x)\nplt.show()", id="07-curve", outputs=[picture],
                      metadata={"mystnb": {"image": {"alt": words}}}),
        new_markdown_cell(f"**Figure.** {words}", id="07-curve-words"),
        new_markdown_cell("## Exercises", id="07-exercises"), *stubs,
        new_markdown_cell("## Recall\n\n1. Why?\n2. When?\n3. Where?\n\n## Summary\n\nAll is "
                          "well.\n\n## What comes next\n\nNotebook 08.\n\n" +
                          writing.neighbors(FILE), id="07-tail")])
    for count, cell in enumerate(code_cells(notebook), 1):
        cell.execution_count = count
    return notebook


def cell(notebook, name):
    return next(c for c in notebook.cells if c.id == f"07-{name}")


def swap(name, old, new):
    """A spoiler that replaces text in a cell."""
    def spoil(notebook):
        target = cell(notebook, name)
        assert old in target.source
        target.source = target.source.replace(old, new)
    return spoil


def output(where, *args, **kwargs):
    """A spoiler that adds an output to a cell."""
    return lambda notebook: cell(notebook, where).outputs.append(new_output(*args, **kwargs))


def put(name, **fields):
    """A spoiler that sets fields of a cell."""
    return lambda notebook: cell(notebook, name).update(fields)


def fetch(name):
    """A spoiler that makes a cell one of fetched photographs, as it should be."""
    return put(name, source="shown = course.fetched_photographs()", outputs=[],
               metadata={"tags": ["fetched", "nbval-ignore-output"]})


def tag_most(notebook):
    for each in code_cells(notebook)[:3]:
        each.metadata["tags"] = ["nbval-ignore-output"]


SPOILERS = [
    (head, swap("head", "# 07 ·", "# 8 ·")),
    (head, swap("head", "- three\n", "")),
    (head, swap("head", "- one", "- one\n- b\n- c\n- d")),
    (head, swap("head", "**Prerequisites**", "Needs:")),
    (head, swap("head", "**Paper** Section 3.", "")),
    (head, swap("head", "**Time** 2 min on a 2-core CPU", "**Time** Short")),
    (badge, swap("head", "07-data", "08-data")),
    (neighbors, swap("tail", "→ 08", "→ 09")),
    (badge, swap("head", OWNER, "someone/else")),
    (setup_cell, swap("setup", "course.setup()", "course.setup() # mine")),
    (setup_cell, put("curve", source=course.SETUP_CELL)),
    (tail, swap("tail", "## Recall", "## Questions")),
    (tail, swap("tail", "3. Where?", "")),
    (tail, swap("tail", "All is well.", "")),
    (tail, swap("tail", "All is well.", "All\n\nis\n\nwell.")),
    (tail, swap("tail", "Notebook 08.", "")),
    (exercise_count, swap("ex-2", "course.check", "print")),
    (prediction, swap("predict", "Predict", "Guess")),
    (short_cells, put("curve", source="x = 1\n" * 26)),
    (short_cells, put("curve", source="x = 1\n\n" * 13)),
    (short_cells, put("sol-1", source="Words.\n" * 26)),
    (short_cells, put("curve", source=f"x = {'1' * 97}")),
    (short_cells, lambda nb: [c.update(source="x = 1\n" * 6) for c in code_cells(nb)]),
    (one_run_in_order, put("curve", execution_count=7)),
    (one_run_in_order, put("ex-3", execution_count=None)),
    (clean_outputs, output("curve", "error", ename="E", evalue="", traceback=[])),
    (clean_outputs, output("curve", "stream", name="stderr", text="a warning")),
    (clean_outputs, output("curve", "display_data", {"image/svg+xml": "<svg/>"})),
    (clean_outputs, output("curve", "display_data", {WIDGET: {}, "text/plain": "  0%|"})),
    (clean_outputs, lambda nb: [
        put("ex-1", metadata={"tags": ["nbval-ignore-output"]})(nb),
        output("ex-1", "display_data", {WIDGET: {}, "text/plain": "VBox(children=("})(nb)]),
    (no_machine_paths, output("curve", "stream", name="stdout", text="in /home/ann/x")),
    (no_machine_paths, output("curve", "display_data", {"text/html": "<i>/Users/x</i>"})),
    (no_machine_paths, put("curve", source="open('/tmp/x')")),
    (no_machine_paths, put("curve", source="open('C:\\\\data')")),
    (no_machine_paths, put("curve", source="open('../data/x')")),
    (names_as_ids, put("curve", id="07-setup")),
    (names_as_ids, put("curve", id="3f9a1c2e")),
    (compared, tag_most),
    (compared, put("curve", source="# NBVAL_IGNORE_OUTPUT\nx")),
    (no_fetched_pixels, put("curve", source="course.fetched_photographs()")),
    (no_fetched_pixels, lambda nb: [fetch("curve")(nb),
                                    cell(nb, "ex-1").update(source="plots.photographs(shown)")]),
    (no_fetched_pixels, lambda nb: [fetch("curve")(nb),
                                    cell(nb, "ex-1").update(source="shown = shown[:2]")]),
    (no_fetched_pixels, lambda nb: [
        fetch("curve")(nb), output("curve", "display_data", {"text/html": "<img>"})(nb)]),
    (figures_in_words, swap("curve-words", "**Figure.** A line", "A line")),
    (figures_in_words, lambda nb: nb.cells.pop(4)),
    (figures_in_metadata, put("curve-words", source="**Figure.** A line that falls.")),
    (figures_in_metadata, put("curve", metadata={})),
    (figures_in_metadata, lambda nb: cell(nb, "curve").outputs[0].update(metadata={})),
    (data_of_choice, put("curve", source='data = datasets.load("shapes", 64)')),
    (data_of_choice, put("curve", source='TrainConfig(data="shapes", epochs=2)')),
    (precision_told, put("curve", source="TrainConfig(data=course.data, epochs=2)")),
    (rising, swap("ex-3-text", "hard", "easy")),
    (rising, swap("ex-3-text", "hard", "medium")),
    (rising, swap("ex-3-text", "hard", "harder")),
    (rising, swap("ex-2-text", "medium", "middling")),
    (rising, swap("ex-2-text", " (5 minutes, medium)", "")),
    (no_habits, put("curve", source="plt.plot(x);")),
    (no_habits, put("curve", source="clear_output()")),
]


@every_rule
def test_rule_passes_a_good_notebook(rule):
    assert faults(rule, good(), FILE) == []


def test_fetched_photographs_may_be_used_and_their_name_for_something_else():
    notebook = copy.deepcopy(good())
    fetch("curve")(notebook)
    put("ex-1", source="shown = 3\nprint(shown, [x for x in 'ab'])")(notebook)
    put("ex-2", source="print(shown)")(notebook)
    assert faults(no_fetched_pixels, notebook, FILE) == []


@pytest.mark.parametrize("rule, spoil", [marked(*pair) for pair in SPOILERS])
def test_rule_finds_the_fault(rule, spoil):
    notebook = copy.deepcopy(good())
    spoil(notebook)
    assert faults(rule, notebook, FILE)


def test_alternative_texts_are_stored_without_a_run(tmp_path):
    """... where nbconvert finds them, and nothing else changes."""
    from nbconvert import HTMLExporter  # slow to import
    notebook = copy.deepcopy(good())
    put("curve", metadata={})(notebook)
    cell(notebook, "curve").outputs[0].metadata = {}
    nbformat.write(notebook, tmp_path / FILE)
    store_outputs.store_descriptions(tmp_path / FILE)
    assert nbformat.read(tmp_path / FILE, as_version=4) == good()
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(good())
    assert 'alt="A line that rises."' in page


@pytest.mark.parametrize("markdown, words", [
    ("**Figure.** Short. " + "Then this. " * 30, "Short." + " Then this." * 17),
    ("Before.\n\n**Figure.** A **bold** [net](02.ipynb), $k \\cdot 2$ of `x`.\n\nMore.",
     "A bold net, k · 2 of x."),
    (f"**Figure.** {'word ' * 60}end. No more.", f"{'word ' * 60}end."),
    ("No figure.", ""),
])
def test_the_words_of_a_figure(markdown, words):
    assert writing.figure_words(markdown) == words


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _ in SPOILERS} == set(RULES)


# The set-up cell, alone.

def test_setup_cell_is_short():
    assert len(lines(nbformat.from_dict({"source": course.SETUP_CELL}))) < 15


@pytest.mark.skipif(not (course.ROOT / ".git").exists(), reason="fetches what is committed")
def test_setup_cell_works_from_an_empty_folder(tmp_path):
    """As in Colab: nothing of the course is there, and the host has its own torch.

    -S leaves out the .pth files, so that an installed copy of the course is not found.
    """
    colab, empty = tmp_path / "host" / "google" / "colab", tmp_path / "empty"
    colab.mkdir(parents=True)
    empty.mkdir()
    (colab / "__init__.py").write_text("")
    packages = {sysconfig.get_paths()[key] for key in ("purelib", "platlib")}
    env = {key: value for key, value in os.environ.items() if not key.startswith("ALEXNET_")}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path / "host"), *sorted(packages)])
    env["ALEXNET_COURSE_REPO"] = course.ROOT.as_uri()
    source = "\n".join([
        "import google.colab", course.SETUP_CELL, "course.recorded('photographs-colors')",
        "from alexnet_lib.ops.build import SOURCE", "print(SOURCE, SOURCE.is_file())"])
    # Where it cannot be fetched: one sentence, and nothing that keeps the next try from working.
    none = env | {"ALEXNET_COURSE_REPO": (tmp_path / "none").as_uri()}
    pinned = env | {"ALEXNET_COURSE_PIN": "no-such-commit"}
    gitless = env | {"PATH": str(empty)}
    for broken in (none, pinned, gitless):
        run = subprocess.run([sys.executable, "-S", "-c", source], cwd=empty, env=broken, text=True,
                             capture_output=True)
        assert run.returncode == 1 and "Cannot fetch the course" in run.stderr
        assert "Traceback" not in run.stderr
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=course.ROOT, text=True,
                          capture_output=True).stdout.strip()
    env["ALEXNET_COURSE_PIN"] = head
    for done in ("fetched into alexnet-course.", "found in alexnet-course;"):
        run = subprocess.run([sys.executable, "-S", "-c", source], cwd=empty, env=env, text=True,
                             capture_output=True)
        assert run.returncode == 0, run.stderr
        ready, recorded, kernels = run.stdout.splitlines()
        assert ready.startswith(f"Ready. Course: {done}") and " Data: shapes" in ready
        assert recorded.startswith("Recorded: alexnet data pack")
        assert kernels == f"{empty / 'alexnet-course' / 'alexnet_lib' / 'ops' / 'kernels.cpp'} True"
