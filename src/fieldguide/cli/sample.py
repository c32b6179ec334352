"""``fieldguide sample``."""

from pathlib import Path
from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import DataRoot


@app.command()
def sample(
    name: Annotated[str, typer.Argument(help="The set's name; digits is embedded and needs no download.")],
    folder: Annotated[Path, typer.Argument(help="Where to write it; must not exist, or be empty.")],
    data_root: DataRoot = None,
) -> None:
    """Write a named set as an image folder to play with."""
    from fieldguide.cli._console import progress_bars
    from fieldguide.data.export import write_image_folder
    from fieldguide.data.sources import open_named

    images = open_named(name, data_root=data_root)
    with progress_bars() as on_progress:
        write_image_folder(images, folder, on_progress)
    print(f"{len(images)} photos of {len(images.class_names)} classes are in {folder}")
    print(f"try: fieldguide train {folder}")
