"""Are the marks what the answer hangs on? Cover them, and see whether it falls more than with others covered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, SkippedPhoto
from fieldguide.data.image_set import NO_LABEL, UNSPLIT
from fieldguide.explain.class_activation import Marks
from fieldguide.guide import Guide

COVERED = 0.2  # share of the picture
_DRAWS = 4  # random places for each photo


@dataclass(frozen=True)
class DeletionTest:
    """How much probability of the class is lost on average.

    Args:
        marked: where the marks are covered.
        random: where a region of the same shape is covered, at a random place.
        num_photos: that were tried.
    """

    marked: float
    random: float
    num_photos: int


def deletion_test(guide: Guide, marks: Sequence[Marks], *, seed: int = 0) -> DeletionTest:
    """Cover the fifth of each picture that is marked most, and as much elsewhere, with the picture's mean colour.

    Args:
        guide: that the marks are of.
        marks: one or more, of a photo each.
        seed: of the random places.
    """
    chance = np.random.default_rng(seed)
    pictures: list[npt.NDArray[np.uint8]] = []
    for each in marks:
        covered = _hottest(each.heat)
        moves = chance.integers(0, len(each.heat), (_DRAWS, 2)).tolist()
        regions = [covered, *(np.roll(covered, move, axis=(0, 1)) for move in moves)]
        pictures += [each.picture, *(_cover(each.picture, region) for region in regions)]
    names = [each.class_name for each in marks for _ in range(_DRAWS + 2)]
    probs = _probabilities(guide, pictures, names).reshape(len(marks), _DRAWS + 2)
    lost = probs[:, :1] - probs[:, 1:]
    return DeletionTest(float(lost[:, 0].mean()), float(lost[:, 1:].mean()), len(marks))


def _hottest(heat: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return the fifth of the places (S, S) that is hottest; fewer, where fewer are hot at all."""
    count = round(COVERED * heat.size)
    hottest = np.zeros(heat.size, np.bool_)
    hottest[np.argpartition(-heat.ravel(), count)[:count]] = True
    return hottest.reshape(heat.shape) & (heat > 0)


def _cover(picture: npt.NDArray[np.uint8], region: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    covered = picture.copy()
    covered[region] = picture.mean(axis=(0, 1)).round().astype(np.uint8)
    return covered


def _probabilities(
    guide: Guide, pictures: Sequence[npt.NDArray[np.uint8]], class_names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return the probability (N,) of a class for each picture."""
    count = len(pictures)
    labels, parts = np.full(count, NO_LABEL), np.full(count, UNSPLIT, "<U5")
    images = ImageSet("pictures", (), [str(n) for n in range(count)], labels, parts, pictures.__getitem__)
    numbers = [guide.class_names.index(name) for name in class_names]
    answers = zip(guide.predict_many(images), numbers, strict=True)
    return np.array([0.0 if isinstance(a, SkippedPhoto) else float(a.probs[k]) for a, k in answers])
