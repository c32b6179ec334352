"""From a job to a run that is ready to learn: network, photos, arithmetic, and its last checkpoint if any."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fieldguide.data import ImageSet
from fieldguide.errors import RecipeError, TrainingError
from fieldguide.guide import Guide
from fieldguide.head import LinearHead
from fieldguide.libraries import keep_freed_memory
from fieldguide.progress import Progress, silent
from fieldguide.training.compute.arithmetic import Arithmetic, choose_arithmetic, prepare
from fieldguide.training.compute.determinism import prepare_determinism
from fieldguide.training.compute.processes import Processes
from fieldguide.training.finetuning import pretrained_network, solve_head
from fieldguide.training.judge import probs_on
from fieldguide.training.lesson import Lesson
from fieldguide.training.loop import Trainer
from fieldguide.training.network import Classifier, build_network, set_modes
from fieldguide.training.photos.augment import SMALL_PX, Augmentation
from fieldguide.training.photos.lesson_photos import LessonPhotos, gather_photos
from fieldguide.training.photos.unlabelled_photos import UnlabelledPhotos
from fieldguide.training.plan import Plan, look_at, plan_network
from fieldguide.training.recipe import Recipe
from fieldguide.training.record.history import OnEpoch, ignore_epoch
from fieldguide.training.record.job import Job
from fieldguide.training.record.keeper import Keeper
from fieldguide.training.seeds import Purpose, seed_of
from fieldguide.training.step_errors import explained
from fieldguide.training.teacher import GuideTeacher, guide_fingerprint, load_teachers
from fieldguide.weights import Backbone


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is ready to learn.

    Args:
        job: its orders, with the photos' fingerprint and the arithmetic.
        plan: of the network.
        photos: by what they are for.
        trainer: with the network, at its last checkpoint.
        frozen: of fine-tuning, what the network answered before it: probabilities (n, K) of the validation photos.
    """

    job: Job
    plan: Plan
    photos: LessonPhotos
    trainer: Trainer
    frozen: npt.NDArray[np.float32] | None


def default_recipe(images: ImageSet) -> str:
    """Return the recipe for a set that says nothing more: small pictures, such as digits, bear no mirroring."""
    return "lesson" if 0 < look_at(images)[0] <= SMALL_PX else "baseline"


def prepare_run(
    job: Job,
    everything: ImageSet,
    keeper: Keeper,
    processes: Processes,
    *,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Run:
    """Make ready what a job says.

    Raises:
        DataError: there is nothing to learn from, or the network can't take it.
        RecipeError: the recipe does not suit the kind of run.
        TrainingError: the photos, a teacher or the pretrained weights have changed since the run began, or its
            checkpoints are damaged.
    """
    keep_freed_memory()
    recipe, on_progress = job.settings(), silent if processes.rank else on_progress
    prepare_determinism(recipe)
    check_suits(job)
    guides = load_teachers(job.teachers, everything.class_names, job.teacher_fingerprints)
    backbone = job.load_backbone() if job.kind == "fine-tuning" else None
    plan = _plan(job, backbone, everything)
    photos = gather_photos(
        everything,
        plan.preprocess,
        recipe,
        unlabelled=job.unlabelled,
        strict=job.strict,
        on_progress=on_progress,
    )
    check_all_see_the_same(photos, processes)
    check_unchanged(photos, job)
    head = None if backbone is None else _solved_head(backbone, photos, recipe, processes, on_progress)
    network = _network(job, plan, backbone, head, len(photos.images.class_names))
    arithmetic = processes.once(lambda: arithmetic_of(job, network, plan, processes))
    job = replace(
        job,
        data_name=everything.name,
        fingerprint=photos.fingerprint,
        teacher_fingerprints=tuple(map(guide_fingerprint, guides)),
        backbone_fingerprint="" if backbone is None else backbone.weights.fingerprint,
        arithmetic=asdict(arithmetic),
    )
    prepare(network, arithmetic, processes.device, compiles=recipe.compile)
    lesson = _lesson(job, network, plan, photos, guides=guides, device=processes.device)
    frozen = None
    if backbone is not None and photos.validation is not None:
        frozen = probs_on(network.to(processes.device), photos.validation, lesson, processes)
    trainer = Trainer(lesson, processes, keeper, on_progress=on_progress, on_epoch=on_epoch)
    processes.once(lambda: keeper.keep_job(job.to_dict()))  # not before: what is refused may be corrected
    return Run(job=job, plan=plan, photos=photos, trainer=trainer, frozen=frozen)


def _plan(job: Job, backbone: Backbone | None, everything: ImageSet) -> Plan:
    if backbone is not None:
        return Plan(backbone.name, backbone.preprocess, backbone.arguments)
    return plan_network(job.model, everything, size_px=job.size_px, fit=job.fit, arguments=job.arguments)


def _solved_head(
    backbone: Backbone, photos: LessonPhotos, recipe: Recipe, processes: Processes, on_progress: Progress
) -> LinearHead:
    is_balanced = recipe.balance != "none"
    return processes.once(lambda: solve_head(backbone, photos, on_progress, balanced=is_balanced))


def _lesson(
    job: Job,
    network: Classifier,
    plan: Plan,
    photos: LessonPhotos,
    *,
    guides: Sequence[Guide],
    device: torch.device,
) -> Lesson:
    """Return what is to be learnt, of a job that says its arithmetic."""
    recipe, class_names = job.settings(), photos.images.class_names
    return Lesson(
        network=network,
        pictures=photos.learnt,
        validation=photos.validation,
        class_names=class_names,
        size_px=plan.preprocess.size_px,
        recipe=recipe,
        seed=job.seed,
        arithmetic=Arithmetic(**job.arithmetic),
        augment=Augmentation(recipe, plan.preprocess, num_classes=len(class_names), seed=job.seed, device=device),
        teacher=GuideTeacher(guides, class_names, plan.preprocess, device) if guides else None,
    )


def check_unchanged(photos: LessonPhotos | UnlabelledPhotos, job: Job) -> None:
    """Make sure that a run goes on with the photos that it began with.

    Raises:
        TrainingError: they have changed.
    """
    if job.fingerprint and job.fingerprint != photos.fingerprint:
        raise TrainingError(
            f"the photos of {photos.everything.name} have changed since this run began, or come in another "
            f"order (their fingerprint was {job.fingerprint[:12]}, and is {photos.fingerprint[:12]}); put them "
            "back, under their names, or start a new run"
        )


def check_all_see_the_same(photos: LessonPhotos | UnlabelledPhotos, processes: Processes) -> None:
    """Make sure that all processes, which may run on several machines, found the same photos.

    Raises:
        TrainingError: one found others.
    """
    if any(processes.any(photos.fingerprint != processes.once(lambda: photos.fingerprint))):
        raise TrainingError(
            f"the {processes.count} processes see different photos of {photos.everything.name} (process "
            f"{processes.rank} finds the fingerprint {photos.fingerprint[:12]}); give every machine the same "
            "files, of the same names"
        )


def _network(
    job: Job, plan: Plan, backbone: Backbone | None, head: LinearHead | None, num_classes: int
) -> Classifier:
    torch.manual_seed(seed_of(job.seed, Purpose.INITIALISATION))
    if backbone is None or head is None:
        return build_network(plan, num_classes, job.settings())
    return pretrained_network(backbone, job.settings(), head)


def check_suits(job: Job) -> None:
    """Make sure, before long work, that the recipe suits the kind of run.

    Raises:
        RecipeError: it does not.
    """
    recipe = job.settings()
    if recipe.target_decay != Recipe.target_decay:
        raise RecipeError(
            f"target_decay is {recipe.target_decay:g}, which is of learning without labels; leave it out, or take "
            "the command pretrain"
        )
    if not job.teachers:
        _check_without_teacher(recipe, unlabelled=job.unlabelled)
    if job.kind == "fine-tuning":
        _check_for_finetuning(recipe)
    elif recipe.freeze != "none" or recipe.batch_norm == "frozen":
        setting = "batch_norm is frozen" if recipe.freeze == "none" else f"freeze is {recipe.freeze}"
        raise RecipeError(f"{setting}, but a network from nothing has nothing worth freezing; add --finetune")


def _check_without_teacher(recipe: Recipe, *, unlabelled: bool) -> None:
    usual = Recipe()
    for name in ("hard", "temperature", "teacher_weight"):
        value = getattr(recipe, name)
        if value != getattr(usual, name):
            raise RecipeError(
                f"{name} is {str(value).lower()}, which is of learning from a teacher; add --teacher GUIDE, or "
                "leave it out"
            )
    if unlabelled:
        raise RecipeError("photos without a class are learnt from by a teacher's answers; add --teacher GUIDE")


def _check_for_finetuning(recipe: Recipe) -> None:
    if not recipe.validation:
        raise RecipeError(
            "validation is 0, but what is fine-tuned is kept only if it does better on validation photos; set "
            "validation=0.1"
        )
    if recipe.zero_init:
        raise RecipeError("zero_init is true, but a pretrained network has learnt its branches; leave it out")


def arithmetic_of(job: Job, network: nn.Module, plan: Plan, processes: Processes) -> Arithmetic:
    """Return what the run has computed with so far or, at its start, what is fastest for a process's share."""
    if job.arithmetic:
        return Arithmetic(**job.arithmetic)
    recipe, side = job.settings(), plan.preprocess.size_px
    size = max(2, recipe.batch_size // recipe.accumulate // processes.count)
    with explained(recipe, recipe.batch_size):
        return choose_arithmetic(
            network,
            (size, plan.preprocess.channels, side, side),
            processes.device,
            precision="float32" if recipe.deterministic and recipe.precision == "auto" else recipe.precision,
            fuses=not recipe.compile and processes.count == 1,
            set_modes=partial(set_modes, recipe=recipe),
        )
