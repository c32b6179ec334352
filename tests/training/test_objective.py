"""What a step minimises, by labels; what a teacher adds is tested beside teachers."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from fieldguide.head.class_weights import class_weights
from fieldguide.training.objective import Objective
from fieldguide.training.recipe import Recipe

CPU = torch.device("cpu")
LABELS = np.repeat([0, 1, 2], [60, 30, 10])


def logits_and_targets(count=12):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, generator=generator), torch.randint(3, (count,), generator=generator)


def loss(logits, targets, **settings):
    return Objective(Recipe(**settings), LABELS, 3, CPU)(logits, targets, torch.zeros(len(logits), 3, 8, 8))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_labels_and_their_shares_are_judged_by_torch_s_cross_entropy(smoothing):
    logits, targets = logits_and_targets()
    expected = F.cross_entropy(logits, targets, label_smoothing=smoothing)
    assert_close(loss(logits, targets, label_smoothing=smoothing), expected)
    shares = 0.7 * F.one_hot(targets, 3) + 0.3 * F.one_hot(targets.roll(1), 3)
    expected = F.cross_entropy(logits, shares, label_smoothing=smoothing)
    assert_close(loss(logits, shares, label_smoothing=smoothing), expected)


def test_low_precision_is_left_before_the_loss():
    logits, targets = logits_and_targets()
    found = loss(logits.bfloat16(), targets)
    assert found.dtype == torch.float32
    assert_close(found, F.cross_entropy(logits.bfloat16().float(), targets))


def test_a_rare_class_weighs_more_and_a_photo_one_on_average():
    weights = class_weights(LABELS, 3)
    assert weights.tolist() == pytest.approx([100 / 180, 100 / 90, 100 / 30])
    assert weights[LABELS].mean() == pytest.approx(1)
    assert weights.dtype == np.float32
    assert class_weights(np.array([0, 0, 2, -1]), 4).tolist() == pytest.approx([0.75, 1.5, 1.5, 1.5])


def test_weights_of_classes_multiply_the_losses():
    logits, targets = logits_and_targets()
    weights = torch.from_numpy(class_weights(LABELS, 3))
    expected = (weights[targets] * F.cross_entropy(logits, targets, reduction="none")).mean()
    assert_close(loss(logits, targets, balance="weights"), expected)
    halves = [loss(logits[i : i + 6], targets[i : i + 6], balance="weights") for i in (0, 6)]
    assert_close(sum(halves) / 2, expected, msg="parts of a batch add up to the whole")
    assert_close(loss(logits, targets, balance="sampling"), F.cross_entropy(logits, targets))
