"""How much a photo is like those that are known: what is like too few of them shows something else."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.evaluate.neighbours import unit_rows

NEIGHBOURS = 5
_ROWS = 1024  # at a time


@dataclass(frozen=True)
class Familiarity:
    """Known photos, and how like them a photo must be.

    The measure is the cosine with the fifth most similar known feature (Sun et al., 2022,
    https://arxiv.org/abs/2204.06507, section 3); benchmarks/trust.py holds it against others.

    Args:
        known: (M, D) float16 features of photos that were learnt from, of length 1.
        threshold: cosine from which a photo counts as known.
    """

    known: npt.NDArray[np.float16]
    threshold: float

    def measure(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Features (N, D) of new photos -> (N,), from -1 to 1 for one that is known well."""
        return _measure(features, self.known, NEIGHBOURS)


def learn_familiarity(
    features: npt.NDArray[np.floating],
    others: npt.NDArray[np.floating] | None = None,
    *,
    false_alarms: float = 0.05,
) -> Familiarity:
    """Learn what known photos are like.

    Args:
        features: (M, D) of known photos, M at least 1.
        others: (Q, D) of photos that show the same, to set the threshold by; by default the known ones, each
            compared with the others.
        false_alarms: share of photos like these that shall count as unknown.
    """
    known = unit_rows(features).astype(np.float16)
    if others is None or not len(others):
        own = _measure(known, known, NEIGHBOURS + 1)  # the most similar one is the photo itself
    else:
        own = _measure(others, known, NEIGHBOURS)
    return Familiarity(known, float(np.quantile(own, false_alarms)))


def _measure(
    features: npt.NDArray[np.floating], known: npt.NDArray[np.float16], neighbours: int
) -> npt.NDArray[np.float32]:
    bank = known.astype(np.float32).T
    rank = max(0, len(known) - neighbours)
    blocks = [
        np.partition(unit_rows(features[start : start + _ROWS]) @ bank, rank, axis=1)[:, rank]
        for start in range(0, len(features), _ROWS)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
