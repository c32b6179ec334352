"""``fieldguide pretrain``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._network_options import (
    Arguments,
    BatchSize,
    CheckpointEvery,
    Deterministic,
    Epochs,
    LearningRate,
    Resume,
    Seed,
    Settings,
    TensorBoard,
    Width,
    changed_settings,
    given_options,
    model_arguments,
    named_after,
    refuse_beside_resume,
)
from fieldguide.cli._options import AsJson, DataRoot, FitChoice, Size, Strict
from fieldguide.cli._watching import watching

if TYPE_CHECKING:
    from fieldguide.training.pretraining import Pretrained


@app.command()
def pretrain(
    context: typer.Context,
    photos: Annotated[
        str,
        typer.Argument(
            help="A folder of photos, labels or none; or what train takes. Labels only serve to judge the result.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The backbone's folder.", show_default="PHOTOS.backbone"),
    ] = None,
    model: Annotated[
        str, typer.Option(help="One of `fieldguide models`, timm:NAME or torchvision:NAME.")
    ] = "resnet18",
    size: Size = None,
    fit: Annotated[
        FitChoice,
        typer.Option(
            help="How photos become square: crop cuts off the ends of a wide one, pad adds bars, squash distorts."
        ),
    ] = "crop",
    strict: Strict = False,
    data_root: DataRoot = None,
    resume: Resume = None,
    settings: Settings = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    width: Width = None,
    arguments: Arguments = None,
    seed: Seed = 0,
    deterministic: Deterministic = False,
    checkpoint_every: CheckpointEvery = 60.0,
    tensorboard: TensorBoard = None,
    as_json: AsJson = False,
) -> None:
    """Learn from photos without labels, by BYOL: a backbone, that train takes as --backbone FOLDER.

    `fieldguide recipes byol` lists the settings.
    """
    given = given_options(context)
    if resume:
        refuse_beside_resume(given)
    elif "photos" not in given:
        raise typer.BadParameter("no photos are named; pass a folder of them, or --resume RUN")
    from fieldguide.training.pretraining import pretrain as pretrain_network
    from fieldguide.training.pretraining import resume_pretraining

    start = time.perf_counter()
    target = resume or output or named_after(photos, ".backbone")
    with watching(checkpoint_every, tensorboard, quiet=as_json) as how:
        if resume is not None:
            pretrained = resume_pretraining(resume, **how)
        else:
            short = {
                "epochs": epochs,
                "batch_size": batch_size,
                "lr": lr,
                "deterministic": deterministic or None,
            }
            pretrained = pretrain_network(
                photos,
                model=model,
                output=target,
                settings=changed_settings(settings, short),
                size_px=size,
                fit=fit,
                arguments=model_arguments(arguments, width),
                seed=seed,
                strict=strict,
                data_root=data_root,
                **how,
            )
    _print_pretrained(pretrained, target, time.perf_counter() - start, as_json=as_json)


def _print_pretrained(pretrained: "Pretrained", target: Path, seconds: float, *, as_json: bool) -> None:
    """Print how good the features are, beside random ones, and what was left out."""
    from fieldguide.cli._console import percent, print_json, print_skipped, print_table
    from fieldguide.data import SkippedPhoto

    facts = pretrained.facts
    if as_json:
        print_json({"backbone": str(target), "seconds": round(seconds, 2), **facts})
        return
    print(f"{facts['data']['num_train']} photos to learn from")
    if metrics := facts["metrics"]:
        print(f"{metrics['num_photos']} held out, answered by the labels of {metrics['num_known']}:")
        print()
        rows = [
            (name, percent(metrics[key]["neighbours_top1"]), percent(metrics[key]["linear_top1"]))
            for name, key in (("pretrained", "pretrained"), ("random weights", "random"))
        ]
        print_table(("features", "nearest neighbours", "linear head"), rows)
    print_skipped([SkippedPhoto(s["photo"], s["reason"]) for s in facts["data"]["skipped"]])
    print(f"{target} is ready after {seconds:.1f} s; try: fieldguide train PHOTOS --backbone {_as_name(target)}")


def _as_name(target: Path) -> str:
    """Return the path as a backbone's name that can't be mistaken for a network's."""
    import shlex

    return shlex.quote(f"{target}/" if len(target.parts) == 1 else str(target))
