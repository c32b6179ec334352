"""Pictures with enough on them to be told from one another."""

import io

import numpy as np
from PIL import Image


def scene(seed: int, size: tuple[int, int] = (240, 180)) -> Image.Image:
    """Return a colourful picture of blots of several sizes, another one for each seed."""
    random = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(random.integers(0, 256, (cells, cells, 3), np.uint8)).resize(
                size, Image.Resampling.BICUBIC
            ),
            np.float32,
        )
        for cells in (3, 7, 15, 120)
    ]
    return Image.fromarray(np.clip(sum(layers) / len(layers), 0, 255).astype(np.uint8))


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
