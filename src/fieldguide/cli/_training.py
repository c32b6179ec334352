"""What the training commands share: the options of a network, the live table of epochs, and what came of a run."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from fieldguide.cli._console import note, percent

if TYPE_CHECKING:
    from fieldguide.guide import Guide
    from fieldguide.training.record.history import Epoch

_PANEL = "Training a network"

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Train this network from nothing: one of `fieldguide models`, timm:NAME or torchvision:NAME.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        help="How to train; `fieldguide recipes` lists them. Or the path of a .toml file like theirs.",
        show_default="by the photos, or finetune",
        rich_help_panel=_PANEL,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Change a setting of the recipe: NAME=VALUE, as `fieldguide recipes NAME` lists them. Repeatable.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--argument",
        "-a",
        help="An argument of the network: NAME=VALUE, such as width=0.5. Repeatable.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Width = Annotated[
    float | None,
    typer.Option(help="The network's width: short for -a width=.", show_default=False, rich_help_panel=_PANEL),
]
Teachers = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher",
        help="A guide to the same classes to learn from, beside the labels; of several, their mean. Repeatable.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Of all chance.", rich_help_panel=_PANEL)]


def short_for(setting: str, help_text: str) -> Any:  # noqa: ANN401 - typer's
    """Return the option that is short for a recipe's setting."""
    return typer.Option(
        help=f"{help_text}: short for --set {setting}=.", show_default=False, rich_help_panel=_PANEL
    )


def in_panel(*names: str, help_text: str, **options: Any) -> Any:  # noqa: ANN401 - typer's
    """Return an option of training a network."""
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, **options)


BatchSize = Annotated[int | None, short_for("batch_size", "Photos a step")]
Freeze = Annotated[str | None, short_for("freeze", "Parts that stay: features, none, stageN")]
Balanced = Annotated[
    bool, typer.Option("--balanced", help="Count every class the same, however many photos it has.")
]
Hard = Annotated[
    bool,
    in_panel("--hard", help_text="Learn the teacher's choices, not its probabilities: short for --set hard=."),
]

_OF_A_TEACHER = ("hard", "unlabelled")
_OF_MODEL = ("arguments", "width")
_OF_BACKBONE = ("backbone", "weights")


def flag(parameter: str) -> str:
    """Return the option that a command's parameter stands for."""
    own = {"settings": "--set", "arguments": "--argument", "data": "DATA"}
    return own.get(parameter, f"--{parameter.replace('_', '-')}")


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
            raise typer.BadParameter(f"{option} {pair} is not of the form NAME=VALUE, such as epochs=5")
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


_SWITCHES = {"balance": "--balanced", "hard": "--hard"}  # options that stand for one value of a setting


def changed_settings(
    given: Iterable[str] | None, short: Mapping[str, Any], *, balanced: bool = False, hard: bool = False
) -> dict[str, Any]:
    """Return the settings of a recipe that are changed: by ``--set``, and by the options that are short for it.

    Args:
        given: NAME=VALUE, each.
        short: value of each option by its setting's name; None where it was not given.
        balanced: whether that option was given.
        hard: whether that option was given.

    Raises:
        BadParameter: a name is given twice with different values.
    """
    from fieldguide.training.recipe import read_setting

    found: dict[str, Any] = dict(pairs(given or (), "--set"))
    switches = {"balance": "weights" if balanced else None, "hard": hard or None}
    for name, value in {**short, **switches}.items():
        if value is not None and read_setting(name, found.setdefault(name, value)) != value:
            option = _SWITCHES.get(name, f"--{name.replace('_', '-')} {value}")
            _refuse_two(option, f"--set {name}={found[name]}")
    return found


_COLUMNS = (
    ("epoch", 7, lambda e: str(e.epoch)),
    ("steps", 8, lambda e: str(e.step)),
    ("px", 5, lambda e: str(e.size_px)),
    ("rate", 10, lambda e: f"{e.lr:.2g}"),
    ("loss", 9, lambda e: f"{e.train_loss:.4f}"),
    ("val. loss", 11, lambda e: "-" if e.validation_loss is None else f"{e.validation_loss:.4f}"),
    ("val. top-1", 12, lambda e: percent(e.validation_top1)),
    ("photos/s", 10, lambda e: f"{e.photos_per_s:.0f}"),
    ("time", 9, lambda e: clock(e.seconds)),
)  # type: tuple[tuple[str, int, Callable[[Epoch], str]], ...]


def clock(seconds: float) -> str:
    """Return a time as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextlib.contextmanager
def epoch_table(*, wanted: bool = True, tensorboard: Path | None = None) -> "Iterator[Callable[[Epoch], None]]":
    """Give a function that prints an epoch as a line, under a header that comes with the first.

    Args:
        wanted: whether to print at all.
        tensorboard: a folder to write the epochs to, too.
    """
    printed = False
    write = _tensorboard_writer(tensorboard) if tensorboard else None

    def show(epoch: "Epoch") -> None:
        nonlocal printed
        if wanted and not printed:
            print("".join(f"{name:>{width}}" for name, width, _ in _COLUMNS), flush=True)
        printed = True
        if wanted:
            print("".join(f"{text(epoch):>{width}}" for _, width, text in _COLUMNS), flush=True)
        if write:
            write(epoch)

    yield show
    if wanted and printed:
        print()


def _tensorboard_writer(folder: Path) -> "Callable[[Epoch], None]":
    """Return a function that writes an epoch's numbers to TensorBoard's event files."""
    from dataclasses import asdict

    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise typer.BadParameter(
            "--tensorboard needs tensorboard, which is not installed; pip install 'fieldguide[tensorboard]'"
        ) from error
    writer = SummaryWriter(folder)

    def write(epoch: "Epoch") -> None:
        for name, value in asdict(epoch).items():
            if value is not None and name not in ("epoch", "step"):
                writer.add_scalar(name, value, epoch.step)
        writer.flush()

    return write


def print_outcome(guide: "Guide", target: Path) -> None:
    """Say what came of a run, beside its accuracy."""
    facts: Mapping[str, Any] = guide.facts["training"]
    if comparison := facts.get("comparison"):
        frozen, finetuned = comparison["frozen"], comparison["finetuned"]
        stands = (
            "the fine-tuned network is kept" if comparison["kept"] == "fine-tuned" else "the frozen guide stands"
        )
        print(
            f"{stands}: of {comparison['num_photos']} validation photos fine-tuning has "
            f"{percent(finetuned['top1'])} right (log loss {finetuned['log_loss']:.3f}), frozen features "
            f"{percent(frozen['top1'])} ({frozen['log_loss']:.3f})"
        )
    if facts.get("verdict"):
        print(facts["verdict"])
    if "curves.png" in guide.records:
        note(f"curves: {target / 'curves.png'}")
