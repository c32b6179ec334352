"""Sets of classes that hold the truth as often as is asked for."""

import numpy as np
import pytest

from fieldguide.evaluate.coverage import least_probability


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.99])
def test_new_photos_are_covered_as_often_as_is_asked_for(coverage):
    random = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        known, new = random.beta(4, 1, 199), random.beta(4, 1, 200)
        covered.append((new >= least_probability(known, coverage)).mean())
    assert coverage <= np.mean(covered) + 0.005 and np.mean(covered) < coverage + 0.01


def test_it_is_one_of_the_known_probabilities():
    known = np.arange(1, 100) / 100
    assert least_probability(known, 0.9) == pytest.approx(0.10), "the tenth of 99 + 1"
    assert least_probability(known, 0.95) == pytest.approx(0.05)


def test_few_photos_can_promise_little():
    assert least_probability(np.array([0.5, 0.9]), 0.95) == 0, "all classes"


@pytest.mark.parametrize("coverage", [0, 1, 95, -0.5])
def test_a_coverage_that_is_no_share_is_refused(coverage):
    with pytest.raises(ValueError, match=rf"coverage is {coverage}; it must be above 0 and below 1, such as 0.95"):
        least_probability(np.array([0.5]), coverage)
