"""All that the doctor looks for in a set of photos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, open_images
from fieldguide.data.image_set import NO_LABEL
from fieldguide.data.preprocess import Fit
from fieldguide.data.splits import held_out_photos, is_used
from fieldguide.doctor.copies import Groups, find_copies, identical_groups, joined, near_pairs
from fieldguide.doctor.enough import find_too_few, find_uneven
from fieldguide.doctor.files import find_damaged, find_hard_to_see, find_odd_files
from fieldguide.doctor.finding import Finding, to_dict, worst_first
from fieldguide.doctor.labels import (
    LEAST_A_CLASS,
    can_be_asked,
    find_alike_classes,
    find_wrong_labels,
    with_right_labels,
)
from fieldguide.doctor.look import Look, look_at
from fieldguide.doctor.neighbours import find_neighbours
from fieldguide.doctor.outliers import find_outliers
from fieldguide.embed import Embedder, Embedding
from fieldguide.errors import DataError
from fieldguide.head.learning_curve import LearningCurve, learning_curve
from fieldguide.head.out_of_fold import out_of_fold_probs
from fieldguide.progress import Progress, silent
from fieldguide.weights import DEFAULT_BACKBONE, load_backbone

_NEIGHBOURS = 6


@dataclass(frozen=True)
class CheckUp:
    """What was found in a set of photos.

    Args:
        images: its photos that have a class.
        findings: the worst first.
        curve: accuracy by the number of photos; None where there are too few for one.
    """

    images: ImageSet = field(repr=False)
    findings: tuple[Finding, ...]
    curve: LearningCurve | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what was found as JSON holds it."""
        return {
            "name": self.images.name,
            "num_photos": len(self.images),
            "class_names": list(self.images.class_names),
            "findings": [to_dict(finding, self.images.photo_names) for finding in self.findings],
            "learning_curve": None
            if self.curve is None
            else {"num_photos": list(self.curve.num_photos), "top1": list(self.curve.top1)},
        }


def check(
    data: ImageSet | str | Path,
    *,
    backbone: str = DEFAULT_BACKBONE,
    weights: str | Path | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
    data_root: str | Path | None = None,
    engine: str = "auto",
    on_progress: Progress = silent,
) -> CheckUp:
    """Look for what is wrong with a set of photos. Nothing is changed.

    Args:
        data: an image set, a path, or a registered name.
        backbone: whose features tell which photos are alike, as of :func:`fieldguide.train`.
        weights: a .safetensors file for it, instead of its pretrained weights.
        size_px: side of the pictures; by default what the backbone was trained with.
        fit: ``crop``, ``pad`` or ``squash``.
        data_root: where a named set's files are, or shall be put.
        engine: ``"auto"``, or the name of an engine.
        on_progress: called as photos are done.

    Raises:
        DataError: there is no photo that has a class.
        UnknownNameError: there is no such set, backbone or engine.
        WeightsError: the weights can't be had, or don't fit.
        ValueError: size_px or fit is out of its range.
    """
    everything = open_images(data, data_root=data_root)
    images = everything.select(everything.labels != NO_LABEL)
    if not len(images):
        raise DataError(
            f"{images.name} holds no photos in classes to check; put them into folders, one for each class"
        )
    looks = look_at(images, on_progress)
    findings = [
        *find_odd_files(looks, images.photo_names),
        *find_hard_to_see(looks),
        *find_uneven(images.labels, images.class_names),
    ]
    if all(look.reason for look in looks):
        return CheckUp(images, tuple(worst_first([*find_damaged(looks), *findings])))
    loaded = load_backbone(backbone, weights=weights, size_px=size_px, fit=fit)
    embedding = Embedder(loaded, engine=engine).embed(images, on_progress)
    looks = _with_skipped(looks, embedding)
    held_out = held_out_photos(images, embedding.indices, embedding.digests)
    used = is_used(images)[embedding.indices]
    curve = _curve(images, embedding, used & ~held_out, on_progress)
    findings += find_damaged(looks)
    findings += _by_features(images, looks, embedding, used & held_out, on_progress)
    learnt = images.labels[embedding.indices[used & ~held_out]]
    findings += find_too_few(learnt, images.class_names, curve, int((used & held_out).sum()))
    return CheckUp(images, tuple(worst_first(findings)), curve)


def _with_skipped(looks: Sequence[Look], embedding: Embedding) -> list[Look]:
    """Return the looks, with the reasons of photos that could be looked at but not be used."""
    reasons = zip(embedding.skipped_indices, embedding.skipped, strict=True)
    skipped = {index: Look(reason=photo.reason) for index, photo in reasons}
    return [skipped.get(index, look) for index, look in enumerate(looks)]


def _by_features(
    images: ImageSet,
    looks: Sequence[Look],
    embedding: Embedding,
    held_out: npt.NDArray[np.bool_],
    on_progress: Progress,
) -> Iterator[Finding]:
    """Find what photos alike tell: copies, outliers, and labels that they contradict."""
    photos, names = embedding.indices, images.class_names
    identical = identical_groups([look.digest for look in looks])
    near = []
    once = _first_of_each(identical, photos)
    if len(once) > 1:
        neighbours = find_neighbours(embedding.features[once], _NEIGHBOURS)
        near = near_pairs(images, looks, photos[once], neighbours, on_progress)
        yield from find_outliers(photos[once], neighbours)
    is_held_out = np.zeros(len(images), np.bool_)
    is_held_out[photos] = held_out
    pixels = np.array([look.header.width * look.header.height if look.header else 0 for look in looks])
    copies = find_copies(identical, near, images.labels, is_held_out, names, num_pixels=pixels)
    groups = _numbers(joined([*identical, *near]), photos)
    asked = can_be_asked(images.labels[photos], len(names))
    if len(np.unique(images.labels[photos[asked]])) < 2 or len(np.unique(groups[asked])) < LEAST_A_CLASS:
        yield from copies
        return
    labels = images.labels[photos[asked]]
    probs = out_of_fold_probs(
        embedding.features[asked], labels, len(names), groups=groups[asked], on_progress=on_progress
    )
    yield from with_right_labels(copies, photos[asked], probs, images.labels, names)
    yield from find_wrong_labels(photos[asked], probs, labels, names)
    yield from find_alike_classes(probs, labels, names)


def _first_of_each(identical: Groups, photos: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the rows of photos without those that a former one is identical with."""
    further = [photo for group in identical for photo in group[1:]]
    return np.flatnonzero(~np.isin(photos, further))


def _numbers(groups: Sequence[tuple[int, ...]], photos: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (N,) a number for each photo that its copies share."""
    first_of = {photo: group[0] for group in groups for photo in group}
    return np.array([first_of.get(photo, photo) for photo in photos.tolist()], np.int64)


def _curve(
    images: ImageSet, embedding: Embedding, learnt: npt.NDArray[np.bool_], on_progress: Progress
) -> LearningCurve | None:
    labels, num_classes = images.labels[embedding.indices[learnt]], len(images.class_names)
    counts = np.bincount(labels, minlength=num_classes)
    if num_classes < 2 or counts.min() < 4 * LEAST_A_CLASS:
        return None
    return learning_curve(embedding.features[learnt], labels, num_classes, on_progress=on_progress)
