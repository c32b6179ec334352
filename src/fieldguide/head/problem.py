"""Multinomial logistic regression on standardised features: what is minimised, and by what.

L-BFGS goes over all photos at once. The features are standardised inside the objective, so no second copy of them
is made, and rows go through in blocks: 100,000 photos of 1,000 classes stay within 3 GB.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fieldguide.head.linear import LinearHead

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_ROWS = 8192
_MIN_STD = 1e-4  # of a feature; one that hardly varies is left as it is
_ONE_THREAD_BELOW = 1e9  # multiply-adds a pass over the photos


class Problem:
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
def blas_threads(multiply_adds: int) -> Iterator[None]:
    """Keep small products to one thread: numpy's and scipy's libraries each spin a pool, against each other."""
    if multiply_adds > _ONE_THREAD_BELOW:
        yield
        return
    import scipy.optimize  # noqa: F401 - only libraries that are loaded can be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
