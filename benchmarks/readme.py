"""The speed table of README.md, written from a recorded run: python -m benchmarks.readme"""

import json
import re

from tabulate import tabulate

from benchmarks.bench import ROOT

RECORD, README = ROOT / "data" / "results" / "bench-cpu.json", ROOT / "README.md"
BETWEEN = re.compile(r"(?<=<!-- speed -->\n).*?(?=<!-- /speed -->)", re.DOTALL)


def table(record: dict) -> str:
    """The rows of a record that have a target, as Markdown."""
    def number(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    rows = [(row["text"], f"{number(row['ours'])} {row['unit']}",
             f"{number(row['rival'])} {row['unit']}", number(row["ratio"]),
             row["target"].replace(">=", "≥").replace("<=", "≤"))
            for row in record["rows"] if row["target"]]
    about = (f"Measured on {record['device']}, torch {record['versions']['torch']}, "
             f"{record['date']}.")
    return (tabulate(rows, ("", "ours", "rival", "ratio", "target"), tablefmt="github",
                     disable_numparse=True) + f"\n\n{about}\n")


def main() -> None:
    """Put the table of the committed record into README.md."""
    text = table(json.loads(RECORD.read_text()))
    README.write_text(BETWEEN.sub(lambda _: text, README.read_text()))


if __name__ == "__main__":
    main()
