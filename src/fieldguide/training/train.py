"""From photos to a guide, by a linear head on frozen features."""

import csv
import datetime
import hashlib
import importlib.metadata
import io
import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data import ImageSet, open_images
from fieldguide.data.image_set import NO_LABEL, UNSPLIT, SkippedPhoto, digest_prefixes
from fieldguide.data.layout import EXPECTED, readable
from fieldguide.data.preprocess import Fit
from fieldguide.data.splits import hold_out
from fieldguide.embed import Embedder, Embedding
from fieldguide.errors import DataError, PhotoError
from fieldguide.evaluate import Evaluation
from fieldguide.guide import Guide
from fieldguide.progress import Progress, silent
from fieldguide.training.logistic_regression import FittedHead, fit_head
from fieldguide.weights import DEFAULT_BACKBONE, load_backbone

_MIN_PHOTOS = 2  # per class
_FEW_PHOTOS = 5  # of a class, to look at them all beforehand


def train(
    data: ImageSet | str | Path,
    *,
    backbone: str = DEFAULT_BACKBONE,
    weights: str | Path | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
    balanced: bool = False,
    strict: bool = False,
    data_root: str | Path | None = None,
    engine: str = "auto",
    on_progress: Progress = silent,
) -> Guide:
    """Train a guide: frozen features of a pretrained backbone, and a linear head on them. Nothing is random.

    A set that is not split holds out about a fifth of its photos by a hash of their content; a split one holds
    out its test part or, without one, its val part. The guide is evaluated on what is held out.

    Args:
        data: an image set, a path, or a registered name such as ``"digits"``.
        backbone: ``"efficientnet_lite0"``, or ``"timm:NAME"``.
        weights: a .safetensors file for the backbone, instead of its pretrained weights.
        size_px: side of the pictures; by default what the backbone was trained with.
        fit: ``crop``, ``pad`` or ``squash``.
        balanced: weigh photos so that every class counts the same.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        engine: ``"auto"``, or the name of an engine.
        on_progress: called as photos are done and strengths are tried.

    Raises:
        DataError: there is nothing to learn from; the message says what was found and what is expected.
        WeightsError: the weights can't be had, or don't fit.
        ValueError: size_px or fit is out of its range.
    """
    everything = open_images(data, data_root=data_root)
    images = _used(everything)
    _check_classes(images)
    if not strict:  # which stops at any photo, and says at which
        _check_readable(images)
    loaded = load_backbone(backbone, weights=weights, size_px=size_px, fit=fit)
    embedder = Embedder(loaded, engine=engine)
    embedding = embedder.embed(images, on_progress, strict=strict)
    labels = images.labels[embedding.indices]
    if images.is_split:
        held_out = images.parts[embedding.indices] != "train"
    else:
        held_out = hold_out(embedding.digests, labels)
        if (images.parts == UNSPLIT).any():  # a list may say of some photos that they are to train on
            held_out &= images.parts[embedding.indices] == UNSPLIT
    _check_usable(images, labels[~held_out], embedding.skipped)
    fitted = fit_head(
        embedding.features[~held_out],
        labels[~held_out],
        len(images.class_names),
        balanced=balanced,
        on_progress=on_progress,
    )
    seen = np.unique(digest_prefixes(embedding.digests)[~held_out])
    guide = Guide(embedder, fitted.head, images.class_names, seen=seen)
    evaluation = guide.judge(images, images.labels, embedding, held_out)
    unlabelled = int((everything.labels == NO_LABEL).sum())
    facts = {
        **_origin(),
        "head": {"strength": fitted.strength, "balanced": balanced},
        "data": {
            **_data_facts(images, labels, held_out, embedding),
            "unlabelled": unlabelled,
            "unused": len(everything) - len(images) - unlabelled,
        },
        "metrics": _summary(evaluation),
    }
    return replace(guide, facts=facts, records=_records(fitted, evaluation), evaluation=evaluation)


def _used(images: ImageSet) -> ImageSet:
    """Return the labelled photos; of a split set, those in ``train`` and in ``test`` or, without one, ``val``."""
    keep = images.labels != NO_LABEL
    if (images.parts == "test").any():
        keep &= images.parts != "val"
    if images.is_split:
        keep &= images.parts != UNSPLIT
    return images.select(keep)


def _check_classes(images: ImageSet) -> None:
    """Refuse what can't be learnt, before any photo is decoded.

    Raises:
        DataError: no photo, no class, one class, or a class with too few photos to train on.
    """
    names = images.class_names
    if images.is_split and not (images.parts == "train").any():
        found = ", ".join(sorted({str(p) for p in images.parts}))
        raise DataError(f"{images.name} has the parts {found} but no train part; {EXPECTED}")
    if not len(images):
        raise DataError(f"{images.name} holds no photos; {EXPECTED}")
    if len(names) == 1:
        raise DataError(
            f"{images.name} has one class, {names[0]!r}; a guide tells classes apart and needs two or more; "
            f"{EXPECTED}"
        )
    trains = images.labels[images.parts == "train"] if images.is_split else images.labels
    counts = np.bincount(trains, minlength=len(names))
    rare = int(counts.argmin())
    if counts[rare] < _MIN_PHOTOS:
        part = " in its train part" if images.is_split else ""
        found = "a single photo" if counts[rare] else "no photo"
        raise DataError(
            f"{images.name}: the class {names[rare]!r} has {found}{part}; every class needs {_MIN_PHOTOS} or more"
        )


def _check_readable(images: ImageSet) -> None:
    """Refuse a class of few files of which none is an image, such as a folder of something else, before long work.

    Raises:
        DataError: with the class, and why its files are skipped.
    """
    is_of_few = np.bincount(images.labels)[images.labels] <= _FEW_PHOTOS
    usable, skipped = [*np.unique(images.labels[~is_of_few])], []
    for index in np.flatnonzero(is_of_few).tolist():
        try:
            images.read(index)
            usable.append(images.labels[index])
        except (PhotoError, OSError) as error:
            skipped.append(SkippedPhoto(images.photo_names[index], str(error)))
    _check_usable(images, np.array(usable, np.int64), skipped)


def _check_usable(images: ImageSet, labels: npt.NDArray[np.int64], skipped: Sequence[SkippedPhoto]) -> None:
    """Refuse a class of which no photo could be used.

    Raises:
        DataError: with the class, and why its first photos were skipped.
    """
    counts = np.bincount(labels, minlength=len(images.class_names))
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        why = "; ".join(f"{s.name}: {s.reason}" for s in skipped[:3])
        raise DataError(
            f"{images.name}: no photo of the class {images.class_names[empty[0]]!r} can be used to train; "
            f"{len(skipped)} photos were skipped ({why})"
        )


def _origin() -> dict[str, Any]:
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


def _data_facts(
    images: ImageSet, labels: npt.NDArray[np.int64], held_out: npt.NDArray[np.bool_], embedding: Embedding
) -> dict[str, Any]:
    """Return the set's name, what it holds, and a fingerprint that another photo or label would change."""
    names = images.class_names
    pairs = sorted(d + names[k].encode() for d, k in zip(embedding.digests, labels, strict=True))
    train, held = (np.bincount(labels[mask], minlength=len(names)) for mask in (~held_out, held_out))
    return {
        "name": readable(images.name),
        "fingerprint": hashlib.sha256(b"".join(pairs)).hexdigest(),
        "split": "given" if images.is_split else "by content",
        "num_train": int(train.sum()),
        "num_held_out": int(held.sum()),
        "photos": {n: {"train": int(train[k]), "held_out": int(held[k])} for k, n in enumerate(names)},
        "skipped": [{"photo": s.name, "reason": s.reason} for s in embedding.skipped],
    }


def _summary(evaluation: Evaluation | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    keys = ("num_photos", "top1", "top1_interval", "top5", "log_loss")
    values = evaluation.to_dict()
    return {key: values[key] for key in keys}


def _records(fitted: FittedHead, evaluation: Evaluation | None) -> dict[str, bytes]:
    history = io.StringIO(newline="")
    writer = csv.writer(history)
    writer.writerow(["strength", "cross_validated_log_loss", "cross_validated_top1"])
    writer.writerows([f"{t.strength:.6g}", f"{t.log_loss:.6f}", f"{t.top1:.6f}"] for t in fitted.trials)
    return {"history.csv": history.getvalue().encode(), **(evaluation.files() if evaluation else {})}
