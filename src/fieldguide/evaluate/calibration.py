"""Whether probabilities are true: are four of five answers right that are given with 80 %? How to make them so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_BINS = 10
_SIMULATIONS, _FEWEST_SIMULATIONS = 200, 5
_DRAWS = 2_000_000  # in all simulations, of which many photos need few
_LOWEST, _HIGHEST = 0.1, 10.0  # temperatures
_PRECISION = 1e-7  # of their logarithm

Probs = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Bin:
    """Answers of about the same probability.

    Args:
        probability: their mean.
        top1: share that is right.
        count: how many there are.
    """

    probability: float
    top1: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """How true the probabilities of the most probable classes are.

    Args:
        error: expected calibration error: mean distance of probability and share of right answers, over bins of
            equal width, weighted by their photos (Guo et al., 2017, https://arxiv.org/abs/1706.04599, section 2).
        error_by_chance: what it would be on average, of as many photos, were every probability true: few photos
            lie off the line by chance.
        bins: those that hold an answer, by rising probability.
    """

    error: float
    error_by_chance: float
    bins: tuple[Bin, ...]


def calibration(probs: Probs, labels: Labels) -> Calibration:
    """Hold probabilities against the truth.

    Args:
        probs: (N, K), N at least 1.
        labels: (N,) true classes.
    """
    answers = probs.argmax(axis=1)
    surest = probs[np.arange(len(probs)), answers].astype(np.float64)
    right = answers == labels
    place = np.minimum((surest * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    bins = tuple(
        Bin(float(surest[inside].mean()), float(right[inside].mean()), int(inside.sum()))
        for inside in (place == number for number in range(NUM_BINS))
        if inside.any()
    )
    chance = np.random.default_rng(0)
    simulations = min(_SIMULATIONS, max(_FEWEST_SIMULATIONS, _DRAWS // len(surest)))
    by_chance = [_error(surest, chance.random(len(surest)) < surest, place) for _ in range(simulations)]
    return Calibration(_error(surest, right, place), float(np.mean(by_chance)), bins)


def _error(surest: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], place: npt.NDArray[np.int64]) -> float:
    """Surest (N,), right (N,), place (N,) in bins -> the mean distance of the two."""
    gaps = np.bincount(place, right - surest, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(surest))


def fit_temperature(probs: Probs, labels: Labels) -> float:
    """Return the number that logits are to be divided by, so that the log loss is least.

    The most probable class stays the same (Guo et al., 2017, section 4.2). One photo more than there are counts as
    wrong, as in Platt's scaling (1999): that all of a few answers were right does not make the next one certain.

    Args:
        probs: (N, K) of photos that were not learnt from.
        labels: (N,) true classes.
    """
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(probs.astype(np.float64), np.finfo(np.float32).tiny))
    count, num_classes = logits.shape
    wrong = 1 / (count + 2)
    targets = np.full(logits.shape, wrong / (num_classes - 1))
    targets[np.arange(count), labels] = 1 - wrong

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled -= scaled.max(axis=1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(axis=1)) - (targets * scaled).sum(axis=1)).mean())

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": _PRECISION}).x))
