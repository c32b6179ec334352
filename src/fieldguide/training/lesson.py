"""A lesson: a network, what it is to learn from, and how. Every kind of run is one."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from fieldguide.training.byol import TwoViews
from fieldguide.training.compute.arithmetic import Arithmetic
from fieldguide.training.objective import Loss, Teacher
from fieldguide.training.photos.augment import Augmentation
from fieldguide.training.photos.pictures import Pictures
from fieldguide.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is to be learnt, and how.

    Args:
        network: starts as it is.
        pictures: to learn from.
        validation: to judge epochs by; None for none.
        class_names: K names.
        size_px: side of the images at full size.
        recipe: the settings.
        seed: of all chance.
        arithmetic: what the processor computes with.
        augment: pictures to images.
        teacher: None to learn from labels alone.
        loss: what a step minimises; None for what the recipe says of labels and teacher.
        after_step: called after each step with the steps done and the steps in all.
    """

    network: nn.Module
    pictures: Pictures
    validation: Pictures | None
    class_names: tuple[str, ...]
    size_px: int
    recipe: Recipe
    seed: int
    arithmetic: Arithmetic
    augment: Augmentation | TwoViews
    teacher: Teacher | None = None
    loss: Loss | None = None
    after_step: Callable[[int, int], None] = lambda step, total_steps: None
