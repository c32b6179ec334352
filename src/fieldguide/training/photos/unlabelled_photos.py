"""Photos to learn from without labels; where some have labels, also those that the features are judged by."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, Preprocess, SkippedPhoto, open_images, open_photos
from fieldguide.data.image_set import NO_LABEL, UNSPLIT, first_reasons
from fieldguide.data.splits import hold_out
from fieldguide.errors import DataError
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.training.photos.augment import picture_size
from fieldguide.training.photos.pictures import Pictures, load_pictures
from fieldguide.training.recipe import Recipe
from fieldguide.training.record.facts import data_fingerprint


@dataclass(frozen=True)
class UnlabelledPhotos:
    """Photos by what they are for.

    Args:
        everything: the set as it was opened.
        learnt: pictures to learn from; labels play no part.
        held_out: labelled pictures, not learnt from, that features are judged by; None where there are none.
        skipped: photos that can't be used.
    """

    everything: ImageSet
    learnt: Pictures
    held_out: Pictures | None
    skipped: list[SkippedPhoto]

    @property
    def known(self) -> Pictures:
        """Those of the pictures learnt from that have labels: judging may look these up."""
        return self.learnt.select(self.learnt.labels != NO_LABEL)

    @cached_property
    def fingerprint(self) -> str:
        """Of what is learnt from, which a resumed run must find again, in the same order."""
        return self._fingerprint(in_order=True)

    @property
    def content_fingerprint(self) -> str:
        """Of what is learnt from, in whatever order."""
        return self._fingerprint(in_order=False)

    def _fingerprint(self, *, in_order: bool) -> str:
        no_labels = np.full(len(self.learnt), NO_LABEL)
        return data_fingerprint(self.learnt.digests, no_labels, (), in_order=in_order)


def open_unlabelled(data: ImageSet | str | Path, *, data_root: str | Path | None = None) -> ImageSet:
    """Open photos, with labels or without.

    Args:
        data: as of :func:`fieldguide.open_images`; or a folder of photos.
        data_root: where a named set's files are.

    Raises:
        DataError: it is none of these, or holds no file.
    """
    try:
        return open_images(data, data_root=data_root)
    except DataError as error:
        if isinstance(data, ImageSet) or not str(data) or not expand(data).is_dir():
            raise
        try:
            return open_photos([data])
        except DataError:
            raise error from None


def gather_unlabelled(
    everything: ImageSet,
    preprocess: Preprocess,
    recipe: Recipe,
    *,
    strict: bool = False,
    on_progress: Progress = silent,
) -> UnlabelledPhotos:
    """Decode a set for learning without labels.

    What is held out is what a guide trained on the set would hold out, too, so that its accuracy stays honest.

    Raises:
        DataError: fewer than two photos can be learnt from.
    """
    larger = replace(preprocess, size_px=picture_size(recipe, preprocess.size_px))
    is_candidate = np.isin(everything.parts, ("train", UNSPLIT)) if everything.is_split else _all(everything)
    pictures = load_pictures(everything.select(is_candidate), larger, strict=strict, on_progress=on_progress)
    skipped = pictures.skipped
    has_classes = len(np.unique(everything.labels[everything.labels != NO_LABEL])) > 1
    held_out = None
    if has_classes and everything.is_split:
        part = "test" if (everything.parts == "test").any() else "val"
        given = everything.select((everything.parts == part) & (everything.labels != NO_LABEL))
        held_out = load_pictures(given, larger, strict=strict, beside=pictures, on_progress=on_progress)
        skipped = skipped + held_out.skipped
    elif has_classes and len(pictures):
        chosen = hold_out(pictures.digests, pictures.labels) & (pictures.labels != NO_LABEL)
        chosen &= pictures.images.parts[pictures.indices] == UNSPLIT
        held_out, pictures = pictures.select(chosen), pictures.select(~chosen)
    if held_out is not None:
        judged = set(held_out.digests)  # copies of these may lie elsewhere
        pictures = pictures.select(np.array([digest not in judged for digest in pictures.digests], np.bool_))
    if len(pictures) < 2:
        why = first_reasons(skipped)
        raise DataError(
            f"{everything.name} has {len(pictures)} photos to learn from, and {len(skipped)} that can't be used"
            f"{f' ({why})' if why else ''}; learning without labels takes two or more, better thousands"
        )
    return UnlabelledPhotos(everything, pictures, held_out if held_out else None, skipped)


def _all(images: ImageSet) -> npt.NDArray[np.bool_]:
    return np.ones(len(images), np.bool_)
