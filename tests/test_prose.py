"""How the course is written: `make prose` runs this, and it blocks nothing.

Glossary, spelling, the teacher's page, the words below the README's pictures.
"""

import ast
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import readme
from test_docs import PAGES, ROOT, markdown

pytestmark = pytest.mark.prose

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
ROWS = re.findall(  # word, number, section, notebook
    r"^\| ([^|]+) \| [^|]+ \| \[(\d\d), “([^”]+)”\]\(\.\./notebooks/(\2-[^)#]+)#[^)]+\) \|$",
    GLOSSARY, re.MULTILINE)
# Cells that use words of the glossary in an everyday sense.
EVERYDAY = {"00-setup-words": "error restarts", "00-predict": "units", "01-squared-words": "arm",
            "01-divide": "units", "01-exercises": "gap", "09-dashboard-wait": "restarts"}


def cells(notebook: str) -> dict[str, str]:
    """The markdown cells by their ids, without blocks of code."""
    found = json.loads((ROOT / "notebooks" / notebook).read_text())["cells"]
    return {cell["id"]: re.sub(r"```.*?```", "", "".join(cell["source"]), flags=re.DOTALL)
            for cell in found if cell["cell_type"] == "markdown"}


def section(title: str, notebook: str) -> str:
    """A heading and what stands under it."""
    found = re.split(r"^#+ (?:\d\d · )?(.+)$", "\n".join(cells(notebook).values()), flags=re.M)
    return f"## {title}\n{dict(zip(found[1::2], found[2::2], strict=True)).get(title, '')}"


def form(word: str) -> re.Pattern:
    """The word, also with the ending of a plural or of a verb."""
    stem = re.escape(word.removesuffix("s"))
    return re.compile(rf"(?<![\w-]){stem}(e?s|e?d|t?ing)?\b", re.IGNORECASE)


def explains(text: str, word: str) -> bool:
    """The word stands there in bold or in a heading."""
    return any(map(form(word).search, re.findall(r"\*\*[^*\n]+\*\*|^#.*$", text, re.MULTILINE)))


def paragraphs(texts: dict[str, str]) -> list[tuple[str, str]]:
    """The paragraphs, each with its cell's id: no head of a notebook (its goals are yet to be
    learned), headings, code, formulas. A quotation and what follows it are one."""
    found = []
    for name, text in texts.items():
        text = re.sub(r"`[^`]*`|\$\$[^$]*\$\$|\$[^$\n]+\$|^#+ .*$", "", text, flags=re.MULTILINE)
        text = re.sub(r"^(>.*)\n\n", r"\1\n", text, flags=re.MULTILINE)
        found += [(name, part) for part in text.split("\n\n") if not name.endswith("-title")]
    return found


def unexplained(pages: list[tuple[str, str]], words: list[str]) -> list[tuple[str, str]]:
    """Each word that its first paragraph has neither in bold nor beside a link, and the cell."""
    faults = []
    for word in words:
        uses = form(word).search
        cell, text = next(((cell, text) for cell, text in pages if uses(text)
                           and word not in EVERYDAY.get(cell, "").split()), ("", ""))
        if text and not explains(text, word) and \
                not re.search(r"\]\([^)]*(\.ipynb|glossary\.md)", text):
            faults.append((word, cell))
    return faults


def test_the_glossary_is_in_order_and_each_word_is_explained_in_its_section():
    assert len(ROWS) > 120
    assert [word for word, *_ in ROWS] == sorted((word for word, *_ in ROWS), key=str.lower)
    assert len(ROWS) == GLOSSARY.count("\n| ") - 1
    assert [row for row in ROWS if not explains(section(*row[2:]), row[0])] == []
    assert explains("**Two columns**", "column") and explains("## The column", "columns")
    assert not explains("A column. **Columnar.**", "column")
    assert not explains(section("No such section", "00-start-here.ipynb"), "seed")


def test_no_word_of_the_glossary_is_used_before_it_is_explained_or_linked():
    texts = {name: text for path in sorted(ROOT.glob("notebooks/*.ipynb"))
             for name, text in cells(path.name).items()}
    assert unexplained(paragraphs(texts), [word for word, *_ in ROWS]) == []
    assert all(form(word).search(texts[name]) for name, words in EVERYDAY.items()
               for word in words.split())


@pytest.mark.parametrize("text, faults", [
    ("The stride is 4.\n\nA **stride** is how far a window moves.", [("stride", "02-a")]),
    ("A **window** with a stride.", [("stride", "02-a")]),
    ("See [this](https://example.org), with a stride.", [("stride", "02-a")]),
    ("Two **strides**.\n\nA stride.", []),
    ("It strides on ([notebook 02](02-the-architecture.ipynb)).", []),
    ("> “with a stride of 4”\n\nThe **stride** is how far a window moves.", []),
    ("## A stride\n\n`stride=4`, and $stride$. Astride.", []),
])
def test_a_word_before_its_explanation_is_found(text, faults):
    assert unexplained(paragraphs({"02-title": "Say what a stride is.", "02-a": text}),
                       ["stride"]) == faults


def test_the_teachers_plan_has_the_times_of_the_notebooks():
    page = readme.TEACHER.read_text()
    assert readme.plan(page) == page
    rows = re.findall(r"^\| ([^|]+) \| \[(\d\d) .*?\| (\d+) minutes \| (\d+) minutes \| (\d+) s \|",
                      page, re.MULTILINE)
    assert sorted(number for _, number, *_ in rows) == [p.name[:2] for p in readme.NOTEBOOKS[:-1]]
    read, exercises, seconds = (sum(int(row[i]) for row in rows) for i in (2, 3, 4))
    assert f"| {read} minutes | {exercises} minutes | {seconds} s |" in page
    assert 1.4 * read < exercises < 1.65 * read  # "about one and a half times as long"
    sessions = dict.fromkeys("12345678", 0)
    for when, _, minutes, *_ in rows:
        for session in when.split(" and "):
            sessions[session] += int(minutes) / len(when.split(" and "))
    assert min(sessions.values()) > 0 and max(sessions.values()) <= 90


def mismatches(row: str, text: str) -> list[str]:
    """What a row of the teacher's page lacks of a notebook, or has too much: goals, sections,
    exercises (E1) and recall questions (Q1)."""
    goals = re.findall(r"^- ", text.partition("**Goals")[2].partition("\n**")[0], re.MULTILINE)
    recall = text.partition("\n## Recall")[2].partition("\n## ")[0]
    there = {*(f"E{k}" for k in re.findall(r"^\*\*Exercise \d\d-(\d+)\*\*", text, re.MULTILINE)),
             *(f"Q{k}" for k in re.findall(r"^(\d+)\. ", recall, re.MULTILINE))}
    told = set(re.findall(r"\b[EQ]\d+\b", re.sub(r"“[^”]*”", "", row)))
    heads = set(re.findall(r"^#+ (?:\d\d · )?(.+)$", text, re.MULTILINE))
    number = len([cell for cell in row.strip("| ").split(" | ") if cell.strip()]) - 1
    return sorted(there ^ told | set(re.findall(r"“([^”]*)”", row)) - heads) + \
        [f"{len(goals)} goals, not {number}"] * (len(goals) != number)


def test_the_teachers_page_says_where_each_goal_is_served():
    rows = re.findall(r"^\| (\d\d) (\|.*)$", readme.TEACHER.read_text(), re.MULTILINE)
    assert [number for number, _ in rows] == [p.name[:2] for p in readme.NOTEBOOKS]
    texts = [markdown(path.name) for path in readme.NOTEBOOKS]
    faults = {number: mismatches(f"| {number} {row}", text)
              for (number, row), text in zip(rows, texts, strict=True)}
    assert {number: found for number, found in faults.items() if found} == {}
    text = "**Goals**\n- a\n\n**P**\n# 01 · A\n**Exercise 01-1** x\n## Recall\n1. b\n"
    assert mismatches("| 01 | “A”; E1; Q1 |  |", text) == []
    assert mismatches("| 01 | “B”; E2 | “A” |", text) == ["B", "E1", "E2", "Q1", "1 goals, not 2"]


def test_small_pictures_are_described():
    text = readme.FRONT.read_text()
    assert readme.words(text) == text
    alts = re.findall(r"!\[([^]]*)\]\(../data/thumbnails/", text)
    assert len(alts) > 10 and len(set(alts)) == len(alts) and min(map(len, alts)) > 20
    assert readme.words(text.replace(alts[0], "A figure")) == text


def prose(page: Path) -> str:
    """What the course itself says there: no code, formulas, links, and nothing that is quoted."""
    text = markdown(page.name) if page.suffix == ".ipynb" else page.read_text()
    for left_out in (r"```.*?```", r"`[^`]*`", r"\$\$.*?\$\$", r"\$[^$\n]+\$", r"“[^”]*”",
                     r"\]\([^)]*\)", r"<!-- (\w+) -->.*?<!-- /\1 -->", r"<[^>]+>", r"https?://\S+"):
        text = re.sub(left_out, " ", text, flags=re.DOTALL)
    return text


def spoken(path: Path) -> str:
    """What a program says: its texts of several words, with the names that widgets.explore gives
    to controls; no docstrings. Of a notebook, its code."""
    source = path.read_text()
    if path.suffix == ".ipynb":
        source = "\n\n".join("".join(cell["source"]) for cell in json.loads(source)["cells"]
                             if cell["cell_type"] == "code")
        source = re.sub(r"^[!%].*$", "", source, flags=re.MULTILINE)
    tree = list(ast.walk(ast.parse(source)))
    docstrings = [node.value for node in tree if isinstance(node, ast.Expr)]
    told = [node.value for node in tree if isinstance(node, ast.Constant) and node not in docstrings
            and isinstance(node.value, str) and " " in node.value.strip()]
    told += [word.arg.replace("_", " ") for node in tree if isinstance(node, ast.Call)
             and ast.unparse(node.func) == "widgets.explore" for word in node.keywords]
    return re.sub(r"`[^`]*`|“[^”]*”|{[^}]*}|\S+/\S*|\w+\.\w[\w.]*|\b\w+[_=(]\w*", " ",
                  "\n".join(told))


def misspelled(words: set[str]) -> set[str]:
    return set(subprocess.run(["hunspell", "-d", "en_US", "-l"], input="\n".join(words), text=True,
                              check=True, capture_output=True).stdout.split())


@pytest.mark.skipif(not shutil.which("hunspell"), reason="needs hunspell and hunspell-en-us")
def test_the_prose_is_spelled_as_in_america():
    """tests/words.txt has the words of the field that Hunspell's American dictionary lacks."""
    form = prose(ROOT / ".github" / "ISSUE_TEMPLATE" / "mistake.yml")
    texts = re.findall(r"(?:name|label|description): (.*)", form) + [prose(page) for page in PAGES]
    texts += [spoken(path) for path in [
        *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("alexnet_lib/course/exercises/*.py"),
        ROOT / "alexnet_lib/course/widgets.py", ROOT / "alexnet_lib/course/dashboard.py"]]
    used = {word.strip("'") for text in texts for word in
            re.findall(r"[^\W\d_][^\W\d_']+", text.replace("’", "'"))}
    ours = set((ROOT / "tests" / "words.txt").read_text().split())
    assert sorted(misspelled(used) - ours) == []
