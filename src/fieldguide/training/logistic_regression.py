"""Multinomial logistic regression on standardised features, its strength chosen by cross-validation.

Solved by L-BFGS over all photos at once. The features are standardised inside the objective, so no second copy of
them is made, and rows go through in blocks: 100,000 photos of 1,000 classes stay within 3 GB.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.head import LinearHead
from fieldguide.progress import Progress, silent
from fieldguide.training.class_weights import class_weights

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

STRENGTHS = tuple(10.0**exponent for exponent in np.arange(1, -5.5, -0.5))
"""L2 strengths tried on the folds, from strong to weak: the penalty's factor beside the mean log loss."""

NUM_FOLDS = 3
_UNTRIED = 0.1  # the strength where no class has two photos to try one with
_ROWS = 8192
_MIN_STD = 1e-4  # of a feature; one that hardly varies is left as it is
_CV_PHOTOS = 5000  # more photos move the best strength little; for many classes ten a class
_ENOUGH_HELD_OUT = 3000  # photos in one fold that make the other folds needless
_FAST_TOLERANCE, _FULL_TOLERANCE = 1e-3, 1e-4  # of the gradient's largest entry, up to ten classes
_ONE_THREAD_BELOW = 1e9  # multiply-adds a pass over the photos


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
class FittedHead:
    """A head, and how its strength was chosen."""

    head: LinearHead
    strength: float
    trials: tuple[Trial, ...]


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
    with _blas_threads(min(count, _num_cv_photos(num_classes)) * values.shape[1] * num_classes):
        trials = _try_strengths(values, labels, weights, num_classes, on_progress)
    strength = min(trials, key=lambda t: t.log_loss).strength if trials else _UNTRIED
    problem = _Problem(values, labels, weights, num_classes)
    on_progress("head", 0, 1)
    with _blas_threads(values.size * num_classes):
        solution = problem.solve(strength, problem.start(), _FULL_TOLERANCE)
    on_progress("head", 1, 1)
    return FittedHead(problem.head(solution), strength, tuple(trials))


@dataclass(frozen=True)
class _Fold:
    """Photos to fit, and the photos held out that the fit is tried on."""

    problem: "_Problem"
    features: Floats
    labels: Labels
    weights: Floats

    def judge(self, solution: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return, of the photos held out: weighted sum of log losses, sum of weights, right answers, photos."""
        probs = self.problem.head(solution).probs(self.features)
        of_truth = np.maximum(probs[np.arange(len(self.labels)), self.labels], np.finfo(np.float32).tiny)
        loss = -(self.weights * np.log(of_truth)).sum()
        num_correct = np.count_nonzero(probs.argmax(axis=1) == self.labels)
        return np.array([loss, self.weights.sum(), num_correct, len(self.labels)], np.float64)


def _try_strengths(
    features: Floats, labels: Labels, weights: Floats, num_classes: int, on_progress: Progress
) -> list[Trial]:
    """Walk from strong to weak, each start the last solution; stop when it has got worse twice."""
    folds = _make_folds(features, labels, weights, num_classes)
    if not folds:
        return []
    # The best penalty beside the sum of losses hardly depends on the number of photos, so beside their mean it
    # shrinks as photos are added: what is best for a fold is weakened to be best for all.
    fold_fraction = sum(fold.problem.num_photos for fold in folds) / len(folds) / len(labels)
    solutions = [fold.problem.start() for fold in folds]
    trials: list[Trial] = []
    for number, strength in enumerate(STRENGTHS, start=1):
        solutions = [
            fold.problem.solve(strength, solution, _FAST_TOLERANCE)
            for fold, solution in zip(folds, solutions, strict=True)
        ]
        judged = [fold.judge(solution) for fold, solution in zip(folds, solutions, strict=True)]
        loss, total_weight, num_correct, count = np.sum(judged, axis=0).tolist()
        trials.append(Trial(strength * fold_fraction, loss / total_weight, num_correct / count))
        on_progress("strength", number, len(STRENGTHS))
        if len(trials) > 2 and trials[-3].log_loss < trials[-2].log_loss < trials[-1].log_loss:
            break
    on_progress("strength", len(STRENGTHS), len(STRENGTHS))
    return trials


def _make_folds(features: Floats, labels: Labels, weights: Floats, num_classes: int) -> list[_Fold]:
    """Split at most :func:`_num_cv_photos` photos into folds; none where no class has two photos."""
    chosen = _subset(labels, _num_cv_photos(num_classes))
    fold_of = _assign_folds(labels[chosen])
    folds: list[_Fold] = []
    for number in range(NUM_FOLDS):
        inside, outside = chosen[fold_of != number], chosen[fold_of == number]
        if len(outside):
            problem = _Problem(features[inside], labels[inside], weights[inside], num_classes)
            folds.append(_Fold(problem, features[outside], labels[outside], weights[outside]))
        if len(outside) >= _ENOUGH_HELD_OUT:
            break
    return folds


def _num_cv_photos(num_classes: int) -> int:
    return max(_CV_PHOTOS, 10 * num_classes)


def _subset(labels: Labels, at_most: int) -> npt.NDArray[np.int64]:
    """Return indices of about ``at_most`` photos, evenly spaced within each class, two a class at least."""
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


class _Problem:
    """One set of photos to fit: the mean log loss plus an L2 penalty, and its gradient.

    A solution is (D + 1, K) float64: weights of standardised features, then biases, which are not penalised.
    """

    def __init__(self, features: Floats, labels: Labels, weights: Floats, num_classes: int) -> None:
        self._features = features
        self._labels = labels
        self._weights = weights / weights.sum(dtype=np.float64).astype(np.float32)
        self._shape = (features.shape[1] + 1, num_classes)
        self._mean, self._std = _moments(features)

    @property
    def num_photos(self) -> int:
        """How many photos there are to fit."""
        return len(self._labels)

    def start(self) -> npt.NDArray[np.float64]:
        """Return the solution to begin with: nothing known."""
        return np.zeros(self._shape)

    def solve(self, strength: float, start: npt.NDArray[np.float64], tolerance: float) -> npt.NDArray[np.float64]:
        """Minimise from ``start`` until no entry of the gradient exceeds ``tolerance``.

        Its entries are means over all photos, of which one class has but a K-th: the more classes, the smaller.
        """
        from scipy.optimize import minimize

        tolerance *= min(1, 10 / self._shape[1])
        result = minimize(
            self._loss_and_gradient,
            start.ravel(),
            args=(strength,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 300, "gtol": tolerance, "ftol": 1e-9},
        )
        solution: npt.NDArray[np.float64] = result.x.reshape(self._shape)
        return solution

    def head(self, solution: npt.NDArray[np.float64]) -> LinearHead:
        """Fold the standardisation into the weights: the head takes features as they are."""
        weight = solution[:-1] / self._std[:, None]
        bias = solution[-1] - self._mean @ weight
        return LinearHead(np.ascontiguousarray(weight.T, np.float32), bias.astype(np.float32))

    def _loss_and_gradient(
        self, flat: npt.NDArray[np.float64], strength: float
    ) -> tuple[float, npt.NDArray[np.float64]]:
        solution = flat.reshape(self._shape)
        head = self.head(solution)
        loss = 0.0
        gradient = np.zeros(self._shape)  # of the loss by the raw features' weights, and by the biases
        for start in range(0, len(self._features), _ROWS):
            rows = slice(start, start + _ROWS)
            features, weights = self._features[rows], self._weights[rows]
            residuals, block_loss = _residuals(head, features, self._labels[rows], weights)
            loss += block_loss
            gradient[:-1] += features.T @ residuals
            gradient[-1] += residuals.sum(axis=0, dtype=np.float64)
        gradient[:-1] = (gradient[:-1] - self._mean[:, None] * gradient[-1]) / self._std[:, None]
        gradient[:-1] += strength * solution[:-1]
        return loss + strength / 2 * float(np.square(solution[:-1]).sum()), gradient.ravel()


def _residuals(head: LinearHead, features: Floats, labels: Labels, weights: Floats) -> tuple[Floats, float]:
    """Return weighted (probabilities - truth) (N, K), and the weighted sum of log losses."""
    logits = features @ head.weight.T
    logits += head.bias
    logits -= logits.max(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    of_truth = logits[rows, labels]
    probs = np.exp(logits, out=logits)
    total = probs.sum(axis=1)
    loss = float((weights * (np.log(total) - of_truth)).sum(dtype=np.float64))
    probs *= (weights / total)[:, None]
    probs[rows, labels] -= weights
    return probs, loss


def _moments(features: Floats) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and standard deviation (D,) of features (N, D), block by block."""
    total = np.zeros(features.shape[1])
    squares = np.zeros(features.shape[1])
    mean = features[:_ROWS].mean(axis=0, dtype=np.float64)  # a shift that keeps the squares accurate
    for start in range(0, len(features), _ROWS):
        block = features[start : start + _ROWS] - mean
        total += block.sum(axis=0)
        squares += np.square(block).sum(axis=0)
    shift = total / len(features)
    std = np.sqrt(np.maximum(squares / len(features) - shift**2, 0))
    return mean + shift, np.where(std < _MIN_STD, 1.0, std)


@contextlib.contextmanager
def _blas_threads(multiply_adds: int) -> Iterator[None]:
    """Keep small products to one thread: numpy's and scipy's libraries each spin a pool, against each other."""
    if multiply_adds > _ONE_THREAD_BELOW:
        yield
        return
    import scipy.optimize  # noqa: F401 - only libraries that are loaded can be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
