"""A head by multinomial logistic regression, its strength chosen by cross-validation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.head.class_weights import class_weights
from fieldguide.head.cross_validation import Choice, choose_strength
from fieldguide.head.linear import LinearHead
from fieldguide.head.problem import Labels, Problem, blas_threads
from fieldguide.progress import Progress, silent

_TOLERANCE = 1e-4  # of the gradient's largest entry, up to ten classes


@dataclass(frozen=True)
class FittedHead:
    """A head, and how its strength was chosen."""

    head: LinearHead
    choice: Choice


def fit_head(
    features: npt.NDArray[np.floating],
    labels: Labels,
    num_classes: int,
    *,
    balanced: bool = False,
    on_progress: Progress = silent,
) -> FittedHead:
    """Fit a head; its strength is the one with the least log loss in cross-validation over these photos.

    Args:
        features: (N, D), of any float type.
        labels: (N,) in [0, num_classes).
        num_classes: K, at least 2.
        balanced: weigh photos so that every class counts the same, however many photos it has.
        on_progress: called as strengths are tried and while the head is solved.

    Raises:
        ValueError: the shapes don't match, there are fewer than 2 classes, or a label is out of range.
    """
    count = len(features)
    if num_classes < 2 or labels.shape != (count,) or not count:
        raise ValueError(
            f"features {features.shape}, labels {labels.shape}, {num_classes} classes: no problem to fit"
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}; expected 0 to {num_classes - 1}")
    values = np.ascontiguousarray(features, dtype=np.float32)
    weights = class_weights(labels, num_classes)[labels] if balanced else np.ones(count, np.float32)
    choice = choose_strength(values, labels, num_classes, weights=weights, on_progress=on_progress)
    problem = Problem(values, labels, weights, num_classes)
    on_progress("head", 0, 1)
    with blas_threads(values.size * num_classes):
        solution = problem.solve(choice.strength, problem.start(), _TOLERANCE)
    on_progress("head", 1, 1)
    return FittedHead(problem.head(solution), choice)
