"""How strong a head's penalty is to be: tried on photos that the head has not learnt from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.head.problem import Floats, Labels, Problem, blas_threads
from fieldguide.progress import Progress, silent

STRENGTHS = tuple(10.0**exponent for exponent in np.arange(1, -5.5, -0.5))
"""L2 strengths tried on the folds, from strong to weak: the penalty's factor beside the mean log loss."""

NUM_FOLDS = 3
_UNTRIED = 0.1  # the strength where no class has two photos to try one with
_CV_PHOTOS = 5000  # more photos move the best strength little; for many classes ten a class
_ENOUGH_HELD_OUT = 3000  # photos in one fold that make the other folds needless
_TOLERANCE = 1e-3  # of the gradient's largest entry, up to ten classes


@dataclass(frozen=True)
class Trial:
    """One strength and how it did on the folds held out.

    Args:
        strength: of the L2 penalty, beside the mean log loss over all photos.
        log_loss: mean over the photos of the folds held out, natural logarithm.
        top1: share of them answered rightly.
    """

    strength: float
    log_loss: float
    top1: float


@dataclass(frozen=True)
class Choice:
    """The strengths that were tried, and what the best one's heads said of the photos held out.

    Args:
        trials: in their order; none where no class has two photos to try one with.
        rows: (M,) the photos that were asked about.
        probs: (M, K) by heads that have not learnt from them.
    """

    trials: tuple[Trial, ...]
    rows: Labels
    probs: Floats

    @property
    def strength(self) -> float:
        """The one with the least log loss."""
        return min(self.trials, key=lambda trial: trial.log_loss).strength if self.trials else _UNTRIED


def choose_strength(
    features: Floats,
    labels: Labels,
    num_classes: int,
    *,
    weights: Floats | None = None,
    on_progress: Progress = silent,
) -> Choice:
    """Try strengths on folds.

    Args:
        features: (N, D).
        labels: (N,) in [0, num_classes).
        num_classes: K.
        weights: (N,) of the photos; by default all count the same.
        on_progress: called as strengths are tried.
    """
    weights = np.ones(len(labels), np.float32) if weights is None else weights
    with blas_threads(min(len(labels), _num_cv_photos(num_classes)) * features.shape[1] * num_classes):
        folds = _make_folds(features, labels, weights, num_classes)
        if folds:
            return _walk(folds, len(labels), on_progress)
    return Choice((), np.zeros(0, np.int64), np.zeros((0, num_classes), np.float32))


@dataclass(frozen=True)
class _Fold:
    """Photos to fit, and the photos held out that the fit is tried on, with their rows among all."""

    problem: Problem
    rows: Labels
    features: Floats
    labels: Labels
    weights: Floats

    def answer(self, solution: npt.NDArray[np.float64]) -> Floats:
        """Return the probabilities (M, K) of the photos held out."""
        return self.problem.head(solution).probs(self.features)

    def judge(self, probs: Floats) -> npt.NDArray[np.float64]:
        """Return, of the photos held out: weighted sum of log losses, sum of weights, right answers, photos."""
        of_truth = np.maximum(probs[np.arange(len(self.labels)), self.labels], np.finfo(np.float32).tiny)
        loss = -(self.weights * np.log(of_truth)).sum()
        num_correct = np.count_nonzero(probs.argmax(axis=1) == self.labels)
        return np.array([loss, self.weights.sum(), num_correct, len(self.labels)], np.float64)


def _walk(folds: Sequence[_Fold], num_photos: int, on_progress: Progress) -> Choice:
    """Walk from strong to weak, each start the last solution; stop when it has got worse twice."""
    # The best penalty beside the sum of losses hardly depends on the number of photos, so beside their mean it
    # shrinks as photos are added: what is best for a fold is weakened to be best for all.
    fold_fraction = sum(fold.problem.num_photos for fold in folds) / len(folds) / num_photos
    solutions = [fold.problem.start() for fold in folds]
    trials: list[Trial] = []
    best: list[Floats] = []
    for number, strength in enumerate(STRENGTHS, start=1):
        solutions = [
            fold.problem.solve(strength, solution, _TOLERANCE)
            for fold, solution in zip(folds, solutions, strict=True)
        ]
        answers = [fold.answer(solution) for fold, solution in zip(folds, solutions, strict=True)]
        judged = [fold.judge(probs) for fold, probs in zip(folds, answers, strict=True)]
        loss, total_weight, num_correct, count = np.sum(judged, axis=0).tolist()
        trials.append(Trial(strength * fold_fraction, loss / total_weight, num_correct / count))
        best = answers if all(trials[-1].log_loss < trial.log_loss for trial in trials[:-1]) else best
        on_progress("strength", number, len(STRENGTHS))
        if len(trials) > 2 and trials[-3].log_loss < trials[-2].log_loss < trials[-1].log_loss:
            break
    on_progress("strength", len(STRENGTHS), len(STRENGTHS))
    return Choice(tuple(trials), np.concatenate([fold.rows for fold in folds]), np.concatenate(best))


def _make_folds(features: Floats, labels: Labels, weights: Floats, num_classes: int) -> list[_Fold]:
    """Split at most :func:`_num_cv_photos` photos into folds; none where no class has two photos."""
    chosen = spread(labels, _num_cv_photos(num_classes))
    fold_of = _assign_folds(labels[chosen])
    folds: list[_Fold] = []
    for number in range(NUM_FOLDS):
        inside, outside = chosen[fold_of != number], chosen[fold_of == number]
        if len(outside):
            problem = Problem(features[inside], labels[inside], weights[inside], num_classes)
            folds.append(_Fold(problem, outside, features[outside], labels[outside], weights[outside]))
        if len(outside) >= _ENOUGH_HELD_OUT:
            break
    return folds


def _num_cv_photos(num_classes: int) -> int:
    return max(_CV_PHOTOS, 10 * num_classes)


def spread(labels: Labels, at_most: int) -> npt.NDArray[np.int64]:
    """Return indices (M,) of about ``at_most`` photos, evenly spaced within each class, two a class at least."""
    if len(labels) <= at_most:
        return np.arange(len(labels))
    share = at_most / len(labels)
    picked = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        wanted = min(len(members), max(2, round(share * len(members))))
        picked.append(members[np.linspace(0, len(members) - 1, wanted).round().astype(np.int64)])
    return np.sort(np.concatenate(picked))


def _assign_folds(labels: Labels) -> npt.NDArray[np.int64]:
    """Deal each class's photos to the folds in turn; a class with one photo is in training always (-1)."""
    fold_of = np.full(len(labels), -1, np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) > 1:
            fold_of[members] = (np.arange(len(members)) + label) % NUM_FOLDS
    return fold_of
