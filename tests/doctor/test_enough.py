"""Whether there are photos enough."""

import numpy as np
import pytest

from fieldguide.doctor.enough import find_too_few, find_uneven
from fieldguide.evaluate import wilson_interval
from fieldguide.head.learning_curve import LearningCurve

NAMES = ("rose", "tulip", "daisy")


def evidence(findings):
    return [case.evidence for finding in findings for case in finding.cases]


def test_classes_with_a_third_of_the_largest_ones_photos_are_named_the_rarest_first():
    labels = np.repeat([0, 1, 2], [90, 30, 5])
    (finding,) = find_uneven(labels, NAMES)
    assert evidence([finding]) == ["daisy has 5, rose has 90", "tulip has 30, rose has 90"]
    assert finding.summary == "2 classes have a third of the largest one's photos, or fewer"
    assert list(find_uneven(np.repeat([0, 1, 2], [90, 31, 40]), NAMES)) == []


def test_rare_classes_and_a_curve_that_rises_ask_for_photos():
    curve = LearningCurve((25, 50, 100), (0.6, 0.7, 0.775), 133)
    labels = np.repeat([0, 1, 2], [60, 25, 15])
    told = evidence(find_too_few(labels, NAMES, curve, num_held_out=0))
    assert told[0] == "daisy has 15 to learn from; 20 are a beginning"
    # Errors of 0.4, 0.3, 0.225 fall by a quarter with each doubling.
    assert told[1:] == [
        "60.0% by 25, 70.0% by 50, 77.5% by 100; 200 photos would bring about 83.1%, 400 about 87.3%"
    ]


def test_a_flat_curve_asks_for_none():
    curve = LearningCurve((25, 50, 100), (0.98, 0.98, 0.98), 400)
    assert list(find_too_few(np.repeat([0, 1, 2], 50), NAMES, curve, num_held_out=1000)) == []


def test_few_photos_held_out_make_no_verdict():
    curve = LearningCurve((100, 200, 400), (0.9, 0.9, 0.9), 500)
    (told,) = evidence(find_too_few(np.repeat([0, 1, 2], 50), NAMES, curve, num_held_out=30))
    low, high = wilson_interval(27, 30)
    enough = int(told.split("; ")[1].split()[0])
    assert told.startswith(f"30 held out tell the accuracy within {(high - low) / 2:.1%} either way; ")
    low, high = wilson_interval(round(0.9 * enough), enough)
    assert high - low <= 0.10 < np.subtract(*wilson_interval(round(0.9 * (enough - 10)), enough - 10)[::-1])


def test_errors_are_expected_to_fall_as_a_power():
    curve = LearningCurve((100, 200, 400), (0.6, 0.8, 0.9), 1000)
    assert curve.expected(800) == pytest.approx(0.95)
    assert LearningCurve((100, 200, 400), (0.9, 0.8, 0.85), 1000).expected(800) == pytest.approx(0.85)
    assert LearningCurve((100, 200, 400), (1, 1, 1), 1000).expected(800) > 0.999
