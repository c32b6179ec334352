"""Options that several subcommands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

FitChoice = Literal["crop", "pad", "squash"]  # data.preprocess.Fit, without its imports: help answers at once
PartChoice = Literal["train", "val", "test"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DataRoot = Annotated[
    Path | None,
    typer.Option(
        "--data-root", help="Folder to read named sets from, or to download them to.", show_default="the cache"
    ),
]
Exclude = Annotated[
    Path | None,
    typer.Option(
        "--exclude",
        help="A CSV list of photos to leave out, such as check --fix-list writes.",
        show_default=False,
    ),
]
Fit = Annotated[
    FitChoice | None,
    typer.Option(
        help="How photos become square: crop cuts off the ends of a wide one, pad adds bars, squash distorts.",
        show_default="the backbone's, or crop",
    ),
]
EngineName = Annotated[str, typer.Option("--engine", help="auto, openvino, torch-cpu, torch-cuda or torch-mps.")]
Size = Annotated[
    int | None,
    typer.Option(min=8, max=2048, help="Side of the pictures in pixels.", show_default="the network's"),
]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first photo that can't be used.")]
