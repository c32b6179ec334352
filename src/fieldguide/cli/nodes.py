"""``fieldguide nodes``."""

from dataclasses import asdict
from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson


@app.command()
def nodes(
    name: Annotated[str, typer.Argument(help="A model: one of ours, timm:NAME or torchvision:NAME.")],
    pattern: Annotated[
        str, typer.Argument(help="Which nodes, such as 'stages.?' or '*.conv2'.", show_default="all")
    ] = "*",
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Side of the images in pixels.", show_default="the model's"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the nodes of a network: their names, types, and the shapes of what they give."""
    from fieldguide.cli._console import note, print_json, print_table
    from fieldguide.feature_maps import list_nodes, pick_nodes
    from fieldguide.feature_maps.extract import select_nodes
    from fieldguide.introspection import create_on_meta, input_shape_of

    network = create_on_meta(name)
    shape = input_shape_of(network, name)
    if size is not None:
        shape = (shape[0], size, size)
    try:
        known = list_nodes(network, shape)
    except ValueError as error:
        raise typer.BadParameter(f"{name}: {error}") from error
    picked = {node.name: node for node in pick_nodes(network, known)}
    chosen = select_nodes(name, known, [pattern])
    if as_json:
        rows = [{**asdict(picked.get(node.name, node)), "is_picked": node.name in picked} for node in chosen]
        print_json({"model": name, "input_shape": shape, "nodes": rows})
        return
    print_table(
        ("node", "type", "output", "calls", "map"),
        [
            (
                node.name,
                node.type,
                "x".join(map(str, node.shape)),
                node.calls if node.calls > 1 else "",
                f"1/{picked[node.name].reduction}" if node.name in picked else "",
            )
            for node in chosen
        ],
    )
    image = "x".join(map(str, shape))
    note(f"for an image of {image}; features(model) gives the nodes with a map's size, unless you name others")
