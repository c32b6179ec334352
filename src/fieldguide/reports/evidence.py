"""The photos that a report stands on: those that the guide learnt from, and those that it was asked about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, open_images
from fieldguide.data.image_set import digest_prefixes, first_reasons
from fieldguide.data.splits import is_used
from fieldguide.embed import Embedding
from fieldguide.embed.cache import Features
from fieldguide.errors import DataError
from fieldguide.guide import Guide
from fieldguide.progress import Progress, silent
from fieldguide.reports.told import told_by
from fieldguide.words import set_name


@dataclass(frozen=True)
class Sample:
    """Some photos of a set.

    Args:
        images: the set.
        indices: (N,) which of its photos these are.
        labels: (N,) their classes, by the guide's numbers.
        features: (N, D).
    """

    images: ImageSet = field(repr=False)
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    features: Features = field(repr=False)

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def names(self) -> Sequence[str]:
        """(N,) of the photos."""
        return [self.images.photo_names[index] for index in self.indices.tolist()]


@dataclass(frozen=True)
class Evidence:
    """What a report shows of the photos.

    Args:
        images: the set that they are of.
        known: photos that the guide learnt from, all or some.
        asked: photos that it did not learn from, whose class is known.
        learns_by_head: whether a head alone learnt from ``known``, so that how it would have learnt from fewer can
            be tried; a network's features have seen them.
        is_own: whether the guide was trained on this set. Another one may have other photos of the same names.
    """

    images: ImageSet = field(repr=False)
    known: Sample
    asked: Sample
    learns_by_head: bool = True
    is_own: bool = True

    @cached_property
    def title(self) -> str:
        """What to call the set: its name, without the folders around it."""
        return set_name(self.images.name)

    def find(self, names: Sequence[str]) -> dict[str, int]:
        """Return the place in the set of photos of these names, where it is the guide's own."""
        wanted = set(names) if self.is_own else set()
        return {name: index for index, name in enumerate(self.images.photo_names) if name in wanted}


def sample(
    images: ImageSet, labels: npt.NDArray[np.int64], embedding: Embedding, chosen: npt.NDArray[np.bool_]
) -> Sample:
    """Return some of a set's photos.

    Args:
        images: the set.
        labels: (len(images),) classes by the guide's numbers.
        embedding: features of those of its N photos that can be used.
        chosen: (N,) which of these.
    """
    indices = embedding.indices[chosen]
    return Sample(images, indices, labels[indices], embedding.features[chosen])


def gather(
    guides: Sequence[Guide],
    data: ImageSet | str | Path,
    *,
    data_root: str | Path | None = None,
    exclude: str | Path | None = None,
    on_progress: Progress = silent,
) -> list[Evidence]:
    """Return the evidence for each of several guides to the same classes.

    They are asked about the same photos, those that none of them learnt from.

    Args:
        guides: one or more.
        data: an image set, a path, or a registered name.
        data_root: where a named set's files are.
        exclude: a CSV list of photos to leave out.
        on_progress: called as photos are done.

    Raises:
        DataError: no photo can be used, or one is of a class that a guide lacks.
    """
    everything = open_images(data, data_root=data_root, exclude=exclude)
    images = everything.select(is_used(everything))
    if len(guides) > 1 and images.is_split:  # what they learnt from is not shown side by side
        images = images.select(images.parts != "train")
    all_labels = [guide.labels_of(images) for guide in guides]
    embeddings = [guide.embedder.embed(images, on_progress) for guide in guides]
    seen = [np.isin(digest_prefixes(e.digests), g.seen) for g, e in zip(guides, embeddings, strict=True)]
    new = np.ones(len(images), np.bool_)
    if images.is_split:
        new &= images.parts != "train"
    for embedding, learnt in zip(embeddings, seen, strict=True):
        usable = np.zeros(len(images), np.bool_)
        usable[embedding.indices[~learnt]] = True
        new &= usable
    if not any(embedding.digests for embedding in embeddings):
        why = first_reasons(embeddings[0].skipped) or "none lies in a class folder"
        raise DataError(f"{everything.name} holds no photo that can be used ({why}); pass photos in class folders")
    return [
        Evidence(
            everything,
            known=sample(images, labels, embedding, learnt if len(guides) == 1 else np.zeros_like(learnt)),
            asked=sample(images, labels, embedding, new[embedding.indices]),
            learns_by_head=told_by(guide).is_frozen,
            is_own=bool(np.isin(guide.seen, digest_prefixes(embedding.digests)).all()),
        )
        for guide, labels, embedding, learnt in zip(guides, all_labels, embeddings, seen, strict=True)
    ]
