"""The options of the commands that train a network, and what they say together."""

import contextlib
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

_PANEL = "Training a network"


def in_panel(*names: str, help_text: str, **options: Any) -> Any:  # noqa: ANN401 - typer's
    """Return an option of training a network."""
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, **options)


def short_for(setting: str, help_text: str) -> Any:  # noqa: ANN401 - typer's
    """Return the option that is short for a recipe's setting."""
    return in_panel(help_text=f"{help_text}: short for --set {setting}=.", show_default=False)


ModelName = Annotated[
    str | None,
    in_panel(
        "--model",
        help_text="Train this network from nothing: one of `fieldguide models`, timm:NAME or torchvision:NAME.",
        show_default=False,
    ),
]
RecipeName = Annotated[
    str | None,
    in_panel(
        help_text="How to train; `fieldguide recipes` lists them. Or the path of a .toml file like theirs.",
        show_default="by the photos, or finetune",
    ),
]
Settings = Annotated[
    list[str] | None,
    in_panel(
        "--set",
        help_text="Change a setting of the recipe: NAME=VALUE, as `fieldguide recipes NAME` lists them. "
        "Repeatable.",
        show_default=False,
    ),
]
Arguments = Annotated[
    list[str] | None,
    in_panel(
        "--argument",
        "-a",
        help_text="An argument of the network: NAME=VALUE, such as width=0.5. Repeatable.",
        show_default=False,
    ),
]
Width = Annotated[
    float | None, in_panel(help_text="The network's width: short for -a width=.", show_default=False)
]
Teachers = Annotated[
    list[Path] | None,
    in_panel(
        "--teacher",
        help_text="A guide to the same classes to learn from, beside the labels; of several, their mean. "
        "Repeatable.",
        show_default=False,
    ),
]
Seed = Annotated[int, in_panel(help_text="Of all chance.", min=0)]
Epochs = Annotated[float | None, short_for("epochs", "Times that every photo is learnt from")]
LearningRate = Annotated[float | None, short_for("lr", "Learning rate at its highest")]
BatchSize = Annotated[int | None, short_for("batch_size", "Photos a step")]
Freeze = Annotated[str | None, short_for("freeze", "Parts that stay: features, none, stageN")]
Balanced = Annotated[
    bool, typer.Option("--balanced", help="Count every class the same, however many photos it has.")
]
Hard = Annotated[
    bool,
    in_panel("--hard", help_text="Learn the teacher's choices, not its probabilities: short for --set hard=."),
]
Deterministic = Annotated[
    bool,
    in_panel(
        "--deterministic",
        help_text="The same bits each time, on a GPU too, and slower: short for --set deterministic=.",
    ),
]
Resume = Annotated[
    Path | None,
    in_panel("--resume", help_text="Go on with an interrupted run: its folder.", show_default=False),
]
CheckpointEvery = Annotated[float, in_panel("--checkpoint-every", help_text="Seconds between checkpoints.", min=0)]
TensorBoard = Annotated[
    Path | None,
    in_panel("--tensorboard", help_text="Write TensorBoard's event files to this folder.", show_default=False),
]

_WITH_RESUME = ("resume", "as_json", "checkpoint_every", "tensorboard")
_OF_A_TEACHER = ("hard", "unlabelled")
_OF_MODEL = ("arguments", "width")
_OF_BACKBONE = ("backbone", "weights")


def flag(parameter: str) -> str:
    """Return the option that a command's parameter stands for."""
    own = {"settings": "--set", "arguments": "--argument", "data": "DATA", "photos": "PHOTOS"}
    return own.get(parameter, f"--{parameter.replace('_', '-')}")


def named_after(data: str, suffix: str) -> Path:
    """Return the result's place where none was named: here, by the name of the data."""
    return Path(f"{Path(data).name.removesuffix('.zip').strip('.') or Path.cwd().name}{suffix}")


def given_options(context: typer.Context) -> set[str]:
    """Return the names of the parameters that were given on the command line."""
    return {n for n in context.params if str(context.get_parameter_source(n)).endswith("COMMANDLINE")}


def refuse_beside_resume(given: Set[str]) -> None:
    """Refuse orders for a run that is resumed, by name.

    Raises:
        BadParameter: one is given.
    """
    others = [name for name in sorted(given) if name not in _WITH_RESUME]
    if others:
        raise typer.BadParameter(f"--resume goes on with what its run was told to do; leave {flag(others[0])} out")


def refuse_of_others(given: Set[str]) -> None:
    """Refuse options of another kind of training than the one that is asked for, by name.

    Raises:
        BadParameter: one is of a teacher, and there is none; or it is of a network from nothing, and this one is
            pretrained; or the other way round.
    """
    needs_teacher = [name for name in _OF_A_TEACHER if name in given]
    if needs_teacher and "teacher" not in given:
        raise typer.BadParameter(f"{flag(needs_teacher[0])} is of learning from a teacher; add --teacher GUIDE")
    others = [name for name in (_OF_BACKBONE if "model" in given else _OF_MODEL) if name in given]
    if others and "model" in given:
        raise typer.BadParameter(f"--model begins from nothing; leave {flag(others[0])} out, or leave --model out")
    if others:
        raise typer.BadParameter(f"{flag(others[0])} is of a network from nothing; add --model NAME")


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """Read NAME=VALUE, each.

    Raises:
        BadParameter: one is of another form, or a name is given twice with different values.
    """
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            example = "epochs=5" if option == "--set" else "width=0.5"
            raise typer.BadParameter(f"{option} {pair} is not of the form NAME=VALUE, such as {example}")
        name, value = name.strip().replace("-", "_"), value.strip()
        if literal(found.setdefault(name, value)) != literal(value):
            _refuse_two(f"{option} {name}={found[name]}", f"{option} {name}={value}")
    return found


def _refuse_two(first: str, second: str) -> NoReturn:
    raise typer.BadParameter(f"{first} and {second} contradict each other; leave one of them out")


def literal(text: str) -> int | float | bool | str:
    """Read a value as the number, the switch or the text that it looks like."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def model_arguments(given: Iterable[str] | None, width: float | None) -> dict[str, Any]:
    """Return the arguments of a network's factory."""
    found: dict[str, Any] = {name: literal(value) for name, value in pairs(given or (), "--argument").items()}
    if width is not None and found.setdefault("width", width) != width:
        _refuse_two(f"--width {width:g}", f"--argument width={found['width']}")
    return found


_SWITCHES = {  # options that stand for one value of a setting
    "balance": "--balanced",
    "hard": "--hard",
    "deterministic": "--deterministic",
}


def changed_settings(given: Iterable[str] | None, short: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe that are changed: by ``--set``, and by the options that are short for it.

    Args:
        given: NAME=VALUE, each.
        short: value of each option by its setting's name; None where it was not given.

    Raises:
        BadParameter: a name is given twice with different values.
    """
    from fieldguide.training.recipe import read_setting

    found: dict[str, Any] = dict(pairs(given or (), "--set"))
    for name, value in short.items():
        if value is not None and read_setting(name, found.setdefault(name, value)) != value:
            option = _SWITCHES.get(name, f"--{name.replace('_', '-')} {value}")
            _refuse_two(option, f"--set {name}={found[name]}")
    return found
