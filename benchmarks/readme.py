"""The generated tables of README.md, from recorded results: python -m benchmarks.readme"""

import json
import re

from tabulate import tabulate

from alexnet_lib.experiments import ledger
from benchmarks.bench import ROOT

RESULTS, README = ROOT / "data" / "results", ROOT / "README.md"


def between(name: str) -> re.Pattern:
    """What stands between the two marks of a table."""
    return re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.DOTALL)


def speed() -> str:
    """The rows of the recorded benchmark that have a target, as Markdown."""
    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    record = json.loads((RESULTS / "bench-cpu.json").read_text())
    rows = [(row["text"], f"{number(row['ours'])} {row['unit']}",
             f"{number(row['rival'])} {row['unit']}", number(row["ratio"]),
             row["target"].replace(">=", "≥").replace("<=", "≤"))
            for row in record["rows"] if row["target"]]
    about = (f"Measured on {record['device']}, torch {record['versions']['torch']}, "
             f"{record['date']}.")
    return (tabulate(rows, ("", "ours", "rival", "ratio", "target"), tablefmt="github",
                     disable_numparse=True) + f"\n\n{about}\n")


def claims() -> str:
    """The ledger, as Markdown."""
    return ledger.table(json.loads((RESULTS / "ledger.json").read_text()), "github") + "\n"


TABLES = {"speed": speed, "ledger": claims}


def main() -> None:
    """Put all tables into README.md."""
    text = README.read_text()
    for name, table in TABLES.items():
        made = table()
        text = between(name).sub(lambda _, made=made: made, text)
    README.write_text(text)


if __name__ == "__main__":
    main()
