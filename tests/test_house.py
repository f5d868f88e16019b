"""How the house is built: which way imports run, and how large the library is."""

import ast
import io
import tokenize
from graphlib import TopologicalSorter
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "alexnet_lib"
MODULES = {path: (("alexnet_lib", *path.relative_to(LIBRARY).with_suffix("").parts))
           for path in sorted(LIBRARY.rglob("*.py"))}
OUTER = ("research", "course")  # in this order: the second may know the first


def part_of(module: tuple[str, ...]) -> str:
    """"core", "research" or "course"."""
    return module[1] if module[1:2] and module[1] in OUTER else "core"


def imported(path: Path) -> set[tuple[str, ...]]:
    """The modules of the library that a file imports; not those that only type checkers see."""
    home, names = MODULES[path], set()
    tree = ast.parse(path.read_text())
    hidden = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.If)
              and "TYPE_CHECKING" in ast.unparse(node.test) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            names |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = home[:-node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names |= {(*base, alias.name) for alias in node.names}
    return {module for name in names if (module := known(name)) and module != home}


def known(name: tuple[str, ...]) -> tuple[str, ...] | None:
    """The module that a dotted name is, or is a part of."""
    found = set(MODULES.values())
    while name:
        for candidate in (name, (*name, "__init__")):
            if candidate in found:
                return candidate
        name = name[:-1]
    return None


def test_the_core_knows_neither_research_nor_course():
    allowed = {"core": {"core"}, "research": {"core", "research"},
               "course": {"core", "research", "course"}}
    wrong = {".".join(module): sorted(".".join(other) for other in imported(path)
                                      if part_of(other) not in allowed[part_of(module)])
             for path, module in MODULES.items()}
    assert {module: others for module, others in wrong.items() if others} == {}


def test_imports_of_the_core_run_one_way():
    """In the order that this finds, each module needs earlier ones only."""
    graph = {module: {other for other in imported(path) if other[-1] != "__init__" or
                      len(other) > 2} for path, module in MODULES.items()
             if part_of(module) == "core" and module != ("alexnet_lib", "__init__")}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


def size(part: str) -> tuple[int, int]:
    """(lines of code, lines in all) of a part: code is no docstring, comment or blank line."""
    code = whole = 0
    for path, module in MODULES.items():
        if part_of(module) == part:
            source = path.read_text()
            whole += len(source.splitlines())
            code += len(_written(source) - _docstrings(source))
    return code, whole


def _written(source: str) -> set[int]:
    blank = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
             tokenize.ENDMARKER)
    return {line for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type not in blank for line in range(token.start[0], token.end[0] + 1)}


def _docstrings(source: str) -> set[int]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return {line for node in ast.walk(ast.parse(source)) if isinstance(node, documented)
            and ast.get_docstring(node, clean=False) is not None
            for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)}


def report() -> str:
    """One line about the size of the library."""
    return "; ".join(f"{part}: {code:,} lines of code, {whole:,} with docstrings and comments"
                     for part in ("core", *OUTER) for code, whole in [size(part)])


def test_lines_are_counted():
    source = '"""Two\nlines."""\n\n# why\ndef f(x):\n    "One."\n    return (x,\n            1)\n'
    assert _written(source) - _docstrings(source) == {5, 7, 8}


def test_the_core_is_small():
    assert size("core")[0] <= 5500, report()


if __name__ == "__main__":
    print(report())
