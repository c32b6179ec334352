"""Which photos of a set a head learns from or is judged by, and what can't be learnt from."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.data.image_set import SkippedPhoto, first_reasons
from fieldguide.data.layout import EXPECTED
from fieldguide.data.splits import is_used
from fieldguide.errors import DataError, PhotoError

_MIN_PHOTOS = 2  # per class
_FEW_PHOTOS = 5  # of a class, to look at them all beforehand


def used_photos(images: ImageSet) -> ImageSet:
    """Return the labelled photos; of a split set, those in ``train`` and in ``test`` or, without one, ``val``."""
    return images.select(is_used(images))


def check_classes(images: ImageSet) -> None:
    """Refuse what can't be learnt, before any photo is decoded.

    Raises:
        DataError: no photo, no class, one class, or a class with too few photos to train on.
    """
    names = images.class_names
    if images.is_split and not (images.parts == "train").any():
        found = ", ".join(sorted({str(p) for p in images.parts}))
        raise DataError(f"{images.name} has the parts {found} but no train part; {EXPECTED}")
    if not len(images):
        raise DataError(f"{images.name} holds no photos; {EXPECTED}")
    if len(names) == 1:
        raise DataError(
            f"{images.name} has one class, {names[0]!r}; a guide tells classes apart and needs two or more; "
            f"{EXPECTED}"
        )
    trains = images.labels[images.parts == "train"] if images.is_split else images.labels
    counts = np.bincount(trains, minlength=len(names))
    rare = int(counts.argmin())
    if counts[rare] < _MIN_PHOTOS:
        part = " in its train part" if images.is_split else ""
        found = "a single photo" if counts[rare] else "no photo"
        raise DataError(
            f"{images.name}: the class {names[rare]!r} has {found}{part}; every class needs {_MIN_PHOTOS} or more"
        )


def check_readable(images: ImageSet) -> None:
    """Refuse a class of few files of which none is an image, such as a folder of something else, before long work.

    Raises:
        DataError: with the class, and why its files are skipped.
    """
    is_of_few = np.bincount(images.labels)[images.labels] <= _FEW_PHOTOS
    usable, skipped = [*np.unique(images.labels[~is_of_few])], []
    for index in np.flatnonzero(is_of_few).tolist():
        try:
            images.read(index)
            usable.append(images.labels[index])
        except (PhotoError, OSError) as error:
            skipped.append(SkippedPhoto(images.photo_names[index], str(error)))
    check_usable(images, np.array(usable, np.int64), skipped)


def check_usable(images: ImageSet, labels: npt.NDArray[np.int64], skipped: Sequence[SkippedPhoto]) -> None:
    """Refuse a class of which no photo could be used.

    Raises:
        DataError: with the class, and why its first photos were skipped.
    """
    counts = np.bincount(labels, minlength=len(images.class_names))
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        of_class = {images.photo_names[index] for index in np.flatnonzero(images.labels == empty[0]).tolist()}
        its_own = [photo for photo in skipped if photo.name in of_class]
        why = f"{len(its_own)} photos were skipped ({first_reasons(its_own)})" if its_own else "all are held out"
        raise DataError(
            f"{images.name}: no photo of the class {images.class_names[empty[0]]!r} can be used to train; {why}"
        )
