"""What heads say of photos new to them, and how accuracy grows."""

import numpy as np

from fieldguide.head.learning_curve import learning_curve
from fieldguide.head.out_of_fold import out_of_fold_probs


def noise(count: int, num_classes: int, *, width: int = 40, seed: int = 0):
    """Features that tell nothing of the labels: what is learnt from them is learnt by heart."""
    random = np.random.default_rng(seed)
    return random.normal(size=(count, width)).astype(np.float16), np.arange(count) % num_classes


def clusters(count: int, num_classes: int, *, width: int = 20, distance: float = 1.0):
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(count) % num_classes)
    centres = random.normal(size=(num_classes, width)) * distance
    return (centres[labels] + random.normal(size=(count, width))).astype(np.float16), labels


def test_nothing_is_known_of_photos_that_were_not_learnt_from():
    features, labels = noise(400, 2)
    probs = out_of_fold_probs(features, labels, 2)
    assert probs.shape == (400, 2)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)
    assert abs((probs.argmax(axis=1) == labels).mean() - 0.5) < 0.08


def test_copies_give_each_other_away_unless_they_are_one_group():
    features, labels = noise(100, 2)
    features, labels = np.tile(features, (3, 1)), np.tile(labels, 3)
    groups = np.tile(np.arange(100), 3)
    right = [
        (out_of_fold_probs(features, labels, 2, groups=g).argmax(axis=1) == labels).mean() for g in (None, groups)
    ]
    assert right[0] > 0.65 and abs(right[1] - 0.5) < 0.12


def test_each_fold_is_reported():
    done = []
    out_of_fold_probs(*clusters(80, 3), 3, on_progress=lambda *state: done.append(state))
    assert done == [("folds", number, 4) for number in (1, 2, 3, 4)]


def test_a_curve_rises_with_the_photos_learnt_from():
    features, labels = clusters(1200, 8, distance=0.5)
    done = []
    curve = learning_curve(features, labels, 8, on_progress=lambda *state: done.append(state))
    assert curve.num_asked == 1200
    np.testing.assert_allclose(curve.num_photos, [225, 450, 900], rtol=0.07)
    assert curve.top1[0] < curve.top1[1] < curve.top1[2]
    assert done[-1] == ("curve", 12, 12)


def test_of_many_photos_some_make_the_curve():
    features, labels = clusters(13_000, 2, width=4)
    assert learning_curve(features, labels, 2).num_asked <= 6000


def test_with_many_classes_the_curve_still_has_three_points():
    features, labels = clusters(600 * 20, 600, width=8)
    curve = learning_curve(features, labels, 600)
    assert curve.num_photos[0] < curve.num_photos[1] < curve.num_photos[2]
    np.testing.assert_allclose(curve.num_photos[0] / curve.num_photos[2], 0.25, atol=0.1)
