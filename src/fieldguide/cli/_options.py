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
EngineName = Annotated[str, typer.Option("--engine", help="auto, openvino, torch-cpu, torch-cuda or torch-mps.")]
