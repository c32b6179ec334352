"""``fieldguide train``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson, DataRoot, EngineName, FitChoice

if TYPE_CHECKING:
    from fieldguide.guide import Guide


@app.command()
def train(
    data: Annotated[
        str,
        typer.Argument(
            help="An image folder (CLASS/*.jpg, or {train,val,test}/CLASS/*.jpg), a zip of one, a CSV or Parquet "
            "list, a folder of Parquet or IDX files, or a set's name such as digits."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The guide's folder, or NAME.zip.", show_default="DATA.guide"),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="A name of `fieldguide models`, or timm:NAME, or torchvision:NAME.")
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
        typer.Option(min=32, max=2048, help="Side of the pictures in pixels.", show_default="the backbone's"),
    ] = None,
    fit: Annotated[
        FitChoice,
        typer.Option(
            help="How photos become square: crop cuts off the ends of a wide one, pad adds bars, squash distorts."
        ),
    ] = "crop",
    balanced: Annotated[
        bool, typer.Option("--balanced", help="Count every class the same, however many photos it has.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first photo that can't be used.")] = False,
    data_root: DataRoot = None,
    engine: EngineName = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a guide on photos, evaluate it on those held out, and save it."""
    from fieldguide.cli._console import print_cache_fault, print_json, progress_bars
    from fieldguide.guide_format import check_replaceable
    from fieldguide.training import train as train_guide

    target = output or Path(f"{Path(data).name.removesuffix('.zip').strip('.') or Path.cwd().name}.guide")
    check_replaceable(target)
    start = time.perf_counter()
    with progress_bars() as on_progress:
        guide = train_guide(
            data,
            backbone=backbone,
            weights=weights,
            size_px=size,
            fit=fit,
            balanced=balanced,
            strict=strict,
            data_root=data_root,
            engine=engine,
            on_progress=on_progress,
        )
    guide.save(target)
    print_cache_fault(guide.embedder.cache.fault)
    seconds = time.perf_counter() - start
    if as_json:
        print_json(
            {
                "guide": str(target),
                "seconds": round(seconds, 2),
                "class_names": list(guide.class_names),
                **guide.facts,
                "evaluation": guide.evaluation.to_dict() if guide.evaluation else None,
            }
        )
        return
    _print_guide(guide)
    print(f"{target} is ready after {seconds:.1f} s; try: fieldguide predict {target} PHOTO")


def _print_guide(guide: "Guide") -> None:
    """Print what it learnt from, how good it is, and what was left out."""
    from fieldguide.cli._console import note, print_skipped
    from fieldguide.cli._report import print_evaluation
    from fieldguide.data import SkippedPhoto

    facts = guide.facts["data"]
    print(
        f"{len(guide.class_names)} classes, {facts['num_train']} photos to learn from, "
        f"{facts['num_held_out']} held out ({'as given' if facts['split'] == 'given' else 'by content'})"
    )
    print()
    if guide.evaluation is not None:
        print_evaluation(guide.evaluation)
        if guide.evaluation.left_out:
            note(f"held-out copies of training photos, not evaluated: {guide.evaluation.left_out}")
    else:
        why = "all held-out photos are copies of training photos" if facts["num_held_out"] else "too few photos"
        note(f"{why}: the accuracy is unknown")
    if report := guide.embedder.backbone.weights.report:
        note(f"weights: {report}")
    print_skipped([SkippedPhoto(s["photo"], s["reason"]) for s in facts["skipped"]])
    if facts["unlabelled"]:
        note(f"files without a class, left out: {facts['unlabelled']}")
    if facts["unused"]:
        note(f"photos neither in train nor in the part held out, left out: {facts['unused']}")
