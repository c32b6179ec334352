"""Pictures that commands write of a photo."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import typer

from fieldguide.errors import PhotoError
from fieldguide.paths import check_place


def check_picture(target: Path, photo: str | Path | None = None) -> None:
    """Make sure, before the work, that a picture can be written there, and that the photo is not lost to it.

    Raises:
        BadParameter: the name does not end in .png, or is the photo's.
        OSError: it can't be written.
    """
    if target.suffix.lower() != ".png":
        raise typer.BadParameter(f"--output {target}: the name must end in .png")
    if photo is not None and target.exists() and Path(photo).exists() and target.samefile(photo):
        raise typer.BadParameter(f"--output {target} is the photo itself; name another file")
    check_place(target)


@contextlib.contextmanager
def named(photo: Path) -> Iterator[None]:
    """Say of a photo that can't be used which one it is."""
    try:
        yield
    except PhotoError as error:
        raise PhotoError(f"{photo}: {error}") from error
