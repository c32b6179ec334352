"""Sets of classes that hold the truth as often as is asked for: split conformal prediction."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt


def least_probability(of_truth: npt.NDArray[np.floating[Any]], coverage: float) -> float:
    """Return how probable a class must be to be in the set of a photo.

    Of photos like those that are known, the sets of all classes at least that probable hold the true one with at
    least that frequency, and no other rule by probabilities makes smaller sets (Sadinle et al., 2019,
    https://arxiv.org/abs/1609.00451, section 2).

    Args:
        of_truth: (N,) the probability that each of N photos, not learnt from, was given in its true class.
        coverage: above 0 and below 1.

    Raises:
        ValueError: coverage is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; it must be above 0 and below 1, such as 0.95")
    misses = math.floor((1 - coverage) * (len(of_truth) + 1) + 1e-9)  # photos whose class may be left out
    return float(np.partition(of_truth, misses - 1)[misses - 1]) if misses else 0.0
