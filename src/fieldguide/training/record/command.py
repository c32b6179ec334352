"""The command that makes a guide again, as its report tells it."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.errors import FieldguideError
from fieldguide.training.recipe import load_recipe
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

    Returns:
        "" of a set that was given as an object, which no command names.
    """
    if not job.data:
        return ""
    if job.kind == "fine-tuning":
        words = ["--finetune"] + ([] if job.model == DEFAULT_BACKBONE else ["--backbone", job.model])
    else:
        words = ["--model", job.model]
    for name, value in job.arguments.items():
        words += ["--argument", f"{name}={_said(value)}"]
    words += _recipe_words(job)
    files = {"weights": job.weights, "exclude": job.exclude}
    words += _given({"size": job.size_px, "fit": job.fit})
    words += _given({name: Path(file) for name, file in files.items() if file is not None})
    for teacher in job.teachers:
        words += ["--teacher", Path(teacher).name]
    words += ["--unlabelled"] if job.unlabelled else []
    return _joined(data, [*words, "--seed", str(job.seed)])


def _recipe_words(job: "Job") -> list[str]:
    """Return the recipe, and the settings that the job has otherwise."""
    try:
        stated = load_recipe(job.recipe_name)
    except FieldguideError:  # a file that is gone by now
        stated = load_recipe("finetune" if job.kind == "fine-tuning" else "baseline")
    changed = [name for name, value in job.recipe.items() if getattr(stated.recipe, name) != value]
    if "epochs" in changed and "warmup_epochs" not in changed:
        changed.append("warmup_epochs")  # which other epochs would change, where it is not given
    settings = [f"{name}={_said(job.recipe[name])}" for name in changed]
    return ["--recipe", stated.name, *(word for setting in settings for word in ("--set", setting))]


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
