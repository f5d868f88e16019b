"""The pages beside the notebooks say what is so."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet_lib import course

ROOT = Path(__file__).parents[1]
def markdown(notebook: str) -> str:
    cells = json.loads((ROOT / "notebooks" / notebook).read_text())["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


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
    ("[a](notebooks/15-capstone.ipynb#recall)", "[a](notebooks/15-capstone.ipynb#recalled)"),
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
    text = (ROOT / "ERRATA.md").read_text()
    named, gone = erratum_cells(text), set(re.findall(r"`(\d\d-[^`]+)` \(since removed\)", text))
    assert set(named) - gone <= ids and not gone & ids and len(named) > len(set(named)) > 40
    assert erratum_cells("| 2026-11-25 | `01-a`, `02-b` (by `x`) | `y` | z |") == ["01-a", "02-b"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/appendix-*.md")), ids=lambda p: p.name)
def test_the_code_of_an_appendix_runs(page):
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert page.stem != "appendix-store" or "were altered" in done.stdout


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
