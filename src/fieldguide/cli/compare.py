"""``fieldguide compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson, DataRoot

if TYPE_CHECKING:
    from fieldguide.compare import Comparison, ModelFacts


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(help="Models: ours, timm:NAME or torchvision:NAME.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="Photos to train a guide on with each, in any form that train takes.", show_default=False
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, max=2048, help="Side of the images in pixels.", show_default="each model's"),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The picture: NAME.png, NAME.svg or NAME.pdf.")
    ] = Path("comparison.png"),
    seconds: Annotated[
        float,
        typer.Option(min=0, help="Seconds to time passes for at each batch size; five passes at least."),
    ] = 10,
    data_root: DataRoot = None,
    as_json: AsJson = False,
) -> None:
    """Measure models in one run: latency, memory, parameters, multiply-adds and, with photos, accuracy."""
    from fieldguide.cli._console import note, print_json, progress_bars
    from fieldguide.compare import compare as compare_models
    from fieldguide.paths import check_place, written_whole
    from fieldguide.pictures import check_picture_name

    try:
        check_picture_name(output)
        check_place(output)
        with progress_bars() as on_progress:
            comparison = compare_models(
                names, data=data, data_root=data_root, size_px=size, seconds=seconds, on_progress=on_progress
            )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        print_json({**comparison.to_dict(), "picture": str(output)})
    else:
        _print_comparison(comparison)
    with written_whole(output.resolve()) as draft:  # last: whatever becomes of it, the measurements are told
        _draw(comparison, draft, output.suffix)
    if not as_json:
        note(f"the picture is in {output}")


def _print_comparison(comparison: "Comparison") -> None:
    from fieldguide.cli._console import note, print_table
    from fieldguide.compare import MEMORY_BATCH

    hardware = comparison.hardware
    cores = f"{hardware['threads']} threads of {hardware['cores']} cores"
    print(f"{hardware['device']}, {cores}, torch {hardware['torch']}")
    if comparison.data:
        held_out = comparison.num_held_out
        print(f"accuracy of a guide to {comparison.data}, on {held_out or 'no'} photos held out")
    print()
    times = (f"ms at {batch_size}" for batch_size in comparison.models[0].latency)
    print_table(
        ("model", "size", "parameters", "MACs", *times, f"memory at {MEMORY_BATCH}", "top-1"),
        [_row(model, comparison.models[0]) for model in comparison.models],
    )
    print("ms: median (quartiles) of passes in turns; in brackets: times the first model's")
    for model in comparison.models:
        for line in model.notes:
            note(line)


def _row(model: "ModelFacts", first: "ModelFacts") -> list[str]:
    from fieldguide.cli._console import percent
    from fieldguide.cli._units import in_units

    def times(ratio: float) -> str:
        return "" if model is first else f" [{ratio:.2f}x]"

    cells = [
        model.name,
        f"{model.input_shape[-1]} px",
        f"{in_units(model.params).strip()}{times(model.params / first.params)}",
        f"{in_units(model.macs).strip()}{times(model.macs / first.macs)}",
    ]
    for of_batch in model.latency.values():
        spread = f"{_ms(of_batch.low_ms)} to {_ms(of_batch.high_ms)}"
        cells.append(f"{_ms(of_batch.median_ms)} ({spread}){times(of_batch.ratio)}")
    if model.memory_bytes is None:
        cells.append("-")
    else:
        ratio = times(model.memory_bytes / first.memory_bytes) if first.memory_bytes else ""
        cells.append(f"{model.memory_bytes / 1e6:.0f} MB{ratio}")
    return [*cells, percent(model.top1)]


def _ms(time: float) -> str:
    return f"{time:.0f}" if time >= 100 else f"{time:.1f}" if time >= 10 else f"{time:.2f}"


def _draw(comparison: "Comparison", path: Path, suffix: str) -> None:
    """Draw accuracies over multiply-adds; or parameters, where too few accuracies are known to compare."""
    from fieldguide.pictures import Axes, Bubble, draw_bubbles

    unknown = [model.name for model in comparison.models if model.top1 is None]
    has_accuracy = len(comparison.models) - len(unknown) >= min(2, len(comparison.models))
    title = f"{Path(comparison.data or '').name}: {comparison.num_held_out} photos held out"
    if unknown:
        title += f"; without weights at hand: {', '.join(unknown)}"
    bubbles = []
    for model in comparison.models:
        params, macs = model.params / 1e6, model.macs / 1e9
        if not has_accuracy:
            bubbles.append(Bubble(model.name, macs, params, params))
        elif model.top1 is not None:
            low, high = model.top1_interval or (model.top1, model.top1)
            bubbles.append(Bubble(model.name, macs, 100 * model.top1, params, (100 * low, 100 * high)))
    axes = Axes(
        x="multiply-adds of an image (G)",
        y="top-1 of the frozen-feature guide (%)" if has_accuracy else "parameters (M)",
        area="parameters (M)",
        title=title if has_accuracy else "",
        greatest_y=100 if has_accuracy else None,
    )
    draw_bubbles(bubbles, axes, path, suffix=suffix)
