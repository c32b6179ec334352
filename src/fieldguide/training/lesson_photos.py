"""A set of photos as training sees it: pictures to learn from, pictures to judge epochs by, photos held out."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, Preprocess, SkippedPhoto
from fieldguide.data.image_set import NO_LABEL, digest_prefixes
from fieldguide.data.splits import hold_out
from fieldguide.errors import DataError
from fieldguide.progress import Progress, silent
from fieldguide.training.augment import picture_size
from fieldguide.training.facts import data_fingerprint
from fieldguide.training.photos import check_classes, check_readable, check_usable, held_out_photos, used_photos
from fieldguide.training.pictures import Pictures, load_pictures
from fieldguide.training.recipe import Recipe


@dataclass(frozen=True)
class LessonPhotos:
    """Photos by what they are for.

    Args:
        everything: the set as it was opened.
        images: its labelled photos: learnt from, or held out.
        learnt: pictures to learn from.
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
    def seen_digests(self) -> list[bytes]:
        """Content digests of all photos but those held out."""
        return self.learnt.digests + (self.validation.digests if self.validation else [])

    @property
    def seen_labels(self) -> npt.NDArray[np.int64]:
        """Their classes."""
        parts = [self.learnt.labels] + ([self.validation.labels] if self.validation else [])
        return np.concatenate(parts)

    @property
    def fingerprint(self) -> str:
        """Of what is learnt from and judged by, which a resumed run must find again."""
        return data_fingerprint(self.seen_digests, self.seen_labels, self.images.class_names)

    @property
    def seen(self) -> npt.NDArray[np.uint64]:
        """First bytes of these digests, sorted, as a guide keeps them."""
        return np.unique(digest_prefixes(self.seen_digests))


def gather_photos(
    everything: ImageSet,
    preprocess: Preprocess,
    recipe: Recipe,
    *,
    strict: bool = False,
    on_progress: Progress = silent,
) -> LessonPhotos:
    """Decode a set for training.

    A set with train, val and test parts is judged epoch by epoch on its val part. Of any other set the recipe's
    share of the training photos is set apart for that, by a hash of their content; what is held out is never used.

    Raises:
        DataError: there is nothing to learn from.
    """
    images = used_photos(everything)
    check_classes(images)
    if not strict:
        check_readable(images)
    side = picture_size(recipe, preprocess.size_px)
    candidates = images.select(images.parts == "train") if images.is_split else images
    pictures = load_pictures(candidates, replace(preprocess, size_px=side), strict=strict, on_progress=on_progress)
    is_held_out = images.parts != "train" if images.is_split else _held_out_by_content(images, pictures)
    held_out = images.select(is_held_out)
    training = pictures if images.is_split else pictures.select(~is_held_out[pictures.indices])
    check_usable(images, training.labels, pictures.skipped)
    learnt, validation = _set_apart(everything, training, preprocess, recipe, on_progress)
    return LessonPhotos(everything, images, learnt, validation, held_out, pictures.skipped)


def _held_out_by_content(images: ImageSet, pictures: Pictures) -> npt.NDArray[np.bool_]:
    """Say of each photo of an unsplit set whether it is held out."""
    chosen = held_out_photos(images, pictures.indices, pictures.digests)
    is_held_out = np.zeros(len(images), np.bool_)
    is_held_out[pictures.indices[chosen]] = True
    return is_held_out


def _set_apart(
    everything: ImageSet, training: Pictures, preprocess: Preprocess, recipe: Recipe, on_progress: Progress
) -> tuple[Pictures, Pictures | None]:
    """Return the pictures to learn from, and those to judge epochs by."""
    if not recipe.validation:
        return training, None
    if (everything.parts == "test").any() and (everything.parts == "val").any():
        given = everything.select((everything.parts == "val") & (everything.labels != NO_LABEL))
        return training, load_pictures(given, preprocess, on_progress=on_progress)
    mask = hold_out(training.digests, training.labels, recipe.validation, purpose="validation")
    if not mask.any():
        raise DataError(
            f"{everything.name} has {len(training)} photos to learn from, too few to set "
            f"{recipe.validation:.0%} apart for validation; add photos, or set validation=0"
        )
    validation = training.select(mask)
    if training.preprocess != preprocess:  # these are larger, for crops to be taken from
        again = training.images.select(np.isin(np.arange(len(training.images)), validation.indices))
        validation = load_pictures(again, preprocess, on_progress=on_progress)
    return training.select(~mask), validation
