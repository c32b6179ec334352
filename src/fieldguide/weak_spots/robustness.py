"""Accuracy on photos that are blurred, noisy, badly compressed, too dark, too bright or turned."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.data.decode import from_pixels
from fieldguide.embed.embedder import in_threads
from fieldguide.evaluate import wilson_interval
from fieldguide.guide import Guide
from fieldguide.progress import Progress, counted, silent
from fieldguide.weak_spots.corruptions import CORRUPTIONS, STRENGTHS

_AHEAD = 16  # photos, in thirty forms each
_ROWS = 1024


@dataclass(frozen=True)
class SpoiltTrial:
    """How photos are answered that were spoilt in one way.

    Args:
        corruption: of :data:`CORRUPTIONS`.
        strength: from 1 to 5.
        top1: share answered rightly.
        top1_interval: Wilson 95 % interval of it.
    """

    corruption: str
    strength: int
    top1: float
    top1_interval: tuple[float, float]


def robustness(
    guide: Guide,
    images: ImageSet,
    photos: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    on_progress: Progress = silent,
) -> list[SpoiltTrial]:
    """Spoil photos in every way and strength, as the network would see them, and judge the answers.

    Args:
        guide: that answers.
        images: the set.
        photos: (N,) which of its photos to take; they can be used.
        labels: (N,) their classes, by the guide's numbers.
        on_progress: called as pictures are done.
    """
    kinds = [(name, strength) for name in CORRUPTIONS for strength in range(STRENGTHS)]
    right = np.zeros(len(kinds), np.int64)
    preprocess = guide.backbone.preprocess

    def spoil(number: int) -> list[npt.NDArray[np.uint8]]:
        picture = from_pixels(preprocess(images.read(int(photos[number]))))
        spoilt = [np.asarray(CORRUPTIONS[name](picture, strength)) for name, strength in kinds]
        return [pixels if pixels.ndim == 3 else pixels[:, :, None] for pixels in spoilt]

    each = counted(in_threads(spoil, range(len(photos)), ahead=_AHEAD), len(photos), "spoilt", on_progress)
    for start, answers in _answers(guide, chain.from_iterable(each)):
        numbers = np.arange(start, start + len(answers))
        is_right = answers == labels[numbers // len(kinds)]
        np.add.at(right, numbers % len(kinds), is_right)
    return [
        SpoiltTrial(name, strength + 1, correct / len(photos), wilson_interval(correct, len(photos)))
        for (name, strength), correct in zip(kinds, right.tolist(), strict=True)
    ]


def _answers(
    guide: Guide, pictures: Iterator[npt.NDArray[np.uint8]]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield the number of the first of some pictures, and the classes that these are taken for."""
    start, features = 0, []
    for feature in guide.embedder.engine.embed(pictures):
        features.append(feature)
        if len(features) == _ROWS:
            yield start, guide.head.logits(np.stack(features)).argmax(axis=1)
            start, features = start + len(features), []
    if features:
        yield start, guide.head.logits(np.stack(features)).argmax(axis=1)
