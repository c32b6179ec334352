"""A guide that makes mistakes, and the photos it was made of."""

import shutil
from pathlib import Path

import pytest

import fieldguide as fg
from colour_photos import COLOURS, write_photo


@pytest.fixture(scope="session")
def muddled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image folder, split, of three colours, where some photos lie in a wrong class, and one is a copy."""
    folder = tmp_path_factory.mktemp("muddled") / "muddled & <odd>"
    for label, name in enumerate(("blue", "green", "red")):
        for number in range(24):
            part = "val" if number % 3 == 0 else "train"
            shown = "red" if name == "green" and number in (0, 3, 5) else name
            write_photo(folder / part / name / f"{number:02d}.png", COLOURS[shown], seed=100 * label + number)
    shutil.copyfile(folder / "train" / "blue" / "01.png", folder / "train" / "blue" / "copy.png")
    return folder


@pytest.fixture(scope="session")
def muddled_guide(muddled: Path) -> fg.Guide:
    """A guide to these."""
    return fg.train(muddled)


@pytest.fixture(scope="session")
def muddled_path(muddled_guide: fg.Guide, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, saved, to read only."""
    return muddled_guide.save(tmp_path_factory.mktemp("guides") / "muddled.guide")


@pytest.fixture(scope="session")
def smaller_path(muddled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guide to the same photos, which sees them smaller."""
    return fg.train(muddled, size_px=64).save(tmp_path_factory.mktemp("guides") / "smaller.guide")
