"""``fieldguide train``."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson, DataRoot, EngineName, Fit
from fieldguide.cli._training import (
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
    epoch_table,
    flag,
    in_panel,
    model_arguments,
    print_outcome,
    refuse_of_others,
    short_for,
)

if TYPE_CHECKING:
    from fieldguide.guide import Guide

_OF_A_NETWORK = ("recipe", "settings", "epochs", "batch_size", "lr", "freeze", "teacher", "hard", "unlabelled",
                 "seed", "seeds", "checkpoint_every", "tensorboard")  # fmt: skip
_WITH_RESUME = ("resume", "as_json", "checkpoint_every", "tensorboard")


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
    size: Annotated[
        int | None,
        typer.Option(min=8, max=2048, help="Side of the pictures in pixels.", show_default="the network's"),
    ] = None,
    fit: Fit = None,
    balanced: Balanced = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first photo that can't be used.")] = False,
    data_root: DataRoot = None,
    engine: EngineName = "auto",
    model: ModelName = None,
    finetune: Annotated[
        bool, in_panel("--finetune", help_text="Fine-tune the backbone too; kept only if it does better.")
    ] = False,
    resume: Annotated[
        Path | None,
        in_panel("--resume", help_text="Go on with an interrupted run: its folder.", show_default=False),
    ] = None,
    recipe: RecipeName = None,
    settings: Settings = None,
    epochs: Annotated[float | None, short_for("epochs", "Times that every photo is learnt from")] = None,
    batch_size: BatchSize = None,
    lr: Annotated[float | None, short_for("lr", "Learning rate at its highest")] = None,
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
    checkpoint_every: Annotated[
        float, in_panel("--checkpoint-every", help_text="Seconds between checkpoints.", min=0)
    ] = 60.0,
    tensorboard: Annotated[
        Path | None,
        in_panel("--tensorboard", help_text="Write TensorBoard's event files to this folder.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a guide on photos, evaluate it on those held out, and save it.

    By default the head alone, on frozen features; --finetune goes on with the body, --model begins from nothing.
    """
    given = {n for n in context.params if str(context.get_parameter_source(n)).endswith("COMMANDLINE")}
    _refuse_contradictions(given)
    if not given & {"data", "resume"}:
        raise typer.BadParameter("none are named; pass a folder of them, or --resume RUN", context, None, "photos")
    start = time.perf_counter()
    target = resume or output or _named_after(data)
    photos: dict[str, Any] = {
        "size_px": size,
        "fit": fit,
        "strict": strict,
        "data_root": data_root,
        "engine": engine,
    }
    pretrained: dict[str, Any] = {"backbone": backbone, "weights": weights}
    if resume is None and not (model or finetune):
        guides = {target: _train_frozen(data, target, balanced=balanced, **pretrained, **photos)}
    else:
        from fieldguide.training import runs

        short = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "freeze": freeze}
        how: dict[str, Any] = {
            "recipe": recipe or (None if model else "finetune"),
            "settings": changed_settings(settings, short, balanced=balanced, hard=hard),
            "teachers": teacher or (),
            "unlabelled": unlabelled,
            **photos,
        }
        begin: Callable[..., Guide] = (
            partial(runs.train_network, data, model=model, arguments=model_arguments(arguments, width), **how)
            if model
            else partial(runs.finetune, data, **pretrained, **how)
        )
        places = (
            {seed: target}
            if seeds == 1
            else {n: target.with_name(f"{target.stem}-seed{n}{target.suffix}") for n in range(seed, seed + seeds)}
        )
        guides = {}
        for number, place in places.items():
            logs = tensorboard / f"seed{number}" if tensorboard and seeds > 1 else tensorboard
            with _watching(checkpoint_every, logs, quiet=as_json) as watching:
                guides[place] = (
                    runs.resume(place, **watching)
                    if resume
                    else begin(seed=number, output=place, again=seeds > 1, **watching)
                )
    _print_guides(guides, time.perf_counter() - start, as_json=as_json)


def _named_after(data: str) -> Path:
    """Return the guide's place where none was named: here, by the name of the data."""
    return Path(f"{Path(data).name.removesuffix('.zip').strip('.') or Path.cwd().name}.guide")


def _refuse_contradictions(given: set[str]) -> None:
    """Refuse options that make no sense together, by name."""
    if "resume" in given:
        others = [name for name in sorted(given) if name not in _WITH_RESUME]
        if others:
            raise typer.BadParameter(
                f"--resume goes on with what its run was told to do; leave {flag(others[0])} out"
            )
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


def _train_frozen(data: str, target: Path, **options: Any) -> "Guide":  # noqa: ANN401 - passed on
    from fieldguide.cli._console import print_cache_fault, progress_bars
    from fieldguide.guide_format import check_replaceable
    from fieldguide.training import train as train_guide

    check_replaceable(target)
    with progress_bars() as on_progress:
        guide = train_guide(data, **options, on_progress=on_progress)
    guide.save(target)
    print_cache_fault(guide.embedder.cache.fault)
    return guide


@contextlib.contextmanager
def _watching(checkpoint_s: float, tensorboard: Path | None, *, quiet: bool) -> Iterator[dict[str, Any]]:
    """Give the arguments by which a run is watched and kept."""
    from fieldguide import launched
    from fieldguide.cli._console import progress_bars

    tensorboard = None if launched.rank() else tensorboard
    with progress_bars() as on_progress, epoch_table(wanted=not quiet, tensorboard=tensorboard) as on_epoch:
        yield {"checkpoint_s": checkpoint_s, "on_progress": on_progress, "on_epoch": on_epoch}


def _print_guides(guides: "dict[Path, Guide]", seconds: float, *, as_json: bool) -> None:
    from fieldguide.cli._console import print_json

    if as_json:
        records = [_as_json(guide, path, seconds) for path, guide in guides.items()]
        print_json(records if len(records) > 1 else records[0])
        return
    for path, guide in guides.items():
        _print_guide(guide, path)
    if len(guides) > 1:
        _print_seeds(guides)
    last = list(guides)[-1]
    print(f"{last} is ready after {seconds:.1f} s; try: fieldguide predict {last} PHOTO")


def _as_json(guide: "Guide", target: Path, seconds: float) -> dict[str, Any]:
    return {
        "guide": str(target),
        "seconds": round(seconds, 2),
        "class_names": list(guide.class_names),
        **guide.facts,
        "evaluation": json.loads(guide.records["metrics.json"]) if "metrics.json" in guide.records else None,
    }


def _print_seeds(guides: "dict[Path, Guide]") -> None:
    """Print the accuracy of each seed, their mean and their spread."""
    import statistics

    from fieldguide.cli._console import percent, print_table

    top1 = [guide.facts["metrics"]["top1"] for guide in guides.values() if guide.facts.get("metrics")]
    rows = [(str(path), percent((guide.facts.get("metrics") or {}).get("top1"))) for path, guide in guides.items()]
    print_table(("guide", "top-1"), rows)
    if len(top1) > 1:
        spread = statistics.stdev(top1)
        print(
            f"top-1 over {len(top1)} seeds: {percent(statistics.mean(top1))}, standard deviation {percent(spread)}"
        )


def _print_guide(guide: "Guide", target: Path) -> None:
    """Print what it learnt from, how good it is, and what was left out."""
    from fieldguide.cli._console import note, print_skipped
    from fieldguide.cli._report import print_evaluation, print_metrics
    from fieldguide.data import SkippedPhoto

    facts, training = guide.facts["data"], guide.facts.get("training", {})
    is_frozen = training.get("comparison", {}).get("kept") == "frozen"  # which learns from all training photos
    judging = 0 if is_frozen else training.get("num_validation", 0)
    counts = [f"{facts['num_train'] - judging} photos to learn from", f"{facts['num_held_out']} held out"]
    counts[1:1] = [f"{judging} to judge epochs by"] if judging else []
    how = "as given" if facts["split"] == "given" else "by content"
    print(f"{len(guide.class_names)} classes, {', '.join(counts)} ({how})")
    print()
    if guide.evaluation is not None:
        print_evaluation(guide.evaluation)
        if guide.evaluation.left_out:
            note(f"held-out copies of training photos, not evaluated: {guide.evaluation.left_out}")
    elif guide.facts["metrics"]:
        note(f"{target} is there already; it was evaluated when it was trained")
        print_metrics(guide.facts["metrics"])
        print()
    else:
        why = "all held-out photos are copies of training photos" if facts["num_held_out"] else "too few photos"
        note(f"{why}: the accuracy is unknown")
    if training:
        print_outcome(guide, target)
    if report := guide.embedder.backbone.weights.report:
        note(f"weights: {report}")
    print_skipped([SkippedPhoto(s["photo"], s["reason"]) for s in facts["skipped"]])
    learnt_without_class = training.get("num_unlabelled", 0)
    if learnt_without_class:
        note(f"photos without a class, learnt from by the teacher's answers: {learnt_without_class}")
    if facts["unlabelled"] > learnt_without_class:
        note(f"files without a class, left out: {facts['unlabelled'] - learnt_without_class}")
    if facts["unused"]:
        note(f"photos neither in train nor in the part held out, left out: {facts['unused']}")
