"""``fieldguide pretrain``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson, DataRoot, FitChoice
from fieldguide.cli._training import (
    Arguments,
    Seed,
    Settings,
    Width,
    changed_settings,
    epoch_table,
    in_panel,
    model_arguments,
    short_for,
)

if TYPE_CHECKING:
    from fieldguide.training.pretraining import Pretrained

_WITH_RESUME = ("resume", "as_json", "checkpoint_every", "tensorboard")


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
    size: Annotated[
        int | None,
        typer.Option(min=8, max=2048, help="Side of the pictures in pixels.", show_default="the network's"),
    ] = None,
    fit: Annotated[
        FitChoice,
        typer.Option(
            help="How photos become square: crop cuts off the ends of a wide one, pad adds bars, squash distorts."
        ),
    ] = "crop",
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first photo that can't be used.")] = False,
    data_root: DataRoot = None,
    resume: Annotated[
        Path | None,
        in_panel("--resume", help_text="Go on with an interrupted run: its folder.", show_default=False),
    ] = None,
    settings: Settings = None,
    epochs: Annotated[float | None, short_for("epochs", "Times that every photo is learnt from")] = None,
    batch_size: Annotated[int | None, short_for("batch_size", "Photos a step")] = None,
    lr: Annotated[float | None, short_for("lr", "Learning rate at its highest")] = None,
    width: Width = None,
    arguments: Arguments = None,
    seed: Seed = 0,
    checkpoint_every: Annotated[
        float, in_panel("--checkpoint-every", help_text="Seconds between checkpoints.", min=0)
    ] = 60.0,
    tensorboard: Annotated[
        Path | None,
        in_panel("--tensorboard", help_text="Write TensorBoard's event files to this folder.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Learn from photos without labels, by BYOL: a backbone, that train takes as --backbone FOLDER.

    `fieldguide recipes byol` lists the settings.
    """
    given = {n for n in context.params if str(context.get_parameter_source(n)).endswith("COMMANDLINE")}
    _refuse_contradictions(given)
    from fieldguide import launched
    from fieldguide.cli._console import progress_bars
    from fieldguide.training.pretraining import pretrain as pretrain_network
    from fieldguide.training.pretraining import resume_pretraining

    start = time.perf_counter()
    target = resume or output or _named_after(photos)
    tensorboard = None if launched.rank() else tensorboard
    with progress_bars() as on_progress, epoch_table(wanted=not as_json, tensorboard=tensorboard) as on_epoch:
        watching: dict[str, Any] = {
            "checkpoint_s": checkpoint_every,
            "on_progress": on_progress,
            "on_epoch": on_epoch,
        }
        if resume is not None:
            pretrained = resume_pretraining(resume, **watching)
        else:
            short = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
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
                **watching,
            )
    _print_pretrained(pretrained, target, time.perf_counter() - start, as_json=as_json)


def _refuse_contradictions(given: set[str]) -> None:
    if "resume" in given:
        own = {"settings": "--set", "arguments": "--argument", "photos": "PHOTOS"}
        others = [own.get(n, f"--{n.replace('_', '-')}") for n in sorted(given) if n not in _WITH_RESUME]
        if others:
            raise typer.BadParameter(f"--resume goes on with what its run was told to do; leave {others[0]} out")
    elif "photos" not in given:
        raise typer.BadParameter("no photos are named; pass a folder of them, or --resume RUN")


def _named_after(photos: str) -> Path:
    """Return the backbone's place where none was named: here, by the name of the photos."""
    return Path(f"{Path(photos).name.removesuffix('.zip').strip('.') or Path.cwd().name}.backbone")


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
