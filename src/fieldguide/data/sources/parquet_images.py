"""Parquet files that hold the photos themselves, as image sets on the Hugging Face Hub do.

Columns: ``image: struct<bytes, path>`` and ``label: int64``; the class names stand in the schema's metadata.
"""

import bisect
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data.files import read_photo
from fieldguide.data.image_set import UNSPLIT, ImageSet
from fieldguide.data.layout import PART_OF_FOLDER, class_name, is_clutter
from fieldguide.data.sources import register_path_source
from fieldguide.data.sources.table import open_parquet_list
from fieldguide.errors import DataError, PhotoError

_BATCH_ROWS = 32  # photos in memory at once a batch: flat, however large a file or a row group is
_BATCHES_KEPT = 4
_BUFFER_BYTES = 1 << 20


def is_parquet(path: Path) -> bool:
    """Whether it is a Parquet file, or a folder with some in it or in its ``data`` folder."""
    return bool(_parquet_files(path))


def _parquet_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    folders = (sorted(path.glob(pattern)) for pattern in ("*.parquet", "data/*.parquet"))
    return next(filter(None, ([p for p in files if not is_clutter(p.name)] for files in folders)), [])


@register_path_source(is_parquet, order=10)
def open_parquet(path: Path) -> ImageSet:
    """Open one Parquet file or a folder of them; ``train.parquet`` and ``train-00000-of-00002.parquet`` are split.

    Raises:
        DataError: not Parquet, without images, without labels, or without the names of its classes.
    """
    import pyarrow
    from pyarrow import parquet

    paths = _parquet_files(path)
    try:
        files = [parquet.ParquetFile(p, buffer_size=_BUFFER_BYTES, pre_buffer=False) for p in paths]
        columns = files[0].schema_arrow.names
        if len(files) == 1 and "path" in columns and "image" not in columns:
            return open_parquet_list(paths[0])
        return _image_set(path, paths, files)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path} can't be read as Parquet: {_first_line(error)}") from error


def _image_set(path: Path, paths: list[Path], files: list[Any]) -> ImageSet:
    image, label, names = _columns(path, files[0].schema_arrow)
    for file, schema in zip(paths, (f.schema_arrow for f in files), strict=True):
        _check_columns(file, schema, image, label, names)
    reader = _Reader(paths, files, image)
    labels = np.concatenate([_labels(p, f, label, len(names)) for p, f in zip(paths, files, strict=True)])
    counts = [file.metadata.num_rows for file in files]
    parts = [_part(p) if len(paths) > 1 else UNSPLIT for p in paths]
    return ImageSet(
        name=str(path),
        class_names=names,
        photo_names=[f"{p.stem}/{row}" for p, count in zip(paths, counts, strict=True) for row in range(count)],
        labels=labels,
        parts=np.repeat(np.array(parts, dtype="<U5"), counts),
        read=reader.read,
    )


def _columns(path: Path, schema: Any) -> tuple[str, str, tuple[str, ...]]:  # noqa: ANN401 - pyarrow has no types
    """Return the image column, the label column and the class names, by the Hub's metadata."""
    typed = _features(schema)
    images = [k for k, v in typed.items() if v.get("_type") == "Image"] or ["image"]
    labels = [k for k, v in typed.items() if v.get("names")]
    found = ", ".join(schema.names)
    if images[0] not in schema.names:
        raise DataError(f"{path} has no image column: found {found}; expected image (bytes and path), label")
    if not labels:
        raise DataError(
            f"{path} does not name its classes: expected a class label in the schema's 'huggingface' metadata; "
            f"found the columns {found}"
        )
    label = "label" if "label" in labels else labels[0]
    return images[0], label, tuple(class_name(str(n)) for n in typed[label]["names"])


def _features(schema: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {k: v for k, v in features.items() if isinstance(v, dict)}
    except (KeyError, ValueError, TypeError, AttributeError):  # not there, not JSON, or not the Hub's
        return {}


def _check_columns(path: Path, schema: Any, image: str, label: str, names: tuple[str, ...]) -> None:  # noqa: ANN401
    """Check what every one of several files must have.

    Raises:
        DataError: a column is missing or of another type, or the classes are others than the first file's.
    """
    from pyarrow import types

    for column in (image, label):
        if column not in schema.names:
            raise DataError(f"{path} lacks the column {column!r}; found {', '.join(schema.names)}")
    image_type, label_type = schema.field(image).type, schema.field(label).type
    if not types.is_struct(image_type):
        raise DataError(f"{path}: the column {image!r} is {image_type}; expected a struct of bytes and path")
    if not types.is_integer(label_type):
        raise DataError(f"{path}: the column {label!r} is {label_type}; expected the numbers of the classes")
    own_names = _features(schema).get(label, {}).get("names")
    if own_names and tuple(class_name(str(n)) for n in own_names) != names:
        raise DataError(f"{path} names other classes ({', '.join(map(str, own_names[:5]))}) than the first file")


def _labels(path: Path, file: Any, column: str, num_classes: int) -> npt.NDArray[np.int64]:  # noqa: ANN401
    labels: npt.NDArray[np.int64] = file.read(columns=[column]).column(0).fill_null(-1).to_numpy().astype(np.int64)
    if labels.size and not -1 <= labels.min() <= labels.max() < num_classes:
        wrong = labels.max() if labels.max() >= num_classes else labels.min()
        raise DataError(f"{path} has the label {wrong}, but names {num_classes} classes (0 to {num_classes - 1})")
    return labels


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _part(path: Path) -> str:
    """Return the part by the file's name: the word before ``-00000-of-00002``."""
    word = re.split(r"[-_.]", path.stem)[0].lower()
    return PART_OF_FOLDER.get(word, UNSPLIT)


class _Reader:
    """Rows of one or more files, read forward batch by batch; a few recent batches are kept for near readers."""

    def __init__(self, paths: list[Path], files: list[Any], column: str) -> None:
        self._paths = paths
        self._files = files
        self._column = column
        self._lock = threading.Lock()
        self._groups = [(f, g) for f, file in enumerate(files) for g in range(file.metadata.num_row_groups)]
        rows = (files[f].metadata.row_group(g).num_rows for f, g in self._groups)
        self._group_starts = [0, *accumulate(rows)]
        self._group = -1
        self._batches: Iterator[Any] = iter(())
        self._next_row = 0
        self._recent: OrderedDict[int, list[dict[str, Any] | None]] = OrderedDict()
        self._damage: dict[int, tuple[int, str]] = {}  # group -> the first row that can't be read, and why

    def read(self, row: int) -> bytes:
        image = self._row(row) or {}
        if image.get("bytes"):
            return bytes(image["bytes"])
        if image.get("path"):
            folder = self._paths[self._groups[self._group_of(row)][0]].parent
            return read_photo(folder / image["path"])
        raise PhotoError("the row holds no image")

    def _group_of(self, row: int) -> int:
        return bisect.bisect_right(self._group_starts, row) - 1

    def _row(self, row: int) -> dict[str, Any] | None:
        with self._lock:
            for start, rows in self._recent.items():
                if start <= row < start + len(rows):
                    return rows[row - start]
            group = self._group_of(row)
            damaged_from, reason = self._damage.get(group, (self._group_starts[-1], ""))
            if row >= damaged_from:
                raise PhotoError(f"damaged in the Parquet file: {reason}")
            if group != self._group or row < self._next_row:
                self._open(group)
            while row >= self._next_row:
                self._advance()
            start, rows = next(reversed(self._recent.items()))
            return rows[row - start]

    def _open(self, group: int) -> None:
        file, number = self._groups[group]
        self._group, self._next_row = group, self._group_starts[group]
        self._batches = self._files[file].iter_batches(_BATCH_ROWS, row_groups=[number], columns=[self._column])

    def _advance(self) -> None:
        """Read the next batch of the group.

        Raises:
            PhotoError: it can't be read; nor, then, can the rest of its group.
        """
        try:
            rows = next(self._batches).column(0).to_pylist()
        except (ValueError, OSError, StopIteration) as error:  # ArrowInvalid is a ValueError
            self._damage[self._group] = (self._next_row, _first_line(error))
            self._group = -1
            raise PhotoError(f"damaged in the Parquet file: {_first_line(error)}") from error
        self._recent[self._next_row] = rows
        self._recent.move_to_end(self._next_row)
        self._next_row += len(rows)
        while len(self._recent) > _BATCHES_KEPT:
            self._recent.popitem(last=False)
