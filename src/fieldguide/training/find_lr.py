"""The learning rate range test (Smith, 2015, https://arxiv.org/abs/1506.01186, section 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fieldguide.data import ImageSet, open_images
from fieldguide.data.preprocess import Fit
from fieldguide.errors import RecipeError, TrainingError
from fieldguide.progress import Progress, silent
from fieldguide.training.compute.processes import find_processes
from fieldguide.training.loop import Trainer
from fieldguide.training.network_settings import refuse_lacking
from fieldguide.training.preparation import default_recipe, prepare_run
from fieldguide.training.recipe import Setting
from fieldguide.training.record.job import new_job
from fieldguide.training.record.keeper import Keeper
from fieldguide.training.schedule import LR_SCALE
from fieldguide.weights import DEFAULT_BACKBONE

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 100
_SMOOTHING = 0.9  # of the losses, a step
_DIVERGED = 4.0  # times the lowest loss, where the test ends


@dataclass(frozen=True)
class RangeTest:
    """Losses by learning rate.

    Args:
        rates: of each step, rising evenly on a logarithmic scale.
        losses: smoothed, of each step.
        suggested: a tenth of the rate with the lowest loss, at which training usually goes well.
        diverged_at: the rate at which the loss had risen to four times its lowest; None where it never did.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggested: float
    diverged_at: float | None


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
    teachers: Sequence[str | Path] = (),
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
        teachers: paths of guides to learn from, as of :func:`train_network`.
        seed: of all chance.
        steps: how many rates to try.
        data_root: where a named set's files are, or shall be put.
        on_progress: called as photos and steps are done.

    Raises:
        RecipeError: a setting is not allowed, or is the learning rate.
        ValueError: there are too few steps, or the seed is negative.
        DataError, GuideError, TrainingError, WeightsError: as of :func:`train_network` and
            :func:`finetune`.
    """
    settings = settings or {}
    if steps < 2:
        raise ValueError(f"steps is {steps}; it must be 2 or more")
    if "lr" in settings:
        raise RecipeError(f"lr is {settings['lr']}, but learning rates are what is tried here; leave it out")
    processes = find_processes()
    images = processes.first_here(lambda: open_images(data, data_root=data_root))
    recipe = recipe or ("finetune" if model is None else default_recipe(images))
    refuse_lacking(model or backbone, settings, arguments or {})
    job = new_job(
        "fine-tuning" if model is None else "from nothing", images, model=model or backbone, weights=weights,
        size_px=size_px, fit=fit, arguments=arguments, recipe=recipe, settings={**settings, "compile": False},
        teachers=teachers, seed=seed,
    )  # fmt: skip
    with processes.together():
        run = prepare_run(job, images, Keeper(None), processes, on_progress=on_progress)
        return range_test(run.trainer, steps=steps, on_progress=on_progress)


def range_test(trainer: Trainer, *, steps: int = STEPS, on_progress: Progress = silent) -> RangeTest:
    """Train for some steps at rising rates, and see where the loss falls and where it explodes.

    Args:
        trainer: fresh; it is of no use afterwards.
        steps: at most.
        on_progress: called as steps are done.

    Raises:
        TrainingError: the loss is no number from the first step on.
    """
    rates: list[float] = np.geomspace(LOWEST, HIGHEST, steps).tolist()
    losses: list[float] = []
    stage, diverged_at, average = trainer.stage(trainer.total_steps - 1), None, 0.0
    trainer.set_modes()
    for step, pictures in trainer.batches(range(steps)):
        for group in trainer.optimiser.param_groups:
            group["lr"] = rates[step] * group.get(LR_SCALE, 1.0)
        own = trainer.learn(step, stage, pictures)
        average = _SMOOTHING * average + (1 - _SMOOTHING) * float(trainer.processes.mean(own))
        loss = average / (1 - _SMOOTHING ** (step + 1))
        if not np.isfinite(loss) or (losses and loss > _DIVERGED * min(losses)):
            diverged_at = rates[step]
            break
        losses.append(loss)
        on_progress("rates", step + 1, steps)
    on_progress("rates", steps, steps)
    if not losses:
        raise TrainingError("the loss is no number at any rate; is a photo or a weight damaged?")
    return RangeTest(tuple(rates[: len(losses)]), tuple(losses), suggest(rates, losses), diverged_at)


def suggest(rates: Sequence[float], losses: Sequence[float]) -> float:
    """Return a tenth of the rate with the lowest loss, rounded to one digit."""
    rate = rates[int(np.argmin(losses))] / 10
    return float(f"{rate:.0e}")
