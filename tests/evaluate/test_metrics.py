"""Scores, against scikit-learn's and against values worked out by hand."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from fieldguide.data import SkippedPhoto
from fieldguide.evaluate import Answers, evaluate, wilson_interval


def answers(num_photos, num_classes, seed=0):
    """Probabilities that lean to the truth (N, K) float32, and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, num_photos)
    probs = rng.dirichlet(np.ones(num_classes), num_photos) + 0.3 * np.eye(num_classes)[labels]
    return (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32), labels


def names(count):
    return tuple(f"class {k}" for k in range(count))


@pytest.mark.parametrize(("num_photos", "num_classes"), [(200, 2), (300, 5), (500, 6), (1000, 40), (1, 3)])
def test_every_score_is_scikit_learns(num_photos, num_classes):
    probs, labels = answers(num_photos, num_classes)
    found, every = evaluate(probs, labels, names(num_classes)), np.arange(num_classes)
    said = probs.argmax(axis=1)
    assert found.num_photos == num_photos
    assert found.top1 == pytest.approx(reference.accuracy_score(labels, said))
    assert found.log_loss == pytest.approx(-np.log(probs[np.arange(num_photos), labels].astype(float)).mean())
    if num_photos > 1:
        assert found.log_loss == pytest.approx(reference.log_loss(labels, probs, labels=every), rel=1e-5)
    np.testing.assert_array_equal(found.confusion, reference.confusion_matrix(labels, said, labels=every))
    expected = reference.precision_recall_fscore_support(labels, said, labels=every, zero_division=np.nan)
    for score, *values in zip(found.classes, *expected, strict=True):
        np.testing.assert_allclose([score.precision, score.recall, score.f1, score.support], values)
    if num_classes > 5:
        assert found.top5 == pytest.approx(reference.top_k_accuracy_score(labels, probs, k=5, labels=every))


@pytest.mark.parametrize(("num_classes", "is_given"), [(2, False), (5, False), (6, True)])
def test_top5_is_given_only_where_there_are_more_than_five_classes(num_classes, is_given):
    assert (evaluate(*answers(20, num_classes), names(num_classes)).top5 is not None) == is_given


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [  # Newcombe (1998), Statistics in Medicine 17, table I, method 3; and by hand
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
        (29, 29, (1 / (1 + 1.959964**2 / 29), 1.0)),
        (1, 1, (1 / (1 + 1.959964**2), 1.0)),
    ],
)
def test_the_interval_is_wilsons(successes, trials, expected):
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(0, 1), (3, 7), (150, 300), (299, 300)])
def test_the_interval_ends_where_the_share_is_as_many_deviations_away(successes, trials):
    share, z = successes / trials, 1.959964
    for end in wilson_interval(successes, trials):
        assert abs(share - end) == pytest.approx(z * math.sqrt(end * (1 - end) / trials), abs=1e-6)


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3), (0, 0)])
def test_what_is_no_share_has_no_interval(successes, trials):
    with pytest.raises(ValueError, match=f"{successes} of {trials} is no share"):
        wilson_interval(successes, trials)


def test_undefined_scores_are_nan_here_and_null_in_json():
    probs = np.array([[0.9, 0.1, 0, 0], [0.2, 0.8, 0, 0]], np.float32)
    found = evaluate(probs, np.array([0, 2]), ("said and shown", "only said", "only shown", "neither"))
    scores = [(c.precision, c.recall, c.f1, c.support) for c in found.classes]
    np.testing.assert_equal(
        scores, [(1, 1, 1, 1), (0, math.nan, 0, 0), (math.nan, 0, 0, 1), (math.nan, math.nan, math.nan, 0)]
    )
    parsed = json.loads(found.files()["metrics.json"], parse_constant=pytest.fail)
    assert parsed["classes"][3] == {"name": "neither", "precision": None, "recall": None, "f1": None, "support": 0}
    assert parsed["top5"] is None and parsed["confusion"][2] == [0, 1, 0, 0]


def test_a_wrong_answer_given_for_certain_costs_much_but_not_infinitely_much():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = evaluate(np.array([[1, 0]], np.float32), np.array([1]), ("a", "b"))
    assert 80 < found.log_loss < 100


def test_the_dictionary_holds_every_fact_but_the_answers():
    probs, labels = answers(30, 6)
    found = evaluate(probs, labels, names(6))
    values = found.to_dict()
    assert set(values) == set(vars(found)) - {"answers"}
    assert values["top1"] == found.top1 and values["classes"][0]["recall"] == found.classes[0].recall


def test_skipped_photos_are_kept_with_their_reasons():
    found = replace(evaluate(*answers(3, 2), names(2)), skipped=(SkippedPhoto("läufer.jpg", "empty file"),))
    parsed = json.loads(found.files()["metrics.json"])
    assert parsed["skipped"] == [{"name": "läufer.jpg", "reason": "empty file"}]


def test_answers_are_a_file_only_where_they_are_known():
    probs, labels = answers(3, 2)
    found = evaluate(probs, labels, names(2))
    assert set(found.files()) == {"metrics.json"}
    known = replace(found, answers=Answers(["a", "b", "c"], labels, probs, names(2)))
    assert set(known.files()) == {"metrics.json", "predictions.parquet"}
    assert known == found, "two evaluations are equal when their scores are"


@pytest.mark.parametrize(
    ("shape", "labels", "count", "message"),
    [
        ((0, 2), [], 2, r"probs \(0, 2\), labels \(0,\) and 2 class names don't match, or there is nothing"),
        ((3, 2), [0, 1], 2, r"probs \(3, 2\), labels \(2,\) and 2 class names"),
        ((2, 2), [0, 1], 3, r"probs \(2, 2\), labels \(2,\) and 3 class names"),
        ((2,), [0, 1], 2, r"probs \(2,\), labels \(2,\) and 2 class names"),
        ((2, 2), [0, 2], 2, r"labels go from 0 to 2; expected 0 to 1"),
        ((2, 2), [-1, 0], 2, r"labels go from -1 to 0; expected 0 to 1"),
    ],
)
def test_what_does_not_match_is_refused(shape, labels, count, message):
    with pytest.raises(ValueError, match=message):
        evaluate(np.full(shape, 0.5, np.float32), np.array(labels, np.int64), names(count))
