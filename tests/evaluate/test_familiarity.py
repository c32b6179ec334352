"""How much a photo is like those that are known."""

import math

import numpy as np
import pytest

from fieldguide.evaluate.familiarity import NEIGHBOURS, learn_familiarity
from fieldguide.evaluate.trust import Trust, trust_of


def features(count: int, *, seed: int, centre: int = 0, width: int = 30) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(count, width)) * 0.3 + np.eye(width)[centre] * 2).astype(np.float16)


def test_it_is_the_cosine_with_the_fifth_most_similar():
    known, new = features(50, seed=0), features(7, seed=1)
    unit = [
        x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (known, new)
    ]
    expected = np.sort(unit[1] @ unit[0].T, axis=1)[:, -NEIGHBOURS]
    np.testing.assert_allclose(learn_familiarity(known).measure(new), expected, atol=2e-3)


def test_of_photos_like_the_known_ones_a_share_counts_as_unknown():
    familiarity = learn_familiarity(features(1000, seed=0), false_alarms=0.1)
    alarms = (familiarity.measure(features(2000, seed=1)) < familiarity.threshold).mean()
    assert alarms == pytest.approx(0.1, abs=0.03)


def test_other_photos_are_unknown():
    familiarity = learn_familiarity(features(500, seed=0))
    assert (familiarity.measure(features(500, seed=1, centre=3)) < familiarity.threshold).mean() > 0.99


def test_few_known_photos_are_compared_with_the_least_similar():
    familiarity = learn_familiarity(features(3, seed=0))
    assert np.isfinite(familiarity.threshold)
    assert familiarity.measure(features(2, seed=1)).shape == (2,)
    assert familiarity.measure(np.zeros((0, 30), np.float16)).shape == (0,)


def test_it_is_kept_in_a_guide_and_read_again():
    trust = Trust(learn_familiarity(features(20, seed=0)), np.array([0.5, 0.9], np.float32), 1.25)
    again = trust_of({"trust": trust.to_facts()}, trust.to_tensors(), 30)
    assert again is not None and again.temperature == 1.25
    assert again.familiarity.threshold == trust.familiarity.threshold
    assert (again.familiarity.known == trust.familiarity.known).all() and (again.of_truth == trust.of_truth).all()
    assert trust_of({}, {}, 30) is None, "guides made before"


@pytest.mark.parametrize(
    ("name", "shape"), [("known", (600,)), ("known", (20, 7)), ("known", (0, 30)), ("of_truth", (2, 2))]
)
def test_tensors_of_a_wrong_shape_are_refused(name, shape):
    trust = Trust(learn_familiarity(features(20, seed=0)), np.array([0.5], np.float32), 1.0)
    damaged = {**trust.to_tensors(), f"trust.{name}": np.zeros(shape, np.float16)}
    with pytest.raises(ValueError, match=r"known features of shape \(.*\), .* \(.*\); features have 30"):
        trust_of({"trust": trust.to_facts()}, damaged, 30)


@pytest.mark.parametrize("facts", [{"temperature": 0}, {"temperature": math.nan}, {"unknown_below": math.inf}])
def test_numbers_that_no_guide_learns_are_refused(facts):
    trust = Trust(learn_familiarity(features(20, seed=0)), np.array([0.5], np.float32), 1.0)
    with pytest.raises(ValueError, match=r"the temperature is .* and unknown_below .*; the one must be above 0"):
        trust_of({"trust": {**trust.to_facts(), **facts}}, trust.to_tensors(), 30)


def test_the_threshold_may_be_set_by_other_photos():
    familiarity = learn_familiarity(features(500, seed=0), features(300, seed=1, centre=2), false_alarms=0.2)
    others = familiarity.measure(features(300, seed=1, centre=2))
    assert (others < familiarity.threshold).mean() == pytest.approx(0.2, abs=0.01)
