"""pytest for the whole project: notebooks are compared without their stderr."""


def pytest_collectstart(collector):
    """Progress bars and warnings go to stderr; nbval compares all else."""
    if getattr(collector, "skip_compare", None):
        collector.skip_compare += ("stderr",)
