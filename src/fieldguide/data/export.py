"""Image sets written out as image folders."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fieldguide.data.decode import find_decoder, from_pixels
from fieldguide.data.image_set import NO_LABEL, ImageSet, Photo
from fieldguide.errors import DataError, PhotoError
from fieldguide.paths import written_whole
from fieldguide.progress import Progress, counted, silent


def write_image_folder(images: ImageSet, folder: Path, on_progress: Progress = silent) -> None:
    """Write a set as CLASS/NUMBER.png, or as PART/CLASS/NUMBER.png if it is split; whole or not at all.

    A photo without a label lies outside the class folders. What is an image file already is written as it is.

    Args:
        images: the set.
        folder: must not exist, or be empty.
        on_progress: called as photos are written.

    Raises:
        DataError: the folder holds something or can't be written, or a photo can't be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; choose a new folder")
    folder_names = _folder_names(images.class_names)
    try:
        with written_whole(folder) as draft:
            draft.mkdir()
            labels = images.labels.tolist()
            for index, label in enumerate(counted(labels, len(labels), "writing", on_progress)):
                place = draft / str(images.parts[index]) / ("" if label == NO_LABEL else folder_names[label])
                place.mkdir(parents=True, exist_ok=True)
                content, suffix = _read(images, index)
                (place / f"{index:05d}{suffix}").write_bytes(content)
            if folder.is_dir():
                folder.rmdir()
    except OSError as error:
        raise DataError(f"{folder} can't be written: {error.strerror or error}") from error


def _folder_names(class_names: Sequence[str]) -> list[str]:
    """Name a folder for each class, on any system; classes that would share one get their number."""
    names = [re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", name).strip(". ") or "_" for name in class_names]
    count = Counter(name.casefold() for name in names)
    return [n if count[n.casefold()] == 1 else f"{n} ({label})" for label, n in enumerate(names)]


def _read(images: ImageSet, index: int) -> tuple[bytes, str]:
    try:
        return _encode(images.read(index))
    except (PhotoError, OSError) as error:
        raise DataError(f"{images.photo_names[index]} can't be written out: {error}") from error


def _encode(photo: Photo) -> tuple[bytes, str]:
    if isinstance(photo, bytes):
        kind = find_decoder(photo).format or "img"
        return photo, {"JPEG": ".jpg"}.get(kind, f".{kind.lower()}")
    buffer = io.BytesIO()
    from_pixels(photo).save(buffer, "PNG")
    return buffer.getvalue(), ".png"
