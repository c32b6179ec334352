"""Image folders to look at."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pictures import scene


@pytest.fixture
def scenes(tmp_path: Path) -> Callable[[dict[str, int | Image.Image | bytes]], Path]:
    """Write an image folder of scenes by their seeds, of pictures, or of bytes: ``scenes({"a/1.jpg": 1})``."""

    def write(files: dict[str, int | Image.Image | bytes]) -> Path:
        for name, what in files.items():
            path = tmp_path / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, bytes):
                path.write_bytes(what)
            else:
                picture = scene(what) if isinstance(what, int) else what
                picture.save(path, quality=90)
        return tmp_path / "photos"

    return write
