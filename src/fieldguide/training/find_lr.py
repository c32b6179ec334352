"""The learning rate range test (Smith, 2015, https://arxiv.org/abs/1506.01186, section 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fieldguide.errors import TrainingError
from fieldguide.progress import Progress, silent
from fieldguide.training.loop import Learning
from fieldguide.training.schedule import LR_SCALE

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


def range_test(learning: Learning, *, steps: int = STEPS, on_progress: Progress = silent) -> RangeTest:
    """Train for some steps at rising rates, and see where the loss falls and where it explodes.

    Args:
        learning: fresh; it is of no use afterwards.
        steps: at most.
        on_progress: called as steps are done.

    Raises:
        TrainingError: the loss is no number from the first step on.
    """
    rates: list[float] = np.geomspace(LOWEST, HIGHEST, steps).tolist()
    losses: list[float] = []
    stage, diverged_at, average = learning.stage(learning.total_steps - 1), None, 0.0
    learning.set_modes()
    for step, pictures in learning.batches(range(steps)):
        for group in learning.optimiser.param_groups:
            group["lr"] = rates[step] * group.get(LR_SCALE, 1.0)
        own = learning.learn(step, stage, pictures)
        average = _SMOOTHING * average + (1 - _SMOOTHING) * float(learning.processes.mean(own))
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
