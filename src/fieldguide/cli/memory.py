"""``fieldguide memory``."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson

if TYPE_CHECKING:
    from fieldguide.cost import MemoryProfile


@app.command()
def memory(
    name: Annotated[str, typer.Argument(help="A model: one of ours, timm:NAME or torchvision:NAME.")],
    batch: Annotated[str, typer.Option(help="Batch sizes to measure.")] = "1,8,16,32,64",
    train: Annotated[
        bool, typer.Option("--train", help="Measure training (backward, AdamW), not inference.")
    ] = False,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images in pixels.", show_default="the model's")
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(help="Gigabytes that the process may take.", show_default="what the machine has free"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure peak memory by batch size, and predict the largest batch that fits."""
    from fieldguide.cli._console import print_json, progress_bars
    from fieldguide.cost import measure_memory
    from fieldguide.introspection import create_on_meta, input_shape_of

    sizes = _batch_sizes(batch)
    if limit is not None and not 1 <= limit * 1e9 < math.inf:
        raise typer.BadParameter(f"--limit is {limit}; it must be a number of gigabytes above 0, such as 4")
    shape = input_shape_of(create_on_meta(name), name)
    with progress_bars() as on_progress:
        try:
            profile = measure_memory(
                name,
                sizes,
                input_shape=(shape[0], size or shape[1], size or shape[2]),
                training=train,
                limit_bytes=None if limit is None else int(limit * 1e9),
                on_progress=on_progress,
            )
        except ValueError as error:
            raise typer.BadParameter(f"{name}: {error}") from error
    if as_json:
        print_json(profile.to_dict())
    else:
        _print_profile(profile)


def _batch_sizes(text: str) -> list[int]:
    from fieldguide.cost.memory import MOST_IMAGES

    try:
        sizes = [int(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if not sizes or not all(1 <= size <= MOST_IMAGES for size in sizes):
        raise typer.BadParameter(f"--batch is {text!r}; it must be sizes from 1 to {MOST_IMAGES}, such as 1,8,16")
    return sizes


def _print_profile(profile: "MemoryProfile") -> None:
    from fieldguide.cli._console import print_table

    what = "training" if profile.is_training else "inference"
    print(f"{profile.name}, {what} at {profile.size_px} px on {profile.device}: limit {_gb(profile.limit_bytes)}")
    print()
    print_table(
        ("batch", "peak", "of it the network", "of it the step", ""),
        [
            (b.batch_size, _gb(b.peak_bytes), _gb(b.network_bytes), _gb(b.step_bytes), b.fault)
            for b in profile.batches
        ]
        + [(size, "-", "-", "-", "not tried") for size in profile.untried],
    )
    if profile.untried or not all(b.fits for b in profile.batches):
        print(f"the last good batch: {profile.last_good or 'none'}")
    if profile.line is not None:
        at_none, per_image = profile.line
        print(f"{_gb(max(0, at_none))} and {per_image / 1e6:.1f} MB an image")
    if profile.largest_batch is None:
        print("the largest batch that fits can't be predicted: two batches that fit and differ are needed")
    else:
        print(f"the largest batch that fits, predicted: {profile.largest_batch}")


def _gb(num_bytes: float | None) -> str:
    return "-" if num_bytes is None else f"{num_bytes / 1e9:.2f} GB"
