"""The pictures that steps learn from: decoded to one size, and held in memory where they fit there."""

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fieldguide import launched
from fieldguide.cost.memory import total_bytes
from fieldguide.data import ImageSet, Preprocess, SkippedPhoto
from fieldguide.data.decode import decode
from fieldguide.data.image_set import content_digest
from fieldguide.embed.embedder import in_threads
from fieldguide.errors import DataError, PhotoError
from fieldguide.progress import Progress, counted, silent

if TYPE_CHECKING:
    from torch import Tensor

_AHEAD = 256  # photos decoded before they are asked for
_AT_ONCE = 16  # photos a thread looks at before it hands over: small pictures take less time than a handover
_SMALL_PX = 64  # photos up to this side make threads wait for each other: Python's part outweighs the decoder's
_LOOKED_AT = 8  # photos, until one can be read
_SHARE_OF_MEMORY = 0.25  # that pictures may take; more are decoded anew in each epoch
Pixels = npt.NDArray[np.uint8]


@dataclass
class Pictures:
    """Pictures uint8 (N, S, S, C) of the photos of a set that can be used.

    Args:
        images: the whole set.
        preprocess: how a photo becomes a picture.
        indices: (N,) which photo of the set each picture is.
        digests: (N,) content digest of each.
        held: (M, S, S, C) a picture for each photo of the set, where they fit in memory: those of ``indices`` are
            valid. Sets that are selected from one another share it.
        skipped: photos that can't be used, and why.
    """

    images: ImageSet
    preprocess: Preprocess
    indices: npt.NDArray[np.int64]
    digests: list[bytes]
    held: Pixels | None = field(repr=False)
    skipped: list[SkippedPhoto] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) class of each."""
        return self.images.labels[self.indices]

    def select(self, keep: npt.NDArray[np.bool_]) -> "Pictures":
        """Return the pictures where ``keep`` (N,) is true, in order; they are not copied."""
        chosen = np.flatnonzero(keep)
        digests = [self.digests[i] for i in chosen.tolist()]
        return Pictures(self.images, self.preprocess, self.indices[chosen], digests, self.held)

    def batches(self, batches: Iterable[npt.NDArray[np.int64]]) -> Iterator["Tensor"]:
        """Indices (B,) into the pictures, batch by batch -> tensors uint8 (B, C, S, S), channels last in memory.

        Raises:
            DataError: a photo that could be used can't be any longer.
        """
        import torch

        if self.held is not None:
            whole = torch.from_numpy(self.held)
            for batch in batches:
                yield whole[torch.from_numpy(self.indices[batch])].permute(0, 3, 1, 2)
            return
        sizes: list[int] = []

        def flat() -> Iterator[int]:
            for batch in batches:
                sizes.append(len(batch))
                yield from batch.tolist()

        decoded = in_threads(self._decode, flat(), ahead=_AHEAD)
        for first in decoded:
            rest = (next(decoded) for _ in range(sizes.pop(0) - 1))
            yield torch.from_numpy(np.stack([first, *rest])).permute(0, 3, 1, 2)

    def _decode(self, index: int) -> Pixels:
        photo = int(self.indices[index])
        try:
            return self.preprocess(self.images.read(photo))
        except (PhotoError, OSError) as error:
            raise DataError(
                f"{self.images.photo_names[photo]} could be read before, and now: {error}; put it back and go on "
                "with --resume"
            ) from error


def load_pictures(
    images: ImageSet,
    preprocess: Preprocess,
    *,
    strict: bool = False,
    at_most_bytes: int | None = None,
    beside: Pictures | None = None,
    on_progress: Progress = silent,
) -> Pictures:
    """Look at every photo once: learn what it holds, whether it can be used, and keep its picture if all fit.

    Args:
        images: photos with labels.
        preprocess: how a photo becomes a picture.
        strict: stop at the first photo that can't be used.
        at_most_bytes: that pictures may take; by default a quarter of this machine's or container's memory,
            that of all processes together.
        beside: pictures that may be held already, and count among these.
        on_progress: called as photos are done.

    Raises:
        DataError: strict, and a photo can't be used.
    """
    ready = _ready_pixels(images, preprocess)
    held = ready if ready is not None else _room_for(images, preprocess, at_most_bytes, beside)

    def look(start: int) -> list[_Look]:
        stretch = range(start, min(start + _AT_ONCE, len(images)))
        return [_look(images, index, preprocess if ready is None else None, strict) for index in stretch]

    starts = range(0, len(images), _AT_ONCE)
    alone = preprocess.size_px <= _SMALL_PX and _are_small(images)
    looks = map(look, starts) if alone else in_threads(look, starts, ahead=_AHEAD // _AT_ONCE)
    indices: list[int] = []
    digests: list[bytes] = []
    skipped: list[SkippedPhoto] = []
    each = enumerate(counted(chain.from_iterable(looks), len(images), "pictures", on_progress))
    for index, (digest, picture, reason) in each:
        if reason:
            skipped.append(SkippedPhoto(images.photo_names[index], reason))
            continue
        if held is not None and picture is not None:
            held[index] = picture
        indices.append(index)
        digests.append(digest)
    return Pictures(images, preprocess, np.array(indices, np.int64), digests, held, skipped)


def _are_small(images: ImageSet) -> bool:
    """Whether a set's photos, by the first that can be read, take less time than to hand them to a thread."""
    for index in range(min(_LOOKED_AT, len(images))):
        with contextlib.suppress(PhotoError, OSError):
            return max(decode(images.read(index)).size) <= _SMALL_PX
    return False


def _ready_pixels(images: ImageSet, preprocess: Preprocess) -> Pixels | None:
    """Return the pictures (M, S, S, C) of a set whose photos are pictures already."""
    side, channels = preprocess.size_px, preprocess.channels
    if images.pixels is None or images.pixels.shape[1:3] != (side, side) or _channels(images) != channels:
        return None
    return images.pixels.reshape(len(images), side, side, channels)


def _room_for(
    images: ImageSet, preprocess: Preprocess, at_most_bytes: int | None, beside: Pictures | None
) -> Pixels | None:
    """Return room for a picture of each photo, where all fit in memory."""
    shape = (len(images), preprocess.size_px, preprocess.size_px, preprocess.channels)
    own_memory = total_bytes() / launched.num_processes_here()
    budget = _SHARE_OF_MEMORY * own_memory if at_most_bytes is None else at_most_bytes
    taken = beside.held.nbytes if beside is not None and beside.held is not None else 0
    return np.empty(shape, np.uint8) if taken + math.prod(shape) <= budget else None


class _Look(NamedTuple):
    """What a look at a photo found: its digest and, where that is wanted, its picture; or a reason against it."""

    digest: bytes = b""
    picture: Pixels | None = None
    reason: str = ""


def _look(images: ImageSet, index: int, preprocess: Preprocess | None, strict: bool) -> _Look:
    try:
        photo = images.read(index)
        return _Look(content_digest(photo), None if preprocess is None else preprocess(photo))
    except (PhotoError, OSError) as error:
        reason = str(error) or type(error).__name__
        if strict:
            raise DataError(f"{images.photo_names[index]}: {reason}; stopped, as --strict asks") from error
        return _Look(reason=reason)


def _channels(images: ImageSet) -> int:
    if images.pixels is None:
        return 0
    return images.pixels.shape[3] if images.pixels.ndim == 4 else 1
