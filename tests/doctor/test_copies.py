"""What copies do to a set."""

import numpy as np
import pytest
from PIL import Image

from fieldguide.data import open_images
from fieldguide.doctor import copies
from fieldguide.doctor.copies import find_copies, identical_groups, joined, pairs_across
from pictures import scene

NAMES = ("rose", "tulip")


def kinds(identical, near, labels, held_out=()):
    is_held_out = np.isin(np.arange(len(labels)), held_out)
    findings = find_copies(identical, near, np.array(labels), is_held_out, NAMES)
    return {finding.kind.name: finding for finding in findings}


def test_photos_are_grouped_by_what_they_hold():
    assert identical_groups([b"a", b"b", b"", b"a", b"", b"c", b"a"]) == [(0, 3, 6)]
    assert identical_groups([]) == []


def test_links_make_groups_through_others_too():
    assert joined([(5, 1), (2, 3), (1, 9), (3, 4)]) == [(1, 5, 9), (2, 3, 4)]
    assert joined([(1, 2), (3, 4), (2, 3)]) == [(1, 2, 3, 4)]
    assert joined([]) == []


def test_of_copies_all_but_the_first_are_to_go():
    found = kinds([(0, 2, 3)], [], [0, 0, 0, 0])
    assert list(found) == ["copies"]
    (case,) = found["copies"].cases
    assert (case.photos, case.suspects, case.evidence) == ((0, 2, 3), (2, 3), "identical")
    assert found["copies"].summary == "1 picture several times in identical files (3 photos)"
    assert found["copies"].num_photos == 2


def test_near_copies_are_told_from_identical_ones():
    found = kinds([(0, 1)], [(2, 3), (1, 4)], [0] * 5)
    assert list(found) == ["near-copies"]
    assert [case.photos for case in found["near-copies"].cases] == [(0, 1, 4), (2, 3)]
    assert found["near-copies"].summary == "2 pictures several times, nearly the same (5 photos)"


def test_two_labels_are_worse_than_two_sides():
    found = kinds([(0, 1)], [(2, 3)], [0, 1, 1, 1], held_out=[1, 3])
    assert sorted(found) == ["leak", "two labels"]
    (case,) = found["two labels"].cases
    assert (case.suspects, case.evidence) == ((1, 0), "identical: rose, tulip"), "which is right is not known here"
    assert found["two labels"].kind.action == "look"
    (case,) = found["leak"].cases
    assert (case.photos, case.suspects) == ((3, 2), (2,)), "the one held out stays"


def test_copies_that_are_all_held_out_leak_nothing():
    assert list(kinds([(0, 1)], [], [0, 0], held_out=[0, 1])) == ["copies"]


def test_without_copies_nothing_is_found():
    assert kinds([], [], [0, 1]) == {}


# Near-copies that training sees at once


@pytest.fixture
def split(scenes):
    """Scenes, two of which are held out too, one smaller and one mirrored; and what stands in for features."""
    mirrored = scene(4).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    files = {f"train/{'ab'[seed % 2]}/{seed}.jpg": seed for seed in range(6)}
    files |= {"val/a/small.jpg": scene(2).resize((120, 90)), "val/a/turned.jpg": mirrored}
    images = open_images(scenes({**files, "val/a/new.jpg": 9, "val/b/7.jpg": 7}))
    like = {"small": 2, "turned": 4, "new": 3, "7": 7}  # the network takes the new one for the third
    seeds = [like.get(name.split("/")[-1][:-4], name.split("/")[-1][:-4]) for name in images.photo_names]
    return images, np.eye(10, dtype=np.float32)[[int(seed) for seed in seeds]], images.parts == "val"


def test_photos_held_out_that_show_a_picture_learnt_from_are_found_without_a_look_at_all(split, monkeypatch):
    images, features, is_held_out = split
    looked_at = []
    look_at = copies.look_at
    monkeypatch.setattr(copies, "look_at", lambda some: looked_at.extend(some.photo_names) or look_at(some))
    found = pairs_across(images, np.arange(len(images)), features, is_held_out)
    assert {tuple(sorted(images.photo_names[photo] for photo in pair)) for pair in found} == {
        ("train/a/2.jpg", "val/a/small.jpg"),
        ("train/a/4.jpg", "val/a/turned.jpg"),
    }
    assert sorted(looked_at) == sorted(
        ["train/a/2.jpg", "train/b/3.jpg", "train/a/4.jpg", "val/a/small.jpg", "val/a/turned.jpg", "val/a/new.jpg"]
    )


def test_where_one_side_is_empty_or_pairs_are_too_many_none_is_compared(split, monkeypatch):
    images, features, is_held_out = split
    everything = np.arange(len(images))
    assert pairs_across(images, everything, features, np.zeros(len(images), np.bool_)) == []
    monkeypatch.setattr(copies, "_MOST_ACROSS", 3)
    assert pairs_across(images, everything, features, is_held_out) == []
