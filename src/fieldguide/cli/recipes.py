"""``fieldguide recipes``."""

from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson


@app.command()
def recipes(
    name: Annotated[
        str | None,
        typer.Argument(help="Of one recipe, or the path of a file, to see its settings.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the recipes for training a network, or every setting of one."""
    from dataclasses import asdict

    from fieldguide.cli._console import print_json, print_table
    from fieldguide.training.recipe import describe_settings, load_recipe, recipe_names

    stated = [load_recipe(each) for each in ([name] if name else recipe_names())]
    if as_json:
        print_json([asdict(recipe) for recipe in stated])
        return
    for recipe in stated:
        print(f"{recipe.name}: {recipe.summary}".removesuffix(": "))
        for line in filter(None, (recipe.command, recipe.result)):
            print(f"    {line}")
        print()
    if name:
        values = stated[0].recipe.to_dict()
        print_table(
            ("setting", "value", "default", "meaning"),
            [
                (f"{key} *" if key in stated[0].stated else key, _text(values[key]), _text(default), about)
                for key, default, about in describe_settings()
            ],
        )
        print("* the recipe's own; --set NAME=VALUE changes any of them")
    else:
        print("fieldguide recipes NAME shows every setting of one; --set NAME=VALUE changes any of them")


def _text(value: object) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    )
