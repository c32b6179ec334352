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


def kinds(findings):
    return {finding.kind.name: finding for finding in findings}


def test_rare_classes_and_a_curve_that_rises_steeply_are_too_few_to_learn_from():
    curve = LearningCurve((25, 50, 100), (0.6, 0.7, 0.775), 133)
    labels = np.repeat([0, 1, 2], [60, 25, 15])
    (finding,) = find_too_few(labels, NAMES, curve, num_held_out=0)
    assert (finding.kind.name, finding.kind.severity) == ("few photos", "medium")
    told = evidence([finding])
    assert told[0] == "daisy has 15 to learn from; 20 are a beginning"
    # Errors of 0.4, 0.3, 0.225 fall by a quarter with each doubling.
    assert told[1:] == [
        "60.0 % right with 25 photos, 70.0 % with 50, 77.5 % with 100; to be expected by that: "
        "about 77.5 % with 100, about 83.1 % with 200, about 87.3 % with 400"
    ]
    assert finding.summary == (
        "too few photos to learn from: 1 class has fewer than 20; "
        "with 200 instead of 100, about 6 more answers in 100 would be right"
    )


def test_where_a_guide_is_good_and_the_curve_still_rises_more_photos_would_merely_help():
    curve = LearningCurve((195, 390, 750), (0.84, 0.883, 0.901), 1000)  # flowers, whose guide has 92 % right
    found = kinds(find_too_few(np.repeat([0, 1, 2], [400, 300, 300]), NAMES, curve, num_held_out=300))
    assert list(found) == ["more photos"] and found["more photos"].kind.severity == "low"
    summary = found["more photos"].summary
    assert (
        summary == "more photos would help: with 2000 instead of 1000, about 2 more answers in 100 would be right"
    )
    (told,) = evidence(found.values())
    assert told.startswith(
        "84.0 % right with 195 photos, 88.3 % with 390, 90.1 % with 750; to be expected by that: "
    )


def test_rare_classes_are_too_few_and_more_of_all_would_help():
    curve = LearningCurve((195, 390, 750), (0.84, 0.883, 0.901), 1000)
    found = kinds(find_too_few(np.repeat([0, 1, 2], [981, 12, 7]), NAMES, curve, num_held_out=0))
    assert sorted(found) == ["few photos", "more photos"]
    assert found["few photos"].summary == "too few photos to learn from: 2 classes have fewer than 20"
    rarest_first = [
        "daisy has 7 to learn from; 20 are a beginning",
        "tulip has 12 to learn from; 20 are a beginning",
    ]
    assert evidence([found["few photos"]]) == rarest_first


def test_a_flat_curve_asks_for_none():
    curve = LearningCurve((25, 50, 100), (0.98, 0.98, 0.98), 400)
    assert list(find_too_few(np.repeat([0, 1, 2], 50), NAMES, curve, num_held_out=1000)) == []


def test_few_photos_held_out_make_no_verdict():
    curve = LearningCurve((100, 200, 400), (0.9, 0.9, 0.9), 500)
    (finding,) = find_too_few(np.repeat([0, 1, 2], 50), NAMES, curve, num_held_out=30)
    assert finding.kind.name == "few held out"
    assert finding.summary == "too few photos to judge by: 30 are held out"
    (told,) = evidence([finding])
    low, high = wilson_interval(27, 30)
    within = f"{50 * (high - low):.1f} %"
    assert told.startswith(f"30 held out tell the share of right answers within {within} either way; ")
    enough = int(told.split("; ")[1].split()[0])
    low, high = wilson_interval(round(0.9 * enough), enough)
    assert high - low <= 0.10 < np.subtract(*wilson_interval(round(0.9 * (enough - 10)), enough - 10)[::-1])
    (finding,) = find_too_few(np.repeat([0, 1, 2], 50), NAMES, curve, num_held_out=1)
    assert finding.summary == "too few photos to judge by: 1 is held out"


def test_errors_are_expected_to_fall_as_a_power():
    curve = LearningCurve((100, 200, 400), (0.6, 0.8, 0.9), 1000)
    assert curve.expected(800) == pytest.approx(0.95)
    assert LearningCurve((100, 200, 400), (0.9, 0.8, 0.85), 1000).expected(800) == pytest.approx(0.85)
    assert LearningCurve((100, 200, 400), (1, 1, 1), 1000).expected(800) > 0.999
