"""Learning without labels: photos to a backbone, by BYOL, and how good its features are beside random weights'."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fieldguide.data import ImageSet
from fieldguide.data.preprocess import Fit
from fieldguide.errors import RecipeError, TrainingError
from fieldguide.guide_format import RUN, is_a_run
from fieldguide.libraries import keep_freed_memory
from fieldguide.paths import check_place, expand
from fieldguide.progress import Progress, silent
from fieldguide.training.byol import Byol, TwoViews, byol_loss
from fieldguide.training.compute.arithmetic import prepare
from fieldguide.training.compute.determinism import prepare_determinism
from fieldguide.training.compute.processes import Processes, find_processes
from fieldguide.training.judge_features import judge_features
from fieldguide.training.lesson import Lesson
from fieldguide.training.loop import Trainer
from fieldguide.training.network import Classifier, build_network, to_backbone
from fieldguide.training.network_settings import refuse_lacking
from fieldguide.training.photos.augment import Augmentation
from fieldguide.training.photos.unlabelled_photos import UnlabelledPhotos, gather_unlabelled, open_unlabelled
from fieldguide.training.plan import Plan, plan_network
from fieldguide.training.preparation import arithmetic_of, check_all_see_the_same, check_unchanged
from fieldguide.training.recipe import Recipe, Setting, load_recipe
from fieldguide.training.record.facts import origin, skipped_facts
from fieldguide.training.record.history import OnEpoch, ignore_epoch, to_csv
from fieldguide.training.record.job import Job, load_job, new_job
from fieldguide.training.record.keeper import INTERVAL_S, JOB, Keeper, start_anew
from fieldguide.training.seeds import Purpose, seed_of
from fieldguide.weights import Backbone
from fieldguide.weights.backbone_folder import FACTS, write_backbone

RECIPE = "byol"
_UNUSED_SETTINGS = ("label_smoothing", "mixup", "cutmix", "balance", "validation", "freeze", "batch_norm", "ema",
                "layer_decay", "teacher_weight", "temperature", "hard")  # fmt: skip


@dataclass(frozen=True)
class Pretrained:
    """What came of learning without labels.

    Args:
        backbone: the network, as :func:`fieldguide.train` takes it.
        facts: what backbone.json says of how it was made; ``facts["metrics"]`` how good its features are.
    """

    backbone: Backbone
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Run:
    job: Job
    plan: Plan
    photos: UnlabelledPhotos
    trainer: Trainer
    num_features: int


def pretrain(
    data: ImageSet | str | Path,
    *,
    model: str,
    output: str | Path | None = None,
    recipe: str = RECIPE,
    settings: Mapping[str, Setting] | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    strict: bool = False,
    data_root: str | Path | None = None,
    checkpoint_s: float = INTERVAL_S,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Pretrained:
    """Train the body of a network from nothing and without labels, by BYOL.

    Where photos have labels, these serve to judge the features in the end: those of the held-out photos, by their
    nearest neighbours and by a linear head, beside the features of the same network with its random weights.

    Args:
        data: a folder of photos; or an image set, a path or a registered name, as :func:`fieldguide.train` takes.
        model: a registered name, ``timm:NAME`` or ``torchvision:NAME``.
        output: the folder that the backbone is written to, and where the run is kept meanwhile; None for none.
        recipe: a name, or the path of a .toml file.
        settings: of the recipe, to change.
        size_px: side of the pictures; by default that of small pictures of one size, else the network's own.
        fit: ``crop``, ``pad`` or ``squash``.
        arguments: of the model's factory, such as ``{"width": 0.5}``.
        seed: of all chance. Two runs of one seed and one arithmetic give the same bits on one machine.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

    Raises:
        DataError: there is nothing to learn from, or the network can't take it.
        RecipeError: a setting is not allowed, or needs labels.
        UnknownNameError: there is no such set, model or recipe.
        TrainingError: something else is at ``output``, the loss is no number, or nothing can be written.
        StoppedError: Ctrl-C or SIGTERM came; :func:`resume_pretraining` goes on.
    """
    _refuse_plateau((settings or {}).get("schedule"))
    job = new_job(
        "without labels", data, model=model, arguments=arguments, size_px=size_px, fit=fit, recipe=recipe,
        settings=settings, seed=seed, strict=strict, data_root=data_root,
    )  # fmt: skip
    refuse_supervised_settings(job.settings())
    refuse_lacking(model, settings or {}, arguments or {})
    processes = find_processes()
    images = processes.first_here(lambda: open_unlabelled(data, data_root=data_root))
    keeper = Keeper(None if output is None else expand(output), interval_s=checkpoint_s)
    processes.once(lambda: _make_room(keeper.target))
    return _carry_out(job, images, keeper, processes, on_progress=on_progress, on_epoch=on_epoch)


def resume_pretraining(
    run: str | Path,
    *,
    data: ImageSet | None = None,
    checkpoint_s: float = INTERVAL_S,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Pretrained:
    """Go on with an interrupted run from its last checkpoint, to the bits that it would have ended with.

    Args:
        run: the folder that was named as its output.
        data: its photos, where they were given as an object.
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

    Raises:
        TrainingError: there is no unfinished run, its photos have changed, or its checkpoints are damaged.
        DataError: its photos are no longer there.
        RecipeError: this processor does not have the run's arithmetic.
        StoppedError: Ctrl-C or SIGTERM came.
    """
    target = expand(run)
    if (target / FACTS).exists() and not (target / RUN / JOB).exists():
        raise TrainingError(
            f"{target} is finished: it is a backbone; try: fieldguide train PHOTOS --backbone {target}"
        )
    processes = find_processes()
    job = processes.once(lambda: load_job(target, without_labels=True))
    images = processes.first_here(lambda: job.open_images(open_unlabelled)) if data is None else data
    keeper = Keeper(target, interval_s=checkpoint_s)
    return _carry_out(job, images, keeper, processes, on_progress=on_progress, on_epoch=on_epoch)


def refuse_supervised_settings(recipe: Recipe) -> None:
    """Refuse settings that learning without labels has no use for.

    Raises:
        RecipeError: one of them is set.
    """
    _refuse_plateau(recipe.schedule)
    usual = load_recipe(RECIPE).recipe
    for name in _UNUSED_SETTINGS:
        value, allowed = getattr(recipe, name), getattr(usual, name)
        if value != allowed:
            told = [str(each).lower() if isinstance(each, bool) else each for each in (value, allowed)]
            raise RecipeError(
                f"{name} is {told[0]}, which learning without labels has no use for; set {name}={told[1]}"
            )
    if recipe.batch_size < 2 * recipe.accumulate:
        raise RecipeError(
            f"batch_size is {recipe.batch_size}, in {recipe.accumulate} parts; a part without labels needs two "
            f"photos or more: set batch_size={2 * recipe.accumulate}"
        )


def _refuse_plateau(schedule: Setting | None) -> None:
    """Refuse the schedule that watches validation photos, of which there are none, before it asks for some."""
    if schedule == "plateau":
        raise RecipeError(
            "schedule is plateau, which watches the validation loss, and learning without labels has none; set "
            "schedule=cosine, linear or constant"
        )


def _make_room(target: Path | None) -> None:
    """Make sure, before long work, that a backbone can be written there, and that nothing is lost by it.

    Raises:
        TrainingError: something is there, or the folder can't be written to.
    """
    if target is None:
        return
    if target.exists():
        found = sorted(p.name for p in target.iterdir()) if target.is_dir() else [target.name]
        foreign = [name for name in found if name != RUN]
        if foreign:
            raise TrainingError(
                f"{target} already exists and holds {foreign[0]!r}; choose another name for the backbone's folder"
            )
    start_anew(target)
    try:
        check_place(target / FACTS)
    except OSError as error:
        raise TrainingError(
            f"{target} can't be written: {error.strerror or error}; choose another folder"
        ) from error


def _carry_out(
    job: Job, images: ImageSet, keeper: Keeper, processes: Processes, *, on_progress: Progress, on_epoch: OnEpoch
) -> Pretrained:
    """Do what a job says, and write the backbone."""
    on_progress = silent if processes.rank else on_progress
    with processes.together():
        run = _prepare(job, images, keeper, processes, on_progress=on_progress, on_epoch=on_epoch)
        network = run.trainer.run()
        assert isinstance(network, Byol)
        facts = _facts(run, _accuracies(run, network.body, on_progress))
        pretrained = Pretrained(to_backbone(network.body, run.plan), facts)
        processes.once(lambda: _write(pretrained, run.trainer, keeper.target))
    return pretrained


def _write(pretrained: Pretrained, trainer: Trainer, target: Path | None) -> None:
    if target is None:
        return
    write_backbone(target, pretrained.backbone, pretrained.facts, to_csv(trainer.state.history))
    if is_a_run(target / RUN):
        shutil.rmtree(target / RUN, ignore_errors=True)


def _facts(run: _Run, metrics: dict[str, Any] | None) -> dict[str, Any]:
    """Return what backbone.json says of how it was made."""
    job, photos, trainer = run.job, run.photos, run.trainer
    return {
        **origin(),
        "training": {
            "kind": job.kind,
            "recipe_name": job.recipe_name,
            "recipe": dict(job.recipe),
            "seed": job.seed,
            "arithmetic": dict(job.arithmetic),
            "steps": trainer.state.step,
            "seconds": round(trainer.state.seconds, 2),
        },
        "data": {
            "name": photos.everything.name,
            "fingerprint": photos.content_fingerprint,
            "num_train": len(photos.learnt),
            "skipped": skipped_facts(photos.skipped),
        },
        "metrics": metrics,
    }


def _prepare(
    job: Job,
    everything: ImageSet,
    keeper: Keeper,
    processes: Processes,
    *,
    on_progress: Progress,
    on_epoch: OnEpoch,
) -> _Run:
    keep_freed_memory()
    recipe = job.settings()
    prepare_determinism(recipe)
    plan = plan_network(job.model, everything, size_px=job.size_px, fit=job.fit, arguments=job.arguments)
    photos = gather_unlabelled(everything, plan.preprocess, recipe, strict=job.strict, on_progress=on_progress)
    check_all_see_the_same(photos, processes)
    check_unchanged(photos, job)
    classifier = _random_network(job, plan)
    num_features = classifier.classifier.in_features
    network = Byol(classifier.body, num_features, target_decay=recipe.target_decay)
    # of what learns: the target computes the same, on the way forward
    arithmetic = processes.once(lambda: arithmetic_of(job, network.online, plan, processes))
    job = replace(job, data_name=everything.name, fingerprint=photos.fingerprint, arithmetic=asdict(arithmetic))
    prepare(network, arithmetic, processes.device, compiles=recipe.compile)
    lesson = Lesson(
        network=network,
        pictures=photos.learnt,
        validation=None,
        class_names=everything.class_names,
        size_px=plan.preprocess.size_px,
        recipe=recipe,
        seed=job.seed,
        arithmetic=arithmetic,
        augment=_two_views(job, plan, processes.device),
        loss=byol_loss,
        after_step=network.follow,
    )
    trainer = Trainer(lesson, processes, keeper, on_progress=on_progress, on_epoch=on_epoch)
    processes.once(lambda: keeper.keep_job(job.to_dict()))  # not before: what is refused may be corrected
    return _Run(job=job, plan=plan, photos=photos, trainer=trainer, num_features=num_features)


def _two_views(job: Job, plan: Plan, device: torch.device) -> TwoViews:
    seeds = (seed_of(job.seed, Purpose.VIEW, number) for number in (0, 1))
    first, second = (
        Augmentation(job.settings(), plan.preprocess, num_classes=1, seed=seed, device=device) for seed in seeds
    )
    return TwoViews(first, second)


def _random_network(job: Job, plan: Plan) -> Classifier:
    """Return the network that the run begins with."""
    torch.manual_seed(seed_of(job.seed, Purpose.INITIALISATION))
    return build_network(plan, 2, job.settings())


def _accuracies(run: _Run, body: nn.Module, on_progress: Progress) -> dict[str, Any] | None:
    """Return how good the body's features are beside those of its random weights; None without labels."""
    random = _random_network(run.job, run.plan).body.to(run.trainer.processes.device)
    return judge_features(
        {"pretrained": body, "random": random},
        run.photos,
        run.trainer.lesson,
        run.trainer.processes,
        width=run.num_features,
        on_progress=on_progress,
    )
