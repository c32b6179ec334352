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

from fieldguide.data.image_set import UNSPLIT, ImageSet
from fieldguide.data.layout import PART_OF_FOLDER, readable
from fieldguide.data.sources import register_path_source
from fieldguide.data.sources.files import read_photo
from fieldguide.data.sources.table import open_parquet_list
from fieldguide.errors import DataError, PhotoError

_BATCH_ROWS = 64  # photos in memory at once a batch: flat, however large a row group is
_BATCHES_KEPT = 8


def _is_parquet(path: Path) -> bool:
    return bool(_parquet_files(path))


def _parquet_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    return sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))


@register_path_source(_is_parquet, order=10)
def open_parquet(path: Path) -> ImageSet:
    """Open one Parquet file or a folder of them; ``train.parquet`` and ``train-00000-of-00002.parquet`` are split.

    Raises:
        DataError: not Parquet, without images, without labels, or without the names of its classes.
    """
    import pyarrow
    from pyarrow import parquet

    paths = _parquet_files(path)
    try:
        files = [parquet.ParquetFile(p) for p in paths]
        if len(files) == 1 and "path" in files[0].schema_arrow.names:
            return open_parquet_list(path)
        return _image_set(path, paths, files)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} can't be read as Parquet: {str(error).splitlines()[0]}") from error


def _image_set(path: Path, paths: list[Path], files: list[Any]) -> ImageSet:
    image, label, names = _columns(path, files[0].schema_arrow)
    shards = [_Shard(file, image, p.parent) for file, p in zip(files, paths, strict=True)]
    starts = [0, *accumulate(len(s) for s in shards)]
    labels = np.concatenate([_labels(p, f, label, len(names)) for f, p in zip(files, paths, strict=True)])
    has_parts = len(paths) > 1
    photo_names: list[str] = []
    parts: list[str] = []
    for shard, file in zip(shards, paths, strict=True):
        part = _part(file) if has_parts else UNSPLIT
        photo_names += [f"{file.stem}/{row}" for row in range(len(shard))]
        parts += [part] * len(shard)

    def read(index: int) -> bytes:
        number = bisect.bisect_right(starts, index) - 1
        return shards[number].read(index - starts[number])

    return ImageSet(str(path), names, photo_names, labels, np.array(parts, dtype="<U5"), read)


def _columns(path: Path, schema: Any) -> tuple[str, str, tuple[str, ...]]:  # noqa: ANN401 - pyarrow has no types
    """Return the image column, the label column and the class names, by the Hub's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        features = {}
    typed = {k: v for k, v in features.items() if isinstance(v, dict)}
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
    return images[0], label, tuple(readable(str(n)) for n in typed[label]["names"])


def _labels(path: Path, file: Any, column: str, num_classes: int) -> npt.NDArray[np.int64]:  # noqa: ANN401
    if column not in file.schema_arrow.names:
        raise DataError(f"{path} lacks the column {column!r}, which the other files have")
    labels: npt.NDArray[np.int64] = file.read(columns=[column]).column(0).fill_null(-1).to_numpy().astype(np.int64)
    if labels.size and not -1 <= labels.min() <= labels.max() < num_classes:
        wrong = labels.max() if labels.max() >= num_classes else labels.min()
        raise DataError(f"{path} has the label {wrong}, but names {num_classes} classes (0 to {num_classes - 1})")
    return labels


def _part(path: Path) -> str:
    """Return the part by the file's name: the word before ``-00000-of-00002``."""
    word = re.split(r"[-_.]", path.stem)[0].lower()
    return PART_OF_FOLDER.get(word, UNSPLIT)


class _Shard:
    """One Parquet file, read forward batch by batch; a few recent batches are kept for near readers."""

    def __init__(self, file: Any, column: str, folder: Path) -> None:  # noqa: ANN401
        self._file = file
        self._column = column
        self._folder = folder
        self._lock = threading.Lock()
        self._recent: OrderedDict[int, list[dict[str, Any]]] = OrderedDict()
        self._next_start = 0
        self._batches: Iterator[Any] = iter(())
        metadata = file.metadata
        self._group_starts: list[int] = [
            0,
            *accumulate(metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)),
        ]

    def __len__(self) -> int:
        return self._group_starts[-1]

    def read(self, row: int) -> bytes:
        image = self._row(row) or {}
        if image.get("bytes"):
            return bytes(image["bytes"])
        if image.get("path"):
            return read_photo(self._folder / image["path"])
        raise PhotoError("the row holds no image")

    def _row(self, row: int) -> dict[str, Any] | None:
        with self._lock:
            for start, rows in self._recent.items():
                if start <= row < start + len(rows):
                    return rows[row - start]
            if not self._recent or row < self._next_start or row - self._next_start > 4 * _BATCH_ROWS:
                self._seek(row)
            while row >= self._next_start:
                self._advance()
            start, rows = next(reversed(self._recent.items()))
            return rows[row - start]

    def _seek(self, row: int) -> None:
        group = bisect.bisect_right(self._group_starts, row) - 1
        groups = list(range(group, len(self._group_starts) - 1))
        self._batches = self._file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=[self._column])
        self._next_start = self._group_starts[group]

    def _advance(self) -> None:
        rows = next(self._batches).column(0).to_pylist()
        self._recent[self._next_start] = rows
        self._recent.move_to_end(self._next_start)
        self._next_start += len(rows)
        while len(self._recent) > _BATCHES_KEPT:
            self._recent.popitem(last=False)
