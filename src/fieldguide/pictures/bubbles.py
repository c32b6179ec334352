"""Bubbles over two axes, with their names beside them: the picture by which networks are customarily compared."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PICTURE_TYPES = (".png", ".svg", ".pdf")

_LARGEST_AREA = 2400.0  # of a bubble, in square points
_LEAST_AREA = 40.0  # a smaller one would be a dot
_COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#eeca3b")
_INK, _FAINT = "#333333", "#999999"
_LOG_FROM = 8.0  # times between the least and the largest x
_DISTANCES = (3, 12, 24, 40, 60, 85, 115)  # points from the bubble's edge to the name
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))

Box = tuple[float, float, float, float]  # left, bottom, right, top, in pixels


@dataclass(frozen=True)
class Bubble:
    """One thing in the picture.

    Args:
        name: written beside it.
        x: above 0.
        y: any number.
        area: above 0; the bubble's area is in proportion to it, as long as it can be seen.
        y_range: from and to, drawn as a thin line; None for none.
    """

    name: str
    x: float
    y: float
    area: float
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Axes:
    """What the picture says of its axes: labels with units.

    Args:
        x: of the horizontal axis.
        y: of the vertical axis.
        area: of what the bubbles' areas are.
        title: above the picture.
        greatest_y: above which there are no ticks, such as 100 of a percentage; None for no such number.
    """

    x: str
    y: str
    area: str
    title: str = ""
    greatest_y: float | None = None


def check_picture_name(path: Path) -> None:
    """Refuse a name that is no picture's, such as that of a photo or a guide.

    Raises:
        ValueError: with the name, and the endings that pictures have.
    """
    if path.suffix.lower() not in PICTURE_TYPES:
        raise ValueError(
            f"{path}: a picture's name must end in {', '.join(PICTURE_TYPES[:-1])} or {PICTURE_TYPES[-1]}"
        )


def draw_bubbles(bubbles: Sequence[Bubble], axes: Axes, path: Path, *, suffix: str | None = None) -> None:
    """Draw bubbles with their names beside them, which overlap nothing where there is room for them.

    Args:
        bubbles: one at least.
        axes: labels.
        path: of the picture.
        suffix: its kind, .png, .svg or .pdf; by default as its name ends.

    Raises:
        ValueError: there is no bubble, one has an x or area that is not above 0, or the name is no picture's.
    """
    suffix = suffix or path.suffix
    check_picture_name(path.with_suffix(suffix))
    if not bubbles:
        raise ValueError("there is no bubble to draw")
    for bubble in bubbles:
        if not (bubble.x > 0 and bubble.area > 0):
            raise ValueError(f"{bubble.name}: x is {bubble.x} and area {bubble.area}; both must be above 0")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    plot: Any = figure.add_subplot()
    scale = _LARGEST_AREA / max(bubble.area for bubble in bubbles)
    _draw_axes(plot, bubbles, axes)
    for number, bubble in sorted(enumerate(bubbles), key=lambda pair: -pair[1].area):  # the small before the large
        colour = _COLOURS[number % len(_COLOURS)]
        size = max(_LEAST_AREA, bubble.area * scale)
        plot.scatter(bubble.x, bubble.y, s=size, color=colour, alpha=0.6, edgecolor=_INK, linewidth=0.8, zorder=3)
        if bubble.y_range:
            plot.vlines(bubble.x, *bubble.y_range, color=colour, linewidth=1, zorder=2)
    _draw_sizes(plot, bubbles, axes, scale)
    canvas.draw()  # type: ignore[no-untyped-call]  # now everything has its place
    figure.set_layout_engine("none")
    _write_names(figure, plot, canvas, bubbles, scale)
    figure.savefig(path, format=suffix[1:].lower())


def _draw_axes(plot: Any, bubbles: Sequence[Bubble], axes: Axes) -> None:  # noqa: ANN401 - matplotlib's
    """Set limits with room for bubbles and names, ticks that can be read, and labels."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    xs = [bubble.x for bubble in bubbles]
    lows = [bubble.y_range[0] if bubble.y_range else bubble.y for bubble in bubbles]
    highs = [bubble.y_range[1] if bubble.y_range else bubble.y for bubble in bubbles]
    if max(xs) / min(xs) >= _LOG_FROM:
        plot.set_xscale("log")
        plot.set_xlim(min(xs) / 2, max(xs) * 2.5)
        plot.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(xs) < 1000 * min(xs) else (1,), numticks=20))
        plot.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.25 * (max(xs) - min(xs)) or 0.5 * max(xs)
        plot.set_xlim(max(0, min(xs) - room), max(xs) + 1.4 * room)
        plot.xaxis.set_major_locator(MaxNLocator(7))
    plot.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    room = 0.22 * (max(highs) - min(lows)) or 0.1 * abs(max(highs)) or 1
    plot.set_ylim(min(lows) - room, max(highs) + room)
    least = 0 if min(lows) >= 0 else -math.inf  # no ticks where no number can be
    greatest = math.inf if axes.greatest_y is None else axes.greatest_y
    bottom, top = plot.get_ylim()
    plot.set_yticks([t for t in plot.get_yticks() if max(bottom, least) <= t <= min(top, greatest)])
    plot.set_xlabel(axes.x)
    plot.set_ylabel(axes.y)
    plot.set_title(axes.title, fontsize=11, color=_INK)
    plot.grid(color="#e6e6e6", linewidth=0.8, zorder=0)
    plot.set_axisbelow(True)
    plot.spines[["top", "right"]].set_visible(False)


def _draw_sizes(plot: Any, bubbles: Sequence[Bubble], axes: Axes, scale: float) -> None:  # noqa: ANN401
    """Say what the areas mean: three grey bubbles under the picture."""
    largest = _round_down(max(bubble.area for bubble in bubbles))
    for area in (largest, largest / 5, largest / 25):
        size = max(_LEAST_AREA, area * scale)
        plot.scatter([], [], s=size, color="#dddddd", edgecolor=_FAINT, linewidth=0.8, label=f"{area:.3g}")
    plot.figure.legend(
        title=axes.area, loc="outside lower center", ncols=3, frameon=False, fontsize=9, title_fontsize=9,
        handletextpad=2.2, columnspacing=4, borderpad=2.4, labelspacing=2.2,
    )  # fmt: skip


def _round_down(number: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50 ... that is not above a number."""
    magnitude = 10.0 ** len(str(int(number))) if number >= 1 else 1.0
    while magnitude > number:
        magnitude /= 10
    return next(step * magnitude for step in (5, 2, 1) if step * magnitude <= number)


def _write_names(
    figure: Any,  # noqa: ANN401
    plot: Any,  # noqa: ANN401
    canvas: Any,  # noqa: ANN401
    bubbles: Sequence[Bubble],
    scale: float,
) -> None:
    """Write each name at the nearest free place, with a line to its bubble where that is not beside it."""
    pixels = figure.dpi / 72  # of a point
    frame = plot.get_window_extent()
    centres = plot.transData.transform([(bubble.x, bubble.y) for bubble in bubbles])
    radii = [(max(_LEAST_AREA, bubble.area * scale) / 3.14159) ** 0.5 * pixels for bubble in bubbles]
    taken = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(centres, radii, strict=True)]
    for bubble in bubbles:
        if bubble.y_range:
            (x, low), (_, high) = plot.transData.transform([(bubble.x, end) for end in bubble.y_range])
            taken.append((x - pixels, low, x + pixels, high))
    for bubble, (x, y), radius in zip(bubbles, centres, radii, strict=True):
        text = figure.text(0, 0, bubble.name, fontsize=9, color=_INK, zorder=5)
        extent = text.get_window_extent(canvas.get_renderer())
        size = (extent.width + 2 * pixels, extent.height + 2 * pixels)
        places = list(_places((x, y), radius, size, pixels))
        inside = [p for p in places if _is_inside(p[0], (frame.x0, frame.y0, frame.x1, frame.y1))] or places
        box, is_beside = min(inside, key=lambda place: sum(_overlap(place[0], other) for other in taken))
        taken.append(box)
        text.set_position(figure.transFigure.inverted().transform((box[0] + pixels, box[1] + pixels + 2)))
        if not is_beside:
            _draw_line(figure, (x, y), box)


def _places(
    centre: tuple[float, float], radius: float, size: tuple[float, float], pixels: float
) -> Iterator[tuple[Box, bool]]:
    """Yield where a name of so many pixels could be, the best first, and whether that is beside the bubble."""
    for distance in _DISTANCES:
        for across, up in _DIRECTIONS:
            slant = 0.7071 if across and up else 1.0
            reach = radius * slant + distance * pixels
            x = centre[0] + across * (reach + size[0] / 2)
            y = centre[1] + up * (reach + size[1] / 2)
            box = (x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2)
            yield box, distance == _DISTANCES[0]


def _draw_line(figure: Any, centre: tuple[float, float], box: Box) -> None:  # noqa: ANN401
    """Draw a thin line from a bubble's centre to the nearest point of its name."""
    from matplotlib.lines import Line2D

    end = (min(max(centre[0], box[0]), box[2]), min(max(centre[1], box[1]), box[3]))
    points = figure.transFigure.inverted().transform([centre, end])
    figure.add_artist(Line2D(points[:, 0], points[:, 1], color=_FAINT, linewidth=0.7, zorder=4))


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _is_inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]
