"""Handwritten digits, embedded: 1,797 pictures of 8x8 pixels that scikit-learn carries (UCI, 1998)."""

from pathlib import Path

import numpy as np

from fieldguide.data.image_set import UNSPLIT, ImageSet
from fieldguide.data.sources import register_named_source


@register_named_source("digits")
def open_digits(data_root: Path | None = None) -> ImageSet:
    """Open the digits: 8x8 grey, 10 classes, not split. ``data_root`` plays no part."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = (bunch.images * (255 / 16)).round().astype(np.uint8)  # the original counts 0 to 16
    labels = bunch.target.astype(np.int64)
    return ImageSet(
        name="digits",
        class_names=tuple(map(str, range(10))),
        photo_names=[f"{label}/{index:04d}.png" for index, label in enumerate(labels)],
        labels=labels,
        parts=np.full(len(labels), UNSPLIT, "<U5"),
        read=lambda index: pixels[index],
        pixels=pixels,
    )
