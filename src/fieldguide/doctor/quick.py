"""What training itself can tell of its photos: findings that cost no second look at most of them."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.doctor.copies import find_copies, identical_groups, pairs_across
from fieldguide.doctor.enough import find_uneven
from fieldguide.doctor.files import damaged
from fieldguide.doctor.finding import Finding, worst_first
from fieldguide.doctor.labels import can_be_asked, find_alike_classes, find_wrong_labels

CASES_KEPT = 10  # of each finding, in a guide; `fieldguide check` has all


def quick_findings(
    images: ImageSet,
    photos: npt.NDArray[np.int64],
    digests: Sequence[bytes],
    held_out: npt.NDArray[np.bool_],
    *,
    skipped: Iterable[tuple[int, str]],
    asked: npt.NDArray[np.int64],
    probs: npt.NDArray[np.float32],
    features: npt.NDArray[np.floating] | None = None,
) -> list[Finding]:
    """Find damaged and copied photos, uneven classes and contradicted labels, the worst first.

    Args:
        images: the photos that were to be used.
        photos: (N,) which of them could be.
        digests: (N,) their content digests.
        held_out: (N,) which of these have not been learnt from.
        skipped: the others, and why.
        asked: (M,) photos of the training part that were asked about by what had not learnt from them.
        probs: (M, K) what it said.
        features: (N, D) by which photos held out are seen to be copies, too, that are not identical.
    """
    names = images.class_names
    is_held_out = np.zeros(len(images), np.bool_)
    is_held_out[photos] = held_out
    identical = identical_groups(_by_photo(digests, photos, len(images)))
    enough = can_be_asked(images.labels[asked], len(names))
    asked, probs = asked[enough], probs[enough]
    across = [] if features is None else pairs_across(images, photos, features, held_out)
    return worst_first(
        [
            *damaged(skipped),
            *find_uneven(images.labels[photos[~held_out]], names),
            *find_copies(identical, across, images.labels, is_held_out, names),
            *find_wrong_labels(asked, probs, images.labels[asked], names),
            *find_alike_classes(probs, images.labels[asked], names),
        ]
    )


def _by_photo(digests: Sequence[bytes], photos: npt.NDArray[np.int64], count: int) -> list[bytes]:
    """Return the digest of each of ``count`` photos; "" where it is not known."""
    spread = [b""] * count
    for photo, digest in zip(photos.tolist(), digests, strict=True):
        spread[photo] = digest
    return spread
