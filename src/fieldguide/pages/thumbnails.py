"""Small pictures of photos, as text that a page can hold."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from fieldguide.data import ImageSet
from fieldguide.data.decode import decode
from fieldguide.errors import PhotoError

THUMBNAIL_PX = 200
_QUALITY = 70
_SMALLEST = 600  # characters of a picture


def thumbnail(images: ImageSet, index: int, side_px: int = THUMBNAIL_PX) -> str:
    """Return a photo as a JPEG in base 64, its longer side ``side_px`` at most; "" where it can't be used."""
    try:
        picture = decode(images.read(index), smallest_px=side_px)
    except (PhotoError, OSError):
        return ""
    picture.thumbnail((side_px, side_px), Image.Resampling.BOX)
    return _to_text(picture)


def pixels_to_text(pixels: npt.NDArray[np.uint8]) -> str:
    """Pixels (H, W, 3) -> a JPEG in base 64."""
    return _to_text(Image.fromarray(pixels))


def _to_text(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


class Room:
    """What a page has left for pictures, in characters."""

    def __init__(self, characters: int) -> None:
        self._left = characters

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another picture worth showing."""
        return self._left < _SMALLEST

    def take(self, picture: str) -> str:
        """Return the picture, and "" where there is no room for it."""
        if len(picture) > self._left:
            return ""
        self._left -= len(picture)
        return picture
