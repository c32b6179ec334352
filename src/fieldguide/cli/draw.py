"""``fieldguide draw``: pictures of what is inside a network, as lessons show them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fieldguide.cli._app import app
from fieldguide.words import listed

draw = typer.Typer(no_args_is_help=True, help="Draw what is inside: filters, feature maps, kernels, an answer.")
app.add_typer(draw, name="draw")

if TYPE_CHECKING:
    from fieldguide.pictures.marks import Panel

_MOST_PANELS = 80

GuidePath = Annotated[Path, typer.Argument(help="The guide.")]
PhotoPath = Annotated[Path, typer.Argument(help="The photo.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="The picture, a PNG file.")]


@draw.command()
def filters(
    guide: GuidePath,
    output: Output = Path("filters.png"),
) -> None:
    """Draw the filters of the first layer."""
    from fieldguide.explain.insides import first_filters, to_picture
    from fieldguide.guide import load
    from fieldguide.pictures.marks import Panel

    def panels() -> list[Panel]:
        found = first_filters(load(guide))
        in_colour = found.shape[1] == 3
        pictures = [f.transpose(1, 2, 0) if in_colour else f.mean(axis=0) for f in found[:_MOST_PANELS]]
        return [Panel(str(number), to_picture(picture)) for number, picture in enumerate(pictures)]

    _draw(output, panels)


@draw.command()
def maps(
    guide: GuidePath,
    photo: PhotoPath,
    node: Annotated[str, typer.Option(help="Of `fieldguide nodes NAME`, such as stem.")] = "stem",
    output: Output = Path("maps.png"),
) -> None:
    """Draw the maps that a node inside the network makes of a photo."""
    from fieldguide.cli._pictures import named
    from fieldguide.data.files import read_photo
    from fieldguide.explain.insides import node_maps, to_picture
    from fieldguide.guide import load
    from fieldguide.pictures.marks import Panel

    def panels() -> list[Panel]:
        with named(photo):
            found = node_maps(load(guide), read_photo(photo), node)
        return [Panel(f"{node}, {number}", to_picture(m)) for number, m in enumerate(found[:_MOST_PANELS])]

    _draw(output, panels, photo=photo)


@draw.command()
def kernels(
    photo: PhotoPath,
    output: Output = Path("kernels.png"),
) -> None:
    """Draw what kernels made by hand make of a photo: edges, sharper, blurred."""
    import numpy as np

    from fieldguide.cli._pictures import named
    from fieldguide.data.decode import decode
    from fieldguide.data.files import read_photo
    from fieldguide.explain.insides import KERNELS, apply_kernel, shown_range, to_picture
    from fieldguide.pictures.marks import Panel

    def panels() -> list[Panel]:
        with named(photo):
            picture = decode(read_photo(photo), channels=1, smallest_px=480)
        picture.thumbnail((480, 480))
        grey = np.asarray(picture)
        changed = []
        for name, kernel in KERNELS.items():
            values = apply_kernel(grey, kernel)
            low, high = shown = shown_range(values, kernel)
            changed.append(Panel(f"{name}: black {low:g}, white {high:g}", to_picture(values, shown)))
        return [Panel("grey: black 0, white 255", grey), *changed]

    _draw(output, panels, photo=photo, columns=3)


@draw.command()
def answer(
    guide: GuidePath,
    photo: PhotoPath,
    label: Annotated[
        str | None, typer.Option("--class", help="What the photo shows in truth.", show_default=False)
    ] = None,
    output: Output = Path("answer.png"),
) -> None:
    """Draw the logits of a photo, their softmax, and its label."""
    from fieldguide.data import open_photos
    from fieldguide.guide import load
    from fieldguide.pictures.answers import draw_answer

    def picture() -> bytes:
        loaded = load(guide)
        if label is not None and label not in loaded.class_names:
            raise typer.BadParameter(f"--class {label}: the guide knows {listed(loaded.class_names, 20)}")
        probs = loaded.predict(photo).probs
        logits = loaded.head.logits(loaded.embedder.embed(open_photos([photo])).features)[0]
        number = None if label is None else loaded.class_names.index(label)
        return draw_answer(loaded.class_names, logits, probs, number)

    _write(output, picture, photo)


def _draw(
    target: Path, panels: "Callable[[], Sequence[Panel]]", *, photo: Path | None = None, columns: int = 10
) -> None:
    """Draw panels to a file."""
    from fieldguide.pictures.marks import draw_panels

    _write(target, lambda: draw_panels([panels()], columns=columns), photo)


def _write(target: Path, make: Callable[[], bytes], photo: Path | None = None) -> None:
    """Make a picture, once it is certain that it can be written."""
    from fieldguide.cli._console import note
    from fieldguide.cli._pictures import check_picture
    from fieldguide.paths import written_whole

    check_picture(target, photo)
    content = make()
    with written_whole(target) as draft:
        draft.write_bytes(content)
    note(f"the picture: {target}")
