"""Pictures of what a network looks at: heat over photos, and photos beside them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_OPACITY = 0.55  # of the heat where it is hottest


@dataclass(frozen=True)
class Panel:
    """One picture of several.

    Args:
        title: below which it stands.
        picture: (H, W), (H, W, 1) or (H, W, 3) uint8.
        heat: (H, W) from 0 to 1, to lay over it; None for the picture alone.
    """

    title: str
    picture: npt.NDArray[np.uint8]
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

    lines = [row[start : start + columns] for row in rows for start in range(0, len(row), columns)]
    width, side = max(map(len, lines)), 12 / columns
    figure = Figure(figsize=(side * width, (side + 0.35) * len(lines)), dpi=100, layout="constrained")
    all_axes = figure.subplots(len(lines), width, squeeze=False)
    for line, axes_of_line in zip(lines, all_axes, strict=True):
        for axes in axes_of_line:
            axes.set_axis_off()
        for panel, axes in zip(line, axes_of_line, strict=False):
            axes.imshow(overlaid(panel), interpolation="antialiased")
            axes.set_title(panel.title, fontsize=9, wrap=True, parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def overlaid(panel: Panel) -> npt.NDArray[np.uint8]:
    """Return (H, W, 3): where there is heat, its colour over the grey picture; cold places stay as they are."""
    from matplotlib import colormaps

    picture = panel.picture if panel.picture.ndim == 3 else panel.picture[:, :, None]
    colours = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    if panel.heat is None:
        return colours
    heat = panel.heat[:, :, None]
    over = 255 * colormaps["inferno"](0.25 + 0.7 * panel.heat)[:, :, :3]
    mixed: npt.NDArray[np.uint8] = (
        (colours * (1 - _OPACITY * heat) + over * _OPACITY * heat).round().astype(np.uint8)
    )
    return mixed
