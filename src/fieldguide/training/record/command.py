"""The command that makes a guide again, as its report tells it."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.errors import FieldguideError
from fieldguide.training.recipe import Recipe, load_recipe
from fieldguide.weights.backbone import DEFAULT_BACKBONE

if TYPE_CHECKING:
    from fieldguide.training.record.job import Job


def head_command(data: str, *, backbone: str, balanced: bool, **options: object) -> str:
    """Return the command that trains a head alone.

    Args:
        data: what the set is called.
        backbone: its name or folder.
        balanced: whether classes count the same.
        options: size, fit, weights and exclude, where they were given.
    """
    words = [] if backbone == DEFAULT_BACKBONE else ["--backbone", backbone]
    return _joined(data, [*words, *_given(options), *(["--balanced"] if balanced else [])])


def job_command(job: "Job", data: str) -> str:
    """Return the command that does what a job says.

    Args:
        job: from nothing or by fine-tuning.
        data: what the set is called.
    """
    if job.kind == "fine-tuning":
        words = ["--finetune"] + ([] if job.model == DEFAULT_BACKBONE else ["--backbone", job.model])
    else:
        words = ["--model", job.model]
    for name, value in job.arguments.items():
        words += ["--argument", f"{name}={_said(value)}"]
    words += _recipe_words(job)
    words += _given({"size": job.size_px, "fit": job.fit, "weights": job.weights, "exclude": job.exclude})
    for teacher in job.teachers:
        words += ["--teacher", Path(teacher).name]
    words += ["--unlabelled"] if job.unlabelled else []
    return _joined(data, [*words, "--seed", str(job.seed)])


def _recipe_words(job: "Job") -> list[str]:
    """Return the recipe, and the settings that the job has otherwise."""
    try:
        base, words = load_recipe(job.recipe_name).recipe, ["--recipe", job.recipe_name]
    except FieldguideError:  # a file that is gone by now
        base, words = Recipe(), []
    for name, value in job.recipe.items():
        if getattr(base, name) != value:
            words += ["--set", f"{name}={_said(value)}"]
    return words


def _given(options: Mapping[str, object]) -> Iterator[str]:
    """Yield options that have a value; of files their names alone."""
    for name, value in options.items():
        if value is not None:
            yield from (f"--{name}", Path(value).name if isinstance(value, Path) else _said(value))


def _said(value: Any) -> str:  # noqa: ANN401 - of any setting
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _joined(data: str, words: list[str]) -> str:
    return shlex.join(["fieldguide", "train", data, *words])
