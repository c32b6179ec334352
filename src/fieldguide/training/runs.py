"""Training runs: a network from nothing, or a pretrained one fine-tuned; started, or taken up again."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fieldguide.data import ImageSet, open_images
from fieldguide.data.preprocess import Fit
from fieldguide.errors import TrainingError
from fieldguide.guide import Guide, load
from fieldguide.guide_format import FACTS, check_replaceable
from fieldguide.paths import expand
from fieldguide.progress import Progress, silent
from fieldguide.training.compute.processes import Processes, find_processes
from fieldguide.training.network import Classifier
from fieldguide.training.network_settings import refuse_lacking
from fieldguide.training.outcome import to_guide
from fieldguide.training.preparation import default_recipe, prepare_run
from fieldguide.training.recipe import Setting
from fieldguide.training.record.history import OnEpoch, ignore_epoch
from fieldguide.training.record.job import Job, load_job, new_job
from fieldguide.training.record.keeper import INTERVAL_S, Keeper, read_job, start_anew
from fieldguide.training.same_orders import check_guide, taken_up
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
    teachers: Sequence[str | Path] = (),
    unlabelled: bool = False,
    seed: int = 0,
    strict: bool = False,
    data_root: str | Path | None = None,
    exclude: str | Path | None = None,
    engine: str = "auto",
    again: bool = False,
    checkpoint_s: float = INTERVAL_S,
    on_progress: Progress = silent,
    on_epoch: OnEpoch = ignore_epoch,
) -> Guide:
    """Train a network from nothing, and return it as a guide.

    Args:
        data: an image set, a path, or a registered name.
        model: a registered name, ``timm:NAME`` or ``torchvision:NAME``.
        output: the folder that the guide is written to, and where the run is kept meanwhile; None to keep nothing.
        recipe: a name, or the path of a .toml file; by default ``baseline``, and ``lesson`` for pictures of up to
            64 px.
        settings: of the recipe, to change.
        size_px: side of the pictures; by default that of small pictures of one size, else the network's own.
        fit: ``crop``, ``pad`` or ``squash``.
        arguments: of the model's factory, such as ``{"width": 0.5}``.
        teachers: paths of guides to the same classes, whose mean answers are learnt from beside the labels, as the
            recipe's ``teacher_weight``, ``temperature`` and ``hard`` say.
        unlabelled: learn from photos without a class, too, by the teachers' answers: those in no class folder,
            but for those in the val and test parts. An epoch passes them as it does the others.
        seed: of all chance. Two runs of one seed and one arithmetic give the same bits on one machine.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        exclude: a CSV list of photos to leave out, as of :func:`fieldguide.open_images`.
        engine: that the guide runs on; ``"auto"`` for the fastest here.
        again: return the guide that is at ``output`` already, and go on with a run that was begun there, where
            they were told to do the same.
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

    Raises:
        DataError: there is nothing to learn from, or the network can't take it.
        RecipeError: a setting is not allowed.
        UnknownNameError: there is no such set, model, recipe or engine.
        GuideError: a teacher can't be loaded.
        TrainingError: an unfinished run, another one than ``again`` allows, or a teacher is at ``output``, a
            teacher is of other classes, the loss is no number, or nothing can be written.
        StoppedError: Ctrl-C or SIGTERM came; :func:`resume` goes on.
    """
    processes = find_processes()
    images = processes.first_here(lambda: open_images(data, data_root=data_root, exclude=exclude))
    recipe = recipe or default_recipe(images)
    refuse_lacking(model, settings or {}, arguments or {})
    job = new_job(
        "from nothing", data, model=model, arguments=arguments, size_px=size_px, fit=fit, recipe=recipe,
        settings=settings, teachers=teachers, unlabelled=unlabelled, seed=seed, strict=strict, data_root=data_root,
        exclude=exclude, engine=engine,
    )  # fmt: skip
    keeper = Keeper(None if output is None else expand(output), interval_s=checkpoint_s)
    return _begin(job, images, keeper, processes, again=again, on_progress=on_progress, on_epoch=on_epoch)


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
    teachers: Sequence[str | Path] = (),
    unlabelled: bool = False,
    seed: int = 0,
    strict: bool = False,
    data_root: str | Path | None = None,
    exclude: str | Path | None = None,
    engine: str = "auto",
    again: bool = False,
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
        recipe: a name, or the path of a .toml file.
        settings: of the recipe, to change.
        size_px: side of the pictures; by default what the backbone was trained with.
        fit: ``crop``, ``pad`` or ``squash``.
        teachers: paths of guides to learn from, as of :func:`train_network`.
        unlabelled: learn from photos without a class, too, by the teachers' answers.
        seed: of all chance.
        strict: stop at the first photo that can't be used.
        data_root: where a named set's files are, or shall be put.
        exclude: a CSV list of photos to leave out, as of :func:`fieldguide.open_images`.
        engine: that the guide runs on; ``"auto"`` for the fastest here.
        again: take what is at ``output`` already, as of :func:`train_network`.
        checkpoint_s: seconds between checkpoints.
        on_progress: called as photos and steps are done.
        on_epoch: called with each epoch's record.

    Raises:
        WeightsError: the weights can't be had, or don't fit.
        DataError, RecipeError, UnknownNameError, GuideError, TrainingError, StoppedError: as of
            :func:`train_network`.
    """
    refuse_lacking(backbone, settings or {})
    job = new_job(
        "fine-tuning", data, model=backbone, weights=weights, size_px=size_px, fit=fit, recipe=recipe,
        settings=settings, teachers=teachers, unlabelled=unlabelled, seed=seed, strict=strict, data_root=data_root,
        exclude=exclude, engine=engine,
    )  # fmt: skip
    processes = find_processes()
    images = processes.first_here(lambda: open_images(data, data_root=data_root, exclude=exclude))
    keeper = Keeper(None if output is None else expand(output), interval_s=checkpoint_s)
    return _begin(job, images, keeper, processes, again=again, on_progress=on_progress, on_epoch=on_epoch)


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
        TrainingError: there is no unfinished run, its photos, its teachers or its pretrained weights have changed,
            or its checkpoints are damaged.
        DataError: its photos are no longer there.
        RecipeError: this processor does not have the run's arithmetic.
        StoppedError: Ctrl-C or SIGTERM came.
    """
    processes = find_processes()
    keeper = Keeper(target := expand(run), interval_s=checkpoint_s)
    job = processes.once(lambda: load_job(target))
    images = processes.first_here(job.open_images) if data is None else data
    return _carry_out(job, images, keeper, processes, on_progress=on_progress, on_epoch=on_epoch)


def _begin(
    job: Job,
    images: ImageSet,
    keeper: Keeper,
    processes: Processes,
    *,
    again: bool,
    on_progress: Progress,
    on_epoch: OnEpoch,
) -> Guide:
    """Do what a job says from its beginning or, ``again``, as far as it is not done yet."""
    target = keeper.target
    if again and target is not None and processes.once(lambda: read_job(target) is not None):
        job = processes.once(partial(taken_up, job, target))
    elif again and target is not None and processes.once((target / FACTS).exists):
        guide = load(target, engine=job.engine)
        check_guide(guide.facts, job, images.name, target)
        return guide
    else:
        processes.once(lambda: _make_room(job, target))
    return _carry_out(job, images, keeper, processes, on_progress=on_progress, on_epoch=on_epoch)


def _make_room(job: Job, target: Path | None) -> None:
    """Make sure, before long work, that a run can be kept and a guide be written there; clear a finished run away.

    Raises:
        GuideError: what is there is no guide.
        TrainingError: an unfinished run or a teacher is there, or it is to be a zip.
    """
    if target is None:
        return
    if target.suffix == ".zip":
        raise TrainingError(f"{target}: a run is kept in a folder; name one, such as {target.with_suffix('')}")
    check_replaceable(target)
    if target.resolve() in [Path(path).resolve() for path in job.teachers]:
        raise TrainingError(f"{target} is the teacher, which its student would replace; choose another name")
    start_anew(target)


def _carry_out(
    job: Job,
    images: ImageSet,
    keeper: Keeper,
    processes: Processes,
    *,
    on_progress: Progress,
    on_epoch: OnEpoch,
) -> Guide:
    """Do what a job says, and write the guide."""

    def keep(guide: Guide) -> None:
        if keeper.target is not None:
            guide.save(keeper.target)

    with processes.together():
        run = prepare_run(job, images, keeper, processes, on_progress=on_progress, on_epoch=on_epoch)
        network = run.trainer.run()
        assert isinstance(network, Classifier)
        guide = to_guide(run, network, keep, on_progress)
        processes.once(partial(keep, guide))
    return guide
