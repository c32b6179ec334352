"""What a step minimises: cross entropy with the labels and, with a teacher, the distance to its answers."""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from fieldguide.head.class_weights import class_weights
from fieldguide.training.recipe import Recipe


class Teacher(Protocol):
    """What a student learns from, besides labels."""

    def log_probs(self, images: Tensor) -> Tensor:
        """Images as the student gets them (n, C, H, W) -> log probabilities (n, K)."""
        ...


class Loss(Protocol):
    """What a step minimises."""

    def __call__(self, outputs: Tensor, targets: Tensor, images: Tensor) -> Tensor:
        """Outputs of the network, targets and images of a part of a batch -> the mean loss, a number."""
        ...


class Objective:
    """The mean loss of a batch.

    Args:
        recipe: label smoothing, balance, and how to learn from a teacher.
        labels: (N,) of all training photos, -1 where one has none: for the weights of classes.
        num_classes: K.
        device: where the loss is computed.
        teacher: None to learn from labels alone.
    """

    def __init__(
        self,
        recipe: Recipe,
        labels: npt.NDArray[np.int64],
        num_classes: int,
        device: torch.device,
        teacher: Teacher | None = None,
    ) -> None:
        self._recipe = recipe
        self._teacher = teacher
        self._labelled_share = float((labels >= 0).mean())
        self._class_weights = (
            torch.from_numpy(class_weights(labels, num_classes)).to(device)
            if recipe.balance == "weights"
            else None
        )

    def __call__(self, logits: Tensor, targets: Tensor, images: Tensor) -> Tensor:
        """Logits (n, K), targets (n,) or (n, K), images (n, C, H, W) -> the mean loss, a number.

        A label of -1, or a row of zeros, is none: such a photo counts for the teacher's part only. The labels'
        part is divided by as many labelled photos as n hold on average: so over an epoch it is the mean of the
        labelled ones, and parts of a batch add up to the whole, however labels fall on them.
        """
        logits = logits.float()
        if self._teacher is None:
            return self._by_labels(logits, targets)
        share = self._recipe.teacher_weight
        by_teacher = distillation_loss(
            logits, self._teacher.log_probs(images), temperature=self._recipe.temperature, hard=self._recipe.hard
        )
        return (1 - share) * self._by_labels(logits, targets) + share * by_teacher

    def _by_labels(self, logits: Tensor, targets: Tensor) -> Tensor:
        smoothing = self._recipe.label_smoothing
        if targets.ndim == 2:  # torch's smoothing would give a row of zeros classes
            targets = (1 - smoothing) * targets + smoothing * targets.mean(dim=1, keepdim=True)
            smoothing = 0.0
        losses = F.cross_entropy(
            logits,
            targets,
            weight=self._class_weights,
            label_smoothing=smoothing,
            ignore_index=-1,
            reduction="none",
        )
        return losses.mean() / self._labelled_share


def distillation_loss(logits: Tensor, teacher_log_probs: Tensor, *, temperature: float, hard: bool) -> Tensor:
    """Return the mean distance of a student's answers (n, K) to its teacher's log probabilities (n, K).

    Soft: T^2 KL(teacher || student), both softened by T (Hinton et al., 2015, https://arxiv.org/abs/1503.02531,
    section 2). Hard: cross entropy with the teacher's choice (Touvron et al., 2020,
    https://arxiv.org/abs/2012.12877, section 4).
    """
    if hard:
        return F.cross_entropy(logits, teacher_log_probs.argmax(dim=1))
    student = F.log_softmax(logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_log_probs / temperature, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2
