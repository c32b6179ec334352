"""What made a guide say so: the marks in a photo, and the known photos most like it."""

from fieldguide.explain.class_activation import Explainer, Marks

__all__ = ["Explainer", "Marks"]
