"""pytest for the whole project: notebooks are compared without their stderr."""

import os


def pytest_configure(config):
    """Stored outputs are those of the defaults, whatever the learner has set."""
    for name in ("ALEXNET_DATA", "ALEXNET_FULL"):
        os.environ.pop(name, None)
    os.environ["ALEXNET_OFFLINE"] = "1"  # cells that show fetched photographs download nothing


def pytest_collectstart(collector):
    """Progress bars and warnings go to stderr; nbval compares all else."""
    if getattr(collector, "skip_compare", None):
        collector.skip_compare += ("stderr",)
