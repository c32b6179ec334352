"""Pictures of plain numbers. It knows no models, and imports matplotlib when it draws."""

from fieldguide.report.bubbles import Axes, Bubble, check_picture_name, draw_bubbles
from fieldguide.report.curves import draw_curves, draw_range_test

__all__ = ["Axes", "Bubble", "check_picture_name", "draw_bubbles", "draw_curves", "draw_range_test"]
