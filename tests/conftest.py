"""Fixtures that several files of tests use."""

import shutil
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def public():
    """A folder that everyone may reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
