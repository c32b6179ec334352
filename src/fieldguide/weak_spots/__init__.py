"""Where a guide is weak: on photos of some kind, or on photos that are spoilt."""

from fieldguide.weak_spots.judged import judged_photos
from fieldguide.weak_spots.robustness import SpoiltTrial, robustness
from fieldguide.weak_spots.slices import Slice, slices

__all__ = ["Slice", "SpoiltTrial", "judged_photos", "robustness", "slices"]
