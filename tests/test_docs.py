"""The pages beside the notebooks say what is so."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import readme

ROOT = Path(__file__).parents[1]
ROWS = re.findall(r"^\| ([^|]+) \| [^|]+ \| \[(\d\d)\]\(\.\./notebooks/([^)]+)\) \|$",
                  (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)


def markdown(notebook: str) -> str:
    cells = json.loads((ROOT / "notebooks" / notebook).read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def explains(text: str, word: str) -> bool:
    """The word stands there in bold or in a heading, in the singular or the plural."""
    marked = re.findall(r"\*\*[^*\n]+\*\*|^#.*$", text, re.MULTILINE)
    form = re.compile(rf"\b{re.escape(word.removesuffix('s'))}(e?s)?\b", re.IGNORECASE)
    return any(map(form.search, marked))


def test_the_glossary_is_in_order_and_each_word_is_explained_in_its_notebook():
    assert len(ROWS) > 50
    assert [word for word, *_ in ROWS] == sorted((word for word, *_ in ROWS), key=str.lower)
    missing = [(word, number) for word, number, notebook in ROWS
               if not explains(markdown(notebook), word) or not notebook.startswith(number)]
    assert missing == []
    assert explains("**Two columns**", "column") and explains("## The column", "columns")
    assert not explains("A column. **Columnar.**", "column")


@pytest.mark.parametrize("page", sorted(p.relative_to(ROOT).as_posix() for p in
                                        [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"),
                                         *ROOT.glob("data/*.md"), *ROOT.glob("notebooks/*.ipynb")]))
def test_links_within_the_course_lead_somewhere(page):
    text = (ROOT / page).read_text() if page.endswith(".md") else markdown(Path(page).name)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
             if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_errata_name_cells_that_exist():
    ids = {cell["id"] for path in ROOT.glob("notebooks/*.ipynb")
           for cell in json.loads(path.read_text())["cells"]}
    named = re.findall(r"^\| \d{4}-\d\d-\d\d \| `([^`]+)`", (ROOT / "ERRATA.md").read_text(),
                       re.MULTILINE)
    assert named and set(named) <= ids


def test_the_issue_form_knows_every_notebook():
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "mistake.yml").read_text()
    there = sorted(path.name[:2] for path in ROOT.glob("notebooks/*.ipynb"))
    assert re.findall(r'"(\d\d)"', form) == there
    assert "/issues/new?template=mistake.yml" in (ROOT / "README.md").read_text()


def test_the_teachers_plan_has_the_times_of_the_notebooks():
    page = readme.TEACHER.read_text()
    assert readme.plan(page) == page
    rows = re.findall(r"^\| ([^|]+) \| \[(\d\d) .*?\| (\d+) minutes \| (\d+) minutes \| (\d+) s \|",
                      page, re.MULTILINE)
    assert sorted(number for _, number, *_ in rows) == [p.name[:2] for p in readme.NOTEBOOKS[:-1]]
    read, exercises, seconds = (sum(int(row[i]) for row in rows) for i in (2, 3, 4))
    assert f"| {read} minutes | {exercises} minutes | {seconds} s |" in page
    assert read < exercises < 1.25 * read  # "somewhat longer"
    sessions = dict.fromkeys("12345678", 0)
    for when, _, minutes, *_ in rows:
        for session in when.split(" and "):
            sessions[session] += int(minutes) / len(when.split(" and "))
    assert min(sessions.values()) > 0 and max(sessions.values()) <= 90


def test_pictures_of_the_readme_are_told_in_words():
    text = readme.README.read_text()
    assert readme.words(text) == text
    told = re.findall(r'thumbnails/\d\d\.png"[^>]* alt="([^"]*)"', text)
    assert len(told) > 10 and len(set(told)) == len(told) and min(map(len, told)) > 20
    spoilt = text.replace(told[0], "A figure")
    assert readme.words(spoilt) == text


def test_the_reference_has_every_module_that_one_may_import():
    found = re.findall(r"automodule:: alexnet_lib\.(\S+)", (ROOT / "docs/reference.md").read_text())
    not_for_use = {"__init__", "__main__", "cli", "kernels_gpu"}  # the shell's, and a twin
    assert {path.stem for path in ROOT.glob("alexnet_lib/*.py")} - not_for_use <= set(found)
    assert {f"plots.{path.stem}" for path in ROOT.glob("alexnet_lib/plots/[a-z]*.py")} <= set(found)
    packages = {path.parent.name for path in ROOT.glob("alexnet_lib/*/__init__.py")}
    assert packages - {"exercises"} <= {name.partition(".")[0] for name in found}


def test_every_python_that_the_package_names_is_tested():
    versions = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    ci = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert len(versions) > 2 and f"python: {json.dumps(versions)}" in ci


def prose(page: Path) -> str:
    """What the course itself says there: no code, formulas, links, and nothing that is quoted."""
    text = markdown(page.name) if page.suffix == ".ipynb" else page.read_text()
    for left_out in (r"```.*?```", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"“[^”]*”",
                     r"\]\([^)]*\)", r"<!-- (\w+) -->.*?<!-- /\1 -->", r"<[^>]+>", r"https?://\S+"):
        text = re.sub(left_out, " ", text, flags=re.DOTALL)
    return text


@pytest.mark.skipif(not shutil.which("hunspell"), reason="needs hunspell and hunspell-en-gb")
def test_the_prose_is_spelt_as_in_britain():
    """tests/words.txt has the words of the field that Hunspell's British dictionary lacks."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*.md"),
             *ROOT.glob("notebooks/*.ipynb")]
    used = {word.strip("'") for page in pages for word in
            re.findall(r"[^\W\d_][^\W\d_']+", prose(page).replace("’", "'"))}
    unknown = set(subprocess.run(["hunspell", "-d", "en_GB", "-l"], text=True, check=True,
                                 input="\n".join(used), capture_output=True).stdout.split())
    ours = set((ROOT / "tests" / "words.txt").read_text().split())
    assert sorted(unknown - ours) == []
    assert sorted(ours - used) == []
