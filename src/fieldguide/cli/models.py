"""``fieldguide models``."""

from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson

if TYPE_CHECKING:
    from fieldguide.models import ModelFacts
    from fieldguide.registry import Entry

_LONGEST_LINK = 40

Order = Literal["name", "params", "macs", "year"]


@app.command()
def models(
    pattern: Annotated[
        str, typer.Argument(help="Names with wildcards, such as 'vgg*'; a plain word is looked for in them.")
    ] = "*",
    sort: Annotated[Order, typer.Option(help="What to order them by, from the least.")] = "name",
    as_json: AsJson = False,
) -> None:
    """List the networks: parameters, multiply-adds, input size, year, weights at hand, paper."""
    from fieldguide.cli._console import print_json, print_table
    from fieldguide.cli._units import in_units

    found = [_facts(entry) for entry in _matching(pattern)]
    found.sort(key=lambda facts: facts[sort])
    if as_json:
        print_json(found)
        return
    print_table(
        ("name", "params", "MACs", "px", "year", "weights", "paper"),
        [
            (
                facts["name"],
                in_units(facts["params"]),
                in_units(facts["macs"]),
                facts["input_size_px"],
                facts["year"],
                facts["weights"] or "-",
                _short(facts["source"]),
            )
            for facts in found
        ],
        spare=1,
    )


def _matching(pattern: str) -> "list[Entry[Any, ModelFacts]]":
    from fieldguide.errors import UnknownNameError
    from fieldguide.models import MODELS
    from fieldguide.registry import did_you_mean

    glob = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    found = [entry for entry in MODELS.entries() if fnmatchcase(entry.name, glob.lower())]
    if not found:
        hint = did_you_mean(pattern.strip("*"), MODELS.names()) or "; `fieldguide models` lists them all"
        raise UnknownNameError(f"no model's name matches {pattern!r}{hint}")
    return found


def _facts(entry: "Entry[Any, ModelFacts]") -> dict[str, Any]:
    from fieldguide.weights.own_weights import INSTALLED

    return {"name": entry.name, **asdict(entry.facts), "weights": "installed" if entry.name in INSTALLED else None}


def _short(link: str) -> str:
    """Return a link without its protocol; of one too long for a table, the repository or the site."""
    short = link.removeprefix("https://")
    parts = short.split("/")
    if parts[0] == "github.com":
        return "/".join(parts[:3])
    return short if len(short) <= _LONGEST_LINK else parts[0]
