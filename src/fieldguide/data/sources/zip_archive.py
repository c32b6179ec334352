"""A zip of an image folder, read in place: nothing is unpacked to disk."""

import re
import zipfile
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

    Paths may be written with backslashes, as some programs on Windows do.

    Raises:
        DataError: not a zip, damaged, without class folders, or one of its paths leads outside.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory makes zipfile raise nearly anything
        raise DataError(f"{path} can't be opened as a zip: {error}") from error
    members = {m.filename.replace("\\", "/"): m for m in archive.infolist()}
    for name, member in members.items():
        if _leads_outside(name):
            raise DataError(f"{path} holds {member.filename!r}, a path that leads outside the archive; refused")
    names = sorted(filter(_is_file, members))

    def read(index: int) -> bytes:
        return _read_member(archive, members[names[index]])

    return arrange(str(path), _unwrap(names), read)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.flag_bits & 0x1:
        raise PhotoError("encrypted in the zip")
    if member.file_size > MAX_FILE_BYTES:
        raise PhotoError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        with archive.open(member) as file:
            return file.read(MAX_FILE_BYTES)  # the declared size may lie
    except Exception as error:  # so do damaged members, each compression in its own way
        raise PhotoError(f"damaged in the zip: {error}") from error


def _leads_outside(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or bool(re.match("[A-Za-z]:/", name))


def _is_file(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.endswith("/") and not any(map(is_clutter, parts))


def _unwrap(names: Sequence[str]) -> list[str]:
    """Take off folders that hold everything: ``photos/roses/1.jpg`` -> ``roses/1.jpg``."""
    parts = [PurePosixPath(n).parts for n in names]
    while len({p[0] for p in parts}) == 1 and all(len(p) > 1 for p in parts):
        folders = {p[1] for p in parts if len(p) > 2}
        has_files = any(len(p) == 2 for p in parts)  # a licence beside the classes, or the photos of one class
        if not folders or (has_files and len(folders) == 1):
            break
        parts = [p[1:] for p in parts]
    return ["/".join(p) for p in parts]
