"""The split by content: what it promises, over many random sets."""

import hashlib

import numpy as np
import pytest

from fieldguide.data.splits import HOLDOUT_FRACTION, hold_out

CONTENTS = np.array([hashlib.sha256(b"%d" % i).digest() for i in range(2000)], dtype=object)
BY_HASH = hold_out(
    list(CONTENTS), np.zeros(len(CONTENTS), np.int64)
)  # in a class this large, nothing but the hash


def random_set(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Which contents and labels a set holds; classes of one photo and identical photos are frequent."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(5), rng.choice([1, 1, 2, 3, 30], size=5))
    return rng.integers(0, rng.choice([40, 2000]), len(labels)), labels


def split(contents: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return hold_out(list(CONTENTS[contents]), labels)


def starved(contents: np.ndarray, labels: np.ndarray) -> list[int]:
    """The classes of which the hash would hold out every photo."""
    return [k for k in np.unique(labels) if BY_HASH[contents[labels == k]].all()]


@pytest.mark.parametrize("seed", range(60))
def test_the_hash_decides_but_for_one_content_of_a_class_that_would_lose_all(seed):
    contents, labels = random_set(seed)
    held_out = split(contents, labels)
    kept = np.unique(contents[~held_out & BY_HASH[contents]])
    assert not (held_out & ~BY_HASH[contents]).any()
    assert len(kept) <= len(starved(contents, labels))
    assert all((~held_out[labels == k]).any() for k in np.unique(labels))


@pytest.mark.parametrize("seed", range(60))
def test_adding_photos_moves_no_old_photo(seed):
    contents, labels = random_set(seed)
    spare = np.flatnonzero(~BY_HASH)[:5]  # a photo a class that trains by its hash
    contents, labels = np.concatenate([contents, spare]), np.concatenate([labels, np.arange(5)])
    more, more_labels = random_set(1000 + seed)
    before = split(contents, labels)
    after = split(np.concatenate([contents, more]), np.concatenate([labels, more_labels]))
    assert (after[: len(before)] == before).all()


@pytest.mark.parametrize("seed", range(60))
def test_in_the_smallest_classes_at_most_one_content_moves_and_only_to_the_held_out(seed):
    contents, labels = random_set(seed)
    more, more_labels = random_set(1000 + seed)
    before = split(contents, labels)
    after = split(np.concatenate([contents, more]), np.concatenate([labels, more_labels]))[: len(before)]
    moved = before != after
    assert not (moved & ~BY_HASH[contents]).any()
    assert len(np.unique(contents[moved])) <= len(starved(contents, labels))


@pytest.mark.parametrize("seed", range(60))
def test_identical_photos_land_on_one_side_even_in_different_classes(seed):
    contents, labels = random_set(seed)
    held_out = split(contents, labels)
    assert all(len(set(held_out[contents == c].tolist())) == 1 for c in np.unique(contents))


@pytest.mark.parametrize("seed", range(20))
def test_order_plays_no_part(seed):
    contents, labels = random_set(seed)
    order = np.random.default_rng(seed).permutation(len(labels))
    assert (split(contents[order], labels[order]) == split(contents, labels)[order]).all()


@pytest.mark.parametrize("fraction", [0.05, HOLDOUT_FRACTION, 0.5, 0.95])
def test_every_class_loses_about_the_fraction(fraction):
    labels = np.repeat([0, 1, 2, 3], 500)
    held_out = hold_out(list(CONTENTS), labels, fraction)
    shares = [held_out[labels == k].mean() for k in range(4)]
    assert np.abs(np.array(shares) - fraction).max() < 4 * np.sqrt(fraction * (1 - fraction) / 500)


def test_a_larger_fraction_only_adds_to_what_is_held_out():
    fifth, half = (hold_out(list(CONTENTS), np.zeros(2000, np.int64), f) for f in (0.2, 0.5))
    assert (half[fifth]).all()


def test_the_split_is_the_same_on_every_machine_and_day():
    assert hold_out(list(CONTENTS[:40]), np.zeros(40, np.int64)).nonzero()[0].tolist() == [23, 25, 28, 33, 38]


def test_a_set_of_no_photos_has_none_held_out():
    assert hold_out([], np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ValueError, match=f"fraction is {fraction}; it must be above 0 and below 1"):
        hold_out([], np.zeros(0, np.int64), fraction)


def test_splits_for_different_purposes_are_independent():
    none = np.zeros(len(CONTENTS), np.int64)
    other = hold_out(list(CONTENTS), none, purpose="validation")
    assert abs(other.mean() - HOLDOUT_FRACTION) < 0.03
    assert abs((other & BY_HASH).mean() - HOLDOUT_FRACTION**2) < 0.015
    assert (hold_out(list(CONTENTS), none, purpose="split") == BY_HASH).all(), "which is the usual one"
