"""How a run is watched: progress bars, a live table of its epochs, and TensorBoard."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fieldguide.cli._console import percent, progress_bars

if TYPE_CHECKING:
    from fieldguide.training.record.history import Epoch


@contextlib.contextmanager
def watching(checkpoint_s: float, tensorboard: Path | None, *, quiet: bool) -> Iterator[dict[str, Any]]:
    """Give the arguments by which a run is watched and kept.

    Args:
        checkpoint_s: seconds between checkpoints.
        tensorboard: a folder to write the epochs to, too; of several processes the first does.
        quiet: whether to print no table.
    """
    from fieldguide import launched

    tensorboard = None if launched.rank() else tensorboard
    with progress_bars() as on_progress, epoch_table(wanted=not quiet, tensorboard=tensorboard) as on_epoch:
        yield {"checkpoint_s": checkpoint_s, "on_progress": on_progress, "on_epoch": on_epoch}


_COLUMNS: "tuple[tuple[str, int, Callable[[Epoch], str]], ...]" = (
    ("epoch", 7, lambda e: str(e.epoch)),
    ("steps", 8, lambda e: str(e.step)),
    ("px", 5, lambda e: str(e.size_px)),
    ("rate", 10, lambda e: f"{e.lr:.2g}"),
    ("loss", 9, lambda e: f"{e.train_loss:.4f}"),
    ("val. loss", 11, lambda e: "-" if e.validation_loss is None else f"{e.validation_loss:.4f}"),
    ("val. top-1", 12, lambda e: percent(e.validation_top1)),
    ("photos/s", 10, lambda e: f"{e.photos_per_s:.0f}"),
    ("time", 9, lambda e: clock(e.seconds)),
    ("left", 9, lambda e: clock(e.seconds_left)),
)


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
    logs = _EventFiles(tensorboard) if tensorboard else None

    def show(epoch: "Epoch") -> None:
        nonlocal printed
        if wanted and not printed:
            print("".join(f"{name:>{width}}" for name, width, _ in _COLUMNS), flush=True)
        printed = True
        if wanted:
            print("".join(f"{text(epoch):>{width}}" for _, width, text in _COLUMNS), flush=True)
        if logs:
            logs.write(epoch)

    try:
        yield show
    finally:
        if logs:
            logs.close()
    if wanted and printed:
        print()


class _EventFiles:
    """TensorBoard's event files in a folder."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise typer.BadParameter(
                "--tensorboard needs tensorboard, which is not installed; pip install 'fieldguide[tensorboard]'"
            ) from error
        self._writer = SummaryWriter(folder)

    def write(self, epoch: "Epoch") -> None:
        """Write an epoch's numbers."""
        from dataclasses import asdict

        for name, value in asdict(epoch).items():
            if value is not None and name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, epoch.step)
        self._writer.flush()

    def close(self) -> None:
        """End the writer's thread."""
        self._writer.close()
