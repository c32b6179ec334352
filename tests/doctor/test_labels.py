"""Labels that contradict the photos."""

import numpy as np
import pytest

from fieldguide.doctor.finding import KINDS, Case, Finding
from fieldguide.doctor.labels import (
    can_be_asked,
    find_alike_classes,
    find_wrong_labels,
    looks_like,
    with_right_labels,
)

NAMES = ("rose", "tulip", "daisy")


def test_wrong_labels_come_with_what_the_photo_looks_like_the_surest_first():
    probs = np.array(
        [[0.9, 0.1, 0], [0.05, 0.95, 0], [0.74, 0.26, 0], [0.1, 0.1, 0.8], [0, 0.98, 0.02]], np.float32
    )
    labels = np.array([0, 1, 1, 2, 0])
    (finding,) = find_wrong_labels(np.array([10, 11, 12, 13, 14]), probs, labels, NAMES)
    (case,) = finding.cases
    assert case.photos == (14,) and case.evidence == "is under rose, looks like tulip (98 %), not rose (below 1 %)"
    assert finding.summary == "1 label is contradicted by other photos (20.0 % of 5)"


def test_what_a_photo_looks_like_is_never_all_or_nothing():
    assert (
        looks_like(NAMES, np.array([0.999, 0.001, 0]), 0, 1)
        == "looks like rose (over 99 %), not tulip (below 1 %)"
    )
    assert looks_like(NAMES, np.array([0.02, 0.98, 0]), 1, 0) == "looks like tulip (98 %), not rose (2 %)"


def under_two_labels(*photos):
    return [Finding(KINDS["two labels"], (Case(photos, "identical: rose, tulip", len(photos)),), "1 picture")]


def decided(findings, probs, labels):
    photos = np.arange(len(labels))
    (finding,) = with_right_labels(findings, photos, np.array(probs, np.float32), np.array(labels), NAMES)
    (case,) = finding.cases
    return case


OTHERS = [[0.9, 0.1, 0]] * 4 + [[0.1, 0.9, 0]] * 4  # four roses and four tulips


def test_of_a_picture_under_two_labels_the_copy_stays_whose_label_photos_confirm():
    case = decided(under_two_labels(0, 1, 2), [[0.02, 0.98, 0]] * 3 + OTHERS, [0, 1, 1, *[0] * 4, *[1] * 4])
    assert (case.photos, case.suspects, case.action) == ((1, 2, 0), (2, 0), "exclude")
    assert case.evidence == "identical: rose, tulip; looks like tulip (98 %), not rose (2 %)"


@pytest.mark.parametrize("probs", [[0.7, 0.3, 0], [0.03, 0.02, 0.95]], ids=["either", "neither"])
def test_where_photos_do_not_tell_which_label_is_right_a_person_looks_at_all_copies(probs):
    findings = under_two_labels(0, 1)
    case = decided(findings, [probs] * 2 + OTHERS, [0, 1, *[0] * 4, *[1] * 4])
    assert case == findings[0].cases[0] and case.suspects == (0, 1) and case.action == ""


def test_a_class_of_which_there_is_hardly_another_photo_is_not_decided_on():
    case = decided(under_two_labels(0, 1), [[1, 0, 0]] * 2 + OTHERS[:6], [0, 1, *[0] * 4, *[1] * 2])
    assert case.action == "" and case.suspects == (0, 1)


def test_right_labels_are_left_alone():
    probs = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    assert list(find_wrong_labels(np.arange(4), probs, np.array([0, 1, 2, 0]), NAMES)) == []


def test_classes_whose_photos_are_taken_for_each_other_are_named():
    labels = np.repeat([0, 1, 2], 40)
    answers = labels.copy()
    answers[:20], answers[40:58] = 1, 0
    answers[80:84] = 1
    probs = np.eye(3, dtype=np.float32)[answers]
    (finding,) = find_alike_classes(probs, labels, NAMES)
    (case,) = finding.cases
    assert case.photos == () and case.evidence == "rose and tulip: 38 of 80 photos taken for the other"
    assert finding.summary == "1 pair of classes can't be told apart"


def test_few_mistakes_are_no_likeness():
    labels = np.repeat([0, 1], 5)
    answers = labels.copy()
    answers[0] = 1
    assert list(find_alike_classes(np.eye(2, dtype=np.float32)[answers], labels, NAMES[:2])) == []


def test_a_class_of_three_photos_is_not_asked_about():
    assert can_be_asked(np.array([0, 1, 0, 1, 0, 1, 1]), 3).tolist() == [
        False,
        True,
        False,
        True,
        False,
        True,
        True,
    ]
