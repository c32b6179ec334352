"""Pictures of what a network looks at: photos with their marks, and photos beside them."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_MARKED = 0.5  # heat from which a place is marked, and outlined
_DIMMED = 0.3  # of its brightness a place without heat keeps
_LETTERS_AN_INCH = 14  # of a title, about
_LINE_PX, _LEAST_PX = 2, 224  # smaller pictures are enlarged, or lines would hide their few pixels

Pixels = npt.NDArray[np.uint8]
Places = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Panel:
    """One picture of several.

    Args:
        title: below which it stands.
        picture: (H, W), (H, W, 1) or (H, W, 3) uint8.
        heat: (H, W) from 0 to 1, by which it is marked; None for the picture alone.
    """

    title: str
    picture: Pixels
    heat: npt.NDArray[np.float32] | None = None


def draw_panels(rows: Sequence[Sequence[Panel]], *, columns: int = 5) -> bytes:
    """Draw panels in rows, of which each begins anew; long rows are broken.

    Args:
        rows: of panels, one or more each.
        columns: panels a row, at most.

    Returns:
        A PNG, at most 1200 px wide.
    """
    from matplotlib.figure import Figure

    from fieldguide.pictures.letters import any_script

    lines = [row[start : start + columns] for row in rows for start in range(0, len(row), columns)]
    width, side = max(map(len, lines)), 12 / columns
    buffer = io.BytesIO()
    with any_script():
        figure = Figure(figsize=(side * width, (side + 0.35) * len(lines)), dpi=100, layout="constrained")
        all_axes = figure.subplots(len(lines), width, squeeze=False)
        for line, axes_of_line in zip(lines, all_axes, strict=True):
            for axes in axes_of_line:
                axes.set_axis_off()
            for panel, axes in zip(line, axes_of_line, strict=False):
                axes.imshow(overlaid(panel), interpolation="antialiased")
                # Broken here: what matplotlib breaks it reads as mathematics, even where it is told not to.
                title = textwrap.fill(panel.title, round(side * _LETTERS_AN_INCH))
                axes.set_title(title, fontsize=9, parse_math=False)
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def overlaid(panel: Panel) -> Pixels:
    """Return (H, W, 3): what has half the most heat or more, within a white and a black line; the rest fades.

    By brightness and lines alone, marks show on photos of any colour, and to people who tell few colours apart. Of
    a picture with heat that is below 224 px each pixel becomes several.
    """
    picture = panel.picture if panel.picture.ndim == 3 else panel.picture[:, :, None]
    colours = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    if panel.heat is None:
        return colours
    times = max(1, _LEAST_PX // min(panel.heat.shape))
    colours = colours.repeat(times, axis=0).repeat(times, axis=1)
    heat = panel.heat.repeat(times, axis=0).repeat(times, axis=1)
    kept = np.minimum(heat / _MARKED, 1)[:, :, None]
    grey = colours.mean(axis=2, keepdims=True)
    shown: Pixels = (colours * kept + _DIMMED * grey * (1 - kept)).round().astype(np.uint8)
    marked = heat >= _MARKED
    white = _grown(marked, _LINE_PX)
    shown[_grown(white, _LINE_PX) & ~white] = 0
    shown[white & ~marked] = 255
    return shown


def _grown(places: Places, steps: int) -> Places:
    """Places (H, W) -> the same with their neighbours, those across corners too."""
    for _ in range(steps):
        height, width = places.shape
        padded = np.pad(places, 1)
        shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
        places = np.logical_or.reduce(shifted)
    return places
