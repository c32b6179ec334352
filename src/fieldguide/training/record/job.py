"""What a training run is to do, as data: one that starts and one that is resumed both do what their job says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from fieldguide.data import ImageSet, open_images
from fieldguide.data.exclusions import read_exclusions, without
from fieldguide.data.preprocess import Fit
from fieldguide.data.sources import open_named
from fieldguide.errors import TrainingError
from fieldguide.guide_format import FACTS, RUN
from fieldguide.paths import expand, found_anywhere
from fieldguide.training.recipe import Recipe, Setting, load_recipe
from fieldguide.training.record.keeper import WITHOUT_LABELS, how_to_resume, read_job
from fieldguide.weights.backbone import Backbone, is_folder, load_backbone

FORMAT_VERSION = 5

Kind = Literal["from nothing", "fine-tuning", "without labels"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run's orders, as JSON holds them.

    Args:
        kind: from nothing, by fine-tuning a pretrained body, or from nothing and without labels.
        data: absolute path of the set, or its name; empty where it was given as an object.
        data_name: what the set was called when the run began; empty before that.
        data_root: where a named set's files are.
        exclude: a list of photos to leave out.
        model: name of the network; or the folder of a pretrained backbone.
        weights: file of a pretrained body's weights.
        size_px, fit: of its pictures, where they were asked for.
        arguments: of its factory.
        recipe_name: that the recipe began as.
        recipe: every setting.
        seed: of all chance.
        strict: stop at the first photo that can't be used.
        engine: that runs the guide.
        teachers: paths of the guides to learn from.
        teacher_fingerprints: of these, once they were loaded.
        backbone_fingerprint: of the pretrained body's weights, once it was loaded.
        unlabelled: whether photos without a class are learnt from too, by the teachers' answers.
        fingerprint: of the photos learnt from, once they were looked at.
        arithmetic: what the processor computes with, once that was measured.
    """

    kind: Kind
    data: str
    data_name: str = ""
    data_root: str | None = None
    exclude: str | None = None
    model: str
    weights: str | None = None
    size_px: int | None = None
    fit: Fit | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    recipe_name: str
    recipe: Mapping[str, Setting]
    seed: int = 0
    strict: bool = False
    engine: str = "auto"
    teachers: tuple[str, ...] = ()
    teacher_fingerprints: tuple[str, ...] = ()
    backbone_fingerprint: str = ""
    unlabelled: bool = False
    fingerprint: str = ""
    arithmetic: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> Recipe:
        """Return the recipe."""
        return Recipe().changed(self.recipe)

    def load_backbone(self) -> Backbone:
        """Load the backbone to fine-tune.

        Raises:
            WeightsError: its weights can't be had.
            TrainingError: it is not what it was when the run began.
        """
        backbone = load_backbone(self.model, weights=self.weights, size_px=self.size_px, fit=self.fit)
        begun = self.backbone_fingerprint
        if begun and (now := backbone.weights.fingerprint) != begun:
            raise TrainingError(
                f"{self.weights or self.model} has changed since this run began to fine-tune it (its fingerprint "
                f"was {begun[:12]}, and is {now[:12]}); put it back, or start a new run"
            )
        return backbone

    def open_images(self, opener: Callable[..., ImageSet] = open_images) -> ImageSet:
        """Open the set of a run that is taken up again, under the name that it had.

        Args:
            opener: what opens it.

        Raises:
            TrainingError: it was given as an object, and can't be opened again.
            DataError: it is no longer there.
        """
        if not self.data:
            name = "resume_pretraining" if self.kind == WITHOUT_LABELS else "resume"
            raise TrainingError(f"this run's photos were given as an object; pass them to {name}(run, data=...)")
        is_path = Path(self.data).is_absolute()  # what has the name of a set by now may be this very run
        images = opener(self.data) if is_path else open_named(self.data, data_root=self.data_root)
        images = replace(images, name=self.data_name or images.name)
        return images if self.exclude is None else without(images, read_exclusions(self.exclude), self.exclude)

    def to_dict(self) -> dict[str, Any]:
        """Return the orders as JSON holds them: with absolute paths, for a run may go on from another folder."""
        is_path = self.kind == "fine-tuning" and is_folder(self.model)
        places = {
            "data_root": None if self.data_root is None else str(expand(self.data_root).absolute()),
            "model": found_anywhere(self.model) if is_path else self.model,
            "weights": None if self.weights is None else found_anywhere(self.weights),
            "exclude": None if self.exclude is None else found_anywhere(self.exclude),
        }
        return {"format_version": FORMAT_VERSION, **asdict(self), **places}


def new_job(
    kind: Kind,
    data: ImageSet | str | Path,
    *,
    recipe: str,
    settings: Mapping[str, Setting] | None,
    weights: str | Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    teachers: Sequence[str | Path] = (),
    data_root: str | Path | None = None,
    exclude: str | Path | None = None,
    seed: int = 0,
    **orders: Any,  # noqa: ANN401 - each as Job has it
) -> Job:
    """Return the orders of a run that is to begin, of what its caller was given.

    Args:
        kind: of run.
        data: an image set, a path, or a registered name.
        recipe: name of a recipe, or path of one.
        settings: of the recipe, to change.
        weights: file of a pretrained body's weights.
        arguments: of the network's factory.
        teachers: paths of the guides to learn from.
        data_root: where a named set's files are.
        exclude: a list of photos to leave out.
        seed: of all chance.
        orders: the others of :class:`Job`.

    Raises:
        RecipeError: a setting is not allowed.
        TypeError: teachers is a single path.
        ValueError: the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; it must be 0 or more")
    return Job(
        kind=kind,
        seed=seed,
        data="" if isinstance(data, ImageSet) else found_anywhere(data),
        data_root=None if data_root is None else str(data_root),
        exclude=None if exclude is None else str(exclude),
        weights=None if weights is None else str(weights),
        arguments=dict(arguments or {}),
        recipe_name=recipe,
        recipe=load_recipe(recipe).recipe.changed(settings or {}).to_dict(),
        teachers=_places(teachers),
        **orders,
    )


def _places(teachers: Sequence[str | Path]) -> tuple[str, ...]:
    """Return the paths of guides as a run keeps them: wherever it is resumed, they are found."""
    if isinstance(teachers, str | Path):
        raise TypeError(f"teachers is {str(teachers)!r}; it must be a list of paths, even of one")
    return tuple(str(expand(path).absolute()) for path in teachers)


def load_job(target: Path, *, without_labels: bool = False) -> Job:
    """Read the orders of an unfinished run.

    Args:
        target: the folder that was named as its output.
        without_labels: whether such a run is expected, or one of any other kind.

    Raises:
        TrainingError: there is no unfinished run, or it is of another format or of the other kind.
    """
    values = read_job(target)
    if values is None:
        if (target / FACTS).exists():
            raise TrainingError(f"{target} is finished: it is a guide; try: fieldguide evaluate {target} PHOTOS")
        raise TrainingError(
            f"{target} holds no unfinished run; expected the folder that 'fieldguide "
            f"{'pretrain' if without_labels else 'train'} -o' names"
        )
    version = values.pop("format_version", None)
    odd = sorted(set(values) ^ {f.name for f in fields(Job)})
    if version != FORMAT_VERSION or odd:
        found = f"of format {version}" if version != FORMAT_VERSION else f"with other orders ({', '.join(odd)})"
        raise TrainingError(
            f"{target} holds a run {found}; this fieldguide takes up runs of format {FORMAT_VERSION}: "
            f"remove {target / RUN} and start it again, or go on with the version that began it"
        )
    job = Job(**values)
    if (job.kind == WITHOUT_LABELS) != without_labels:
        raise TrainingError(f"{target} holds a run of another command; go on with: {how_to_resume(target)}")
    return replace(job, teachers=tuple(job.teachers), teacher_fingerprints=tuple(job.teacher_fingerprints))
