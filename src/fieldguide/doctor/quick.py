"""What training itself can tell of its photos: findings that cost no second look at them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.doctor.copies import find_copies, identical_groups
from fieldguide.doctor.enough import find_uneven
from fieldguide.doctor.files import damaged
from fieldguide.doctor.finding import Finding, worst_first
from fieldguide.doctor.labels import find_alike_classes, find_wrong_labels
from fieldguide.embed import Embedding
from fieldguide.head.cross_validation import Choice


def quick_findings(
    images: ImageSet, embedding: Embedding, held_out: npt.NDArray[np.bool_], choice: Choice
) -> list[Finding]:
    """Find damaged and identical photos, uneven classes and contradicted labels, the worst first.

    Args:
        images: the photos that were to be used.
        embedding: features of the N that could be.
        held_out: (N,) which of these the head has not learnt from.
        choice: how its strength was chosen, on the others: what heads said of photos new to them.
    """
    photos, names = embedding.indices, images.class_names
    is_held_out = np.zeros(len(images), np.bool_)
    is_held_out[photos] = held_out
    learnt = photos[~held_out]
    asked = learnt[choice.rows]
    skipped = zip(embedding.skipped_indices, (photo.reason for photo in embedding.skipped), strict=True)
    identical = identical_groups(_by_photo(embedding.digests, photos, len(images)))
    return worst_first(
        [
            *damaged(skipped),
            *find_uneven(images.labels[learnt], names),
            *find_copies(identical, [], images.labels, is_held_out, names),
            *find_wrong_labels(asked, choice.probs, images.labels[asked], names),
            *find_alike_classes(choice.probs, images.labels[asked], names),
        ]
    )


def _by_photo(digests: Sequence[bytes], photos: npt.NDArray[np.int64], count: int) -> list[bytes]:
    """Return the digest of each of ``count`` photos; "" where it is not known."""
    spread = [b""] * count
    for photo, digest in zip(photos.tolist(), digests, strict=True):
        spread[photo] = digest
    return spread
