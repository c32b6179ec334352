"""``fieldguide train``."""

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldguide.cli._app import app
from fieldguide.cli._network_options import (
    Arguments,
    Balanced,
    BatchSize,
    CheckpointEvery,
    Deterministic,
    Epochs,
    Freeze,
    Hard,
    LearningRate,
    ModelName,
    RecipeName,
    Resume,
    Seed,
    Settings,
    Teachers,
    TensorBoard,
    Width,
    changed_settings,
    flag,
    given_options,
    in_panel,
    model_arguments,
    named_after,
    refuse_beside_resume,
    refuse_of_others,
)
from fieldguide.cli._options import AsJson, DataRoot, EngineName, Exclude, Fit, Size, Strict
from fieldguide.cli._trained import print_guides, print_reports
from fieldguide.cli._watching import watching
from fieldguide.errors import StoppedError

if TYPE_CHECKING:
    from fieldguide.guide import Guide

_OF_A_NETWORK = ("recipe", "settings", "epochs", "batch_size", "lr", "freeze", "teacher", "hard", "unlabelled",
                 "seed", "seeds", "deterministic", "checkpoint_every", "tensorboard")  # fmt: skip


@app.command()
def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="An image folder (CLASS/*.jpg, or {train,val,test}/CLASS/*.jpg), a zip of one, a CSV or Parquet "
            "list, a folder of Parquet or IDX files, or a set's name such as digits.",
            show_default=False,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The guide's folder, or NAME.zip.", show_default="DATA.guide"),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="A name of `fieldguide models`, timm:NAME, torchvision:NAME, or the folder of one.")
    ] = "efficientnet_lite0",
    weights: Annotated[
        Path | None,
        typer.Option(
            help="A .safetensors file of the backbone's weights, in our layout, torchvision's or timm's.",
            show_default="pretrained",
        ),
    ] = None,
    size: Size = None,
    fit: Fit = None,
    balanced: Balanced = False,
    strict: Strict = False,
    data_root: DataRoot = None,
    exclude: Exclude = None,
    engine: EngineName = "auto",
    model: ModelName = None,
    finetune: Annotated[
        bool, in_panel("--finetune", help_text="Fine-tune the backbone too; kept only if it does better.")
    ] = False,
    resume: Resume = None,
    recipe: RecipeName = None,
    settings: Settings = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    lr: LearningRate = None,
    freeze: Freeze = None,
    width: Width = None,
    arguments: Arguments = None,
    teacher: Teachers = None,
    hard: Hard = False,
    unlabelled: Annotated[
        bool,
        in_panel("--unlabelled", help_text="Learn from photos in no class folder too, by the teacher's answers."),
    ] = False,
    seed: Seed = 0,
    seeds: Annotated[
        int, in_panel("--seeds", help_text="Train so many times, each with the next seed; mean and spread.", min=1)
    ] = 1,
    deterministic: Deterministic = False,
    checkpoint_every: CheckpointEvery = 60.0,
    tensorboard: TensorBoard = None,
    as_json: AsJson = False,
) -> None:
    """Train a guide on photos, evaluate it on those held out, and save it.

    By default the head alone, on frozen features; --finetune goes on with the body, --model begins from nothing.
    """
    given = given_options(context)
    _refuse_contradictions(given)
    if not given & {"data", "resume"}:
        raise typer.BadParameter("none are named; pass a folder of them, or --resume RUN", context, None, "photos")
    start = time.perf_counter()
    target = resume or output or named_after(data, ".guide")
    photos: dict[str, Any] = {
        "size_px": size,
        "fit": fit,
        "strict": strict,
        "data_root": data_root,
        "exclude": exclude,
        "engine": engine,
    }
    pretrained: dict[str, Any] = {"backbone": backbone, "weights": weights}
    if resume is None and not (model or finetune):
        _train_frozen(data, target, start, as_json=as_json, balanced=balanced, **pretrained, **photos)
    else:
        from fieldguide.training import runs

        short = {
            "epochs": epochs,
            "batch_size": batch_size,
            "lr": lr,
            "freeze": freeze,
            "balance": "weights" if balanced else None,
            "hard": hard or None,
            "deterministic": deterministic or None,
        }
        how: dict[str, Any] = {
            "recipe": recipe or (None if model else "finetune"),
            "settings": changed_settings(settings, short),
            "teachers": teacher or (),
            "unlabelled": unlabelled,
            **photos,
        }
        begin: Callable[..., Guide] = (
            partial(runs.train_network, data, model=model, arguments=model_arguments(arguments, width), **how)
            if model
            else partial(runs.finetune, data, **pretrained, **how)
        )
        guides = {}
        for number, place in _places(target, seed, seeds).items():
            logs = tensorboard / f"seed{number}" if tensorboard and seeds > 1 else tensorboard
            with _all_seeds(seeds), watching(checkpoint_every, logs, quiet=as_json) as watched:
                guides[place] = (
                    runs.resume(place, **watched)
                    if resume
                    else begin(seed=number, output=place, again=seeds > 1, **watched)
                )
        print_guides(guides, time.perf_counter() - start, as_json=as_json)
        if not as_json:
            print_reports(guides)


@contextlib.contextmanager
def _all_seeds(seeds: int) -> Iterator[None]:
    """Add to the words of a run that was stopped how to go on with those of all seeds."""
    try:
        yield
    except StoppedError as error:
        if seeds == 1:
            raise
        message = f"{error}; the same command again goes on with all {seeds} seeds"
        raise StoppedError(message, error.signal_number) from error


def _places(target: Path, seed: int, seeds: int) -> dict[int, Path]:
    """Return the guides' places by their seeds."""
    if seeds == 1:
        return {seed: target}
    suffix = target.suffix if target.suffix in (".guide", ".zip") else ""
    name = target.name.removesuffix(suffix)
    if not name or name == "..":
        raise typer.BadParameter(f"--output {target} has no name to number guides by; name a new folder")
    return {n: target.with_name(f"{name}-seed{n}{suffix}") for n in range(seed, seed + seeds)}


def _refuse_contradictions(given: set[str]) -> None:
    """Refuse options that make no sense together, by name."""
    if "resume" in given:
        refuse_beside_resume(given)
        return
    if {"model", "finetune"} <= given:
        raise typer.BadParameter(
            "--model begins from nothing, and --finetune with a pretrained --backbone; choose one"
        )
    refuse_of_others(given)
    needs_network = [name for name in _OF_A_NETWORK if name in given]
    if needs_network and not given & {"model", "finetune"}:
        raise typer.BadParameter(
            f"{flag(needs_network[0])} is for training a network; add --finetune, or --model NAME"
        )


def _train_frozen(data: str, target: Path, start: float, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Train a head, and save the guide and say what came of it before its report is made, which takes seconds."""
    from fieldguide.cli._console import note, print_cache_fault, progress_bars
    from fieldguide.errors import GuideError
    from fieldguide.guide_format import check_replaceable
    from fieldguide.training import train as train_guide

    def tell(guide: "Guide") -> None:
        guide.save(target)
        print_guides({target: guide}, time.perf_counter() - start, as_json=as_json)

    check_replaceable(target)
    with progress_bars() as on_progress:
        guide = train_guide(data, **options, on_guide=tell, on_progress=on_progress)
    try:
        guide.save(target)
    except GuideError as error:  # it is there already, and answers without a report
        note(f"the report could not be kept: {error}")
    else:
        if not as_json:
            print_reports({target: guide})
    print_cache_fault(guide.embedder.cache.fault)
