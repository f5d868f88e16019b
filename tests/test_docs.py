"""The pages beside the notebooks say what is so."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import readme

from alexnet_lib import course

ROOT = Path(__file__).parents[1]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
ROWS = re.findall(  # word, number, section, notebook
    r"^\| ([^|]+) \| [^|]+ \| \[(\d\d), “([^”]+)”\]\(\.\./notebooks/(\2-[^)#]+)#[^)]+\) \|$",
    GLOSSARY, re.MULTILINE)
# Cells that use words of the glossary in an everyday sense.
EVERYDAY = {"00-setup-words": "error restarts", "00-predict": "units", "01-squared-words": "arm",
            "01-divide": "units", "01-exercises": "gap", "06-average-words": "mix",
            "09-dashboard-wait": "restarts"}


def markdown(notebook: str) -> str:
    cells = json.loads((ROOT / "notebooks" / notebook).read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


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


REPOSITORY = re.escape(course.REPOSITORY)
OWNER = re.escape(course.REPOSITORY.removeprefix("https://github.com/"))
OURS = re.compile(rf"(?:{REPOSITORY}/(?:blob|tree|raw)/main|https://raw\.githubusercontent\.com/"
                  rf"{OWNER}/main|https://colab\.research\.google\.com/github/{OWNER}/blob/main)/?")


def links(text: str) -> list[str]:
    """Where a page leads to: links and pictures of Markdown, also by reference, and of HTML."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    named = dict(re.findall(r"^ {0,3}\[([^\]]+)\]:\s*<?([^\s>]+)", text, re.MULTILINE))
    asked = [name or words for words, name in re.findall(r"\[([^][]+)\]\[([^][]*)\]", text)]
    return [*re.findall(r"\]\(<?([^)\s>]+)", text), *named.values(),
            *(f"no [{name}] below" for name in asked if name not in named),
            *re.findall(r"""<[^>]*\b(?:href|src)=["']([^"']+)["']""", text)]


def anchors(page: Path) -> set[str]:
    """What may follow # in a link to a page: names in HTML, and headings as GitHub and the site
    make names of them. (JupyterLab leaves capital letters: there a link to a heading in another
    notebook opens the notebook, and the reader scrolls.)"""
    text = markdown(page.name) if page.suffix == ".ipynb" else page.read_text()
    found = set(re.findall(r"""\b(?:id|name)=["']([^"']+)["']""", text))
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(next(name for name in (slug, *(f"{slug}-{k}" for k in range(1, 99)))
                       if name not in found))
    return found


def dead(page: Path, text: str) -> list[str]:
    """Of the links in the text of a page, those within the course that lead nowhere."""
    wrong = []
    for link in links(text):
        place, _, name = OURS.sub(f"{ROOT}/", link).partition("#")
        if re.match(r"(?:[a-z]+:|//)", place):
            continue
        target = page.parent / place if place else page
        if not target.exists() or \
                name and target.suffix in (".md", ".ipynb") and name not in anchors(target):
            wrong.append(link)
    return wrong


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*.md"),
                *ROOT.glob("notebooks/*.ipynb")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_course_lead_somewhere(page):
    assert dead(page, markdown(page.name) if page.suffix == ".ipynb" else page.read_text()) == []


@pytest.mark.parametrize("good, wrong", [
    ("[a](notebooks/00-start-here.ipynb)", "[a](notebooks/00-start.ipynb)"),
    ("![a](data/thumbnails/00.png)", "![a](data/thumbnails/99.png)"),
    ("[a](docs/glossary.md 'words')", "[a](docs/words.md 'words')"),
    ("[a][b] and [b][]\n\n[b]: README.md", "[a][b]\n\n[b]: READ.md"),
    ("[a][b]\n\n[b]: README.md", "[a][c]\n\n[b]: README.md"),
    ('<a href="README.md">a</a>', '<a href="READ.md">a</a>'),
    ("<img alt='' src='data/thumbnails/00.png'>", "<img alt='' src='data/thumbnails/99.png'>"),
    ("[a](#errata)", "[a](#errors)"),
    ("[a](data/README.md#{data})", "[a](data/README.md#nowhere)"),
    ("[a](notebooks/14-capstone.ipynb#recall)", "[a](notebooks/14-capstone.ipynb#recalled)"),
    ("[a]({here}/blob/main/Makefile)", "[a]({here}/blob/main/makefile.txt)"),
    ("[a]({here}/blob/main/ERRATA.md#errata)", "[a]({here}/blob/main/ERRATA.md#errors)"),
    ("[a]({here}/tree/main/alexnet_lib/course/plots)", "[a]({here}/tree/main/alexnet_lib/plot)"),
    ("[a](https://raw.githubusercontent.com/{owner}/main/LICENSE)",
     "[a](https://raw.githubusercontent.com/{owner}/main/LICENCE)"),
    ("[a]({here}/issues) `[a](no.md)`", "[a]({here}/raw/main/no.md)"),
])
def test_each_kind_of_dead_link_is_found(good, wrong):
    page, here = ROOT / "ERRATA.md", course.REPOSITORY
    words = {"here": here, "owner": here.removeprefix("https://github.com/"),
             "data": min(anchors(ROOT / "data" / "README.md"))}
    assert dead(page, good.format(**words)) == []
    assert len(dead(page, wrong.format(**words))) == 1


def test_headings_become_anchors_as_on_github(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# What's new, in 2012?\n## Two x two\n## Two x two\n<a id='here'></a>\n"
                    "```\n# no heading\n```\n")
    assert anchors(page) == {"whats-new-in-2012", "two-x-two", "two-x-two-1", "here"}


@pytest.mark.parametrize("wrong", ['href="c.html"', 'href="b.html#c"', 'href="#c"', 'src="c.png"',
                                   'href="../up.html"', 'href="/b.html"'])
def test_dead_links_of_the_built_site_are_found(tmp_path, wrong):
    """By what `make site` ends with; `python .ci/links build/site` alone takes seconds."""
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "up.html").touch()
    (site / "b.html").write_text("<p id='there'><a name='here'></a>")
    good = '<a href="b.html#there"></a><a href="b.html?q=1#here"></a><a href="https://x.y/z"></a>'

    def check(page):
        (site / "a.html").write_text(page)
        return subprocess.run([sys.executable, ROOT / ".ci" / "links", site], text=True,
                              capture_output=True)

    assert check(good).returncode == 0
    assert "a.html: " + wrong.split('"')[1] in check(f"{good}<a {wrong}></a>").stderr


def test_errata_name_cells_that_exist():
    ids = {cell["id"] for path in ROOT.glob("notebooks/*.ipynb")
           for cell in json.loads(path.read_text())["cells"]}
    named = erratum_cells((ROOT / "ERRATA.md").read_text())
    assert set(named) <= ids and len(named) > len(set(named)) > 40
    assert erratum_cells("| 2026-11-25 | `01-a`, `02-b` (by `x`) | `y` | z |") == ["01-a", "02-b"]


def erratum_cells(text: str) -> list[str]:
    """The cells that the rows name, in their second column; a claim or a word may follow them."""
    rows = re.findall(r"^\| \d{4}-\d\d-\d\d \| ([^|]+) \|", text, re.MULTILINE)
    assert all(re.match(r"`\d\d-", row) for row in rows)
    return [name for row in rows for name in re.findall(r"`(\d\d-[^`]+)`", row)]


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
    assert 1.25 * read < exercises < 1.4 * read  # "about a third longer"
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


def test_pictures_of_the_readme_are_told_in_words():
    text = readme.README.read_text()
    assert readme.words(text) == text
    told = re.findall(r'thumbnails/\d\d\.png"[^>]* alt="([^"]*)"', text)
    assert len(told) > 10 and len(set(told)) == len(told) and min(map(len, told)) > 20
    spoilt = text.replace(told[0], "A figure")
    assert readme.words(spoilt) == text


def test_the_reference_has_every_module_that_one_may_import():
    found = re.findall(r"automodule:: alexnet_lib\.(\S+)", (ROOT / "docs/reference.md").read_text())
    not_for_use = {"__init__", "__main__", "cli"}  # the shell's
    assert {path.stem for path in ROOT.glob("alexnet_lib/*.py")} - not_for_use <= set(found)
    figures = ROOT.glob("alexnet_lib/course/plots/[a-z]*.py")
    assert {f"course.plots.{path.stem}" for path in figures} <= set(found)
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


def misspelt(words: set[str]) -> set[str]:
    return set(subprocess.run(["hunspell", "-d", "en_GB", "-l"], input="\n".join(words), text=True,
                              check=True, capture_output=True).stdout.split())


# .ci/run sets SPELLING where it has hunspell: there nothing is left out unseen.
@pytest.mark.skipif(not shutil.which("hunspell") and "SPELLING" not in os.environ,
                    reason="needs hunspell and hunspell-en-gb")
def test_the_prose_is_spelt_as_in_britain():
    """tests/words.txt has the words of the field that Hunspell's British dictionary lacks."""
    form = prose(ROOT / ".github" / "ISSUE_TEMPLATE" / "mistake.yml")
    texts = re.findall(r"(?:name|label|description): (.*)", form) + [prose(page) for page in PAGES]
    texts += [spoken(path) for path in [
        *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("alexnet_lib/course/exercises/*.py"),
        ROOT / "alexnet_lib" / "widgets.py", ROOT / "alexnet_lib" / "dashboard.py"]]
    used = {word.strip("'") for text in texts for word in
            re.findall(r"[^\W\d_][^\W\d_']+", text.replace("’", "'"))}
    ours = set((ROOT / "tests" / "words.txt").read_text().split())
    assert sorted(misspelt(used) - ours) == []
    assert sorted(ours - used) == []
    assert misspelt({"colour", "color", "normalise", "pixl"}) == {"color", "pixl"}


def test_what_a_program_says_is_found(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('"""A dokstring."""\nx = f"A {y} colr of `z`"\nd["naame"] = "nn.Modul (x)"\n'
                    'widgets.explore(f, "Some pixls", w_hights=(1, 2))\n')
    assert re.findall(r"[a-z]{4,}", spoken(path)) == ["colr", "pixls", "hights"]
