"""Recipes: how a network is trained, as data. Each is a file in ``recipes/`` that states what came of it."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from math import isfinite
from typing import Any, Literal, get_args, get_type_hints

from fieldguide.errors import RecipeError, UnknownNameError, first_line
from fieldguide.paths import expand
from fieldguide.registry import did_you_mean

Setting = int | float | bool | str
_ABOUT, _LEAST, _MOST, _ABOVE = "about", "least", "most", "above"
_SUFFIX = ".toml"
_PLAYS_A_PART = {  # a setting: the other one, and its value, with which it does
    "momentum": ("optimiser", "sgd"),
    "nesterov": ("optimiser", "sgd"),
    "plateau_patience": ("schedule", "plateau"),
    "plateau_factor": ("schedule", "plateau"),
}
_STATED = ("summary", "command", "result")  # beside the settings


def _setting(
    default: Setting,
    about: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
) -> Any:  # noqa: ANN401 - a dataclass field stands for its own type
    return field(default=default, metadata={_ABOUT: about, _LEAST: least, _MOST: most, _ABOVE: above})


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every setting of a training run. What each means stands beside it; ``fieldguide recipes NAME`` prints it.

    Raises:
        RecipeError: a setting is out of its range, or two contradict each other.
    """

    epochs: float = _setting(10, "times that every photo is learnt from", above=0)
    batch_size: int = _setting(64, "photos a step, of all processes together", least=1)
    accumulate: int = _setting(1, "parts that a step's batch is computed in, one after the other", least=1)

    optimiser: Literal["sgd", "adam", "adamw"] = _setting("sgd", "sgd, adam or adamw")
    lr: float = _setting(0.1, "learning rate at its highest", above=0)
    momentum: float = _setting(0.9, "of sgd", least=0, most=0.999)
    nesterov: bool = _setting(True, "whether sgd looks ahead along its momentum")
    weight_decay: float = _setting(5e-4, "pull of weights towards 0; biases and norms are exempt", least=0)
    clip_norm: float = _setting(0.0, "longest gradient, all parameters together; 0 for any length", least=0)
    schedule: Literal["constant", "cosine", "linear", "plateau"] = _setting(
        "cosine", "of the learning rate after the warm-up: constant, cosine or linear to 0, or plateau"
    )
    warmup_epochs: float = _setting(0.0, "in which the learning rate rises from 0", least=0)
    plateau_patience: int = _setting(3, "epochs without a lower validation loss before lr is divided", least=0)
    plateau_factor: float = _setting(10.0, "that the plateau schedule divides lr by", above=1)

    label_smoothing: float = _setting(
        0.0, "share of each label that is spread over all classes", least=0, most=0.9
    )
    dropout: float = _setting(-1.0, "of the classifier's input; -1 for the network's own", least=-1, most=0.99)
    drop_path_rate: float = _setting(-1.0, "stochastic depth; -1 for the network's own", least=-1, most=0.99)
    ema: float = _setting(
        0.0, "decay a step of the averaged weights that are kept; 0 for none", least=0, most=0.99999
    )
    zero_init: bool = _setting(
        False, "residual branches begin at 0, as far as the network has any that end in a norm"
    )
    balance: Literal["none", "weights", "sampling"] = _setting(
        "none", "for uneven classes: none; weights in the loss; or sampling rare classes more often"
    )

    flip: bool = _setting(True, "mirror every second photo")
    min_scale: float = _setting(1.0, "least share of a photo's area that a random crop shows", above=0, most=1)
    shift: float = _setting(0.0, "farthest that a photo is moved, as a share of its side", least=0, most=0.5)
    rand_augment: float = _setting(
        0.0, "RandAugment's magnitude, two operations a photo; 0 for none", least=0, most=30
    )
    jitter: float = _setting(
        0.0, "how much colours change at random: 0 for not at all, 1 for as much as BYOL's do", least=0, most=2
    )
    grey: float = _setting(0.0, "probability that a photo loses its colours", least=0, most=1)
    erasing: float = _setting(0.0, "probability that a rectangle is erased", least=0, most=1)
    mixup: float = _setting(0.0, "alpha of Mixup; 0 for none", least=0)
    cutmix: float = _setting(0.0, "alpha of CutMix; 0 for none", least=0)

    stages: int = _setting(1, "of progressive learning: size and regularisation rise together", least=1)
    first_size: float = _setting(
        1.0, "side of the first stage's pictures, as a share of the last's", above=0, most=1
    )
    first_strength: float = _setting(1.0, "of the first stage's regularisation, as a share", least=0, most=1)

    validation: float = _setting(0.1, "share of the training photos that epochs are judged by", least=0, most=0.5)
    layer_decay: float = _setting(
        1.0, "lr of each earlier layer of a fine-tuned body, by the next", above=0, most=1
    )
    freeze: str = _setting("none", "parts that stay as they are: none, features, stageN, or names with wildcards")
    batch_norm: Literal["train", "frozen"] = _setting("train", "statistics: learnt, or frozen as pretrained")
    teacher_weight: float = _setting(
        0.5, "of a teacher's answers in the loss, beside the labels'", least=0, most=1
    )
    temperature: float = _setting(2.0, "that softens the answers of teacher and student", above=0)
    target_decay: float = _setting(
        0.99, "of learning without labels: share of itself that the target keeps a step, at first", least=0, most=1
    )
    hard: bool = _setting(False, "learn the teacher's choices instead of its probabilities")

    precision: Literal["auto", "float32", "bfloat16"] = _setting(
        "auto", "of the arithmetic; auto takes the faster one, measured at the start"
    )
    compile: bool = _setting(
        False, "compile the network first, which takes a minute or two; pays on a GPU, seldom on a CPU"
    )
    deterministic: bool = _setting(
        False, "the same bits each time: plain float32, and none of a GPU's operations that differ"
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check(each.name, getattr(self, each.name), _kinds()[each.name], each.metadata)
        _refuse_contradictions(self)

    def changed(self, changes: Mapping[str, Setting | str]) -> "Recipe":
        """Return the recipe with some settings replaced; text is read as the setting's own type.

        With fewer epochs the warm-up shrinks in proportion; a single stage is one of full size and strength; what
        plays no part beside another optimiser or schedule is the default's. Unless these are given too.

        Raises:
            RecipeError: there is no such setting, or its value is not allowed.
        """
        parsed: dict[str, Any] = {name: read_setting(name, value) for name, value in changes.items()}
        if "epochs" in parsed and "warmup_epochs" not in parsed:
            parsed["warmup_epochs"] = self.warmup_epochs * min(1.0, parsed["epochs"] / self.epochs)
        idle = {n for n, (other, needed) in _PLAYS_A_PART.items() if parsed.get(other, needed) != needed}
        idle |= {"first_size", "first_strength"} if parsed.get("stages") == 1 else set()
        parsed = {**{each.name: each.default for each in fields(self) if each.name in idle}, **parsed}
        return replace(self, **parsed)

    def to_dict(self) -> dict[str, Setting]:
        """Return the settings as JSON holds them."""
        return asdict(self)


@cache
def _kinds() -> dict[str, Any]:
    """Return the type of each setting."""
    return get_type_hints(Recipe)


def read_setting(name: str, value: Setting | str) -> Setting:
    """Return a setting's value, read from text as the setting's own type.

    Raises:
        RecipeError: there is no such setting, or the text is of another type.
    """
    if name not in _kinds():
        hint = did_you_mean(name, _kinds()) or "; `fieldguide recipes baseline` lists them"
        raise RecipeError(f"no setting of a recipe is called {name!r}{hint}")
    return _parse(name, value, _kinds()[name])


@dataclass(frozen=True, kw_only=True)
class StatedRecipe:
    """A recipe as its file states it.

    Args:
        name: of the file.
        summary: what it is for, in a line.
        command: that it was tried with.
        result: what came of it: accuracy, time and machine.
        recipe: its settings.
        stated: names of the settings that the file gives; the others are the defaults.
    """

    name: str
    summary: str
    command: str
    result: str
    recipe: Recipe
    stated: tuple[str, ...]


def recipe_names() -> list[str]:
    """Return the names of all recipes, sorted."""
    folder = files("fieldguide.training") / "recipes"
    return sorted(f.name.removesuffix(_SUFFIX) for f in folder.iterdir() if f.name.endswith(_SUFFIX))


def load_recipe(name: str) -> StatedRecipe:
    """Read a recipe.

    Args:
        name: of a recipe, or the path of a file like theirs, which ends in ``.toml``.

    Raises:
        UnknownNameError: there is no recipe of that name; the message names the near ones.
        RecipeError: its file can't be read, or has a setting that is not allowed.
    """
    if name.endswith(_SUFFIX):
        return _read_file(name, expand(name))
    known = recipe_names()
    if name not in known:
        hint = (
            did_you_mean(name, known) or f"; known: {', '.join(known)}, and paths of files that end in {_SUFFIX}"
        )
        raise UnknownNameError(f"no recipe is called {name!r}{hint}")
    return _read_file(name, files("fieldguide.training") / "recipes" / f"{name}{_SUFFIX}")


def _read_file(name: str, file: Traversable) -> StatedRecipe:
    """Read a recipe's file: a table of settings and, of what the others state, what it likes."""
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise RecipeError(f"the recipe {name} can't be read: {error.strerror or error}") from error
    except ValueError as error:  # no TOML, or no text
        raise RecipeError(f"the recipe {name} is no TOML file: {first_line(error)}") from error
    settings = content.pop("settings", None)
    if not isinstance(settings, dict):
        raise RecipeError(f"the recipe {name} has no table [settings]; it holds lines such as lr = 0.1")
    unknown = sorted(content.keys() - _STATED)
    if unknown:
        raise RecipeError(
            f"the recipe {name} says {unknown[0]} outside [settings]; only {', '.join(_STATED)} may stand there"
        )
    try:
        recipe = Recipe().changed(settings)
    except RecipeError as error:
        raise RecipeError(f"the recipe {name} is refused: {error}") from error
    about = {key: str(content.get(key, "")) for key in _STATED}
    return StatedRecipe(name=name, recipe=recipe, stated=tuple(settings), **about)


def describe_settings() -> Iterable[tuple[str, Setting, str]]:
    """Yield (name, default, meaning) of every setting."""
    for each in fields(Recipe):
        assert each.default is not MISSING
        yield each.name, each.default, each.metadata[_ABOUT]


def _parse(name: str, value: object, kind: Any) -> Setting:  # noqa: ANN401 - a type or a Literal
    """Read a value as ``kind``; numbers in text and whole numbers for floats are all right."""
    if get_args(kind) or kind is str:
        return str(value)
    text = str(value).strip().lower()
    if kind is bool:
        if text in ("true", "yes", "1", "on", "false", "no", "0", "off"):
            return text in ("true", "yes", "1", "on")
        raise RecipeError(f"{name} is {value!r}; it must be true or false")
    try:
        return int(text) if kind is int else float(text)
    except ValueError:
        raise RecipeError(
            f"{name} is {value!r}; it must be a {'whole number' if kind is int else 'number'}"
        ) from None


def _check(name: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> None:  # noqa: ANN401
    choices = get_args(kind)
    if choices and value not in choices:
        raise RecipeError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    least, most, above = limits[_LEAST], limits[_MOST], limits[_ABOVE]
    fits = (
        (least is None or value >= least) and (most is None or value <= most) and (above is None or value > above)
    )
    is_finite = isinstance(value, str) or isfinite(value)
    if not (fits and is_finite):
        limits_by_word = {"at least": least, "above": above, "at most": most}
        allowed = [f"{word} {limit:g}" for word, limit in limits_by_word.items() if limit is not None]
        allowed += [] if is_finite else ["finite"]
        raise RecipeError(f"{name} is {value:g}; it must be {' and '.join(allowed)}")


def _refuse_contradictions(recipe: Recipe) -> None:
    """Raise a RecipeError where two settings can't both hold."""
    if recipe.batch_size % recipe.accumulate:
        raise RecipeError(
            f"accumulate is {recipe.accumulate}, which does not divide batch_size, {recipe.batch_size}; "
            "change one of them"
        )
    if recipe.warmup_epochs >= recipe.epochs:
        raise RecipeError(
            f"warmup_epochs is {recipe.warmup_epochs:g}, and epochs {recipe.epochs:g}; the warm-up must end "
            "before the training: change one of them"
        )
    if recipe.schedule == "plateau" and not recipe.validation:
        raise RecipeError(
            "schedule is plateau, which watches the validation loss, and validation is 0; set validation=0.1"
        )
    _refuse_idle(recipe)
    if recipe.stages == 1 and (recipe.first_size < 1 or recipe.first_strength < 1):
        raise RecipeError(
            "first_size and first_strength are of progressive learning, and stages is 1; set stages=4, or leave "
            "both at 1"
        )
    if recipe.deterministic and recipe.precision == "bfloat16":
        raise RecipeError(
            "deterministic is true, which takes float32, and precision bfloat16; leave one of them out"
        )
    if recipe.hard and recipe.temperature != Recipe.temperature:
        raise RecipeError(
            f"hard is true, and temperature {recipe.temperature:g}; a teacher's choices have none: leave one of "
            "them out"
        )
    if recipe.balance == "weights" and (recipe.mixup or recipe.cutmix):
        setting = "mixup" if recipe.mixup else "cutmix"
        raise RecipeError(
            f"{setting} mixes photos of two classes, and balance=weights weighs photos by their one class; "
            "set balance=sampling, or mixup=0 and cutmix=0"
        )


def _refuse_idle(recipe: Recipe) -> None:
    """Raise a RecipeError where a setting was changed that plays no part."""
    usual = {each.name: each.default for each in fields(Recipe)}
    for name, (other, needed) in _PLAYS_A_PART.items():
        value, found = getattr(recipe, name), getattr(recipe, other)
        if value != usual[name] and found != needed:
            raise RecipeError(
                f"{name} is {str(value).lower()}, which is of {other}={needed}, and {other} is {found}; set "
                f"{other}={needed}, or leave {name} out"
            )
