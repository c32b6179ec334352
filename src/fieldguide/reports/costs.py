"""What a guide costs: how large it is, and how long an answer takes on this machine."""

import contextlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fieldguide.data.image_set import Photo
from fieldguide.errors import PhotoError
from fieldguide.guide import Guide
from fieldguide.hardware import processor
from fieldguide.reports.evidence import Sample

_TIMED, _WARM_UP = 16, 2  # photos


def costs(guides: Sequence[Guide], photos: Sample) -> list[dict[str, Any]]:
    """Return the size of each guide and, where its engine runs, the time that it takes for a photo.

    Args:
        guides: to measure, in turns: what slows the machine slows them all.
        photos: some of them are answered for anew, one after the other.
    """
    are_running = all(guide.embedder.is_running for guide in guides)
    times = _times_ms(guides, photos) if are_running else [[] for _ in guides]
    return [
        {
            "parameters": _num_parameters(guide),
            "bytes": sum(array.nbytes for array in guide.tensors.values()),
            "latency_ms": statistics.median(own) if own else None,
            "quartiles_ms": statistics.quantiles(own, n=4)[::2] if len(own) > 1 else own * 2,
            "processor": processor(),
            "engine": guide.embedder.engine.description if are_running else "",
        }
        for guide, own in zip(guides, times, strict=True)
    ]


def _num_parameters(guide: Guide) -> int:
    arrays = [*guide.backbone.weights.tensors.values(), guide.head.weight, guide.head.bias]
    return sum(array.size for array in arrays)


def _times_ms(guides: Sequence[Guide], photos: Sample) -> list[list[float]]:
    """Return each guide's times from a photo's bytes to the answer, one at a time; none without any photo."""
    read: list[Photo] = []
    for index in photos.indices[np.linspace(0, len(photos) - 1, min(len(photos), _TIMED)).astype(int)].tolist():
        try:
            read.append(photos.images.read(index))
        except (PhotoError, OSError):
            continue
    times: list[list[float]] = [[] for _ in guides]
    with contextlib.suppress(PhotoError):  # it could be decoded a moment ago
        for photo in [*read[:_WARM_UP], *read]:
            for guide, own in zip(guides, times, strict=True):
                own.append(_answer_ms(guide, photo))
    return [own[_WARM_UP:] for own in times]


def _answer_ms(guide: Guide, photo: Photo) -> float:
    start = time.perf_counter()
    (feature,) = guide.embedder.engine.embed([guide.backbone.preprocess(photo)])
    guide.head.probs(feature[None])
    return 1000 * (time.perf_counter() - start)
