"""For the writer of a notebook: its stored outputs beside the sentences that speak of them.

python tests/read_outputs.py 03 writes build/reading/03.md and its pictures beside it (without a
number: all notebooks). In cell order, each output is followed by the sentences that speak of a
run or a picture. A number that no stored output and no code has is marked: it may come from a
record, or from outputs that have been stored anew since.
"""

import base64
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
SPEAKS = re.compile(
    r"\d|\b(?:picture|figure|curve|line|bar|panel|plot|histogram|point|dot|left|right|top|bottom|"
    r"above|below|run|seed|half|twice|loss|error|accuracy|fast|slow|high|low|small|large|few|more|"
    r"less|most|best|worst|better|worse|gain|win|won|lose|lost|rise|rose|fall|fell|drop)"
    r"(?:s|er|est|ed|ly|ing)?\b", re.IGNORECASE)
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?![\w]|\.\d)")
PICTURE = {"image/png": "png", "image/jpeg": "jpg"}


def sentences(markdown: str) -> list[str]:
    """The prose of a Markdown cell in sentences; no headings, code, folded parts or formulas."""
    text = re.sub(r"```.*?```|<details>.*?</details>|\$\$.*?\$\$", "", markdown, flags=re.DOTALL)
    text = re.sub(r"^#.*$|^\|[-| :]+\|$|\*\*Figure\.\*\* ", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)", "]", text)  # where links lead to
    parts = re.split(r"(?<=[.!?])[”)*]*\s+(?=[A-Z“*(\[])|\n\s*\n|\n(?=[-*>|]|\d+\. )", text)
    return [" ".join(part.split()) for part in parts if part.strip()]


def numbers(text: str) -> set[str]:
    """The numbers that a text has, but not the digits that everything has."""
    found = {number.replace(",", "") for number in NUMBER.findall(text)}
    return {number for number in found if len(number) > 1}


def texts(output) -> str:
    """What an output says in words, its HTML without tags."""
    data = output.get("data", {})
    said = output.get("text") or data.get("text/markdown") or data.get("text/html") or \
        data.get("text/plain", "")
    return re.sub(r"<[^>]+>", " ", said) if "text/html" in data else said


def reading(notebook, number: str) -> tuple[str, dict[str, bytes]]:
    """The page for a notebook, and its pictures by file name."""
    known = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            known |= numbers("\n".join([cell.source, *map(texts, cell.outputs)]))
    page, pictures = [f"# {number}: what the sentences say, and what the outputs show"], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for sentence in filter(SPEAKS.search, sentences(cell.source)):
                unknown = sorted(numbers(re.sub(r"\$[^$]+\$", "", sentence)) - known)
                page.append(f"- {sentence}"
                            + f" **[in no output: {', '.join(unknown)}]**" * bool(unknown))
            continue
        for k, out in enumerate(cell.get("outputs", [])):
            for mime in PICTURE.keys() & set(out.get("data", {})):
                name = f"{cell.id}-{k}.{PICTURE[mime]}"
                pictures[name] = base64.b64decode(out.data[mime])
                page.append(f"### {cell.id}\n\n![]({name})\n\n"
                            f"alt: {out.metadata.get(mime, {}).get('alt', 'none')}")
                break
            else:
                lines = texts(out).strip().splitlines()[:60]
                page.append("\n".join([f"### {cell.id}", "", *("    " + line for line in lines)]))
    return "\n\n".join(page).replace("\n\n- ", "\n- ") + "\n", pictures


def main(wanted: list[str]) -> None:
    folder = ROOT / "build" / "reading"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        number = path.name.split("-")[0]
        if wanted and number not in wanted:
            continue
        page, pictures = reading(nbformat.read(path, as_version=4), number)
        (folder / f"{number}.md").write_text(page, encoding="utf-8")
        for name, data in pictures.items():
            (folder / name).write_bytes(data)
        print(f"build/reading/{number}.md: {len(pictures)} pictures, "
              f"{page.count('**[in no output')} sentences with a number that no output has")


if __name__ == "__main__":
    main(sys.argv[1:])
