"""Where photos come from, one file per source. A source recognises a path, or is known by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from fieldguide.data.exclusions import read_exclusions, without
from fieldguide.data.image_set import ImageSet
from fieldguide.data.layout import is_guide
from fieldguide.errors import DataError
from fieldguide.paths import expand, neighbours
from fieldguide.registry import Registry, did_you_mean

P = TypeVar("P", bound=Callable[..., ImageSet])


class NamedSource(Protocol):
    """A source known by name, such as ``"digits"``."""

    def __call__(self, data_root: Path | None) -> ImageSet:
        """Open the set, from ``data_root`` where that is given, else from the cache or the net."""
        ...


@dataclass(frozen=True)
class PathSource:
    """A source that is a path: ``recognises`` says whether this one is its, ``open`` opens it."""

    recognises: Callable[[Path], bool]
    open: Callable[[Path], ImageSet]
    order: int


NAMED_SOURCES: Registry[NamedSource, None] = Registry("image set", "fieldguide.data.sources")
_PATH_SOURCES: list[PathSource] = []


def register_named_source(name: str) -> Callable[[NamedSource], NamedSource]:
    """Decorate what opens the set called ``name``."""

    def add(opener: NamedSource) -> NamedSource:
        NAMED_SOURCES.add(name, opener, None)
        return opener

    return add


def register_path_source(recognises: Callable[[Path], bool], *, order: int = 0) -> Callable[[P], P]:
    """Decorate what opens a path. Sources are asked by rising ``order``; the first that recognises it opens it."""

    def add(opener: P) -> P:
        _PATH_SOURCES.append(PathSource(recognises, opener, order))
        return opener

    return add


def open_path(path: Path) -> ImageSet | None:
    """Open a path by the first source that recognises it; None where none does.

    Raises:
        DataError: it is a guide, or not laid out as expected.
    """
    if path.is_dir() and is_guide(entry.name for entry in path.iterdir()):
        raise DataError(f"{path} is a guide, not photos; pass the folder of the photos")
    NAMED_SOURCES.names()  # importing the sources registers both kinds
    for source in sorted(_PATH_SOURCES, key=lambda s: s.order):
        if source.recognises(path):
            return source.open(path)
    return None


def open_images(
    what: ImageSet | str | Path, *, data_root: str | Path | None = None, exclude: str | Path | None = None
) -> ImageSet:
    """Open a set of labelled photos.

    Args:
        what: an ImageSet (returned as it is); a path to an image folder, a zip of one, a CSV or Parquet list, a
            folder of Parquet files or of IDX files; or the name of a set, such as ``"digits"``. A path that
            exists goes before a name.
        data_root: where a named set's files are, or shall be put; by default the cache folder.
        exclude: a CSV list of photos to leave out, such as ``fieldguide check --fix-list`` writes.

    Raises:
        DataError: the path does not exist, or is not laid out as expected; the message says what was found. Or the
            list can't be read, or is of another set.
    """
    images = what if isinstance(what, ImageSet) else _open(what, data_root)
    return images if exclude is None else without(images, read_exclusions(exclude), exclude)


def _open(what: str | Path, data_root: str | Path | None) -> ImageSet:
    if not str(what):
        raise DataError("the path of the photos is empty; pass a folder, a list, or a set's name")
    path = expand(what)
    try:
        is_there = path.exists()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error
    if is_there:
        images = open_path(path)
        if images is None:
            raise DataError(
                f"{path} is not a set of photos: expected an image folder, a .zip of one, "
                "a .csv or .parquet list of path,label, or a folder of Parquet or IDX files"
            )
        return images
    names = NAMED_SOURCES.names()
    if str(what) in names:
        return open_named(str(what), data_root=data_root)
    hint = did_you_mean(path.name, [*names, *neighbours(path)]) or f"; known sets: {', '.join(names)}"
    raise DataError(f"{path} does not exist, and no set has that name{hint}")


def open_named(name: str, *, data_root: str | Path | None = None) -> ImageSet:
    """Open a set by its registered name.

    Raises:
        UnknownNameError: there is no such set.
        DataError: it is not at hand and can't be downloaded.
    """
    return NAMED_SOURCES[name].factory(None if data_root is None else expand(data_root))
