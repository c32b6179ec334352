"""What the folders of an image folder mean: classes, and parts of a split. Shared by folders and archives."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np

from fieldguide.data.image_set import NO_LABEL, UNSPLIT, ImageSet, Photo
from fieldguide.errors import DataError

PART_OF_FOLDER = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
EXPECTED = "expected CLASS/*.jpg, or {train,val,test}/CLASS/*.jpg"

_CLUTTER = {"thumbs.db", "desktop.ini", "__macosx"}  # what file managers leave behind


def is_clutter(name: str) -> bool:
    """Whether a file or folder of that name is hidden, or left behind by a file manager."""
    return name.startswith(".") or name.lower() in _CLUTTER


def is_guide(names: Iterable[str]) -> bool:
    """Whether a folder that holds files of these names is a guide."""
    return {"guide.json", "model.safetensors"} <= set(names)


def is_run(names: Iterable[str]) -> bool:
    """Whether a folder that holds files of these names, and nothing else, is an unfinished training run."""
    return "job.json" in (found := set(names)) and found <= {"job.json", "history.csv", "checkpoints"}


def readable(name: str) -> str:
    """Return a file's name as text that can be printed and stored, whatever bytes it is made of."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def class_name(folder: str) -> str:
    """Return a folder's name as a class name: the same on every system, however it composes accents."""
    return unicodedata.normalize("NFC", readable(folder))


def arrange(name: str, paths: Sequence[str], read: Callable[[int], Photo]) -> ImageSet:
    """Make an image set of files by the folders they lie in. Files outside class folders have no label.

    Args:
        name: of the set, for messages.
        paths: (N,) paths relative to the set's root, with slashes.
        read: index into paths -> the photo.

    Raises:
        DataError: there is no file, or no class folder.
    """
    if not paths:
        raise DataError(f"{name} holds no files; {EXPECTED}")
    split_paths = [PurePosixPath(p).parts for p in paths]
    is_split = _is_split(split_paths)
    depth = 1 if is_split else 0
    folder_of = [parts[depth] if len(parts) > depth + 1 else None for parts in split_paths]
    if is_split:  # what lies beside the parts is in no class
        folder_of = [
            f if p[0].lower() in PART_OF_FOLDER else None for f, p in zip(folder_of, split_paths, strict=True)
        ]
    names = sorted({class_name(f) for f in folder_of if f is not None})
    if not names:
        raise DataError(f"{name} holds {len(paths)} files but no class folders; {EXPECTED}")
    index = {n: i for i, n in enumerate(names)}
    parts = [PART_OF_FOLDER.get(p[0].lower(), UNSPLIT) if is_split else UNSPLIT for p in split_paths]
    return ImageSet(
        name=name,
        class_names=tuple(names),
        photo_names=[readable(p) for p in paths],
        labels=np.array([NO_LABEL if f is None else index[class_name(f)] for f in folder_of], np.int64),
        parts=np.array(parts, dtype="<U5"),
        read=read,
    )


def _is_split(split_paths: Sequence[tuple[str, ...]]) -> bool:
    """Whether the outer folders are parts of a split, with class folders inside.

    All of them are, or at least ``train`` and one to hold out: then another folder beside them is no class.
    """
    tops = {parts[0].lower() for parts in split_paths if len(parts) > 1}
    parts = {
        PART_OF_FOLDER[parts[0].lower()]
        for parts in split_paths
        if len(parts) > 2 and parts[0].lower() in PART_OF_FOLDER
    }
    return bool(parts) and (tops <= PART_OF_FOLDER.keys() or {"train"} < parts)
