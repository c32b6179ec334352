"""torchvision's named sets: read from the data root, or downloaded there on first use (with their checksums)."""

import inspect
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fieldguide.data.files import read_photo
from fieldguide.data.image_set import UNSPLIT, ImageSet, Photo
from fieldguide.data.layout import PART_OF_FOLDER, readable
from fieldguide.data.sources import open_path, register_named_source
from fieldguide.data.sources.parquet_images import is_parquet
from fieldguide.errors import DataError
from fieldguide.paths import cache_folder


@dataclass(frozen=True, kw_only=True)
class NamedSet:
    """One of torchvision's sets: its class, and the arguments that open each part of it."""

    torchvision_name: str
    num_classes: int
    parts: dict[str, dict[str, Any]] = field(default_factory=lambda: {UNSPLIT: {}})


def _splits(**split_of_part: str) -> dict[str, dict[str, Any]]:
    return {part: {"split": split} for part, split in split_of_part.items()}


_TRAIN_OR_NOT = {"train": {"train": True}, "test": {"train": False}}

SETS = {
    "cifar10": NamedSet(torchvision_name="CIFAR10", num_classes=10, parts=_TRAIN_OR_NOT),
    "cifar100": NamedSet(torchvision_name="CIFAR100", num_classes=100, parts=_TRAIN_OR_NOT),
    "country211": NamedSet(
        torchvision_name="Country211", num_classes=211, parts=_splits(train="train", val="valid", test="test")
    ),
    "dtd": NamedSet(torchvision_name="DTD", num_classes=47, parts=_splits(train="train", val="val", test="test")),
    "eurosat": NamedSet(torchvision_name="EuroSAT", num_classes=10),
    "fgvc-aircraft": NamedSet(
        torchvision_name="FGVCAircraft", num_classes=100, parts=_splits(train="train", val="val", test="test")
    ),
    "flowers102": NamedSet(
        torchvision_name="Flowers102", num_classes=102, parts=_splits(train="train", val="val", test="test")
    ),
    "food101": NamedSet(torchvision_name="Food101", num_classes=101, parts=_splits(train="train", test="test")),
    "imagenette": NamedSet(torchvision_name="Imagenette", num_classes=10, parts=_splits(train="train", val="val")),
    "oxford-iiit-pet": NamedSet(
        torchvision_name="OxfordIIITPet", num_classes=37, parts=_splits(train="trainval", test="test")
    ),
    "stl10": NamedSet(torchvision_name="STL10", num_classes=10, parts=_splits(train="train", test="test")),
    "sun397": NamedSet(torchvision_name="SUN397", num_classes=397),
    "svhn": NamedSet(torchvision_name="SVHN", num_classes=10, parts=_splits(train="train", test="test")),
}


def download_folder(data_root: Path | None) -> Path:
    """Return where named sets are read from and downloaded to."""
    return data_root if data_root is not None else cache_folder() / "sets"


def open_in_place(folder: Path) -> ImageSet | None:
    """Open a folder of Parquet files or a split image folder; None for any other, such as torchvision's own."""
    is_split = any((folder / part).is_dir() for part in PART_OF_FOLDER)
    return open_path(folder) if is_split or is_parquet(folder) else None


def open_named_set(name: str, data_root: Path | None) -> ImageSet:
    """Open one of SETS: from ``data_root/NAME`` if :func:`open_in_place` can, else in torchvision's own layout.

    Raises:
        DataError: it is not at hand and can't be downloaded.
    """
    facts, root = SETS[name], download_folder(data_root)
    in_place = open_in_place(root / name)
    if in_place is not None:
        return in_place
    photos: list[Photo | Path] = []
    labels: list[int] = []
    parts: list[str] = []
    class_names: tuple[str, ...] = ()
    for part, arguments in facts.parts.items():
        dataset = downloaded(name, facts.torchvision_name, root, arguments)
        class_names = class_names or _class_names(dataset, facts.num_classes)
        for picture, label in _pairs(name, dataset, arguments):
            photos.append(Path(picture) if isinstance(picture, str | Path) else np.asarray(picture))
            labels.append(int(label))
            parts.append(part)
    return ImageSet(
        name=name,
        class_names=class_names,
        photo_names=[_photo_name(p, part, i, root) for i, (p, part) in enumerate(zip(photos, parts, strict=True))],
        labels=np.array(labels, np.int64),
        parts=np.array(parts, dtype="<U5"),
        read=lambda index: _read(photos[index]),
    )


def downloaded(name: str, torchvision_name: str, root: Path, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return torchvision's data set, downloading it into ``root`` where it is not there yet.

    Raises:
        DataError: it can't be downloaded or read; the message says what was tried and how to go on offline.
    """
    from fieldguide.libraries import import_torchvision

    dataset_class = getattr(import_torchvision().datasets, torchvision_name)
    if "loader" in inspect.signature(dataset_class).parameters:
        arguments = {**arguments, "loader": str}  # paths, not pictures: fieldguide decodes
    try:
        root.mkdir(parents=True, exist_ok=True)
        return dataset_class(root, download=True, **arguments)
    except Exception as error:  # torchvision's readers raise nearly anything on a file that is damaged
        url = _address(error)
        failed = f"downloaded from {url} to {root}" if url else f"read from {root}"
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataError(
            f"{name} could not be {failed}: {reason}; offline, put torchvision's files of "
            f"{torchvision_name} into a folder and pass it as --data-root"
        ) from error


def _address(error: Exception) -> str:
    """Return the address that torchvision was at when it failed, which its errors don't say; else nothing."""
    variables = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    urls = [v["url"] for v in variables if isinstance(v.get("url"), str) and "://" in v["url"]]
    return urls[-1] if urls else ""


def _class_names(dataset: Any, num_classes: int) -> tuple[str, ...]:  # noqa: ANN401
    names = getattr(dataset, "classes", None) or range(num_classes)
    return tuple(readable(n[0] if isinstance(n, tuple) else str(n)) for n in names)


def _pairs(name: str, dataset: Any, arguments: dict[str, Any]) -> Iterable[tuple[Any, int]]:  # noqa: ANN401
    """Return the photos, as paths or pictures, and their labels, in a stable order."""
    if name == "oxford-iiit-pet":
        return _pet_pairs(dataset, arguments)
    pairs = map(dataset.__getitem__, range(len(dataset)))
    return sorted(pairs) if name == "sun397" else pairs  # torchvision lists that one as the disk does


def _pet_pairs(dataset: Any, arguments: dict[str, Any]) -> list[tuple[Path, int]]:  # noqa: ANN401
    """The pets by their own annotation file, since torchvision's class can't leave them undecoded."""
    base = Path(dataset.root) / "oxford-iiit-pet"
    rows = (base / "annotations" / f"{arguments['split']}.txt").read_text().splitlines()
    fields = [row.split() for row in rows]  # name, class from 1, species, breed
    return [(base / "images" / f"{name}.jpg", int(label) - 1) for name, label, *_ in fields]


def _photo_name(photo: "Photo | Path", part: str, index: int, root: Path) -> str:
    if isinstance(photo, Path):
        return readable(str(photo.relative_to(root)) if photo.is_relative_to(root) else str(photo))
    return f"{part}/{index}"


def _read(photo: "Photo | Path") -> Photo:
    return read_photo(photo) if isinstance(photo, Path) else photo


for _name in SETS:
    register_named_source(_name)(partial(open_named_set, _name))
