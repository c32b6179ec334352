"""What a head says of each photo that learnt from the others: answers as honest as those to photos held out."""

import numpy as np
import numpy.typing as npt

from fieldguide.head.cross_validation import choose_strength
from fieldguide.head.problem import Problem, blas_threads
from fieldguide.progress import Progress, silent

_FOLDS = 4
_TOLERANCE = 1e-3  # of the gradient's largest entry


def out_of_fold_probs(
    features: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    *,
    groups: npt.NDArray[np.int64] | None = None,
    on_progress: Progress = silent,
) -> npt.NDArray[np.float32]:
    """Features (N, D) -> probabilities (N, K), each photo's by a head that has seen neither it nor its copies.

    A class whose photos all lie in one group is answered for by heads that don't know it.

    Args:
        features: of any float type.
        labels: (N,) in [0, num_classes).
        num_classes: K, at least 2.
        groups: (N,) photos of one number, copies of each other, are never learnt from and asked about at once; by
            default each photo is its own group.
        on_progress: called as heads are solved.
    """
    values = np.ascontiguousarray(features, np.float32)
    fold_of = _deal(labels, np.arange(len(labels)) if groups is None else groups)
    probs = np.empty((len(labels), num_classes), np.float32)
    weights = np.ones(len(labels), np.float32)
    strength = choose_strength(values, labels, num_classes).strength
    with blas_threads(values.size * num_classes):
        for fold in range(_FOLDS):
            inside, outside = fold_of != fold, fold_of == fold
            problem = Problem(values[inside], labels[inside], weights[inside], num_classes)
            # The best penalty beside the mean loss shrinks as photos are added.
            own_strength = strength * len(labels) / np.count_nonzero(inside)
            solution = problem.solve(own_strength, problem.start(), _TOLERANCE)
            probs[outside] = problem.head(solution).probs(values[outside])
            on_progress("folds", fold + 1, _FOLDS)
    return probs


def _deal(labels: npt.NDArray[np.int64], groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the fold (N,) of each photo: the groups of each class go to the folds in turn."""
    _, first, group_of = np.unique(groups, return_index=True, return_inverse=True)
    fold_of_group = np.empty(len(first), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels[first] == label)
        fold_of_group[members] = (np.arange(len(members)) + label) % _FOLDS
    return fold_of_group[group_of.reshape(-1)]
