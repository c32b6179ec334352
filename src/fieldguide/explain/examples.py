"""The reason by example: known photos that are most like a photo."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.data.image_set import NO_LABEL, digest_prefixes
from fieldguide.errors import DataError, PhotoError
from fieldguide.guide import Guide
from fieldguide.progress import Progress, silent


@dataclass(frozen=True)
class Example:
    """A known photo.

    Args:
        name: of the photo in its set.
        class_name: it lies in.
        likeness: cosine of its features with those of the photo.
        picture: (S, S, C) uint8, as the network sees it.
    """

    name: str
    class_name: str
    likeness: float
    picture: npt.NDArray[np.uint8]


def nearest_examples(
    guide: Guide, photo: ImageSet, known: ImageSet, count: int = 5, on_progress: Progress = silent
) -> list[Example]:
    """Return the photos of a set that are most like one photo, of those that the guide learnt from.

    Args:
        guide: whose features tell.
        photo: a set of the one photo.
        known: the set that the guide was trained on.
        count: how many.
        on_progress: called as photos are done.

    Raises:
        PhotoError: the photo can't be used.
        DataError: the guide learnt from none of the set's photos.
    """
    own = guide.embedder.embed(photo)
    if own.skipped:
        raise PhotoError(f"{own.skipped[0].name}: {own.skipped[0].reason}")
    embedding = guide.embedder.embed(known, on_progress)
    learnt = np.isin(digest_prefixes(embedding.digests), guide.seen)
    learnt &= known.labels[embedding.indices] != NO_LABEL
    learnt &= np.array([digest != own.digests[0] for digest in embedding.digests], np.bool_)
    if not learnt.any():
        raise DataError(f"the guide learnt from no photo of {known.name}; pass the photos that it was trained on")
    rows = np.flatnonzero(learnt)
    features = embedding.features[rows].astype(np.float32)
    query = own.features[0].astype(np.float32)
    lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(query)
    likeness = features @ query / np.maximum(lengths, np.finfo(np.float32).tiny)
    best = np.argsort(-likeness, kind="stable")[:count]
    photos = embedding.indices[rows[best]].tolist()
    see = guide.backbone.preprocess
    return [
        Example(known.photo_names[index], known.class_names[known.labels[index]], like, see(known.read(index)))
        for index, like in zip(photos, likeness[best].tolist(), strict=True)
    ]
