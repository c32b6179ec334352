"""MNIST's IDX files, gzipped or not (http://yann.lecun.com/exdb/mnist/)."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fieldguide.data.image_set import ImageSet
from fieldguide.data.sources import register_path_source
from fieldguide.errors import DataError

_PARTS = (("train", "train"), ("test", "t10k"))
_MAX_DIMS = 4  # pictures, rows, columns, channels
_DIGITS = tuple("0123456789")


def is_idx_folder(path: Path) -> bool:
    """Whether a folder holds IDX images of either part, gzipped or not."""
    return path.is_dir() and any(_find(path, f"{prefix}-images") for _, prefix in _PARTS)


def is_complete(path: Path) -> bool:
    """Whether a folder holds images and labels of both parts."""
    return all(_find(path, f"{prefix}-{kind}") for _, prefix in _PARTS for kind in ("images", "labels"))


@register_path_source(is_idx_folder, order=10)
def open_idx(path: Path, class_names: tuple[str, ...] = ()) -> ImageSet:
    """Open a folder of ``train-images-idx3-ubyte[.gz]``, ``train-labels-idx1-ubyte`` and ``t10k-...`` likewise.

    Args:
        path: the folder.
        class_names: in the order of the labels; by default the labels themselves, at least "0" to "9".

    Raises:
        DataError: a file is missing, truncated, not IDX, or images and labels don't match.
    """
    images: list[npt.NDArray[np.uint8]] = []
    labels: list[npt.NDArray[np.int64]] = []
    names: list[str] = []
    parts: list[str] = []
    for part, prefix in _PARTS:
        if not _find(path, f"{prefix}-images"):
            continue
        pixels, classes = _read_part(path, prefix)
        images.append(pixels)
        labels.append(classes)
        names += [f"{part}/{i}" for i in range(len(pixels))]
        parts += [part] * len(pixels)
    all_labels = np.concatenate(labels)
    all_pixels = _joined(path, images)
    needed = int(all_labels.max(initial=0)) + 1
    if class_names and needed > len(class_names):
        raise DataError(f"{path} has the label {needed - 1}, but there are {len(class_names)} classes")
    return ImageSet(
        name=str(path),
        class_names=class_names or tuple(map(str, range(max(needed, len(_DIGITS))))),
        photo_names=names,
        labels=all_labels,
        parts=np.array(parts, dtype="<U5"),
        read=lambda index: all_pixels[index],
        pixels=all_pixels,
    )


def _joined(path: Path, images: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    shapes = {pixels.shape[1:] for pixels in images}
    if len(shapes) > 1:
        raise DataError(f"{path}: pictures of train and t10k have different shapes: {sorted(shapes)}")
    return np.concatenate(images)


def _read_part(path: Path, prefix: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    files = [_find(path, f"{prefix}-{kind}") for kind in ("images", "labels")]
    if files[1] is None or files[0] is None:
        raise DataError(f"{path} holds {prefix}-images but no {prefix}-labels-idx1-ubyte[.gz]")
    pixels, labels = _read_idx(files[0]), _read_idx(files[1])
    if pixels.ndim not in (3, 4) or labels.ndim != 1 or len(pixels) != len(labels):
        raise DataError(
            f"{path}: {prefix} images of shape {pixels.shape} don't match labels of shape {labels.shape}"
        )
    return pixels, labels.astype(np.int64)


def _find(path: Path, stem: str) -> Path | None:
    """Return ``STEM-idx3-ubyte``, ``STEM.idx3-ubyte`` or either gzipped."""
    matches = (p for p in path.glob(f"{stem}*") if p.name.removesuffix(".gz").endswith("ubyte"))
    found = sorted(p for p in matches if p.is_file())
    return found[0] if found else None


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes: 0, 0, type 8, number of dimensions, big-endian sizes, values."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be read: {error}") from error
    num_dims = content[3] if len(content) > 3 else 0
    if content[:3] != b"\x00\x00\x08" or not 1 <= num_dims <= _MAX_DIMS:
        raise DataError(f"{path} is not an IDX file of bytes: it begins with {content[:4]!r}")
    header, values = content[: 4 + 4 * num_dims], np.frombuffer(content[4 + 4 * num_dims :], np.uint8)
    shape = tuple(int.from_bytes(header[4 + 4 * i : 8 + 4 * i], "big") for i in range(num_dims))
    stated = math.prod(shape)
    if len(header) < 4 + 4 * num_dims or values.size != stated:
        raise DataError(f"{path} is cut short or damaged: it states {stated} values and holds {values.size}")
    return values.reshape(shape)
