"""Adds to every record of a run what the repository's history knows: python .ci/records_history.py

`provenance.added`: the commit that brought the record, where the run did not note its code, and
what its data are called. `edits`: a line for each commit that changed the record afterwards. A run
is known by its curves, whatever its file was called. Run it again at any time.
"""

import json
import subprocess
import time
from pathlib import Path

from alexnet_lib.checkpoints import write_atomically
from alexnet_lib.datasets import title_of

RUNS = "data/results/runs"


def git(*words: str, data: str = "") -> bytes:
    return subprocess.run(["git", *words], input=data.encode(), capture_output=True,
                          check=True).stdout


def identity(record: dict) -> str:
    """What no edit changes: the seconds of a run's epochs, or else all that was measured."""
    if seconds := record.get("curves", {}).get("seconds"):
        return json.dumps(seconds)
    return json.dumps([record.get(key) for key in ("effect", "seed", "units", "seconds_of_a_step",
                                                   "images_per_second", "diverged")]
                      + [record.get("config", {}).get("lr")])


def flat(record: dict, at: str = "") -> dict:
    """Values by path, as "config.lr"; without what this script and `edit_record` write."""
    found = {}
    for key, value in record.items():
        if (name := at + key) in ("edits", "provenance.added"):
            continue
        deeper = isinstance(value, dict) and name in ("config", "provenance")
        found |= flat(value, name + ".") if deeper else {name: value}
    return found


def change(before: dict, after: dict) -> str:
    """What an edit did, in words; empty if nothing."""
    old, new = flat(before), flat(after)
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    renamed = []
    for name in list(gone):
        same = [other for other in come if json.dumps(new[other]) == json.dumps(old[name])
                and other.rpartition(".")[0] == name.rpartition(".")[0]]
        if len(same) == 1:
            renamed.append(f"{name} to {same[0].rpartition('.')[2]}")
            gone.remove(name)
            come.remove(same[0])
    changed = [f"{name} from {old[name]} to {new[name]}" if len(f"{old[name]}{new[name]}") < 60
               else name for name in sorted(old.keys() & new.keys()) if old[name] != new[name]]
    return "; ".join(f"{verb} {', '.join(names)}" for verb, names in (
        ("removed", gone), ("added", come), ("renamed", renamed), ("changed", changed)) if names)


def history() -> dict[str, dict]:
    """By identity: `first`, the commit that brought the run, and `edits`."""
    log = git("log", "--reverse", "--raw", "--no-renames", "--no-abbrev",
              "--format=commit %h %as", "--", RUNS).decode()
    steps, commit = [], ("", "")
    for line in log.splitlines():
        if line.startswith("commit "):
            commit = line.split()[1][:12], line.split()[2]
        elif line.startswith(":") and not line.split()[4].startswith("D"):
            steps.append((*commit, line.split()[3]))
    blobs = git("cat-file", "--batch", data="".join(f"{blob}\n" for *_, blob in steps))
    found: dict[str, dict] = {}
    for short, day, _ in steps:
        head, _, blobs = blobs.partition(b"\n")
        size = int(head.split()[2])
        record, blobs = json.loads(blobs[:size]), blobs[size + 1:]
        run = found.setdefault(identity(record), {"first": short, "edits": [], "last": record})
        if what := change(run["last"], record):
            run["edits"].append({"date": day, "commit": short, "what": what})
        run["last"] = record
    return found


def main() -> None:
    """Write what is known into every record."""
    known, told = history(), 0
    for file in sorted(Path(RUNS).rglob("*.json")):
        record = json.loads(file.read_text())
        run = known.get(identity(record))
        if run is None:  # not committed yet
            continue
        made, today = record["provenance"], time.strftime("%Y-%m-%d")
        added = {} if "code" in made else {"code": run["first"]}
        if (data := made.get("data")) and title_of(data) not in (data, data.split(",")[0]):
            added["data"] = title_of(data)
        before = made.get("added", {})
        if added and {**before, "by": None} != {**added, "by": None}:
            made["added"] = added | {"by": f"from the repository's history, {today}"}
        own = [edit for edit in record.get("edits", []) if "commit" not in edit]
        if edits := run["edits"] + own:
            record["edits"] = sorted(edits, key=lambda edit: edit["date"])
        text = json.dumps(record) + "\n"
        if text != file.read_text():
            told += 1
            write_atomically(file, lambda path, text=text: path.write_text(text))
    print(f"{told} records written")


if __name__ == "__main__":
    main()
