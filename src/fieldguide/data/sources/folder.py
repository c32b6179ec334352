"""An image folder: CLASS/*.jpg, or {train,val,test}/CLASS/*.jpg."""

import os
from pathlib import Path

from fieldguide.data.files import read_photo, walk
from fieldguide.data.image_set import ImageSet
from fieldguide.data.layout import EXPECTED, arrange
from fieldguide.data.sources import register_path_source
from fieldguide.errors import DataError


@register_path_source(Path.is_dir, order=100)  # a folder that is nothing more special
def open_folder(path: Path) -> ImageSet:
    """Open an image folder. Photos may lie at any depth below their class; names may be in any script.

    Raises:
        DataError: the folder can't be read, is empty, or has no class folders.
    """
    root = os.fspath(path)
    try:
        paths = list(walk(path))
    except OSError as error:
        raise DataError(f"{error.filename or path} can't be read: {error.strerror}; {EXPECTED}") from error
    return arrange(str(path), paths, lambda index: read_photo(f"{root}/{paths[index]}"))
