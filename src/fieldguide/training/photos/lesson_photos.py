"""A set of photos as training sees it: pictures to learn from, pictures to judge epochs by, photos held out."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, Preprocess, SkippedPhoto
from fieldguide.data.image_set import NO_LABEL, UNSPLIT, digest_prefixes, first_reasons
from fieldguide.data.splits import held_out_photos, hold_out, is_used
from fieldguide.errors import DataError
from fieldguide.progress import Progress, silent
from fieldguide.training.photos.augment import picture_size
from fieldguide.training.photos.head_photos import (
    check_classes,
    check_readable,
    check_usable,
)
from fieldguide.training.photos.pictures import Pictures, load_pictures
from fieldguide.training.recipe import Recipe
from fieldguide.training.record.facts import data_fingerprint


@dataclass(frozen=True)
class LessonPhotos:
    """Photos by what they are for.

    Args:
        everything: the set as it was opened.
        images: its labelled photos: learnt from, or held out.
        learnt: pictures to learn from, those without a class among them.
        validation: pictures to judge epochs by; None where the recipe takes none.
        held_out: photos that the guide is judged by in the end.
        skipped: photos that can't be used, but for those held out.
    """

    everything: ImageSet
    images: ImageSet
    learnt: Pictures
    validation: Pictures | None
    held_out: ImageSet
    skipped: list[SkippedPhoto]

    @property
    def val_part(self) -> Pictures | None:
        """The pictures to judge epochs by, where they are the set's own val part."""
        if self.validation is None or not (self.validation.images.parts == "val").all():
            return None
        return self.validation

    @property
    def labelled(self) -> Pictures:
        """What is learnt from by its class."""
        return self.learnt.select(self.learnt.labels != NO_LABEL)

    @cached_property
    def seen_digests(self) -> list[bytes]:
        """Content digests of all photos but those held out."""
        return self.learnt.digests + (self.validation.digests if self.validation else [])

    @property
    def seen_labels(self) -> npt.NDArray[np.int64]:
        """Their classes; -1 of those that have none."""
        parts = [self.learnt.labels] + ([self.validation.labels] if self.validation else [])
        return np.concatenate(parts)

    @cached_property
    def fingerprint(self) -> str:
        """Of what is learnt from and judged by, which a resumed run must find again, in the same order."""
        return data_fingerprint(self.seen_digests, self.seen_labels, self.images.class_names, in_order=True)

    @property
    def seen(self) -> npt.NDArray[np.uint64]:
        """First bytes of these digests, sorted, as a guide keeps them."""
        return np.unique(digest_prefixes(self.seen_digests))


def gather_photos(
    everything: ImageSet,
    preprocess: Preprocess,
    recipe: Recipe,
    *,
    unlabelled: bool = False,
    strict: bool = False,
    on_progress: Progress = silent,
) -> LessonPhotos:
    """Decode a set for training.

    A set with train, val and test parts is judged epoch by epoch on its val part. Of any other set the recipe's
    share of the training photos is set apart for that, by a hash of their content; what is held out is never used.
    Photos without a class lie in no class folder, in the train part or in none.

    Args:
        everything: the set.
        preprocess: how photos become pictures.
        recipe: what it says of crops and of validation.
        unlabelled: take the photos without a class, too, but for copies of those that have one.
        strict: stop at the first photo that can't be used.
        on_progress: called as photos are done.

    Raises:
        DataError: there is nothing to learn from.
    """
    used = is_used(everything)
    images = everything.select(used)
    check_classes(images)
    if not strict:
        check_readable(images)
    side = picture_size(recipe, preprocess.size_px)
    candidates = everything.select(_to_decode(everything, used, images.is_split, unlabelled))
    pictures = load_pictures(candidates, replace(preprocess, size_px=side), strict=strict, on_progress=on_progress)
    chosen = np.zeros(len(pictures), np.bool_) if images.is_split else _held_out_by_content(candidates, pictures)
    held_out = (
        images.select(images.parts != "train")
        if images.is_split
        else candidates.select(np.isin(np.arange(len(candidates)), pictures.indices[chosen]))
    )
    if strict and images.is_split:  # those of an unsplit set were all looked at
        load_pictures(held_out, preprocess, strict=True, at_most_bytes=0, on_progress=on_progress)
    has_class = pictures.labels != NO_LABEL
    check_usable(images, pictures.labels[has_class & ~chosen], pictures.skipped)
    training = pictures.select(~chosen)
    learnt, validation = _set_apart(
        everything, training, preprocess, recipe, strict=strict, on_progress=on_progress
    )
    skipped = pictures.skipped + (validation.skipped if validation else [])
    with_class = {digest for digest, has in zip(pictures.digests, has_class, strict=True) if has}
    with_class.update(validation.digests if validation else ())
    return LessonPhotos(everything, images, _without_copies(learnt, with_class), validation, held_out, skipped)


def _to_decode(
    everything: ImageSet, used: npt.NDArray[np.bool_], is_split: bool, unlabelled: bool
) -> npt.NDArray[np.bool_]:
    """Say of each photo whether it is to be learnt from or, of an unsplit set, may be."""
    wanted: npt.NDArray[np.bool_] = used & (everything.parts == "train") if is_split else used.copy()
    if unlabelled:
        wanted |= (everything.labels == NO_LABEL) & np.isin(everything.parts, ("train", UNSPLIT))
    return wanted


def _held_out_by_content(images: ImageSet, pictures: Pictures) -> npt.NDArray[np.bool_]:
    """Say of each picture of an unsplit set whether it is held out; those without a class never are."""
    held_out = held_out_photos(images, pictures.indices, pictures.digests)
    held_out &= pictures.labels != NO_LABEL
    return held_out


def _without_copies(pictures: Pictures, with_class: Collection[bytes]) -> Pictures:
    """Leave out photos without a class that hold what one with a class does, which may be held out."""
    if (pictures.labels != NO_LABEL).all():
        return pictures
    pairs = zip(pictures.labels.tolist(), pictures.digests, strict=True)
    return pictures.select(np.array([label != NO_LABEL or digest not in with_class for label, digest in pairs]))


def _set_apart(
    everything: ImageSet,
    training: Pictures,
    preprocess: Preprocess,
    recipe: Recipe,
    *,
    strict: bool,
    on_progress: Progress,
) -> tuple[Pictures, Pictures | None]:
    """Return the pictures to learn from, and those to judge epochs by."""
    if not recipe.validation:
        return training, None
    if (everything.parts == "test").any() and (everything.parts == "val").any():
        given = everything.select((everything.parts == "val") & (everything.labels != NO_LABEL))
        validation = load_pictures(given, preprocess, strict=strict, beside=training, on_progress=on_progress)
        if not len(validation):
            raise DataError(
                f"{everything.name}: no photo of the val part can be used "
                f"({first_reasons(validation.skipped) or 'none has a class'}); mend them, or set validation=0"
            )
        return training, validation
    mask = hold_out(training.digests, training.labels, recipe.validation, purpose="validation")
    mask &= training.labels != NO_LABEL
    if not mask.any():
        raise DataError(
            f"{everything.name} has {len(training)} photos to learn from, too few to set "
            f"{recipe.validation:.0%} apart for validation; add photos, or set validation=0"
        )
    validation = training.select(mask)
    if training.preprocess != preprocess:  # these are larger, for crops to be taken from
        again = training.images.select(np.isin(np.arange(len(training.images)), validation.indices))
        validation = load_pictures(again, preprocess, beside=training, on_progress=on_progress)
    return training.select(~mask), validation
