"""Which of two classifiers is really better: they are asked about the same photos, and compared photo by photo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CHANCE = 0.05  # below it a lead is taken for more than chance


@dataclass(frozen=True)
class PairedTest:
    """Two classifiers on the same photos (McNemar, 1947, https://doi.org/10.1007/BF02295996).

    Photos that both have right, or neither, tell nothing of which is better.

    Args:
        num_photos: they were asked about.
        only_first: photos that the first alone has right.
        only_second: photos that the second alone has right.
        p_value: how often equally good ones would differ as much or more, by the binomial distribution.
    """

    num_photos: int
    only_first: int
    only_second: int
    p_value: float

    def better(self, at: float = CHANCE) -> int | None:
        """Return 0 or 1, whichever is better by more than chance; None where that can't be said."""
        if self.p_value >= at:
            return None
        return 0 if self.only_first > self.only_second else 1


def paired_test(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> PairedTest:
    """Compare two classifiers by which photos (N,) each has right.

    Raises:
        ValueError: they were not asked about the same photos.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"{first.shape} and {second.shape} answers; a paired test takes two to each of N photos")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return PairedTest(len(first), only_first, only_second, _two_sided(only_first, only_second))


def holm(tests: Sequence[PairedTest]) -> list[int | None]:
    """Return which of each pair is better, of several pairs compared at once; None where that can't be said.

    Of many pairs of equally good ones some differ by chance. So the least of M values must be below an M-th of
    what one alone must, the next below a part of M - 1, and so on to the first that is not (Holm, 1979,
    https://www.jstor.org/stable/4615733).
    """
    better: list[int | None] = [None] * len(tests)
    for done, number in enumerate(sorted(range(len(tests)), key=lambda n: tests[n].p_value)):
        better[number] = tests[number].better(CHANCE / (len(tests) - done))
        if better[number] is None:
            break
    return better


def _two_sided(one: int, other: int) -> float:
    """Return how often fair coins fall as unevenly or more."""
    from scipy.special import bdtr

    tail: Any = bdtr(min(one, other), one + other, 0.5) if one + other else 1.0
    return min(1.0, 2 * float(tail))
