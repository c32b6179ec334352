"""Options that several subcommands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class FitChoice(StrEnum):
    """How a photo that is not square becomes square."""

    crop = "crop"
    pad = "pad"
    squash = "squash"


class PartChoice(StrEnum):
    """A part of a split set."""

    train = "train"
    val = "val"
    test = "test"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
DataRoot = Annotated[
    Path | None,
    typer.Option("--data-root", help="Where a named set's files are, or shall be put.", show_default="the cache"),
]
EngineName = Annotated[str, typer.Option("--engine", help="auto, openvino, torch-cpu, torch-cuda or torch-mps.")]
