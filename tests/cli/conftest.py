"""What the tests of the command line share."""

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def no_features(tmp_path: Path, saved_guide: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own that holds the converted network, but no photo's features."""
    shared, own = Path(os.environ["FIELDGUIDE_CACHE"]), tmp_path / "cache"
    for folder in ("networks", "weights"):
        if (shared / folder).is_dir():
            shutil.copytree(shared / folder, own / folder)
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(own))
    return own
