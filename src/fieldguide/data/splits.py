"""Which photos are held out: as the set says or, where it does not, by what each photo holds and nothing else."""

import hashlib

import numpy as np
import numpy.typing as npt

from fieldguide.data.image_set import NO_LABEL, UNSPLIT, ImageSet

HOLDOUT_FRACTION = 0.2


def hold_out(
    digests: list[bytes],
    labels: npt.NDArray[np.int64],
    fraction: float = HOLDOUT_FRACTION,
    *,
    purpose: str = "split",
) -> npt.NDArray[np.bool_]:
    """Say for each photo whether it is held out for evaluation.

    A photo is held out when a hash of its content falls in the lowest ``fraction``. So each class loses about
    that share, adding photos moves no old photo, the order and the names of files play no part, and identical
    files land on one side. One exception keeps small classes trainable: in a class where every photo would be
    held out, the content with the highest hash stays in training.

    Args:
        digests: (N) content digests, 32 bytes each.
        labels: (N,) class of each photo.
        fraction: share to hold out, above 0 and below 1.
        purpose: of the split; splits of one set for different purposes are independent of each other.

    Returns:
        (N,) true where a photo is held out.

    Raises:
        ValueError: fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; it must be above 0 and below 1")
    positions = np.array([_position(d, purpose) for d in digests])
    held_out = positions < fraction
    pinned: set[bytes] = set()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if held_out[members].all():
            pinned.add(digests[members[positions[members].argmax()]])
    if pinned:
        held_out &= np.array([d not in pinned for d in digests])
    return held_out


def is_used(images: ImageSet) -> npt.NDArray[np.bool_]:
    """Say of each photo whether training uses it, to learn from or to judge by.

    It uses the labelled ones; of a split set, those in ``train`` and in ``test`` or, without one, ``val``.
    """
    keep: npt.NDArray[np.bool_] = images.labels != NO_LABEL
    if (images.parts == "test").any():
        keep &= images.parts != "val"
    if images.is_split:
        keep &= images.parts != UNSPLIT
    return keep


def held_out_photos(
    images: ImageSet, indices: npt.NDArray[np.int64], digests: list[bytes]
) -> npt.NDArray[np.bool_]:
    """Say of each usable photo whether it is held out: as the set says or, of an unsplit set, by content.

    Args:
        images: the set.
        indices: (N,) which of its photos can be used.
        digests: (N,) their content digests.
    """
    if images.is_split:
        return np.array(images.parts[indices] != "train", np.bool_)
    held_out = hold_out(digests, images.labels[indices])
    if (images.parts == UNSPLIT).any():  # a list may say of some photos that they are to train on
        held_out &= images.parts[indices] == UNSPLIT
    return held_out


def _position(digest: bytes, purpose: str) -> float:
    """Map a digest to [0, 1). Hashed once more, so that the split is independent of other uses of it."""
    return float(int.from_bytes(hashlib.sha256(f"{purpose}:".encode() + digest).digest()[:6], "big")) / 2.0**48
