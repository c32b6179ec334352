"""What a guide says of how it was made: versions, data, accuracy."""

import datetime
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet
from fieldguide.data.image_set import NO_LABEL, SkippedPhoto
from fieldguide.data.layout import readable
from fieldguide.evaluate import Evaluation


def origin() -> dict[str, Any]:
    """Return the versions of fieldguide and of what it stands on, and the time."""
    libraries = ("torch", "openvino", "numpy", "pillow", "timm")
    return {
        "fieldguide_version": importlib.metadata.version("fieldguide"),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {
            "python": platform.python_version(),
            **{name: version for name in libraries if (version := _version(name))},
        },
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # OpenVINO, where another engine runs
        return None


def data_facts(
    everything: ImageSet,
    images: ImageSet,
    *,
    digests: Sequence[bytes],
    labels: npt.NDArray[np.int64],
    held_out: npt.NDArray[np.bool_],
    skipped: Sequence[SkippedPhoto],
    num_judged_by: int = 0,
) -> dict[str, Any]:
    """Return the set's name, what it holds, and a fingerprint that another photo or label would change.

    Args:
        everything: the set as it was opened.
        images: those of its photos that were to be used.
        digests: (N,) content digests of those that could be used.
        labels: (N,) their classes, -1 of one that was learnt from without any.
        held_out: (N,) which of them were held out.
        skipped: those that could not be used.
        num_judged_by: how many others a network was judged by while it learnt.
    """
    names = images.class_names
    has_class = labels != NO_LABEL
    train, held = (np.bincount(labels[mask & has_class], minlength=len(names)) for mask in (~held_out, held_out))
    unlabelled = int((everything.labels == NO_LABEL).sum())
    return {
        "name": readable(images.name),
        "fingerprint": data_fingerprint(digests, labels, names),
        "split": "given" if images.is_split else "by content",
        "num_train": int(train.sum()),
        "num_held_out": int(held.sum()),
        "photos": {n: {"train": int(train[k]), "held_out": int(held[k])} for k, n in enumerate(names)},
        "skipped": skipped_facts(skipped),
        "excluded": everything.num_excluded,
        "unlabelled": unlabelled,
        "unused": len(everything) - len(images) - unlabelled - num_judged_by,
    }


def skipped_facts(skipped: Iterable[SkippedPhoto]) -> list[dict[str, str]]:
    """Return photos that could not be used, and why, as JSON holds them."""
    return [{"photo": s.name, "reason": s.reason} for s in skipped]


def data_fingerprint(
    digests: Sequence[bytes], labels: npt.NDArray[np.int64], names: Sequence[str], *, in_order: bool = False
) -> str:
    """Return a SHA-256, in hexadecimal, of what photos hold and of their classes.

    Args:
        digests: of the photos' content, N.
        labels: (N,) classes; -1 of a photo that has none.
        names: of the classes.
        in_order: whether the photos' order counts, by which a run draws its batches; else any has the same one.
    """
    of_label = {NO_LABEL: b"", **{k: name.encode() for k, name in enumerate(names)}}
    pairs = [d + of_label[k] for d, k in zip(digests, labels.tolist(), strict=True)]
    return hashlib.sha256(b"".join(pairs if in_order else sorted(pairs))).hexdigest()


def summary(evaluation: Evaluation | None) -> dict[str, Any] | None:
    """Return an evaluation's main numbers; None where there was nothing to judge."""
    if evaluation is None:
        return None
    keys = ("num_photos", "top1", "top1_interval", "top5", "log_loss", "calibration")
    values = evaluation.to_dict()
    return {key: values[key] for key in keys}
