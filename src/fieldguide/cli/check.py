"""``fieldguide check``."""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson, DataRoot, EngineName, Fit, Size

if TYPE_CHECKING:
    from fieldguide.doctor import Case, CheckUp

_CASES_SHOWN = 3
_PHOTOS_SHOWN = 3  # of a case


@app.command()
def check(
    data: Annotated[str, typer.Argument(help="Photos in class folders, in any form that train takes.")],
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with the photos to this file.", show_default=False)
    ] = None,
    fix_list: Annotated[
        Path | None,
        typer.Option(
            "--fix-list",
            help="Write a CSV of photos, problems and suggestions, to edit and pass to train --exclude.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="Whose features tell which photos are alike, as of train.")
    ] = "efficientnet_lite0",
    weights: Annotated[
        Path | None,
        typer.Option(help="A .safetensors file of the backbone's weights.", show_default="pretrained"),
    ] = None,
    size: Size = None,
    fit: Fit = None,
    data_root: DataRoot = None,
    engine: EngineName = "auto",
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong with photos: copies, wrong labels, damage. Changes nothing."""
    from fieldguide.cli._console import note, print_json, progress_bars
    from fieldguide.doctor import check as check_photos
    from fieldguide.doctor.fix_list import to_csv
    from fieldguide.doctor.page import to_page
    from fieldguide.paths import check_place, written_whole

    for place, suffix in ((html, ".html"), (fix_list, ".csv")):
        if place is not None:
            _check_is_new(place, suffix, data)
    for place in filter(None, (html, fix_list)):
        check_place(place)
    start = time.perf_counter()
    with progress_bars() as on_progress:
        checkup = check_photos(
            data,
            backbone=backbone,
            weights=weights,
            size_px=size,
            fit=fit,
            data_root=data_root,
            engine=engine,
            on_progress=on_progress,
        )
    seconds = time.perf_counter() - start
    for target, render in ((html, to_page), (fix_list, to_csv)):
        if target is not None:
            with written_whole(target) as draft:
                draft.write_bytes(render(checkup))
    if as_json:
        print_json({**checkup.to_dict(), "seconds": round(seconds, 2)})
    else:
        _print_checkup(checkup, seconds)
    if html is not None:
        note(f"{html} shows them; open it in a browser")
    if fix_list is not None:
        how = f"fieldguide train {shlex.quote(data)} --exclude {shlex.quote(str(fix_list))}"
        note(f"{fix_list} lists them; edit it, and train with: {how}")


def _check_is_new(place: Path, suffix: str, data: str) -> None:
    """Make sure that no photos, and no list that a person has edited, are lost to a result."""
    if place.suffix.lower() != suffix or place.resolve() == Path(data).resolve():
        raise typer.BadParameter(f"{place} is no place for the result; name a new file that ends in {suffix}")
    if suffix == ".csv" and place.exists():
        raise typer.BadParameter(f"{place} is there already, and may have been edited; name a new file")


def _print_checkup(checkup: "CheckUp", seconds: float) -> None:
    from fieldguide.cli._console import printable

    names = checkup.images.photo_names
    print(f"{len(names)} photos of {len(checkup.images.class_names)} classes, looked at in {seconds:.1f} s")
    print()
    if not checkup.findings:
        print("nothing was found")
    for finding in checkup.findings:
        _print(f"{finding.kind.severity:<8}  {printable(finding.summary)}")
        _print(f"          {finding.kind.meaning}")
        for case in finding.cases[:_CASES_SHOWN]:
            _print(f"          {printable(_case(case, names))}", more=2)
        if len(finding.cases) > _CASES_SHOWN:
            print(f"          ... and {len(finding.cases) - _CASES_SHOWN} more")
        print()


def _print(line: str, *, more: int = 0) -> None:
    """Print a line; on a narrow terminal several, the further ones below its words or ``more`` to the right."""
    from fieldguide.cli._console import terminal_width, wrapped

    print(wrapped(line, hanging=10 + more, width=terminal_width()))


def _case(case: "Case", photo_names: Sequence[str]) -> str:
    shown = [photo_names[photo] for photo in case.photos[:_PHOTOS_SHOWN]]
    more = [f"{len(case.photos) - _PHOTOS_SHOWN} more"] if len(case.photos) > _PHOTOS_SHOWN else []
    return f"{', '.join(shown + more)}: {case.evidence}" if shown else case.evidence
