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

    logs = None if launched.rank() or tensorboard is None else _EventFiles(tensorboard)
    table = _EpochTable(wanted=not quiet)
    with progress_bars() as show_progress, contextlib.closing(logs) if logs else contextlib.nullcontext():

        def on_progress(stage: str, done: int, total: int) -> None:
            if stage == "steps":
                table.total_steps = total
            show_progress(stage, done, total)

        def on_epoch(epoch: "Epoch") -> None:
            table.add(epoch)
            if logs:
                logs.write(epoch)

        yield {"checkpoint_s": checkpoint_s, "on_progress": on_progress, "on_epoch": on_epoch}
    table.end()


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
)


def clock(seconds: float) -> str:
    """Return a time as ``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _EpochTable:
    """A line for each epoch, under a header that comes with the first.

    Args:
        wanted: whether to print at all.
    """

    def __init__(self, *, wanted: bool) -> None:
        self.total_steps = 0  # of the whole training
        self._wanted = wanted
        self._last: Epoch | None = None

    def add(self, epoch: "Epoch") -> None:
        """Print an epoch."""
        if self._wanted:
            if self._last is None:
                print("".join(f"{name:>{width}}" for name, width, _ in _COLUMNS) + f"{'left':>9}", flush=True)
            told = "".join(f"{text(epoch):>{width}}" for _, width, text in _COLUMNS)
            print(f"{told}{clock(self._seconds_left(epoch)):>9}", flush=True)
        self._last = epoch

    def end(self) -> None:
        """Set what follows apart."""
        if self._wanted and self._last is not None:
            print()

    def _seconds_left(self, epoch: "Epoch") -> float:
        """Return how long it takes to the last step, if each takes as long as those of this epoch did."""
        steps, seconds = epoch.step, epoch.seconds
        if self._last is not None:
            steps, seconds = steps - self._last.step, seconds - self._last.seconds
        return seconds / steps * (self.total_steps - epoch.step)


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
