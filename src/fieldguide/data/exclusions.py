"""Photos that are left out of a set: a list that a person has decided on, such as `fieldguide check` writes."""

import csv
import io
import itertools
import warnings
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from fieldguide.data.image_set import NO_LABEL, ImageSet
from fieldguide.errors import DataError, FieldguideWarning
from fieldguide.paths import expand
from fieldguide.registry import did_you_mean

PATH, ACTION = "path", "suggested_action"  # columns that are read
EXCLUDE, LOOK, KEEP = "exclude", "look", "keep"
_ACTIONS = (EXCLUDE, LOOK, KEEP)


def read_exclusions(path: str | Path) -> set[str]:
    """Read which photos a list says to leave out: those with a row whose action is ``exclude``.

    An empty action is none; of a list of names alone, all photos are left out.

    Raises:
        DataError: it can't be read, lacks a column that it needs, or an action is none.
    """
    file = expand(path)
    excluded = set()
    try:
        reader = csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline=""), strict=True)
        reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        _check_columns(file, reader.fieldnames)
        for row in reader:
            name = row[PATH] or ""
            action = (row[ACTION] or "").strip().lower() or KEEP if ACTION in row else EXCLUDE
            if action not in _ACTIONS:
                raise DataError(
                    f"line {reader.line_num} of {file} says to {action!r} {name}; the actions are "
                    f"{', '.join(_ACTIONS)}"
                )
            if name and action == EXCLUDE:
                excluded.add(name)
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the list {file} can't be read: {reason}; expected a CSV file in UTF-8") from error
    return excluded


def _check_columns(file: Path, columns: Sequence[str]) -> None:
    if PATH not in columns:
        separator = "; separate them by commas" if any(";" in column for column in columns) else ""
        raise DataError(
            f"the list {file} has the columns {', '.join(columns) or 'of an empty file'}, and none is {PATH!r}"
            f"{separator}; `fieldguide check PHOTOS --fix-list FILE` writes such a list"
        )
    if len(columns) > 1 and ACTION not in columns:
        raise DataError(
            f"the list {file} has the columns {', '.join(columns)}, and none is {ACTION!r}, which says what to "
            f"do; add it, or leave the column {PATH!r} alone, and all its photos are left out"
        )


def without(images: ImageSet, excluded: Set[str], source: str | Path) -> ImageSet:
    """Return a set without some photos; those that are no longer there are left out already.

    Args:
        images: the set.
        excluded: names of photos.
        source: of these names, for a message.

    Raises:
        DataError: none of the names is a photo of the set, or no photo of a class is left.
    """
    is_excluded = np.array([name in excluded for name in images.photo_names], np.bool_)
    if excluded and not is_excluded.any():
        first = min(excluded)
        hint = did_you_mean(first, images.photo_names) or f"; its photos are named like {images.photo_names[0]}"
        raise DataError(f"{source} excludes {first}, which is no photo of {images.name}, nor are the others{hint}")
    gone = excluded - set(itertools.compress(images.photo_names, is_excluded))
    if gone:
        count = "1 photo that is" if len(gone) == 1 else f"{len(gone)} photos that are"
        message = f"{source} excludes {count} not in {images.name}, such as {min(gone)}"
        warnings.warn(message, FieldguideWarning, stacklevel=2)
    emptied = np.setdiff1d(images.labels, [NO_LABEL, *images.labels[~is_excluded]])
    if len(emptied):
        raise DataError(
            f"{source} excludes all photos of {images.class_names[emptied[0]]} in {images.name}; keep some, or "
            "remove its folder"
        )
    return replace(images.select(~is_excluded), num_excluded=int(is_excluded.sum()))
