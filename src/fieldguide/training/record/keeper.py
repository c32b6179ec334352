"""Where a run is kept while it lasts: ``training/`` in the folder that becomes the guide."""

import json
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fieldguide.errors import TrainingError
from fieldguide.guide_format import RUN, RUN_FILES, is_a_run
from fieldguide.paths import written_whole
from fieldguide.training.record.checkpoint import (
    BEST,
    LAST,
    Checkpoint,
    clear_after,
    read_best,
    read_checkpoint,
    write_checkpoint,
)
from fieldguide.training.record.history import Epoch, to_csv

JOB, HISTORY, CHECKPOINTS = RUN_FILES
WITHOUT_LABELS = "without labels"  # a kind of job
INTERVAL_S = 60.0  # between checkpoints


class Keeper:
    """Keeps checkpoints and the history of a run.

    Args:
        target: the folder that becomes the guide; None to keep only the best weights, in memory.
        interval_s: seconds between checkpoints.
    """

    def __init__(self, target: Path | None, *, interval_s: float = INTERVAL_S) -> None:
        self.target = target
        self._interval_s = interval_s
        self._last_kept = time.monotonic()
        self._best: Checkpoint | None = None

    @property
    def folder(self) -> Path | None:
        """Where the run is kept."""
        return None if self.target is None else self.target / RUN

    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self.folder is not None and time.monotonic() - self._last_kept >= self._interval_s

    def keep(self, checkpoint: Checkpoint, kind: str) -> None:
        """Keep a checkpoint.

        Raises:
            TrainingError: it can't be written.
        """
        if self.folder is None:
            if kind == BEST:
                tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
                self._best = Checkpoint(checkpoint.step, tensors, checkpoint.facts)
            return
        write_checkpoint(self.folder / CHECKPOINTS, checkpoint, kind)
        if kind == LAST:
            self._last_kept = time.monotonic()

    def last(self) -> Checkpoint | None:
        """Return the checkpoint to go on from."""
        return None if self.folder is None else read_checkpoint(self.folder / CHECKPOINTS)

    def take_up(self) -> Checkpoint | None:
        """Return the checkpoint to go on from, and clear away what the run left that was killed after it."""
        last = self.last()
        if self.folder is not None:
            clear_after(self.folder / CHECKPOINTS, last.step if last else 0)
        return last

    def best(self, step: int) -> Checkpoint:
        """Return the best weights, which were kept at that step."""
        if self.folder is not None:
            return read_best(self.folder / CHECKPOINTS, step)
        assert self._best is not None and self._best.step == step
        return self._best

    def keep_history(self, history: Sequence[Epoch]) -> None:
        """Write the history anew."""
        if self.target is not None:
            target = self.target
            self._write(HISTORY, to_csv(history), lambda: f"and go on with: {how_to_resume(target)}")

    def keep_job(self, job: dict[str, Any]) -> None:
        """Write what the run is to do."""
        self._write(
            JOB, json.dumps(job, ensure_ascii=False, indent=2).encode(), lambda: "or choose another folder"
        )

    def how_to_go_on(self, step: int, total_steps: int) -> str:
        """Return what to tell somebody who stopped the run."""
        if self.target is None:
            return f"stopped at step {step} of {total_steps}; nothing is kept, for no output was named"
        return f"stopped at step {step} of {total_steps}, which is kept; go on with: {how_to_resume(self.target)}"

    def last_good(self) -> str:
        """Say which checkpoint is the last."""
        last = self.last()
        return f"the last good checkpoint is of step {last.step}, in {self.target}" if last else "no step was kept"

    def how_to_start_again(self) -> str:
        """Return what to tell somebody before other settings for a run that failed; nothing where none is kept."""
        return "" if self.folder is None else f"remove {self.folder}, or name another output, and "

    def _write(self, name: str, content: bytes, advice: Callable[[], str]) -> None:
        if self.folder is None:
            return
        try:
            with written_whole(self.folder / name) as draft:
                draft.write_bytes(content)
        except OSError as error:
            raise TrainingError(
                f"{self.folder / name} can't be written: {error.strerror or error}; make room, {advice()}"
            ) from error


def start_anew(target: Path) -> None:
    """Make room for a new run; nothing but what is left of another is ever removed.

    Raises:
        TrainingError: an unfinished run is there, or something else where the run would be kept.
    """
    folder = target / RUN
    if read_job(target) is not None:
        raise TrainingError(
            f"{target} holds an unfinished run; go on with: {how_to_resume(target)}, or remove {folder}, or "
            "choose another name"
        )
    if folder.exists():
        if not is_a_run(folder):
            raise TrainingError(
                f"{folder} is no training run, and would be lost; move it, or choose another name than {target}"
            )
        shutil.rmtree(folder, ignore_errors=True)


def how_to_resume(target: Path) -> str:
    """Return the command that goes on with an unfinished run."""
    command = "pretrain" if (read_job(target) or {}).get("kind") == WITHOUT_LABELS else "train"
    return f"fieldguide {command} --resume {shlex.quote(str(target))}"


def read_job(target: Path) -> dict[str, Any] | None:
    """Read what an unfinished run is to do; None where there is no run.

    Raises:
        TrainingError: it is damaged.
    """
    path = target / RUN / JOB
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{path} is damaged: {error}; remove {path.parent}, and start the run again"
        ) from error
