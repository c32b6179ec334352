"""Training runs: a network from nothing, or a pretrained one fine-tuned; started, or taken up again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fieldguide.data import ImageSet, open_images
from fieldguide.data.preprocess import Fit
from fieldguide.errors import TrainingError
from fieldguide.guide import Guide
from fieldguide.guide_format import check_replaceable
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.training.find_lr import STEPS, RangeTest, range_test
from fieldguide.training.history import OnEpoch, ignore_epoch
from fieldguide.training.job import Job, load_job
from fieldguide.training.keeper import INTERVAL_S, Keeper, start_anew
from fieldguide.training.network import SMALL_PX, look_at
from fieldguide.training.outcome import to_guide
from fieldguide.training.preparation import prepare_run
from fieldguide.training.recipe import Setting, load_recipe
from fieldguide.weights import DEFAULT_BACKBONE


def train_network(
    data: ImageSet | str | Path,
    *,
    model: str,
    output: str | Path | None = None,
    recipe: str | None = None,
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
        recipe: name of a recipe; by default ``baseline``, and ``lesson`` for pictures of up to 64 px.
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
    images = open_images(data, data_root=data_root)
    recipe = recipe or _default_recipe(images)
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
    return _start(job, images, output, checkpoint_s=checkpoint_s, on_progress=on_progress, on_epoch=on_epoch)


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

    Both are judged on photos set apart from the training photos, as ``guide.facts["training"]["comparison"]``
    tells.

    Args:
        data: an image set, a path, or a registered name.
        backbone: whose body is fine-tuned, as of :func:`fieldguide.train`.
        weights: a .safetensors file for it, instead of its pretrained weights.
        output: the folder that the guide is written to, and where the run is kept meanwhile; None to keep nothing.
        recipe: name of a recipe.
        settings: of the recipe, to change.
        size_px: side of the pictures; by default what the backbone was trained with.
        fit: ``crop``, ``pad`` or ``squash``.
        seed: of all chance.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        engine: that the guide runs on; ``"auto"`` for the fastest here.
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

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
    images = open_images(data, data_root=data_root)
    return _start(job, images, output, checkpoint_s=checkpoint_s, on_progress=on_progress, on_epoch=on_epoch)


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
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

    Raises:
        TrainingError: there is no unfinished run, its photos have changed, or its checkpoints are damaged.
    """
    target = expand(run)
    job = load_job(target)
    keeper = Keeper(target, interval_s=checkpoint_s)
    return _carry_out(job, job.open_images() if data is None else data, keeper, on_progress, on_epoch)


def find_lr(
    data: ImageSet | str | Path,
    *,
    model: str | None = None,
    backbone: str = DEFAULT_BACKBONE,
    weights: str | Path | None = None,
    recipe: str | None = None,
    settings: Mapping[str, Setting] | None = None,
    size_px: int | None = None,
    fit: Fit | None = None,
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    steps: int = STEPS,
    data_root: str | Path | None = None,
    on_progress: Progress = silent,
) -> RangeTest:
    """Try learning rates from very low to far too high, in one short training, and suggest one.

    Args:
        data: an image set, a path, or a registered name.
        model: to train from nothing; None to fine-tune ``backbone``.
        backbone: to fine-tune, where there is no model.
        weights: a .safetensors file for the backbone.
        recipe: whose other settings are taken; by default as of :func:`train_network` or
            :func:`finetune`.
        settings: of the recipe, to change.
        size_px: side of the pictures.
        fit: ``crop``, ``pad`` or ``squash``.
        arguments: of the model's factory.
        seed: of all chance.
        steps: how many rates to try.
        data_root: where a named set's files are, or shall be put.
        on_progress: called as photos and steps are done.

    Raises:
        DataError, RecipeError, TrainingError, WeightsError: as :func:`train_network` and :func:`finetune` do.
    """
    images = open_images(data, data_root=data_root)
    recipe = recipe or ("finetune" if model is None else _default_recipe(images))
    job = Job(
        kind="fine-tuning" if model is None else "from nothing",
        data="",
        model=model or backbone,
        weights=None if weights is None else str(weights),
        size_px=size_px,
        fit=fit,
        arguments=dict(arguments or {}),
        recipe_name=recipe,
        recipe=load_recipe(recipe).recipe.changed({**(settings or {}), "compile": False}).to_dict(),
        seed=seed,
    )
    run = prepare_run(job, images, Keeper(None), on_progress=on_progress)
    return range_test(run.learning, steps=steps, on_progress=on_progress)


def _default_recipe(images: ImageSet) -> str:
    """Return the recipe for a set that says nothing more: small pictures, such as digits, bear no mirroring."""
    return "lesson" if 0 < look_at(images)[0] <= SMALL_PX else "baseline"


def _start(
    job: Job,
    images: ImageSet,
    output: str | Path | None,
    *,
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


def _carry_out(job: Job, images: ImageSet, keeper: Keeper, on_progress: Progress, on_epoch: OnEpoch) -> Guide:
    """Do what a job says, and write the guide."""
    run = prepare_run(job, images, keeper, on_progress=on_progress, on_epoch=on_epoch)
    guide = to_guide(run, run.learning.run(), on_progress)
    if keeper.target is not None and not run.learning.processes.rank:
        guide.save(keeper.target)
    return guide
