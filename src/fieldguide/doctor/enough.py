"""Whether there are photos enough: of each class, to learn from, and to judge by."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fieldguide.doctor.finding import Case, Finding, found, percent
from fieldguide.evaluate import wilson_interval
from fieldguide.head.learning_curve import LearningCurve

UNEVEN = 3.0  # times as many photos of one class as of another
_FEW = 20  # photos of a class
_WIDE = 0.10  # of the accuracy's 95 % interval
_WORTH = 0.01  # of accuracy, that twice as many photos bring: more would help
_TOO_FEW = 0.05  # of it: there are too few


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
    few, reasons = _rare_classes(labels, class_names)
    total = len(labels)
    gain = curve.expected(2 * total) - curve.expected(total) if curve else 0.0
    if curve is not None and gain >= _WORTH:
        growth = [Case((), _growth(curve, total))]
        brings = f"with {2 * total} instead of {total}, about {_answers(gain)} in 100 would be right"
        if gain >= _TOO_FEW:
            few, reasons = few + growth, [*reasons, brings]
        else:
            yield from found("more photos", growth, f"more photos would help: {brings}")
    yield from found("few photos", few, f"too few photos to learn from: {'; '.join(reasons)}")
    if num_held_out:
        yield from _too_few_to_judge_by(num_held_out, curve.top1[-1] if curve else 0.5)


def _rare_classes(labels: npt.NDArray[np.int64], class_names: Sequence[str]) -> tuple[list[Case], list[str]]:
    """Return the classes with hardly a photo, the rarest first, and how many there are in words."""
    counts = np.bincount(labels, minlength=len(class_names))
    cases = [
        Case(
            (), f"{class_names[k]} has {counts[k]} to learn from; {_FEW} are a beginning", float(_FEW - counts[k])
        )
        for k in np.flatnonzero(counts < _FEW).tolist()
    ]
    classes = "1 class has" if len(cases) == 1 else f"{len(cases)} classes have"
    return cases, [f"{classes} fewer than {_FEW}"] if cases else []


def _too_few_to_judge_by(num_held_out: int, share: float) -> Iterator[Finding]:
    """Find that the answers to photos held out say little of the answers to others."""
    low, high = wilson_interval(round(share * num_held_out), num_held_out)
    if high - low <= _WIDE:
        return
    evidence = (
        f"{num_held_out} held out tell the share of right answers within {percent((high - low) / 2)} either way; "
        f"{_enough_to_judge(share)} would within {percent(_WIDE / 2)}"
    )
    are = "1 is" if num_held_out == 1 else f"{num_held_out} are"
    yield from found("few held out", [Case((), evidence)], f"too few photos to judge by: {are} held out")


def _enough_to_judge(share: float) -> int:
    """Return how many photos tell an accuracy within the interval that is wanted, in tens."""
    count = 10
    while (interval := wilson_interval(round(share * count), count))[1] - interval[0] > _WIDE:
        count += 10
    return count


def _growth(curve: LearningCurve, total: int) -> str:
    """Say how good heads are that learnt from so many photos, and how good one from more is likely to be."""
    (share, count), *others = zip(curve.top1, curve.num_photos, strict=True)
    measured = [
        f"{percent(share)} right with {count} photos",
        *(f"{percent(share)} with {count}" for share, count in others),
    ]
    expected = [f"about {percent(curve.expected(times * total))} with {times * total}" for times in (1, 2, 4)]
    return f"{', '.join(measured)}; to be expected by that: {', '.join(expected)}"


def _answers(gain: float) -> str:
    more = round(100 * gain)
    return f"{more} more {'answer' if more == 1 else 'answers'}"
