"""``fieldguide explain``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fieldguide.cli._app import app
from fieldguide.cli._options import AsJson, DataRoot, EngineName
from fieldguide.words import listed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fieldguide.explain import Marks
    from fieldguide.explain.examples import Example
    from fieldguide.pictures.marks import Panel


@app.command()
def explain(
    guide: Annotated[Path, typer.Argument(help="The guide.")],
    photo: Annotated[str, typer.Argument(help="The photo.")],
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="Show what speaks for this class, too. Repeatable.", show_default=False),
    ] = None,
    examples: Annotated[
        str | None,
        typer.Option(
            "--examples", help="The photos it was trained on, to show those most like it.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The picture, a PNG file.", show_default="PHOTO-explained.png"),
    ] = None,
    data_root: DataRoot = None,
    engine: EngineName = "auto",
    as_json: AsJson = False,
) -> None:
    """Show by which marks in a photo a guide knows what it shows."""
    from fieldguide.cli._console import note, print_json, progress_bars
    from fieldguide.cli._pictures import check_picture
    from fieldguide.data import open_images, open_photos
    from fieldguide.explain import Explainer
    from fieldguide.explain.examples import nearest_examples
    from fieldguide.guide import load
    from fieldguide.paths import written_whole
    from fieldguide.pictures.marks import draw_panels

    target = output or Path(f"{Path(photo).stem}-explained.png")
    check_picture(target, photo)
    loaded = load(guide, engine=engine)
    unknown = [name for name in classes or () if name not in loaded.class_names]
    if unknown:
        raise typer.BadParameter(f"--class {unknown[0]}: the guide knows {listed(loaded.class_names, 20)}")
    answer, one = loaded.predict(photo), open_photos([photo])
    marks = Explainer(loaded).explain(photo, list(dict.fromkeys([answer.label, *(classes or ())])))
    found: list[Example] = []
    if examples is not None:
        known = open_images(examples, data_root=data_root)
        with progress_bars() as on_progress:
            found = nearest_examples(loaded, one, known, on_progress=on_progress)
    with written_whole(target) as draft:
        draft.write_bytes(draw_panels(panels_of(marks, found, is_unknown=answer.is_unknown)))
    if as_json:
        print_json({"photo": photo, "picture": str(target), "unknown": answer.is_unknown, **_facts(marks, found)})
        return
    _print(marks, found, is_unknown=answer.is_unknown)
    if answer.is_unknown:
        note("unknown: like too few of the photos that the guide learnt from")
    note(f"the picture: {target}")


def panels_of(marks: "Sequence[Marks]", examples: "Sequence[Example]", *, is_unknown: bool) -> "list[list[Panel]]":
    """Return the rows of the picture: the photo with its marks, and the photos like it."""
    from fieldguide.cli._console import percent
    from fieldguide.pictures.marks import Panel

    panels = [Panel(f"{m.class_name}: {percent(m.probability)}", m.picture, m.heat) for m in marks]
    if is_unknown:
        panels[0] = replace(panels[0], title=f"unknown ({panels[0].title})")
    beside = [Panel(f"{e.class_name}, like it by {e.likeness:.2f}", e.picture) for e in examples]
    rows = [[Panel("what the network sees", marks[0].picture), *panels], beside]
    return [row for row in rows if row]


def _facts(marks: "Sequence[Marks]", examples: "Sequence[Example]") -> dict[str, Any]:
    return {
        "layer": marks[0].layer,
        "classes": [{"class": m.class_name, "probability": m.probability} for m in marks],
        "examples": [{"photo": e.name, "class": e.class_name, "likeness": e.likeness} for e in examples],
    }


def _print(marks: "Sequence[Marks]", examples: "Sequence[Example]", *, is_unknown: bool) -> None:
    from fieldguide.cli._console import percent, printable

    for number, each in enumerate(marks):
        name = f"unknown ({each.class_name})" if is_unknown and number == 0 else each.class_name
        print(f"{printable(name)} {percent(each.probability)}{_where(each.heat)}")
    for example in examples:
        print(printable(f"like {example.name} ({example.class_name}) by {example.likeness:.2f}"))


def _where(heat: "npt.NDArray[np.float32]") -> str:
    """Say in words where the marks are."""
    if not heat.any():
        return "; nothing in it speaks for that"
    thirds = [[float(cell.mean()) for cell in _thirds(row.T)] for row in _thirds(heat)]
    row, column = divmod(max(range(9), key=lambda place: thirds[place // 3][place % 3]), 3)
    names = ("upper", "middle", "lower")[row], ("left", "centre", "right")[column]
    return f"; its marks are {'in the centre' if row == column == 1 else 'at the ' + ' '.join(names)}"


def _thirds(values: "npt.NDArray[np.float32]") -> "list[npt.NDArray[np.float32]]":
    import numpy as np

    return np.array_split(values, 3)
