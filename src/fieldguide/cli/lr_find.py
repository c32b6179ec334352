"""``fieldguide lr-find``."""

from pathlib import Path
from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._network_options import (
    Arguments,
    Balanced,
    BatchSize,
    Freeze,
    Hard,
    ModelName,
    RecipeName,
    Seed,
    Settings,
    Teachers,
    Width,
    changed_settings,
    given_options,
    model_arguments,
    refuse_of_others,
)
from fieldguide.cli._options import AsJson, DataRoot, Fit, Size


@app.command()
def lr_find(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="Photos, as for train.")],
    model: ModelName = None,
    backbone: Annotated[str, typer.Option(help="To fine-tune, where no --model is named.")] = "efficientnet_lite0",
    weights: Annotated[Path | None, typer.Option(help="Of the backbone.", show_default="pretrained")] = None,
    fit: Fit = None,
    balanced: Balanced = False,
    recipe: RecipeName = None,
    settings: Settings = None,
    batch_size: BatchSize = None,
    freeze: Freeze = None,
    arguments: Arguments = None,
    width: Width = None,
    teacher: Teachers = None,
    hard: Hard = False,
    size: Size = None,
    steps: Annotated[int, typer.Option(min=10, max=10_000, help="How many rates to try.")] = 100,
    seed: Seed = 0,
    picture: Annotated[
        Path | None, typer.Option(help="Draw losses by rate, as PNG, SVG or PDF.", show_default=False)
    ] = None,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Try learning rates from very low to far too high, in one short training, and suggest one."""
    from dataclasses import asdict

    from fieldguide.cli._console import print_json, print_table, progress_bars
    from fieldguide.paths import check_place, written_whole
    from fieldguide.pictures import check_picture_name, draw_range_test
    from fieldguide.training.find_lr import find_lr

    refuse_of_others(given_options(context))
    short = {
        "batch_size": batch_size,
        "freeze": freeze,
        "balance": "weights" if balanced else None,
        "hard": hard or None,
    }
    changes = changed_settings(settings, short)
    if picture:
        try:
            check_picture_name(picture)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        check_place(picture)
    with progress_bars() as on_progress:
        test = find_lr(
            data,
            model=model,
            backbone=backbone,
            weights=weights,
            recipe=recipe,
            settings=changes,
            size_px=size,
            fit=fit,
            arguments=model_arguments(arguments, width),
            teachers=teacher or (),
            seed=seed,
            steps=steps,
            data_root=data_root,
            on_progress=on_progress,
        )
    if picture:
        with written_whole(picture.resolve()) as draft:
            draw_range_test(test.rates, test.losses, test.suggested, draft, suffix=picture.suffix)
    if as_json:
        print_json(asdict(test))
        return
    every = max(1, len(test.rates) // 20)
    rows = list(zip(test.rates, test.losses, strict=True))[::every]
    print_table(("learning rate", "loss"), [(f"{rate:.1e}", f"{loss:.4f}") for rate, loss in rows])
    if test.diverged_at:
        print(f"the loss exploded at {test.diverged_at:.1e}")
    print(f"suggested: --set lr={test.suggested:g}")
