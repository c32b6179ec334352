"""From photos to a guide, by a linear head on frozen features."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from fieldguide.data import ImageSet, open_images
from fieldguide.data.image_set import digest_prefixes
from fieldguide.data.layout import readable
from fieldguide.data.preprocess import Fit
from fieldguide.data.splits import held_out_photos
from fieldguide.doctor.finding import to_dict
from fieldguide.doctor.quick import CASES_KEPT, quick_findings
from fieldguide.embed import Embedder
from fieldguide.evaluate import Evaluation
from fieldguide.guide import Guide
from fieldguide.head.logistic_regression import FittedHead, fit_head
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.reports import Evidence, sample, with_report
from fieldguide.training.photos.head_photos import (
    check_classes,
    check_readable,
    check_usable,
    used_photos,
)
from fieldguide.training.record.command import head_command
from fieldguide.training.record.facts import data_facts, origin, summary
from fieldguide.training.trust import learn_trust
from fieldguide.weights import DEFAULT_BACKBONE, load_backbone


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
    exclude: str | Path | None = None,
    engine: str = "auto",
    report: bool = True,
    on_guide: Callable[[Guide], None] = lambda guide: None,
    on_progress: Progress = silent,
) -> Guide:
    """Train a guide: frozen features of a pretrained backbone, and a linear head on them. Nothing is random.

    A set that is not split holds out about a fifth of its photos by a hash of their content; a split one holds
    out its test part or, without one, its val part. The guide is evaluated on what is held out.

    Args:
        data: an image set, a path, or a registered name such as ``"digits"``.
        backbone: a name or a folder, as :func:`fieldguide.weights.load_backbone` takes.
        weights: a .safetensors file for the backbone, instead of its pretrained weights.
        size_px: side of the pictures; by default what the backbone was trained with.
        fit: ``crop``, ``pad`` or ``squash``.
        balanced: weigh photos so that every class counts the same.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        exclude: a CSV list of photos to leave out, as of :func:`fieldguide.open_images`.
        engine: ``"auto"``, or the name of an engine.
        report: make its report.html, too.
        on_guide: called with the guide as soon as it is made, before its report.
        on_progress: called as photos are done and strengths are tried.

    Raises:
        DataError: there is nothing to learn from; the message says what was found and what is expected.
        UnknownNameError: there is no such set, backbone or engine.
        WeightsError: the weights can't be had, or don't fit.
        ValueError: size_px or fit is out of its range.
    """
    everything = open_images(data, data_root=data_root, exclude=exclude)
    images = used_photos(everything)
    check_classes(images)
    if not strict:  # which stops at any photo, and says at which
        check_readable(images)
    loaded = load_backbone(backbone, weights=weights, size_px=size_px, fit=fit)
    embedder = Embedder(loaded, engine=engine)
    embedding = embedder.embed(images, on_progress, strict=strict)
    labels = images.labels[embedding.indices]
    held_out = held_out_photos(images, embedding.indices, embedding.digests)
    check_usable(images, labels[~held_out], embedding.skipped)
    fitted = fit_head(
        embedding.features[~held_out],
        labels[~held_out],
        len(images.class_names),
        balanced=balanced,
        on_progress=on_progress,
    )
    seen = np.unique(digest_prefixes(embedding.digests)[~held_out])
    learnt, choice = labels[~held_out], fitted.choice
    head, trust = learn_trust(
        fitted.head, embedding.features[~held_out], learnt, choice.probs, learnt[choice.rows]
    )
    guide = Guide(embedder, head, images.class_names, seen=seen, trust=trust)
    evaluation = guide.judge(images, images.labels, embedding, held_out)
    findings = quick_findings(
        images,
        embedding.indices,
        embedding.digests,
        held_out,
        skipped=zip(embedding.skipped_indices, (photo.reason for photo in embedding.skipped), strict=True),
        asked=embedding.indices[~held_out][choice.rows],
        probs=choice.probs,
        features=embedding.features,
    )
    facts = {
        **origin(),
        "command": ""
        if isinstance(data, ImageSet)
        else head_command(
            readable(everything.name),
            backbone=backbone,
            balanced=balanced,
            size=size_px,
            fit=fit,
            weights=expand(weights) if weights else None,
            exclude=expand(exclude) if exclude else None,
        ),
        "head": {"strength": choice.strength, "balanced": balanced},
        "data": data_facts(
            everything,
            images,
            digests=embedding.digests,
            labels=labels,
            held_out=held_out,
            skipped=embedding.skipped,
        ),
        "doctor": [to_dict(finding, images.photo_names, at_most=CASES_KEPT) for finding in findings],
        "metrics": summary(evaluation),
    }
    guide = replace(guide, facts=facts, records=_records(fitted, evaluation), evaluation=evaluation)
    on_guide(guide)
    if not report:
        return guide
    is_seen = np.isin(digest_prefixes(embedding.digests), seen)
    known, asked = (
        sample(images, images.labels, embedding, chosen) for chosen in (~held_out, held_out & ~is_seen)
    )
    return with_report(guide, Evidence(images, known, asked), on_progress)


def _records(fitted: FittedHead, evaluation: Evaluation | None) -> dict[str, bytes]:
    history = io.StringIO(newline="")
    writer = csv.writer(history)
    writer.writerow(["strength", "cross_validated_log_loss", "cross_validated_top1"])
    writer.writerows([f"{t.strength:.6g}", f"{t.log_loss:.6f}", f"{t.top1:.6f}"] for t in fitted.choice.trials)
    return {"history.csv": history.getvalue().encode(), **(evaluation.files() if evaluation else {})}
