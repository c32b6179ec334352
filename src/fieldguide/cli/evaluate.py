"""``fieldguide evaluate``."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._guides import OtherGuides, load_guides, print_cache_faults
from fieldguide.cli._options import AsJson, DataRoot, EngineName, PartChoice

if TYPE_CHECKING:
    from fieldguide.data import ImageSet
    from fieldguide.evaluate import Evaluation
    from fieldguide.guide import Guide
    from fieldguide.progress import Progress
    from fieldguide.weak_spots import Slice, SpoiltTrial


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
    slices: Annotated[
        bool, typer.Option("--slices", help="Accuracy by size, shape, brightness and sharpness of photos, too.")
    ] = False,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness", help="Accuracy on blurred, noisy, compressed, dark, bright, turned photos, too."
        ),
    ] = False,
    others: OtherGuides = None,
    data_root: DataRoot = None,
    engine: EngineName = "auto",
    as_json: AsJson = False,
) -> None:
    """Evaluate a guide on labelled photos."""
    from fieldguide.cli._console import note, print_json, print_skipped, progress_bars
    from fieldguide.cli._evaluations import print_evaluation, print_robustness, print_slices
    from fieldguide.data import open_images
    from fieldguide.guide import Guide

    loaded = load_guides(guide, others, engine)
    if (slices or robustness) and not isinstance(loaded, Guide):
        raise typer.BadParameter("--slices and --robustness are of one guide; leave --with out")
    if output is not None:
        _make_folder(output)
    parts: list[Slice] = []
    trials: list[SpoiltTrial] = []
    with progress_bars() as on_progress:
        evaluation = loaded.evaluate(
            data,
            part=part,
            include_training=include_training,
            data_root=data_root,
            on_progress=on_progress,
        )
        if isinstance(loaded, Guide) and (slices or robustness):
            images = open_images(data, data_root=data_root)
            parts = _slices(evaluation, images, on_progress) if slices else []
            trials = _robustness(loaded, evaluation, images, on_progress) if robustness else []
    print_cache_faults(loaded)
    if as_json:
        more = {"slices": [asdict(each) for each in parts], "robustness": [asdict(each) for each in trials]}
        print_json(evaluation.to_dict() | {name: values for name, values in more.items() if values})
        _write(evaluation, output)
        return
    print_evaluation(evaluation)
    print_slices(parts)
    print_robustness(trials)
    if evaluation.left_out:
        whose = "one of these guides" if others else "this guide"
        note(f"{evaluation.left_out} photos were left out: {whose} was trained on them")
    print_skipped(evaluation.skipped)
    _write(evaluation, output)
    if output is not None:
        note(f"metrics.json and predictions.parquet are in {output}")


def _write(evaluation: "Evaluation", output: Path | None) -> None:
    """Write what came of it, each file whole or not at all."""
    from fieldguide.paths import written_whole

    if output is not None:
        for name, content in evaluation.files().items():
            with written_whole(output / name) as draft:
                draft.write_bytes(content)


def _slices(evaluation: "Evaluation", images: "ImageSet", on_progress: "Progress") -> "list[Slice]":
    from fieldguide.doctor.look import look_at
    from fieldguide.weak_spots import judged_photos, slices

    assert evaluation.answers is not None
    looks = look_at(images, on_progress, photos=judged_photos(evaluation.answers, images))
    return slices(evaluation.answers, looks)


def _robustness(
    guide: "Guide", evaluation: "Evaluation", images: "ImageSet", on_progress: "Progress"
) -> "list[SpoiltTrial]":
    from fieldguide.weak_spots import judged_photos, robustness

    assert evaluation.answers is not None
    photos = judged_photos(evaluation.answers, images)
    return robustness(guide, images, photos, evaluation.answers.labels, on_progress)


def _make_folder(path: Path) -> None:
    """Make the folder for the results before the work, not after it.

    Raises:
        DataError: a file is there, or a guide, which has files of these names.
    """
    from fieldguide.errors import DataError

    if (path / "guide.json").exists():
        raise DataError(f"{path} is a guide, whose own metrics.json would be lost; choose another folder")

    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise DataError(f"{path} is a file; choose a folder for metrics.json and predictions.parquet") from error
