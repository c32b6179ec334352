"""``fieldguide report``."""

from pathlib import Path
from typing import Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import DataRoot, EngineName, Exclude


@app.command()
def report(
    guides: Annotated[list[Path], typer.Argument(help="The guide; or several to the same classes.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="Photos in class folders, in any form that train takes.",
            show_default="those that the first guide was trained on, where they are a path",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="The page, an HTML file.",
            show_default="named for the guides, ...-report.html",
        ),
    ] = None,
    data_root: DataRoot = None,
    exclude: Exclude = None,
    engine: EngineName = "auto",
) -> None:
    """Write what a guide knows, how well and why as one page; or several guides side by side."""
    from fieldguide.cli._console import note, progress_bars
    from fieldguide.paths import check_place, written_whole
    from fieldguide.reports import report as make_report

    target = output or _default_name(guides)
    if target.suffix.lower() != ".html":
        raise typer.BadParameter(f"--output {target}: the name must end in .html")
    places = [guide.resolve() for guide in guides]
    twice = [str(guide) for guide, place in zip(guides, places, strict=True) if places.count(place) > 1]
    if twice:
        raise typer.BadParameter(f"{twice[0]} is named twice; name each guide once")
    check_place(target)
    with progress_bars() as on_progress:
        page = make_report(
            guides, data, data_root=data_root, exclude=exclude, engine=engine, on_progress=on_progress
        )
    with written_whole(target) as draft:
        draft.write_bytes(page)
    note(f"{target} is written; open it in a browser")


def _default_name(guides: list[Path]) -> Path:
    """Return what the page is called: of several guides by the first two, so that no page of one is lost to it."""
    names = [guide.resolve().name.removesuffix(".zip").removesuffix(".guide") for guide in guides]
    if len(names) == 1:
        return Path(f"{names[0]}-report.html")
    more = f"-and-{len(names) - 2}-more" if len(names) > 2 else ""
    return Path(f"{names[0]}-and-{names[1]}{more}-report.html")
