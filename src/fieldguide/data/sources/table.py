"""A list of photos: CSV or Parquet with the columns path, label and, if wanted, split."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fieldguide.data.files import read_photo
from fieldguide.data.image_set import UNSPLIT, ImageSet
from fieldguide.data.layout import PART_OF_FOLDER, class_name, readable
from fieldguide.data.sources import register_path_source
from fieldguide.errors import DataError

Row = tuple[str, str, str, str]  # where it stands, path, label, split
_EXPECTED = "expected the columns path,label[,split]"


def _is_csv(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in (".csv", ".tsv")


@register_path_source(_is_csv)
def open_csv(path: Path) -> ImageSet:
    """Open a CSV (or TSV) list; its paths are relative to the list's own folder.

    Raises:
        DataError: a column is missing, a row lacks its path or label, or a split is unknown; with the line.
    """
    try:
        return _image_set(path, _csv_rows(path))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise DataError(f"{path} can't be read as UTF-8 CSV: {error}; {_EXPECTED}") from error


def open_parquet_list(path: Path) -> ImageSet:
    """Open a Parquet list of paths and labels; see :func:`open_csv`."""
    return _image_set(path, _parquet_rows(path))


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        _check_columns(path, reader.fieldnames or ())
        for row in reader:
            place = f"line {reader.line_num}"
            if any(row.get(None) or ()):
                raise DataError(f"{path} {place}: more values than columns; quote one that holds the separator")
            yield place, row["path"] or "", row["label"] or "", row.get("split") or ""


def _parquet_rows(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_columns(path, names)
        columns = [c for c in ("path", "label", "split") if c in names]
        number = 0
        for batch in file.iter_batches(columns=columns):
            for row in batch.to_pylist():
                number += 1
                values = {c: "" if row[c] is None else str(row[c]) for c in columns}
                yield f"row {number}", values["path"], values["label"], values.get("split", "")


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    found = list(columns)
    missing = [c for c in ("path", "label") if c not in found]
    if missing:
        shown = repr(",".join(found)[:200]) if found else "none"
        raise DataError(f"{path} lacks the column {missing[0]!r}; found {shown}; {_EXPECTED}")


def _image_set(path: Path, rows: Iterable[Row]) -> ImageSet:
    files: list[str] = []
    photo_names: list[str] = []
    times: Counter[str] = Counter()
    labels: list[str] = []
    parts: list[str] = []
    for place, file, label, split in rows:
        if not file.strip() or not label.strip():
            what = "path" if not file.strip() else "label"
            raise DataError(f"{path} {place}: the {what} is empty; every row needs one")
        word = split.strip().lower()
        if word and word not in PART_OF_FOLDER:
            allowed = ", ".join(PART_OF_FOLDER)
            raise DataError(f"{path} {place}: split is {split!r}; it must be empty or one of {allowed}")
        files.append(file)
        times[file] += 1
        photo_names.append(readable(file) if times[file] == 1 else f"{readable(file)} ({place})")
        labels.append(class_name(label.strip()))
        parts.append(PART_OF_FOLDER[word] if word else UNSPLIT)
    if not files:
        raise DataError(f"{path} lists no photos; {_EXPECTED}, and a row a photo")
    names = sorted(set(labels))
    index = {n: i for i, n in enumerate(names)}
    root = os.fspath(path.parent)
    return ImageSet(
        name=str(path),
        class_names=tuple(names),
        photo_names=photo_names,
        labels=np.array([index[n] for n in labels], np.int64),
        parts=np.array(parts, dtype="<U5"),
        read=lambda i: read_photo(os.path.join(root, files[i])),  # noqa: PTH118 - called once a photo
    )
