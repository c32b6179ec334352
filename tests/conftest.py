"""What tests share: real photos where they are at hand, small image folders, and the command line as a process."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("FIELDGUIDE_DATA") or ROOT.parent / "shared" / "data")


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photos; tests that need it are skipped, by name, where it is not there."""
    if not DATA.is_dir():
        pytest.skip(f"needs real photos: set FIELDGUIDE_DATA (looked in {DATA})")
    return DATA


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache out of the tests, and the converted network across them."""
    os.environ["FIELDGUIDE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for one test."""
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(folder))
    return folder


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does: ``run("train", folder)``."""

    def run_command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fieldguide", *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            timeout=300,
            check=False,
        )

    return run_command


COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (210, 40, 40), "yellow": (230, 220, 60)}


def write_photo(path: Path, colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (64, 48)) -> None:
    """Write a noisy picture of one colour: easy to tell apart, and different for each seed."""
    noise = np.random.default_rng(seed).integers(-30, 30, (size[1], size[0], 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def colour_folder(tmp_path: Path) -> Path:
    """An image folder of three colours, 12 photos each."""
    folder = tmp_path / "colours"
    for label, name in enumerate(("blue", "green", "red")):
        for number in range(12):
            write_photo(folder / name / f"{number:02d}.png", COLOURS[name], seed=100 * label + number)
    return folder
