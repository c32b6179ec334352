"""Photos: where they come from, how they are decoded, and how they become what a network takes."""

from fieldguide.data.files import open_photos
from fieldguide.data.image_set import ImageSet, Photo, SkippedPhoto
from fieldguide.data.preprocess import Preprocess
from fieldguide.data.sources import open_images

__all__ = ["ImageSet", "Photo", "Preprocess", "SkippedPhoto", "open_images", "open_photos"]
