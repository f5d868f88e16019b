"""Where things are computed: which device, in which precision, and what the machine is called."""

import os
import platform
import subprocess
import time
from functools import lru_cache
from pathlib import Path

import torch

from alexnet_lib.choices import check_values
from alexnet_lib.errors import UserError


def pick_device(name: str) -> str:
    """"auto" becomes "cuda", "mps" or "cpu"; raises UserError for a device that is not there."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(),
             "cpu": True}
    if name == "auto":
        return next(device for device, present in there.items() if present)
    try:
        device = torch.device(name)
    except RuntimeError:  # no such kind, or no number after the colon
        device = None
    if device is None or not there.get(device.type, False):
        raise UserError(f"no device {name!r} here: use "
                        f"{' or '.join(d for d, present in there.items() if present)}")
    if device.type == "cuda" and device.index is not None:
        last = torch.cuda.device_count() - 1
        if device.index > last:
            raise UserError(f"no device {name!r} here: use cuda:0"
                            + (f" to cuda:{last}" if last > 0 else ""))
    return name


def device_name(device: str = "auto") -> str:
    """What that device is called: a GPU by its name."""
    device = pick_device(device)
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def pick_precision(name: str, device: str, small: bool = False) -> str:
    """"auto" becomes "bf16" where the hardware multiplies it, else "fp32".

    small: the net's feature maps are small (`config.small_maps`). On a CPU such a net runs in
    fp32: in bf16, PyTorch's threads spend their time waiting for each other. On two cores that
    other programs used, too, the default net on `shapes` took 936 ms a step in bf16 and 71 in fp32.
    """
    check_values({"precision": name}, {"precision": str})
    if name != "auto":
        return name
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp32"
    if device == "cpu" and not small:
        # Without bf16 instructions, the CPU would convert back and forth and lose time.
        capable = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
        return "bf16" if capable or getattr(torch.cpu, "_is_amx_tile_supported",
                                            lambda: False)() else "fp32"
    return "fp32"


@lru_cache(1)
def code_version() -> str:
    """The commit of the checkout that runs, with "-dirty" after changes; else "installed".

    The variable ALEXNET_CODE says it for a copy that has no history.
    """
    package = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", package, *words], capture_output=True, text=True,
                              check=True, timeout=10).stdout.strip()

    if "ALEXNET_CODE" in os.environ:
        return os.environ["ALEXNET_CODE"]
    try:
        # Not that of somebody's own repository in which an environment lies.
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return "installed"


def processor() -> str:
    """The processor's name, as the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2].strip() for line in file
                     if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def machine(device: str = "cpu") -> dict:
    """Where, when and with which code something was measured: `device`, `processor`, `versions`,
    `code`, `date`.

    Of a processor its instructions matter more than its name: whether it multiplies bf16.
    """
    import alexnet_lib
    told = device_name(device)
    if device == "cpu":
        amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
        told = (f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
                f"{' with AMX' if amx else ''}, {torch.get_num_threads()} threads")
    return {"device": told, "processor": processor(), "date": time.strftime("%Y-%m-%d"),
            "code": code_version(),
            "versions": {"alexnet_lib": alexnet_lib.__version__, "torch": torch.__version__,
                         "python": platform.python_version()}}
