"""A look at each photo: what its file says of it, and how bright, varied and sharp its picture is."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from fieldguide.data import ImageSet
from fieldguide.data.decode import Header, decode, read_header
from fieldguide.data.image_set import content_digest
from fieldguide.embed.embedder import in_threads
from fieldguide.errors import PhotoError
from fieldguide.progress import Progress, counted, silent

LOOK_PX = 96  # shorter side of the pictures that are measured: larger JPEG files are decoded at a fraction
THUMBNAIL_PX = 16
_TILE = 8  # side of the parts of which the sharpest tells whether a photo is blurred, for backgrounds often are
_AHEAD = 256
_AT_ONCE = 16  # photos a thread looks at before it hands over


@dataclass(frozen=True)
class Look:
    """What was seen of one photo.

    Args:
        digest: of its content.
        reason: why it can't be used; "" of one that can. Then what follows is known.
        header: what the file says.
        brightness: mean of its grey picture, from 0 (black) to 1.
        contrast: standard deviation of that.
        sharpness: standard deviation of the Laplacian in the sharpest part, on the same scale.
        thumbnail: (16, 16) uint8, its grey picture stretched to a square.
    """

    digest: bytes = b""
    reason: str = ""
    header: Header | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    sharpness: float = 0.0
    thumbnail: npt.NDArray[np.uint8] | None = field(default=None, repr=False)


def look_at(
    images: ImageSet, on_progress: Progress = silent, *, photos: npt.NDArray[np.int64] | None = None
) -> list[Look]:
    """Look at photos of a set; what is kept of each is a few numbers and a thumbnail.

    Args:
        images: the set.
        on_progress: called as photos are done.
        photos: (N,) which of them, in which order; by default all.
    """
    chosen = range(len(images)) if photos is None else photos.tolist()

    def look(start: int) -> list[Look]:
        return [_look(images, index) for index in chosen[start : start + _AT_ONCE]]

    starts = range(0, len(chosen), _AT_ONCE)
    looks = (look for some in in_threads(look, starts, ahead=_AHEAD // _AT_ONCE) for look in some)
    return list(counted(looks, len(chosen), "looks", on_progress))


def _look(images: ImageSet, index: int) -> Look:
    try:
        photo = images.read(index)
        header = read_header(photo)
        picture = decode(photo, channels=1, smallest_px=LOOK_PX)
    except (PhotoError, OSError) as error:
        return Look(reason=str(error) or type(error).__name__)
    grey = small_grey(picture)
    return Look(
        content_digest(photo),
        header=header,
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
        sharpness=_sharpness(grey),
        thumbnail=square(picture, THUMBNAIL_PX),
    )


def small_grey(picture: Image.Image) -> npt.NDArray[np.float32]:
    """A grey picture -> (H, W) from 0 to 1, reduced until its shorter side is 96 px; never enlarged."""
    scale = LOOK_PX / min(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    return np.asarray(picture, np.float32) / np.float32(255)


def square(picture: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    """A grey picture -> (side, side), stretched."""
    return np.asarray(picture.resize((side, side), Image.Resampling.BOX))


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    """(H, W) -> the standard deviation of the Laplacian in the part of 8 x 8 px where it is largest."""
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    side = min(_TILE, *laplacian.shape)
    rows, columns = (length // side for length in laplacian.shape)
    tiles = laplacian[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return float(tiles.std(axis=(1, 3)).max())
