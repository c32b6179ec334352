"""A set of photos with their labels, read one at a time."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fieldguide.errors import DataError

Photo = bytes | npt.NDArray[np.uint8]
"""A photo as its source holds it: the bytes of an image file, or pixels (H, W) or (H, W, 3)."""

PARTS = ("train", "val", "test")
UNSPLIT = ""
NO_LABEL = -1

_REASONS_TOLD = 3


@dataclass(frozen=True)
class SkippedPhoto:
    """A photo that could not be used, and why."""

    name: str
    reason: str


def first_reasons(skipped: Sequence[SkippedPhoto]) -> str:
    """Return the first photos that could not be used and why, as part of a sentence; "" of none."""
    return "; ".join(f"{photo.name}: {photo.reason}" for photo in skipped[:_REASONS_TOLD])


@dataclass(frozen=True)
class ImageSet:
    """Photos, their labels and the part each belongs to. Only names and labels are in memory.

    Args:
        name: what to call the set, usually its path or registered name.
        class_names: the classes in the order of their labels.
        photo_names: (N,) a readable and unique name per photo.
        labels: (N,) int64 index into class_names, or -1 where a photo has none.
        parts: (N,) "train", "val", "test", or "" where the source does not say.
        read: index in [0, N) -> the photo. Called from several threads at once.
            Raises OSError or PhotoError where the photo can't be read.
        pixels: (N, H, W) or (N, H, W, C) uint8, all photos at once, where the source has them in memory.
        num_excluded: photos of the source that a list has left out.
    """

    name: str
    class_names: tuple[str, ...]
    photo_names: Sequence[str]
    labels: npt.NDArray[np.int64]
    parts: npt.NDArray[np.str_]
    read: Callable[[int], Photo]
    pixels: npt.NDArray[np.uint8] | None = field(default=None, repr=False)
    num_excluded: int = 0

    def __len__(self) -> int:
        return len(self.photo_names)

    @property
    def is_split(self) -> bool:
        """Whether the source itself says which photos are held out; a train part alone does not."""
        return bool(np.isin(self.parts, ("val", "test")).any())

    def select(self, keep: npt.NDArray[np.bool_]) -> "ImageSet":
        """Return the photos where ``keep`` (N,) is true, in order, with the same classes."""
        chosen = np.flatnonzero(keep)
        read = self.read
        return replace(
            self,
            photo_names=[self.photo_names[i] for i in chosen.tolist()],
            labels=self.labels[chosen],
            parts=self.parts[chosen],
            read=lambda index: read(int(chosen[index])),
            pixels=None if self.pixels is None else self.pixels[chosen],
        )


def content_digest(photo: Photo) -> bytes:
    """Return the SHA-256 (32 bytes) of what the photo holds; equal photos have equal digests."""
    if isinstance(photo, bytes):
        return hashlib.sha256(photo).digest()
    shape = ",".join(map(str, photo.shape)).encode()
    return hashlib.sha256(b"pixels:" + shape + b":" + np.ascontiguousarray(photo).tobytes()).digest()


def digest_prefixes(digests: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """Return the first 8 bytes of each digest as uint64 (N,): enough to tell photos apart, and small."""
    return np.frombuffer(b"".join(d[:8] for d in digests), ">u8").astype(np.uint64)


def choose_part(images: ImageSet, part: str | None) -> ImageSet:
    """Return the part of a set to evaluate on: by default ``test``, else ``val``, else all.

    Raises:
        DataError: the set has no such part.
    """
    if part is None:
        present = [p for p in ("test", "val") if (images.parts == p).any()]
        return images.select(images.parts == present[0]) if present else images
    chosen = images.parts == part
    if not chosen.any():
        present = sorted({str(p) for p in images.parts if p}) or ["none: it is not split"]
        raise DataError(f"{images.name} has no part {part!r}; it has {', '.join(present)}")
    return images.select(chosen)
