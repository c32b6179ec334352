"""``fieldguide summary``."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson

if TYPE_CHECKING:
    from fieldguide.cost import ModuleCost, ReceptiveField, Summary


@app.command()
def summary(
    name: Annotated[str, typer.Argument(help="The network: one of ours, or timm:NAME, or torchvision:NAME.")],
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the image in pixels.", show_default="the network's")
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=0, help="How many logits; 0 for features.", show_default="the network's")
    ] = None,
    in_channels: Annotated[
        int | None, typer.Option(min=1, help="Channels of the image.", show_default="the network's")
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option(
            help="Freeze modules of this name or wildcard; features is all but the classifier. Repeatable.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=0, help="How deep the tree is shown.", show_default="all of it")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a network's layers: shapes, parameters, multiply-adds, memory, receptive field."""
    import fieldguide.cost
    from fieldguide.cli._console import print_json

    given = {"num_classes": num_classes, "in_channels": in_channels}
    arguments: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    try:
        found = fieldguide.cost.summary(name, size_px=size, freeze=freeze or (), **arguments)
    except ValueError as error:
        raise typer.BadParameter(f"{name}: {error}") from error
    if as_json:
        print_json({"name": name, **_to_json(found, depth)})
    else:
        _print_tree(found, depth)
        _print_totals(found)


def _shown(summary: "Summary", depth: int | None) -> "list[ModuleCost]":
    return [module for module in summary.modules if depth is None or module.depth <= depth]


def _print_tree(summary: "Summary", depth: int | None) -> None:
    from fieldguide.cli._console import print_table
    from fieldguide.cli._units import in_units

    print_table(
        ("module", "type", "output", "params", "MACs", "memory", "sees", "stride", "pad"),
        [
            (
                "  " * (module.depth - 1) + module.name.rpartition(".")[2] if module.depth else "(all)",
                module.kind,
                "x".join(map(str, module.output_shape[1:])) if module.output_shape else "-",
                _params(module),
                in_units(module.macs) if module.macs else "-",
                f"{in_units(module.activation_bytes)}B" if module.activation_bytes else "-",
                *_field(module.receptive_field),
            )
            for module in _shown(summary, depth)
        ],
        spare=4,
    )


def _params(module: "ModuleCost") -> str:
    if not module.params:
        return "-"
    if module.frozen_params == module.params:
        return f"({module.params:,})"
    free = f"{module.params - module.frozen_params:,}"
    return f"{free} ({module.frozen_params:,})" if module.frozen_params else free


def _field(field: "ReceptiveField | None") -> tuple[str, str, str]:
    """Return size, stride and padding as text; "rows x columns" where they differ."""
    if field is None:
        return "-", "-", "-"
    if field.is_global:
        return "all", "-", "-"
    spans = [field.rows] if field.rows == field.columns else [field.rows, field.columns]
    sizes = "x".join(str(span.size) if span else "all" for span in spans)
    strides = "x".join(f"{span.stride:g}" if span else "-" for span in spans)
    return sizes, strides, "x".join(str(span.padding) if span else "-" for span in spans)


def _print_totals(summary: "Summary") -> None:
    total = summary.total
    free = total.params - total.frozen_params
    print(f"one image of {'x'.join(map(str, summary.input_shape[1:]))}, float32")
    print(f"{total.params:,} parameters: {free:,} trainable, {total.frozen_params:,} frozen")
    print(f"{total.macs:,} multiply-adds, and {total.bias_adds:,} additions of biases")
    print(f"{summary.weight_bytes / 1e6:.2f} MB of weights, {total.activation_bytes / 1e6:.2f} MB of activations")


def _to_json(summary: "Summary", depth: int | None) -> dict[str, Any]:
    def facts(module: "ModuleCost") -> dict[str, Any]:
        field = module.receptive_field
        return {
            **asdict(module),
            "receptive_field": "global" if field and field.is_global else field and asdict(field),
        }

    return {
        "input_shape": summary.input_shape,
        "total": {**facts(summary.total), "weight_bytes": summary.weight_bytes},
        "modules": [facts(module) for module in _shown(summary, depth)],
    }
