"""How accuracy grows with the number of photos, and what more of them are likely to bring."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.head.cross_validation import choose_strength, spread
from fieldguide.head.problem import Problem, blas_threads
from fieldguide.progress import Progress, silent

SHARES = (0.25, 0.5, 1.0)  # of the photos there are to learn from
_AT_MOST, _A_CLASS = 6000, 16  # photos in all and of each class: a curve of more says the same
_FOLDS = 4
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy by the number of photos that a head learnt from.

    Args:
        num_photos: learnt from, rising.
        top1: share of other photos answered rightly, at each.
        num_asked: how many these were.
    """

    num_photos: tuple[int, ...]
    top1: tuple[float, ...]
    num_asked: int

    def expected(self, num_photos: int) -> float:
        """Return the accuracy to expect of so many photos: errors fall as a power of their number.

        The power is fitted to the curve's points, and taken to be none where errors rise.
        """
        errors = np.maximum(1 - np.array(self.top1), 0.5 / self.num_asked)
        slope, level = np.polyfit(np.log(self.num_photos), np.log(errors), 1)
        last = math.log(errors[-1]) if slope >= 0 else slope * math.log(num_photos) + level
        return 1 - min(1.0, math.exp(last))


def learning_curve(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    *,
    on_progress: Progress = silent,
) -> LearningCurve:
    """Fit heads to a quarter, a half and all of the photos, and ask them about others.

    Args:
        features: (N, D).
        labels: (N,) in [0, num_classes).
        num_classes: K.
        on_progress: called as heads are solved.
    """
    chosen = spread(labels, max(_AT_MOST, _A_CLASS * num_classes))
    values, labels = np.ascontiguousarray(features[chosen], np.float32), labels[chosen]
    place = _place_in_class(labels)
    right = np.zeros(len(SHARES))
    learnt = np.zeros(len(SHARES))
    strength = choose_strength(values, labels, num_classes).strength
    with blas_threads(values.size * num_classes):
        for fold in range(_FOLDS):
            asked = place % _FOLDS == fold
            for number, share in enumerate(SHARES):
                inside = np.flatnonzero(~asked & (place // _FOLDS % round(1 / SHARES[0]) < share / SHARES[0]))
                problem = Problem(values[inside], labels[inside], np.ones(len(inside), np.float32), num_classes)
                # The best penalty beside the mean loss shrinks as photos are added.
                solution = problem.solve(strength * len(labels) / len(inside), problem.start(), _TOLERANCE)
                answers = problem.head(solution).probs(values[asked]).argmax(axis=1)
                right[number] += np.count_nonzero(answers == labels[asked])
                learnt[number] += len(inside) / _FOLDS
                on_progress("curve", fold * len(SHARES) + number + 1, _FOLDS * len(SHARES))
    return LearningCurve(tuple(int(n) for n in learnt.round()), tuple((right / len(labels)).tolist()), len(labels))


def _place_in_class(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (N,) how many photos of its class come before each."""
    place = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = np.arange(len(members))
    return place
