"""Files as they lie in folders: walking, reading, and photos without labels."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fieldguide.data.decode import MAX_FILE_BYTES, SIGNATURE_BYTES, find_decoder, to_pixels
from fieldguide.data.image_set import NO_LABEL, UNSPLIT, ImageSet, Photo
from fieldguide.data.layout import is_clutter, is_guide, is_run, readable
from fieldguide.errors import DataError, PhotoError
from fieldguide.paths import expand


def read_photo(path: str | Path) -> bytes:
    """Read an image file; a file that is not an image is recognised by its first bytes, and not read on.

    Raises:
        PhotoError: it does not exist, is not readable, not an image, or larger than 512 MiB.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PhotoError("a folder, a pipe or a device, not a file")
            head = file.read(SIGNATURE_BYTES)
            find_decoder(head)
            if status.st_size > MAX_FILE_BYTES:
                raise PhotoError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
            return head + file.read()
    except FileNotFoundError as error:
        is_link = Path(path).is_symlink()
        raise PhotoError("a link that leads nowhere" if is_link else "the file does not exist") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        raise PhotoError(f"can't be read: {getattr(error, 'strerror', None) or error}") from error


def one_photo(photo: str | Path | Photo | Image.Image) -> ImageSet:
    """Return a set of one photo without a label. It is read only when it is asked for.

    Args:
        photo: a path, the bytes of an image file, uint8 pixels (H, W) or (H, W, 3), or a PIL image.

    Raises:
        TypeError: it is none of these.
    """
    read: Callable[[], Photo]
    if isinstance(photo, Image.Image):
        name, read = "image", lambda: to_pixels(photo)
    elif isinstance(photo, str | Path):
        name, read = readable(str(photo)), lambda: read_photo(expand(photo))
    elif isinstance(photo, bytes) or (isinstance(photo, np.ndarray) and photo.dtype == np.uint8):
        name, read = "photo", lambda: photo
    else:
        kind = getattr(photo, "dtype", type(photo).__name__)
        raise TypeError(
            f"a photo of {kind}; it must be a path, bytes, uint8 pixels, or a PIL image; for several at once "
            "there is predict_many"
        )
    return ImageSet(name, (), [name], np.array([NO_LABEL]), np.array([UNSPLIT], "<U5"), lambda index: read())


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody to write into a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def walk(root: Path) -> Iterator[str]:
    """Yield the paths of all files below ``root``, relative, with slashes, in a stable order.

    Links are followed, but never into a folder that they lie in; clutter is passed over, and so are guides and
    unfinished training runs, which are often saved beside the photos.
    """
    yield from _walk(os.fspath(root), "", ())


def _walk(folder: str, prefix: str, ancestors: tuple[tuple[int, int], ...]) -> Iterator[str]:
    status = os.stat(folder)  # noqa: PTH116 - follows links, as the walk does
    identity = (status.st_dev, status.st_ino)
    if identity in ancestors:
        return
    with os.scandir(folder) as scan:
        entries = sorted((e for e in scan if not is_clutter(e.name)), key=lambda e: e.name)
    names = [entry.name for entry in entries]
    if is_guide(names) or is_run(names):
        return
    for entry in entries:
        if _is_folder(entry):
            yield from _walk(entry.path, f"{prefix}{entry.name}/", (*ancestors, identity))
        elif not _is_device(entry):
            yield prefix + entry.name


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: left to read_photo, which names it
        return False


def _is_device(entry: "os.DirEntry[str]") -> bool:
    """Whether reading it could hang: a pipe, a socket, a device, or a link to one."""
    try:
        return not entry.is_file() and os.path.exists(entry.path)  # noqa: PTH110 - of a link, what it leads to
    except OSError:  # a link to itself
        return False


def open_photos(paths: Sequence[str | Path]) -> ImageSet:
    """Open photos without labels: files, and every file below folders.

    Raises:
        DataError: a path does not exist, a folder can't be read, or there is no file at all.
    """
    files: list[Path] = []
    if "" in paths:
        raise DataError("the path of a photo is empty; pass photos, or folders of photos")
    for path in map(expand, paths):
        try:
            if path.is_dir():
                files += [path / name for name in walk(path)]
            elif path.exists():
                files.append(path)
            else:
                raise DataError(f"{path} does not exist; expected photos, or folders of photos")
        except OSError as error:
            raise DataError(f"{error.filename or path} can't be read: {error.strerror}") from error
    if not files:
        raise DataError(f"no photos in {', '.join(map(str, paths)) or 'an empty list'}")
    return ImageSet(
        name=", ".join(map(str, paths)),
        class_names=(),
        photo_names=[readable(str(f)) for f in files],
        labels=np.full(len(files), NO_LABEL, np.int64),
        parts=np.full(len(files), UNSPLIT, "<U5"),
        read=lambda index: read_photo(files[index]),
    )
