"""Whether there are photos enough: of each class, to learn from, and to judge by."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fieldguide.doctor.finding import Case, Finding, found
from fieldguide.evaluate import wilson_interval
from fieldguide.head.learning_curve import LearningCurve

UNEVEN = 3.0  # times as many photos of one class as of another
_FEW = 20  # photos of a class
_WIDE = 0.10  # of the accuracy's 95 % interval
_WORTH = 0.01  # of accuracy, that twice as many photos bring


def find_uneven(labels: npt.NDArray[np.int64], class_names: Sequence[str]) -> Iterator[Finding]:
    """Find classes that have many times fewer photos than the largest.

    Args:
        labels: (N,) of the photos that have one.
        class_names: (K,).
    """
    counts = np.bincount(labels, minlength=len(class_names))
    most = int(counts.argmax())
    rare = np.flatnonzero(counts * UNEVEN <= counts[most])
    cases = [
        Case((), f"{class_names[k]} has {counts[k]}, {class_names[most]} has {counts[most]}", float(-counts[k]))
        for k in rare.tolist()
    ]
    what = "1 class has" if len(cases) == 1 else f"{len(cases)} classes have"
    yield from found("uneven classes", cases, f"{what} a third of the largest one's photos, or fewer")


def find_too_few(
    labels: npt.NDArray[np.int64],
    class_names: Sequence[str],
    curve: LearningCurve | None,
    num_held_out: int,
) -> Iterator[Finding]:
    """Find that there are too few photos for a good guide, or for a verdict on it.

    Args:
        labels: (N,) of the photos to learn from.
        class_names: (K,).
        curve: of accuracy by their number; None where there are too few for one.
        num_held_out: photos to judge by.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    cases = [
        Case((), f"{class_names[k]} has {counts[k]} to learn from; {_FEW} are a beginning", 3.0)
        for k in np.flatnonzero(counts < _FEW).tolist()
    ]
    if curve is not None:
        total = len(labels)
        now, twice, four = (curve.expected(times * total) for times in (1, 2, 4))
        if twice - now >= _WORTH:
            evidence = (
                f"{_points(curve)}; {2 * total} photos would bring about {twice:.1%}, {4 * total} about {four:.1%}"
            )
            cases.append(Case((), evidence, 2.0))
    if num_held_out:
        share = curve.top1[-1] if curve else 0.5
        low, high = wilson_interval(round(share * num_held_out), num_held_out)
        if high - low > _WIDE:
            enough = _enough_to_judge(share)
            evidence = (
                f"{num_held_out} held out tell the accuracy within {(high - low) / 2:.1%} either way; "
                f"{enough} would within {_WIDE / 2:.0%}"
            )
            cases.append(Case((), evidence, 1.0))
    yield from found("few photos", cases, "too few photos to learn from, or to judge by")


def _enough_to_judge(share: float) -> int:
    """Return how many photos tell an accuracy within the interval that is wanted, in tens."""
    count = 10
    while (interval := wilson_interval(round(share * count), count))[1] - interval[0] > _WIDE:
        count += 10
    return count


def _points(curve: LearningCurve) -> str:
    return ", ".join(f"{share:.1%} by {count}" for count, share in zip(curve.num_photos, curve.top1, strict=True))
