"""A zip of an image folder, read in place: nothing is unpacked to disk."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fieldguide.data.decode import MAX_FILE_BYTES
from fieldguide.data.image_set import ImageSet
from fieldguide.data.layout import arrange, is_clutter
from fieldguide.data.sources import register_path_source
from fieldguide.errors import DataError, PhotoError


def _is_zip(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".zip"


@register_path_source(_is_zip)
def open_zip(path: Path) -> ImageSet:
    """Open a zip of an image folder; a folder that wraps everything in it is left out of the names.

    Raises:
        DataError: not a zip, damaged, without class folders, or one of its paths leads outside.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path} can't be opened as a zip: {error}") from error
    members = [m for m in archive.infolist() if not m.is_dir()]
    for member in members:
        if _leads_outside(member.filename):
            raise DataError(f"{path} holds {member.filename!r}, a path that leads outside the archive; refused")
    members = [m for m in members if not any(map(is_clutter, PurePosixPath(m.filename).parts))]
    members.sort(key=lambda m: m.filename)

    def read(index: int) -> bytes:
        return _read_member(archive, members[index])

    return arrange(str(path), _unwrap([m.filename for m in members]), read)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 0x1:
        raise PhotoError("encrypted in the zip")
    if member.file_size > MAX_FILE_BYTES:
        raise PhotoError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        with archive.open(member) as file:
            return file.read(MAX_FILE_BYTES)  # the declared size may lie
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        NotImplementedError,
        ValueError,
        zlib.error,
    ) as error:
        raise PhotoError(f"damaged in the zip: {error}") from error


def _leads_outside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or (len(name) > 1 and name[1] == ":")


def _unwrap(names: Sequence[str]) -> list[str]:
    """Take off folders that hold everything: ``photos/roses/1.jpg`` -> ``roses/1.jpg``."""
    parts = [PurePosixPath(n).parts for n in names]
    while len({p[0] for p in parts}) == 1 and all(len(p) > 2 for p in parts):
        parts = [p[1:] for p in parts]
    return ["/".join(p) for p in parts]
