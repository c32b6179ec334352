"""Accuracy on photos of one kind: small or large, dark or bright, wide or square, and of each class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fieldguide.doctor.look import Look
from fieldguide.evaluate import Answers, wilson_interval

_PARTS = 3  # that photos are divided into by each measure, of as many photos each


@dataclass(frozen=True)
class Slice:
    """Photos of one kind.

    Args:
        measure: by which they were chosen.
        part: which of them these are.
        num_photos: how many.
        top1: share of them that is answered rightly.
        top1_interval: Wilson 95 % interval of it.
        is_weak: whether that lies below what the other photos have, by more than chance.
    """

    measure: str
    part: str
    num_photos: int
    top1: float
    top1_interval: tuple[float, float]
    is_weak: bool


def slices(answers: Answers, looks: Sequence[Look]) -> list[Slice]:
    """Judge answers by kinds of photos.

    Args:
        answers: to N photos.
        looks: at these photos, in the same order.
    """
    right = answers.probs.argmax(axis=1) == answers.labels
    found = [
        _slice("class", name, right, answers.labels == k)
        for k, name in enumerate(answers.class_names)
        if (answers.labels == k).any()
    ]
    for measure, values in _measures(looks).items():
        found += _in_thirds(measure, values, right)
    return found


def _measures(looks: Sequence[Look]) -> dict[str, npt.NDArray[np.float64]]:
    sides = np.array([(look.header.width, look.header.height) if look.header else (1, 1) for look in looks], float)
    return {
        "shorter side, px": sides.min(axis=1),
        "longer side by shorter": sides.max(axis=1) / sides.min(axis=1),
        "brightness": np.array([look.brightness for look in looks]),
        "contrast": np.array([look.contrast for look in looks]),
        "sharpness": np.array([look.sharpness for look in looks]),
    }


def _in_thirds(measure: str, values: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Iterator[Slice]:
    """Yield the slices of a measure; none where nearly all photos have the same."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _PARTS + 1)))
    if len(edges) < 3:
        return
    for number, (low, high) in enumerate(pairwise(edges.tolist())):
        is_last = number == len(edges) - 2
        inside = (values >= low) & ((values <= high) if is_last else (values < high))
        if inside.any():
            yield _slice(measure, f"{low:.3g} to {high:.3g}", right, inside)


def _slice(measure: str, part: str, right: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_]) -> Slice:
    count, correct = int(inside.sum()), int(right[inside].sum())
    interval = wilson_interval(correct, count)
    others = right[~inside]
    is_weak = len(others) > 0 and interval[1] < wilson_interval(int(others.sum()), len(others))[0]
    return Slice(measure, part, count, correct / count, interval, is_weak)
