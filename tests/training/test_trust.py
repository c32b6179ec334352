"""What training learns of the limits of a head's answers."""

import numpy as np
import pytest

from fieldguide.head import LinearHead, softmax
from fieldguide.training.trust import known_photos, learn_trust


def clusters(counts, *, width: int = 30, seed: int = 0):
    """Features and labels of so many photos of each class, the classes well apart."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = np.random.default_rng(9).normal(size=(len(counts), width)) * 2
    return (centres[labels] + random.normal(size=(len(labels), width)) * 0.5).astype(np.float32), labels


def test_as_many_photos_of_each_class_are_kept_evenly_chosen():
    labels = np.repeat([0, 1, 2], [5000, 3000, 7])
    chosen = known_photos(labels)
    assert np.bincount(labels[chosen]).tolist() == [666, 666, 7]
    assert chosen[0] == 0 and chosen[665] == 4999
    many = np.repeat(np.arange(1000), 30)
    assert np.bincount(many[known_photos(many)]).tolist() == [10] * 1000


def test_photos_of_rare_classes_are_not_unknown_for_being_rare():
    counts = [1000] * 8 + [30] * 4
    features, labels = clusters(counts)
    head = LinearHead(np.zeros((12, 30), np.float32), np.zeros(12, np.float32))
    _, trust = learn_trust(head, features, labels, np.zeros((0, 12), np.float32), np.zeros(0, np.int64))
    new, new_labels = clusters([100] * 12, seed=1)
    unknown = trust.familiarity.measure(new) < trust.familiarity.threshold
    assert unknown[new_labels < 8].mean() < 0.12 and unknown[new_labels >= 8].mean() < 0.25


def test_the_head_is_cooled_by_what_makes_its_probabilities_true():
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 3)).astype(np.float32)
    labels = (softmax(logits).cumsum(axis=1) > random.random((4000, 1))).argmax(axis=1)
    head = LinearHead(np.eye(3, dtype=np.float32), np.ones(3, np.float32))
    cooled, trust = learn_trust(head, logits, labels, softmax(logits * 3), labels)
    assert trust.temperature == pytest.approx(3, rel=0.15)
    np.testing.assert_allclose(cooled.weight, np.eye(3) / trust.temperature, rtol=1e-5)
    np.testing.assert_allclose(cooled.bias, 1 / trust.temperature, rtol=1e-5)
    expected = softmax((3 / trust.temperature * logits).astype(np.float32))[np.arange(4000), labels]
    np.testing.assert_allclose(trust.of_truth, expected, atol=1e-4)


def test_without_photos_to_ask_about_the_head_stays_as_it_is():
    features, labels = clusters([20, 20])
    head = LinearHead(np.ones((2, 30), np.float32), np.zeros(2, np.float32))
    cooled, trust = learn_trust(head, features, labels, np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
    assert trust.temperature == 1 and (cooled.weight == head.weight).all() and len(trust.of_truth) == 0
