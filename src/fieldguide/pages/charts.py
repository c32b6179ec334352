"""Line charts of plain numbers, laid out for a page to draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 12, 36
_TICKS = 5
_LEAST_SPAN = 0.05  # of shares


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        name: for the legend.
        points: (x, y) from left to right, one or more.
        colour: a CSS colour.
        is_dashed: of what was not measured.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    is_dashed: bool = False


def line_chart(
    lines: Sequence[Line], *, title: str, x_label: str, is_log: bool = False, is_share: bool = False
) -> dict[str, Any]:
    """Return a chart as the template takes it: places in pixels, and ticks with their texts.

    Args:
        lines: one or more.
        title: of what y is.
        x_label: of what x is.
        is_log: whether x grows by factors; its ticks are where points are.
        is_share: whether y is a share, to be written in per cent.
    """
    xs = sorted({x for line in lines for x, _ in line.points})
    ys = [y for line in lines for _, y in line.points]
    x_ticks = xs if is_log else [x for x in nice_ticks(xs[0], xs[-1]) if xs[0] <= x <= xs[-1]]
    low, high = min(ys), max(ys)
    if is_share:  # or a single photo's answer would look like a leap
        low = min(low, 1 - _LEAST_SPAN)
        high = max(high, low + _LEAST_SPAN)
    y_ticks = nice_ticks(low, high)

    def across(x: float) -> float:
        low, high, value = (math.log(v) for v in (xs[0], xs[-1], x)) if is_log else (xs[0], xs[-1], x)
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * (0.5 if high == low else (value - low) / (high - low)), 1)

    def up(y: float) -> float:
        low, high = y_ticks[0], y_ticks[-1]
        return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (y - low) / (high - low), 1)

    return {
        "title": title,
        "x_label": x_label,
        "lines": [
            {
                "name": line.name,
                "colour": line.colour,
                "is_dashed": line.is_dashed,
                "points": [(across(x), up(y)) for x, y in line.points],
            }
            for line in lines
        ],
        "x_ticks": [{"at": across(x), "text": f"{x:g}"} for x in x_ticks],
        "y_ticks": [{"at": up(y), "text": f"{100 * y:.4g} %" if is_share else f"{y:.4g}"} for y in y_ticks],
        "frame": {
            "left": _LEFT,
            "right": WIDTH - _RIGHT,
            "bottom": HEIGHT - _BOTTOM,
            "width": WIDTH,
            "height": HEIGHT,
        },
    }


def nice_ticks(low: float, high: float) -> list[float]:
    """Return round numbers at equal distances, from ``low`` or below it to ``high`` or above it; two at least."""
    span = max(high - low, abs(high) * 1e-3, 1e-6)
    magnitude = 10 ** math.floor(math.log10(span / _TICKS))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * _TICKS >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]
