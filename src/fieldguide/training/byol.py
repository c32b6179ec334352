"""BYOL (Grill et al., 2020, https://arxiv.org/abs/2006.07733): a network learns from photos without labels.

It looks at two random views of each photo, and predicts from one what a slower copy of itself, the target, makes
of the other. The target never learns: after each step it moves a little towards the network. lightly (1.6) has
these parts, too; they are forty lines, and with them it brings in PyTorch Lightning, Hydra and an HTTP client.
"""

import copy
import math
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.training.photos.augment import Augmentation

PROJECTION = 256  # numbers (section 3.3); the hidden layers have twice as many as the features, as the paper's
_LEAST_HIDDEN = 512


class Byol(nn.Module):
    """A body that learns, and its target.

    Views (2n, C, H, W), a first one of n photos and then a second one -> (2, 2n, 256): what the network predicts
    of the other view of each photo, and what the target makes of that.

    Args:
        body: images (N, C, H, W) -> features (N, D).
        num_features: D.
        target_decay: share of itself that the target keeps in the first step, from 0 to 1.
    """

    def __init__(self, body: nn.Module, num_features: int, *, target_decay: float) -> None:
        super().__init__()
        self.online = nn.Sequential(OrderedDict(body=body, projector=_perceptron(num_features, num_features)))
        self.predictor = _perceptron(PROJECTION, num_features)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self._target_decay = target_decay

    @property
    def body(self) -> nn.Module:
        """What is kept in the end."""
        return self.online.get_submodule("body")

    def forward(self, views: Tensor) -> Tensor:
        self.target.train(self.training)  # the loop has put it in evaluation, as all that never learns
        both = views.chunk(2)
        predictions = torch.cat([self.predictor(self.online(view)) for view in both])
        with torch.no_grad():
            wanted = torch.cat([self.target(view) for view in reversed(both)])
        return torch.stack([predictions, wanted])

    @torch.no_grad()
    def follow(self, step: int, total_steps: int) -> None:
        """Move the target towards the network, after a step.

        Args:
            step: steps done, from 1.
            total_steps: of the whole training.
        """
        share = 1 - decay_at(step, total_steps, self._target_decay)
        for behind, ahead in zip(self.target.parameters(), self.online.parameters(), strict=True):
            behind.lerp_(ahead, share)


def byol_loss(outputs: Tensor, targets: Tensor, images: Tensor) -> Tensor:
    """Outputs of :class:`Byol` (2, 2n, D) -> the mean squared distance of their directions, from 0 to 4.

    Equation 2: of unit vectors that is 2 - 2 cos. Both views' losses are averaged, where the paper adds them.
    Targets and images play no part.
    """
    predictions, wanted = outputs.float()
    return 2 - 2 * F.cosine_similarity(predictions, wanted, dim=1).mean()


def decay_at(step: int, total_steps: int, first: float) -> float:
    """Return the share of itself that the target keeps: it rises from ``first`` to 1 by a cosine (section 3.3)."""
    return 1 - (1 - first) * (math.cos(math.pi * step / total_steps) + 1) / 2


class TwoViews:
    """Two augmentations of each photo, with chance of their own.

    Args:
        first: of the first views.
        second: of the second views; of another seed.
    """

    def __init__(self, first: Augmentation, second: Augmentation) -> None:
        self._augmentations = (first, second)
        self.plain = first.plain

    def __call__(self, pictures: Tensor, labels: Tensor, **where: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        """Pictures uint8 (n, C, S, S) -> views float32 (2n, C, H, W), all first ones first, and the labels.

        Args:
            pictures: to look at.
            labels: (n,), which play no part.
            where: as :meth:`Augmentation.__call__` takes it.
        """
        return torch.cat([augment(pictures, labels, **where)[0] for augment in self._augmentations]), labels


def _perceptron(num_inputs: int, num_features: int) -> nn.Sequential:
    """Return a perceptron with one hidden, normalised layer: (N, num_inputs) -> (N, 256)."""
    hidden = max(_LEAST_HIDDEN, 2 * num_features)
    return nn.Sequential(
        OrderedDict(
            hidden=nn.Linear(num_inputs, hidden),
            norm=nn.BatchNorm1d(hidden),
            act=nn.ReLU(inplace=True),
            output=nn.Linear(hidden, PROJECTION),
        )
    )
