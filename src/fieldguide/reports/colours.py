"""Colours that tell classes apart, on light paper and on dark."""

_FIRST = (
    "#3b7dd8",
    "#e07b39",
    "#2f9e6e",
    "#c94f7c",
    "#8d6bd1",
    "#b8912a",
    "#3aa6b9",
    "#d0504b",
    "#7a9a3a",
    "#8a7263",
)
_TURN_DEGREES = 137.508  # the golden angle: each next hue lies far from those before it


def class_colours(count: int) -> list[str]:
    """Return a CSS colour for each of ``count`` classes."""
    more = [f"hsl({number * _TURN_DEGREES % 360:.0f} 55% 52%)" for number in range(len(_FIRST), count)]
    return [*_FIRST[:count], *more]
