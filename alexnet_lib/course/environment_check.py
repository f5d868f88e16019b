"""The environment check: a row for each thing that the course needs."""

import importlib.metadata
import platform
import shutil
import sys
from pathlib import Path

from alexnet_lib import course, memory

MINIMUM = {"python": "3.10", "torch": "2.6", "torchvision": "0.21"}


def environment() -> None:
    """Print the environment check: a row for each thing that matters, OK or what to do."""
    from tabulate import tabulate
    print(tabulate(environment_rows(), headers=["", "found", "verdict"], disable_numparse=True))


def environment_rows() -> list[tuple[str, str, str]]:
    """(what, found, "OK ..." or what to do) for each thing the course needs."""
    rows = [_version_row("python", sys.version.split()[0], "install a newer Python")]
    rows += [_package_row("torch"), _package_row("torchvision")]
    if rows[1][2] != "OK":
        return rows
    device = report()["device"]
    rows.append(("device", device, "OK" if device != "cpu"
                 else "OK: every live cell is made for it"))
    rows.append(_size_row("memory", memory.available(), 2, "close other programs"))
    rows.append(_size_row("free disk", shutil.disk_usage(course.ROOT).free, 2, "make room"))
    rows.append(_data_row())
    return rows


def report() -> dict[str, str | int]:
    """What a report of a problem names: versions, system, device and threads."""
    import torch  # not above: the check also says what to do where torch is missing

    from alexnet_lib.devices import device_name, machine
    versions = machine()["versions"]
    try:
        torchvision = importlib.metadata.version("torchvision")
    except importlib.metadata.PackageNotFoundError:
        torchvision = "not installed"
    return {"python": versions["python"], "alexnet-course": versions["alexnet_lib"],
            "torch": versions["torch"], "torchvision": torchvision,
            "numpy": importlib.metadata.version("numpy"),
            "system": f"{platform.system()} {platform.machine()}", "device": device_name(),
            "threads": torch.get_num_threads()}


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2])


def _version_row(name: str, found: str, cure: str) -> tuple[str, str, str]:
    enough = _numbers(found) >= _numbers(MINIMUM[name])
    return name, found, "OK" if enough else f"{cure}: {MINIMUM[name]} or later is needed"


def _package_row(name: str) -> tuple[str, str, str]:
    cure = "pip install --upgrade torch torchvision (in Colab: take the newest runtime)"
    try:
        return _version_row(name, importlib.import_module(name).__version__, cure)
    except ImportError:
        return name, "missing", cure
    except Exception as error:  # a torchvision built for another torch fails as it pleases
        return name, f"fails: {str(error).splitlines()[0]}", f"it does not fit its torch; {cure}"


def _size_row(name: str, found: int | None, needed: int, cure: str) -> tuple[str, str, str]:
    if found is None:
        return name, "unknown", f"OK if there are {needed} GB"
    gb = found / 1e9
    return name, f"{gb:.0f} GB", "OK" if gb >= needed else f"{cure}: {needed} GB are needed"


def _data_row() -> tuple[str, str, str]:
    data = course.data
    if data == "shapes":
        return "data", data, "OK: embedded, nothing to download"
    if data.startswith("folder:") and not Path(data[7:]).expanduser().is_dir():
        return "data", data, "no such folder: set ALEXNET_DATA anew, then restart the kernel"
    return "data", data, f"OK: packed at first use, or now with: alexnet data pack {data}"
