"""``fieldguide evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._guides import OtherGuides, load_guides, print_cache_faults
from fieldguide.cli._options import AsJson, DataRoot, EngineName, PartChoice


@app.command()
def evaluate(
    guide: Annotated[Path, typer.Argument(help="The guide.")],
    data: Annotated[str, typer.Argument(help="Labelled photos, in any form that train takes.")],
    part: Annotated[
        PartChoice | None,
        typer.Option(help="Which part of a split set.", show_default="test, else val, else all"),
    ] = None,
    include_training: Annotated[
        bool,
        typer.Option("--include-training", help="Include photos it was trained on, which flatters it."),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A folder to write metrics.json and predictions.parquet to."),
    ] = None,
    others: OtherGuides = None,
    data_root: DataRoot = None,
    engine: EngineName = "auto",
    as_json: AsJson = False,
) -> None:
    """Evaluate a guide on labelled photos."""
    from fieldguide.cli._console import note, print_json, print_skipped, progress_bars
    from fieldguide.cli._report import print_evaluation

    loaded = load_guides(guide, others, engine)
    if output is not None:
        _make_folder(output)
    with progress_bars() as on_progress:
        evaluation = loaded.evaluate(
            data,
            part=part,
            include_training=include_training,
            data_root=data_root,
            on_progress=on_progress,
        )
    print_cache_faults(loaded)
    if output is not None:
        for name, content in evaluation.files().items():
            (output / name).write_bytes(content)
    if as_json:
        print_json(evaluation.to_dict())
        return
    print_evaluation(evaluation)
    if evaluation.left_out:
        whose = "one of these guides" if others else "this guide"
        note(f"{evaluation.left_out} photos were left out: {whose} was trained on them")
    print_skipped(evaluation.skipped)
    if output is not None:
        note(f"metrics.json and predictions.parquet are in {output}")


def _make_folder(path: Path) -> None:
    """Make the folder for the results before the work, not after it.

    Raises:
        DataError: a file is there.
    """
    from fieldguide.errors import DataError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise DataError(f"{path} is a file; choose a folder for metrics.json and predictions.parquet") from error
