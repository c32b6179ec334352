"""Training runs: a network from nothing, or a pretrained one fine-tuned; started, or taken up again."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fieldguide.data import ImageSet, open_images
from fieldguide.data.preprocess import Fit
from fieldguide.embed import Embedder
from fieldguide.embed.engines.torch_engines import keep_freed_memory
from fieldguide.errors import RecipeError, TrainingError
from fieldguide.evaluate import Evaluation
from fieldguide.guide import Guide
from fieldguide.guide_format import check_replaceable
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.report import draw_curves
from fieldguide.training.arithmetic import Arithmetic, choose_arithmetic, prepare
from fieldguide.training.augment import Augmentation
from fieldguide.training.facts import data_facts, origin, summary
from fieldguide.training.finetuning import compare, pretrained_network, solve_head
from fieldguide.training.history import OnEpoch, ignore_epoch, to_csv, verdict
from fieldguide.training.job import Job, load_job
from fieldguide.training.keeper import INTERVAL_S, Keeper, start_anew
from fieldguide.training.lesson_photos import LessonPhotos, gather_photos
from fieldguide.training.loop import Learning, Lesson, judge_pictures
from fieldguide.training.network import Classifier, Plan, build_network, plan_network, to_backbone, to_head
from fieldguide.training.order import seed_of
from fieldguide.training.processes import Processes, find_processes
from fieldguide.training.recipe import Recipe, Setting, load_recipe
from fieldguide.training.train import train
from fieldguide.weights import DEFAULT_BACKBONE, Backbone, load_backbone

_INITIALISATION = 5  # what a seed is drawn for
_JUDGED_OF_OWN = 2000  # photos it learnt from, to tell over- from underfitting


def train_network(
    data: ImageSet | str | Path,
    *,
    model: str,
    output: str | Path | None = None,
    recipe: str = "baseline",
    settings: Mapping[str, Setting] | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    strict: bool = False,
    data_root: str | Path | None = None,
    engine: str = "auto",
    checkpoint_s: float = INTERVAL_S,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Guide:
    """Train a network from nothing, and return it as a guide.

    Args:
        data: an image set, a path, or a registered name.
        model: a registered name, ``timm:NAME`` or ``torchvision:NAME``.
        output: the folder that the guide is written to, and where the run is kept meanwhile; None to keep nothing.
        recipe: name of a recipe.
        settings: of the recipe, to change.
        size_px: side of the pictures; by default that of small pictures of one size, else the network's own.
        fit: ``crop``, ``pad`` or ``squash``.
        arguments: of the model's factory, such as ``{"width": 0.5}``.
        seed: of all chance. Two runs of one seed on one machine give the same bits.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        engine: that the guide runs on; ``"auto"`` for the fastest here.
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

    Raises:
        DataError: there is nothing to learn from, or the network can't take it.
        RecipeError: a setting is not allowed.
        TrainingError: an unfinished run is at ``output``, the loss is no number, or nothing can be written.
        StoppedError: Ctrl-C or SIGTERM came; :func:`resume` goes on.
    """
    job = Job(
        kind="from nothing",
        data="" if isinstance(data, ImageSet) else str(data),
        data_root=None if data_root is None else str(data_root),
        model=model,
        size_px=size_px,
        fit=fit,
        arguments=dict(arguments or {}),
        recipe_name=recipe,
        recipe=load_recipe(recipe).recipe.changed(settings or {}).to_dict(),
        seed=seed,
        strict=strict,
        engine=engine,
    )
    return _start(job, open_images(data, data_root=data_root), output, checkpoint_s, on_progress, on_epoch)


def finetune(
    data: ImageSet | str | Path,
    *,
    backbone: str = DEFAULT_BACKBONE,
    weights: str | Path | None = None,
    output: str | Path | None = None,
    recipe: str = "finetune",
    settings: Mapping[str, Setting] | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
    seed: int = 0,
    strict: bool = False,
    data_root: str | Path | None = None,
    engine: str = "auto",
    checkpoint_s: float = INTERVAL_S,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Guide:
    """Fine-tune a pretrained backbone, and return the guide; the frozen one, where that is no better.

    Both are judged on photos set apart from the training photos; ``guide.facts["training"]["comparison"]`` says how.

    Args:
        backbone, weights: as of :func:`fieldguide.train`.
        data, output, recipe, settings, size_px, fit, seed, strict, data_root, engine, checkpoint_s, on_progress,
            on_epoch: as of :func:`train_network`.

    Raises:
        WeightsError: the weights can't be had, or don't fit.
        DataError, RecipeError, TrainingError, StoppedError: as :func:`train_network` does.
    """
    job = Job(
        kind="fine-tuning",
        data="" if isinstance(data, ImageSet) else str(data),
        data_root=None if data_root is None else str(data_root),
        model=backbone,
        weights=None if weights is None else str(weights),
        size_px=size_px,
        fit=fit,
        recipe_name=recipe,
        recipe=load_recipe(recipe).recipe.changed(settings or {}).to_dict(),
        seed=seed,
        strict=strict,
        engine=engine,
    )
    return _start(job, open_images(data, data_root=data_root), output, checkpoint_s, on_progress, on_epoch)


def resume(
    run: str | Path,
    *,
    data: ImageSet | None = None,
    checkpoint_s: float = INTERVAL_S,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Guide:
    """Go on with an interrupted run from its last checkpoint, to the bits that it would have ended with.

    Args:
        run: the folder that was named as its output.
        data: its photos, where they were given as an object.
        checkpoint_s, on_progress, on_epoch: as of :func:`train_network`.

    Raises:
        TrainingError: there is no unfinished run, its photos have changed, or its checkpoints are damaged.
    """
    target = expand(run)
    job = load_job(target)
    keeper = Keeper(target, interval_s=checkpoint_s)
    return _carry_out(job, data or job.open_images(), keeper, on_progress, on_epoch)


def _start(
    job: Job,
    images: ImageSet,
    output: str | Path | None,
    checkpoint_s: float,
    on_progress: Progress,
    on_epoch: OnEpoch,
) -> Guide:
    target = None if output is None else expand(output)
    if target is not None:
        if target.suffix == ".zip":
            raise TrainingError(f"{target}: a run is kept in a folder; name one, such as {target.with_suffix('')}")
        check_replaceable(target)
        start_anew(target)
    return _carry_out(job, images, Keeper(target, interval_s=checkpoint_s), on_progress, on_epoch)


def _carry_out(job: Job, everything: ImageSet, keeper: Keeper, on_progress: Progress, on_epoch: OnEpoch) -> Guide:
    """Do what a job says, from its last checkpoint on if it has one, and write the guide."""
    keep_freed_memory()
    processes, recipe = find_processes(), job.settings()
    backbone = _pretrained(job)
    plan = (
        plan_network(job.model, everything, size_px=job.size_px, fit=job.fit, arguments=job.arguments)
        if backbone is None
        else Plan(backbone.name, backbone.preprocess, backbone.arguments)
    )
    photos = gather_photos(everything, plan.preprocess, recipe, strict=job.strict, on_progress=on_progress)
    if job.fingerprint and job.fingerprint != photos.fingerprint:
        raise TrainingError(
            f"the photos of {everything.name} have changed since this run began (their fingerprint was "
            f"{job.fingerprint[:12]}, and is {photos.fingerprint[:12]}); put them back, or start a new run"
        )
    torch.manual_seed(seed_of(job.seed, _INITIALISATION))
    network = (
        build_network(plan, len(photos.images.class_names), recipe)
        if backbone is None
        else pretrained_network(backbone, recipe, solve_head(backbone, photos, on_progress))
    )
    arithmetic = _arithmetic(job, network, plan, recipe, processes)
    job = replace(job, fingerprint=photos.fingerprint, arithmetic=asdict(arithmetic))
    if not processes.rank:
        keeper.keep_job(job.to_dict())
    lesson = _lesson(job, plan, network, photos, arithmetic, processes)
    prepare(network, arithmetic)
    frozen = None
    if backbone is not None and photos.validation is not None:
        frozen = judge_pictures(network.to(processes.device), photos.validation, lesson, processes)
    learning = Learning(lesson, processes, keeper, on_progress=on_progress, on_epoch=on_epoch)
    best = learning.run()
    guide = _to_guide(job, plan, best, photos, learning, frozen, on_progress)
    if keeper.target is not None and not processes.rank:
        guide.save(keeper.target)
    return guide


def _pretrained(job: Job) -> Backbone | None:
    """Return the backbone to fine-tune; None of a network from nothing.

    Raises:
        RecipeError: the recipe says what makes no sense of the one or of the other.
    """
    recipe = job.settings()
    if job.kind == "fine-tuning":
        if not recipe.validation:
            raise RecipeError("validation is 0, but fine-tuning is kept only if it does better on validation photos; "
                              "set validation=0.1")  # fmt: skip
        return load_backbone(job.model, weights=job.weights, size_px=job.size_px, fit=job.fit)
    if recipe.freeze != "none" or recipe.batch_norm == "frozen":
        setting = "batch_norm is frozen" if recipe.freeze == "none" else f"freeze is {recipe.freeze}"
        raise RecipeError(f"{setting}, but a network from nothing has nothing worth freezing; add --finetune")
    return None


def _lesson(
    job: Job, plan: Plan, network: Classifier, photos: LessonPhotos, arithmetic: Arithmetic, processes: Processes
) -> Lesson:
    class_names, recipe = photos.images.class_names, job.settings()
    return Lesson(
        network=network,
        pictures=photos.learnt,
        validation=photos.validation,
        class_names=class_names,
        size_px=plan.preprocess.size_px,
        recipe=recipe,
        seed=job.seed,
        arithmetic=arithmetic,
        augment=Augmentation(
            recipe, plan.preprocess, num_classes=len(class_names), seed=job.seed, device=processes.device
        ),
    )


def _arithmetic(job: Job, network: Classifier, plan: Plan, recipe: Recipe, processes: Processes) -> Arithmetic:
    if job.arithmetic:
        return Arithmetic(**job.arithmetic)
    side = plan.preprocess.size_px
    size = max(2, recipe.batch_size // recipe.accumulate // processes.count)
    shape = (size, plan.preprocess.channels, side, side)
    return choose_arithmetic(network, shape, processes.device, precision=recipe.precision)


def _to_guide(
    job: Job,
    plan: Plan,
    network: Classifier,
    photos: LessonPhotos,
    learning: Learning,
    frozen: Evaluation | None,
    on_progress: Progress,
) -> Guide:
    """Return the guide, judged on the photos held out by the engine that will answer."""
    own = judge_pictures(network, photos.learnt, learning.lesson, learning.processes, at_most=_JUDGED_OF_OWN)
    best = learning.state.best
    training = {
        "kind": job.kind,
        "recipe_name": job.recipe_name,
        "recipe": dict(job.recipe),
        "seed": job.seed,
        "arithmetic": dict(job.arithmetic),
        "steps": learning.state.step,
        "seconds": round(learning.state.seconds, 2),
        "num_validation": len(photos.validation) if photos.validation else 0,
        "validation_top1": best[0] if best else None,
        "own_top1": own.top1,
    }
    history = learning.state.history
    records = {"history.csv": to_csv(history), "curves.png": draw_curves([asdict(epoch) for epoch in history])}
    if frozen is not None and best is not None:
        training["comparison"] = comparison = compare(frozen, best)
        if not comparison["is_better"]:
            return _frozen_guide(job, photos, training, records, on_progress)
    images = photos.images
    guide = Guide(
        Embedder(to_backbone(network, plan), engine=job.engine),
        to_head(network),
        images.class_names,
        seen=photos.seen,
    )
    embedding = guide.embedder.embed(photos.held_out, on_progress, strict=job.strict)
    wanted = np.ones(len(embedding.digests), np.bool_)
    evaluation = guide.judge(photos.held_out, photos.held_out.labels, embedding, wanted)
    training["verdict"] = verdict(
        own.top1, evaluation.top1 if evaluation else training["validation_top1"], history
    )
    seen_labels, held_out_labels = photos.seen_labels, photos.held_out.labels[embedding.indices]
    facts = {
        **origin(),
        "training": training,
        "data": data_facts(
            photos.everything,
            images,
            digests=photos.seen_digests + embedding.digests,
            labels=np.concatenate([seen_labels, held_out_labels]),
            held_out=np.arange(len(seen_labels) + len(held_out_labels)) >= len(seen_labels),
            skipped=photos.skipped + embedding.skipped,
        ),
        "metrics": summary(evaluation),
    }
    records |= evaluation.files() if evaluation else {}
    return replace(guide, facts=facts, records=records, evaluation=evaluation)


def _frozen_guide(
    job: Job, photos: LessonPhotos, training: dict[str, Any], records: dict[str, bytes], on_progress: Progress
) -> Guide:
    """Return the guide of frozen features, from all training photos, with what was tried."""
    guide = train(
        photos.everything,
        backbone=job.model,
        weights=job.weights,
        size_px=job.size_px,
        fit=job.fit,
        strict=job.strict,
        engine=job.engine,
        on_progress=on_progress,
    )
    return replace(guide, facts={**guide.facts, "training": training}, records={**guide.records, **records})
