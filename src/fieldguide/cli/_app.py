"""The application that the subcommands add themselves to."""

from typing import Annotated

import typer

app = typer.Typer(
    name="fieldguide",
    help="Turn a folder of photos into a guide: a small, self-contained image classifier.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        print(f"fieldguide {importlib.metadata.version('fieldguide')}")
        raise typer.Exit


@app.callback()
def fieldguide(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a folder of photos into a guide: a small, self-contained image classifier."""
