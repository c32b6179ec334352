"""The smallest engine there is, for tests of what surrounds engines: a picture's feature is its mean colour.

Run as a program it embeds COUNT pictures in a process of its own: ``python mean_colour.py COUNT [SECONDS_EACH]``.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fieldguide.data.image_set import NO_LABEL, UNSPLIT, ImageSet
from fieldguide.data.preprocess import Preprocess
from fieldguide.embed import Embedder
from fieldguide.embed.engines import ENGINES, register_engine
from fieldguide.weights import Backbone
from fieldguide.weights.tensors import Weights

NAME = "mean-colour"


class MeanColour:
    """Yields each picture's mean colour; waits a while over each, if told to."""

    description = "mean colour"

    def __init__(self, seconds_each: float = 0.0) -> None:
        self._seconds_each = seconds_each

    def embed(self, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for picture in pictures:
            time.sleep(self._seconds_each)
            yield picture.mean(axis=(0, 1), dtype=np.float32)


def register(seconds_each: float = 0.0) -> None:
    ENGINES.names()  # every engine of fieldguide's first
    register_engine(NAME, order=99, available=lambda: True)(lambda backbone, folder: MeanColour(seconds_each))


def make_backbone(size_px: int = 8, fingerprint: str = "none") -> Backbone:
    preprocess = Preprocess(size_px=size_px, fit="squash", interpolation="nearest")
    return Backbone(NAME, Weights(dict, fingerprint), preprocess)


def make_embedder(**arguments: Any) -> Embedder:
    return Embedder(make_backbone(), engine=NAME, **arguments)


def picture(index: int) -> np.ndarray:
    """A plain 8 x 8 picture; no two below 16 million are alike."""
    colour = np.array([index >> 16, index >> 8 & 255, index & 255], np.uint8)
    return np.broadcast_to(colour, (8, 8, 3))


def colours(count: int) -> np.ndarray:
    """The features of the first ``count`` pictures."""
    return np.array([picture(i)[0, 0] for i in range(count)], np.float16).reshape(count, 3)


def make_set(count: int, read: Callable[[int], Any] = picture) -> ImageSet:
    labels, parts = np.full(count, NO_LABEL), np.full(count, UNSPLIT, "<U5")
    return ImageSet("pictures", (), [f"picture {i}" for i in range(count)], labels, parts, read)


def main(count: str, seconds_each: str = "0") -> None:
    register(float(seconds_each))
    embedder = make_embedder()
    embedding = embedder.embed(make_set(int(count)))
    np.testing.assert_array_equal(embedding.features, colours(int(count)))
    print(embedder.cache.fault)


if __name__ == "__main__":
    main(*sys.argv[1:])
