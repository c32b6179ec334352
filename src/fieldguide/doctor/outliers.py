"""Photos unlike all others."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fieldguide.doctor.finding import Case, Finding, found, of_photos
from fieldguide.doctor.neighbours import Neighbours

_NEIGHBOURS = 5
_DEVIATIONS = 4.0  # below the usual likeness
_TO_STD = 1.4826  # a median deviation as a standard one, were likenesses normal


def find_outliers(photos: npt.NDArray[np.int64], neighbours: Neighbours) -> Iterator[Finding]:
    """Find photos whose neighbours are much less like them than is usual.

    Args:
        photos: (N,) which of the set's photos the neighbours are of.
        neighbours: of these N.
    """
    likeness = neighbours.similarities[:, :_NEIGHBOURS].mean(axis=1)
    usual = float(np.median(likeness))
    spread = _TO_STD * float(np.median(np.abs(likeness - usual)))
    far = np.flatnonzero(likeness < usual - _DEVIATIONS * spread)
    cases = [
        Case(
            (int(photos[row]),),
            f"likeness {likeness[row]:.2f} with those most like it; {usual:.2f} is usual",
            usual - float(likeness[row]),
        )
        for row in far.tolist()
    ]
    yield from found("outlier", cases, of_photos(len(cases), "photo unlike all others"))
