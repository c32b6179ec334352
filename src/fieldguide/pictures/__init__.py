"""Pictures of plain numbers. It knows no models, and imports matplotlib when it draws."""

from fieldguide.pictures.bubbles import Axes, Bubble, check_picture_name, draw_bubbles
from fieldguide.pictures.curves import draw_curves, draw_range_test

__all__ = ["Axes", "Bubble", "check_picture_name", "draw_bubbles", "draw_curves", "draw_range_test"]
