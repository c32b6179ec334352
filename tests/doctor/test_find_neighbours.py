"""The photos most like each one."""

import numpy as np
import pytest

from fieldguide.doctor import neighbours as module
from fieldguide.doctor.neighbours import find_neighbours


def clusters(count: int, width: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(count // 10, width)) * 3
    return (centres[np.arange(count) % len(centres)] + random.normal(size=(count, width))).astype(np.float16)


def cosines(features: np.ndarray) -> np.ndarray:
    centred = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    return centred @ centred.T


def test_they_are_those_of_the_largest_cosines():
    features = clusters(300, width=40)
    expected = cosines(features)
    np.fill_diagonal(expected, -np.inf)
    found = find_neighbours(features, 5)
    assert (found.indices == np.argsort(-expected, axis=1)[:, :5]).mean() > 0.99
    np.testing.assert_allclose(found.similarities, -np.sort(-expected, axis=1)[:, :5], atol=2e-3)


def test_wide_features_are_reduced_and_keep_their_neighbours():
    features = clusters(400, width=300)
    expected = cosines(features)
    np.fill_diagonal(expected, -np.inf)
    found = find_neighbours(features, 1)
    own = np.arange(400) % 40
    assert (own[found.indices[:, 0]] == own).all(), "all of one cluster"


def test_an_index_finds_nearly_the_same(monkeypatch):
    features = clusters(3000, width=60)
    exact = find_neighbours(features, 5)
    monkeypatch.setattr(module, "_EXACT_UP_TO", 0)
    found = find_neighbours(features, 5)
    same = [len(set(a) & set(b)) for a, b in zip(exact.indices.tolist(), found.indices.tolist(), strict=True)]
    assert np.mean(same) / 5 > 0.97
    assert (found.indices != np.arange(3000)[:, None]).all()


@pytest.mark.parametrize("is_exact", [True, False])
def test_of_identical_photos_none_is_its_own_neighbour(monkeypatch, is_exact):
    monkeypatch.setattr(module, "_EXACT_UP_TO", 100 if is_exact else 0)
    features = np.repeat(clusters(10, width=8), 4, axis=0)
    found = find_neighbours(features, 3)
    assert found.indices.shape == (40, 3)
    assert (found.indices != np.arange(40)[:, None]).all()
    assert (found.indices // 4 == (np.arange(40) // 4)[:, None]).all()
    np.testing.assert_allclose(found.similarities, 1, atol=1e-3)


def test_there_are_as_many_as_there_are_others():
    assert find_neighbours(clusters(10, width=4)[:3], 6).indices.shape == (3, 2)
