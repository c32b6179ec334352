"""Where fieldguide keeps files between runs, and how a file or folder appears whole or not at all."""

import contextlib
import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def expand(path: str | Path) -> Path:
    """Return the path with ``~`` replaced; where ``~name`` is no user, it is the name of a file."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises where there is no such user


def found_anywhere(place: str | Path) -> str:
    """Return an absolute path where there is a file or a folder of that name, so that it is found from any folder.

    Args:
        place: a path, or a name that means something else where there is no such path.
    """
    path = expand(place)
    return str(path.absolute()) if place and path.exists() else str(place)


def cache_folder() -> Path:
    """Return the cache: ``FIELDGUIDE_CACHE`` where that is set, else the user's cache folder. It may not exist."""
    chosen = os.environ.get("FIELDGUIDE_CACHE")
    if chosen:
        return expand(chosen)
    import platformdirs

    return platformdirs.user_cache_path("fieldguide")


def neighbours(path: Path) -> list[str]:
    """Return the names of what lies where ``path`` should, for a message that it does not exist."""
    try:
        return os.listdir(path.parent)  # noqa: PTH208 - names, not paths
    except OSError:
        return []


def check_place(target: Path) -> None:
    """Make sure, before long work, that a file can be written there; folders that are missing are made.

    Raises:
        OSError: it can't; with the path as it was given.
    """
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a path beside ``target`` to write a file or a folder at; it becomes ``target`` when all went well.

    An existing file is replaced; an existing folder wins, for then another process has written the same. Whatever
    interrupts, ``target`` is either as it was or whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    try:
        yield draft
        try:
            draft.replace(target)
        except OSError:
            if not (draft.is_dir() and target.is_dir()):
                raise
    except OSError as error:
        if error.errno and not error.filename:  # a disk that is full does not say which file it had no room for
            error.filename = str(target)
        raise
    finally:
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
