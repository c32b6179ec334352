"""Answers by the nearest neighbours."""

import numpy as np
import pytest

from fieldguide.evaluate import neighbour_probs

KNOWN = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 2.0]])
LABELS = np.array([2, 2, 0, 0])


def test_the_nearest_by_direction_answer_and_length_plays_no_part():
    probs = neighbour_probs(KNOWN, LABELS, np.array([[50.0, 1.0], [0.01, 0.3]]), 3, num_neighbours=2)
    np.testing.assert_allclose(probs, [[0, 0, 1], [1, 0, 0]])


def test_votes_weigh_by_similarity():
    probs = neighbour_probs(KNOWN[[0, 2]], LABELS[[0, 2]], np.array([[0.8, 0.6]]), 3, num_neighbours=5)
    votes = np.exp(np.array([0.6, 0.8]) / 0.07)
    np.testing.assert_allclose(
        probs[0], [votes[1] * 0 + votes[0] / votes.sum(), 0, votes[1] / votes.sum()], rtol=1e-5
    )


def test_many_queries_are_answered_as_one_is():
    random = np.random.default_rng(0)
    known, labels, queries = (
        random.normal(size=(300, 8)),
        random.integers(0, 4, 300),
        random.normal(size=(1500, 8)),
    )
    probs = neighbour_probs(known, labels, queries, 4)
    assert probs.shape == (1500, 4)
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    for row in (0, 1023, 1024, 1499):
        similarity = known @ queries[row] / np.linalg.norm(known, axis=1) / np.linalg.norm(queries[row])
        nearest = np.argsort(-similarity)[:20]
        votes = np.bincount(labels[nearest], np.exp(similarity[nearest] / 0.07), minlength=4)
        np.testing.assert_allclose(probs[row], votes / votes.sum(), rtol=1e-4)


def test_features_of_nothing_but_zeros_and_half_precision_are_taken():
    probs = neighbour_probs(KNOWN.astype(np.float16), LABELS, np.zeros((1, 2), np.float16), 3)
    np.testing.assert_allclose(probs, [[0.5, 0, 0.5]])


@pytest.mark.parametrize(
    ("known", "labels", "features", "count", "expected"),
    [
        (KNOWN, LABELS[:3], KNOWN, 1, r"known \(4, 2\), labels \(3,\) and features \(4, 2\) don't match"),
        (KNOWN, LABELS, KNOWN[:, :1], 1, r"features \(4, 1\) don't match"),
        (KNOWN[:0], LABELS[:0], KNOWN, 1, "or nothing is known"),
        (KNOWN, LABELS - 1, KNOWN, 1, "labels are from -1 to 1; with 3 classes they must be from 0 to 2: leave"),
        (KNOWN, LABELS + 1, KNOWN, 1, "labels are from 1 to 3; with 3 classes"),
        (KNOWN, LABELS, KNOWN, 0, "num_neighbours is 0; it must be 1 or more"),
    ],
)
def test_wrong_calls_are_refused(known, labels, features, count, expected):
    with pytest.raises(ValueError, match=expected):
        neighbour_probs(known, labels, features, 3, num_neighbours=count)
