"""Image sets written out as image folders."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from fieldguide.data.decode import find_decoder
from fieldguide.data.image_set import ImageSet, Photo
from fieldguide.errors import DataError
from fieldguide.paths import written_whole
from fieldguide.progress import Progress, silent


def write_image_folder(images: ImageSet, folder: Path, on_progress: Progress = silent) -> None:
    """Write a set as CLASS/NUMBER.png, or as PART/CLASS/NUMBER.png if it is split; whole or not at all.

    Args:
        images: the set.
        folder: must not exist, or be empty.
        on_progress: called as photos are written.

    Raises:
        DataError: the folder holds something, or can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there and not empty; choose a new folder")
    try:
        with written_whole(folder) as draft:
            for index, label in enumerate(images.labels):
                place = draft / str(images.parts[index]) / _folder_name(images.class_names[label])
                place.mkdir(parents=True, exist_ok=True)
                content, suffix = _encode(images.read(index))
                (place / f"{index:05d}{suffix}").write_bytes(content)
                on_progress("writing", index + 1, len(images))
            if folder.is_dir():
                folder.rmdir()
    except OSError as error:
        raise DataError(f"{folder} can't be written: {error.strerror or error}") from error


def _folder_name(class_name: str) -> str:
    return re.sub(r'[/\\:*?"<>|]', "_", class_name).strip(". ") or "_"


def _encode(photo: Photo) -> tuple[bytes, str]:
    if isinstance(photo, bytes):
        kind = find_decoder(photo).format or "img"
        return photo, {"JPEG": ".jpg"}.get(kind, f".{kind.lower()}")
    buffer = io.BytesIO()
    Image.fromarray(np.squeeze(photo)).save(buffer, "PNG")
    return buffer.getvalue(), ".png"
