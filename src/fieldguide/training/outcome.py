"""What came of a run: a guide, with how it was made and how good it is."""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fieldguide.data.image_set import NO_LABEL, digest_prefixes
from fieldguide.data.layout import readable
from fieldguide.embed import Embedder, Embedding
from fieldguide.evaluate import Evaluation
from fieldguide.guide import Guide
from fieldguide.pictures import draw_curves
from fieldguide.progress import Progress, silent
from fieldguide.reports import Evidence, Sample, gather, sample, with_report
from fieldguide.training.findings import run_findings
from fieldguide.training.finetuning import FROZEN, compare
from fieldguide.training.judge import judge_pictures, probs_on
from fieldguide.training.network import Classifier, to_backbone, to_head
from fieldguide.training.photos.lesson_photos import LessonPhotos
from fieldguide.training.photos.pictures import Pictures
from fieldguide.training.preparation import Run
from fieldguide.training.record.command import job_command
from fieldguide.training.record.facts import data_facts, origin, skipped_facts, summary
from fieldguide.training.record.history import to_csv, verdict
from fieldguide.training.record.job import Job
from fieldguide.training.same_orders import orders
from fieldguide.training.train import train
from fieldguide.training.trust import known_photos, learn_trust

_JUDGED_OF_OWN = 2000  # photos it learnt from, to tell over- from underfitting


def to_guide(
    run: Run, network: Classifier, keep: Callable[[Guide], None], on_progress: Progress = silent
) -> Guide:
    """Return the guide, judged on the photos held out by the engine that will answer.

    Of several processes the first judges it, and the others take over what it found.

    Args:
        run: that is at its end.
        network: that came out of it.
        keep: called with the guide, of several processes in the first, before its report is made.
        on_progress: called as photos are done.
    """
    job, trainer = run.job, run.trainer
    made: list[Guide] = []
    own = judge_pictures(network, run.photos.labelled, trainer.lesson, trainer.processes, at_most=_JUDGED_OF_OWN)
    on_validation = _on_validation(run, network)

    def make() -> Guide:
        guide, evidence = _make_guide(run, network, own, on_validation, on_progress)
        keep(guide)
        made.append(with_report(guide, evidence, on_progress))
        return replace(made[0], embedder=None)  # type: ignore[arg-type]  # for it can't be sent

    told = trainer.processes.once(make)
    if made:
        return made[0]
    is_frozen = told.facts["training"].get("comparison", {}).get("kept") == FROZEN
    backbone = job.load_backbone() if is_frozen else to_backbone(network.body, run.plan)
    return replace(told, embedder=Embedder(backbone, engine=job.engine))


def _on_validation(run: Run, network: Classifier) -> npt.NDArray[np.float32]:
    """Return the network's probabilities (M, K) for the validation photos, none where there are none."""
    validation, lesson = run.photos.validation, run.trainer.lesson
    if validation is None:
        return np.zeros((0, len(lesson.class_names)), np.float32)
    return probs_on(network, validation, lesson, run.trainer.processes)


def _make_guide(
    run: Run,
    network: Classifier,
    own: Evaluation,
    on_validation: npt.NDArray[np.float32],
    on_progress: Progress,
) -> tuple[Guide, Evidence]:
    """Make the guide, and judge it; ``own`` is how the network did on photos that it learnt from."""
    job, photos = run.job, run.photos
    asked_labels = photos.validation.labels if photos.validation else np.zeros(0, np.int64)
    comparison = (  # of a fine-tuned network with the frozen guide
        None if run.frozen is None else compare(run.frozen, on_validation, asked_labels, photos.images.class_names)
    )
    training, history = _training_facts(run, own), run.trainer.state.history
    records = {"history.csv": to_csv(history), "curves.png": draw_curves([asdict(epoch) for epoch in history])}
    if comparison is not None:
        training["comparison"] = comparison
        if comparison["kept"] == FROZEN:
            training["verdict"] = verdict(
                own.top1,
                comparison["finetuned"]["top1"],
                history,
                from_nothing=False,
                recipe=job.settings(),
                subject="The fine-tuned network",
            )
            return _frozen_guide(job, photos, training, records, on_progress)
    guide, known = _answering_guide(run, network, on_validation, asked_labels, on_progress)
    embedding = guide.embedder.embed(photos.held_out, on_progress, strict=job.strict)
    wanted = np.ones(len(embedding.digests), np.bool_)
    evaluation = guide.judge(photos.held_out, photos.held_out.labels, embedding, wanted)
    on_others = evaluation.top1 if evaluation else training["validation_top1"]
    training["verdict"] = verdict(
        own.top1,
        on_others,
        history,
        from_nothing=comparison is None,
        recipe=job.settings(),
    )
    asked_probs = on_validation[:0] if comparison is None else on_validation  # of what began with knowledge
    facts = {
        **origin(),
        "command": job_command(job, readable(photos.everything.name)),
        "training": training,
        "data": _data_facts(photos, embedding),
        "doctor": run_findings(photos, embedding, asked_probs),
        "metrics": summary(evaluation),
    }
    records |= evaluation.files() if evaluation else {}
    guide = replace(guide, facts=facts, records=records, evaluation=evaluation)
    is_new = ~np.isin(digest_prefixes(embedding.digests), photos.seen)
    asked = sample(photos.held_out, photos.held_out.labels, embedding, is_new)
    return guide, Evidence(photos.everything, known, asked, learns_by_head=False)


def _answering_guide(
    run: Run,
    network: Classifier,
    on_validation: npt.NDArray[np.float32],
    asked_labels: npt.NDArray[np.int64],
    on_progress: Progress,
) -> tuple[Guide, Sample]:
    """Return the network as a guide that answers, and knows how far its answers go; and photos it learnt from."""
    photos = run.photos
    embedder = Embedder(to_backbone(network.body, run.plan), engine=run.job.engine)
    known = _some_of(photos.labelled, embedder, on_progress)
    others = _some_of(photos.validation, embedder, on_progress).features if photos.validation else None
    head, trust = learn_trust(
        to_head(network), known.features, known.labels, on_validation, asked_labels, asked_features=others
    )
    return Guide(embedder, head, photos.images.class_names, seen=photos.seen, trust=trust), known


def _data_facts(photos: LessonPhotos, held_out: Embedding) -> dict[str, Any]:
    """Return what a guide says of its photos; ``held_out`` is of those that it was not trained on."""
    seen_labels, held_out_labels = photos.seen_labels, photos.held_out.labels[held_out.indices]
    labels = np.concatenate([seen_labels, held_out_labels])
    return data_facts(
        photos.everything,
        photos.images,
        digests=photos.seen_digests + held_out.digests,
        labels=labels,
        held_out=np.arange(len(labels)) >= len(seen_labels),
        skipped=photos.skipped + held_out.skipped,
        num_judged_by=len(photos.val_part.images) if photos.val_part else 0,
    )


def _some_of(pictures: Pictures, embedder: Embedder, on_progress: Progress) -> Sample:
    """Return some of the photos, as many of each class, with their features."""
    rows = pictures.indices[known_photos(pictures.labels)]
    chosen = pictures.images.select(np.isin(np.arange(len(pictures.images)), rows))
    embedding = embedder.embed(chosen, on_progress)
    return sample(chosen, chosen.labels, embedding, np.ones(len(embedding.digests), np.bool_))


def _training_facts(run: Run, own: Evaluation) -> dict[str, Any]:
    """Return what a guide says of how it was trained; ``own`` is of photos that it learnt from."""
    job, photos, state = run.job, run.photos, run.trainer.state
    return {
        **orders(job),
        "recipe_name": job.recipe_name,
        "arithmetic": dict(job.arithmetic),
        "steps": state.step,
        "seconds": round(state.seconds, 2),
        "teachers": [
            {"guide": path, "fingerprint": fingerprint}
            for path, fingerprint in zip(job.teachers, job.teacher_fingerprints, strict=True)
        ],
        "num_unlabelled": int((photos.learnt.labels == NO_LABEL).sum()),
        "num_validation": len(photos.validation) if photos.validation else 0,
        "validation_top1": state.best[0] if state.best else None,
        "own_top1": own.top1,
    }


def _frozen_guide(
    job: Job, photos: LessonPhotos, training: dict[str, Any], records: dict[str, bytes], on_progress: Progress
) -> tuple[Guide, Evidence]:
    """Return the guide of frozen features, from all training photos that have a class, with what was tried."""
    guide = train(
        photos.everything,
        backbone=job.model,
        weights=job.weights,
        size_px=job.size_px,
        fit=job.fit,
        balanced=job.settings().balance != "none",
        strict=job.strict,
        engine=job.engine,
        report=False,
        on_progress=on_progress,
    )
    training["num_unlabelled"] = 0
    data = dict(guide.facts["data"])
    if photos.val_part:  # by which the two were compared
        data["unused"] -= len(photos.val_part.images)
        data["skipped"] = data["skipped"] + skipped_facts(photos.val_part.skipped)
    command = job_command(job, readable(photos.everything.name))
    facts = {**guide.facts, "command": command, "data": data, "training": training}
    guide = replace(guide, facts=facts, records={**guide.records, **records})
    (evidence,) = gather([guide], photos.everything, on_progress=on_progress)
    return guide, evidence
