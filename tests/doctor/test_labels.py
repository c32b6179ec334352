"""Labels that contradict the photos."""

import numpy as np

from fieldguide.doctor.labels import confident_labels, find_alike_classes, find_wrong_labels

NAMES = ("rose", "tulip", "daisy")


def test_a_photo_belongs_where_it_is_as_sure_as_photos_there_usually_are():
    probs = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.45, 0.55], [0.25, 0.75]], np.float32)
    labels = np.array([0, 0, 1, 1, 0, 0])
    # Usual: rose (0.9 + 0.7 + 0.45 + 0.25) / 4 = 0.575, tulip 0.7. The fifth is not sure enough, the last is.
    assert confident_labels(probs, labels).tolist() == [0, 0, 1, 1, 0, 1]


def test_a_class_without_photos_is_no_answer():
    probs = np.array([[0.2, 0.1, 0.7], [0.1, 0.8, 0.1]], np.float32)
    assert confident_labels(probs, np.array([0, 1])).tolist() == [0, 1]


def test_wrong_labels_come_with_what_the_photo_looks_like_the_surest_first():
    probs = np.array([[0.9, 0.1, 0], [0.05, 0.95, 0], [0.3, 0.7, 0], [0.1, 0.1, 0.8], [0, 0.98, 0.02]], np.float32)
    labels = np.array([0, 1, 1, 2, 0])
    (finding,) = find_wrong_labels(np.array([10, 11, 12, 13, 14]), probs, labels, NAMES)
    (case,) = finding.cases
    assert case.photos == (14,) and case.evidence == "is under rose, looks like tulip (0.98 against 0.00)"
    assert finding.summary == "1 label is likely wrong (20.0% of all)"


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
