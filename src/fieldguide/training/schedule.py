"""The learning rate and the stage of a step: pure functions of the step and of the epochs so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fieldguide.libraries import import_timm
from fieldguide.training.recipe import Recipe

if TYPE_CHECKING:
    from torch.optim import Optimizer

LR_SCALE = "lr_scale"  # timm's name for a group's share of the learning rate
_LEAST_FALL = 1e-4  # of a loss, as a share, to count as one: torch's


class Schedule:
    """Sets the learning rate of every group of an optimiser.

    Args:
        optimiser: its groups may have their own share of the learning rate, ``lr_scale``.
        recipe: with the schedule, its warm-up, and the rate at its highest.
        total_steps: of the whole training.
        steps_per_epoch: not always whole.
    """

    def __init__(self, optimiser: "Optimizer", recipe: Recipe, total_steps: int, steps_per_epoch: float) -> None:
        self._optimiser = optimiser
        self._recipe = recipe
        self._warmup_steps = min(round(recipe.warmup_epochs * steps_per_epoch), total_steps - 1)
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"] = recipe.lr
        self._by_step = self._make_scheduler(total_steps)

    def set_lr(self, step: int, validation_losses: Sequence[float]) -> float:
        """Set the rates of a step, from 0, and return the highest one.

        Args:
            step: steps done before.
            validation_losses: of the epochs so far, which the plateau schedule goes by.
        """
        if self._by_step is not None:
            self._by_step.step_update(step + 1 if self._warmup_steps else step)
        else:
            rate = self._recipe.lr * min(1.0, (step + 1) / max(1, self._warmup_steps))
            if self._recipe.schedule == "plateau":
                num_plateaus = count_plateaus(validation_losses, self._recipe.plateau_patience)
                rate /= self._recipe.plateau_factor**num_plateaus
            for group in self._optimiser.param_groups:
                group["lr"] = rate * group.get(LR_SCALE, 1.0)
        return max(float(group["lr"]) for group in self._optimiser.param_groups)

    def _make_scheduler(self, total_steps: int) -> Any:  # noqa: ANN401 - timm has no types
        if self._recipe.schedule not in ("cosine", "linear"):
            return None
        import_timm()
        from timm.scheduler import CosineLRScheduler, PolyLRScheduler

        common: dict[str, Any] = {
            "t_initial": total_steps + 1 - self._warmup_steps,
            "warmup_t": self._warmup_steps,
            "warmup_prefix": True,
            "t_in_epochs": False,
        }
        if self._recipe.schedule == "cosine":
            return CosineLRScheduler(self._optimiser, **common)
        return PolyLRScheduler(self._optimiser, power=1.0, **common)


def count_plateaus(losses: Sequence[float], patience: int) -> int:
    """Return how often the losses stopped falling: how often torch's ReduceLROnPlateau divides the rate by then.

    Args:
        losses: of the epochs so far.
        patience: epochs without a loss that is lower by a ten-thousandth, before it counts.
    """
    lowest, num_waited, num_plateaus = math.inf, 0, 0
    for loss in losses:
        if loss < lowest * (1 - _LEAST_FALL):
            lowest, num_waited = loss, 0
        else:
            num_waited += 1
        if num_waited > patience:
            num_waited, num_plateaus = 0, num_plateaus + 1
    return num_plateaus


@dataclass(frozen=True)
class Stage:
    """One stage of progressive learning.

    Args:
        number: from 0.
        size_px: side of its pictures.
        strength: a share from 0 to 1 of what rises with the size: the recipe's RandAugment, jitter, erasing, Mixup
            and CutMix, and the network's layers of dropout.
    """

    number: int
    size_px: int
    strength: float


def stage_of(recipe: Recipe, step: int, total_steps: int, size_px: int) -> Stage:
    """Return the stage that a step belongs to: size and strength rise evenly over stages of equal length.

    EfficientNetV2, section 4.2, algorithm 1; sizes are rounded to multiples of 8, up to the full one.
    """
    return _stage(recipe, min(recipe.stages - 1, step * recipe.stages // total_steps), size_px)


def pixels_between(recipe: Recipe, first: int, last: int, total_steps: int, size_px: int) -> int:
    """Return the pixels, of one photo a step, that are learnt from in the steps ``first`` to ``last - 1``.

    Steps take time by them: the first stages are soon done.
    """
    pixels = 0
    for number in range(recipe.stages):
        begin, end = (math.ceil(n * total_steps / recipe.stages) for n in (number, number + 1))
        pixels += max(0, min(last, end) - max(first, begin)) * _stage(recipe, number, size_px).size_px ** 2
    return pixels


def _stage(recipe: Recipe, number: int, size_px: int) -> Stage:
    share = 1.0 if recipe.stages == 1 else number / (recipe.stages - 1)
    side = size_px * (recipe.first_size + share * (1 - recipe.first_size))
    is_full = share == 1 or recipe.first_size == 1
    strength = recipe.first_strength + share * (1 - recipe.first_strength)
    return Stage(number, size_px if is_full else min(size_px, max(8, round(side / 8) * 8)), strength)
