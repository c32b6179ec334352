"""Image sets, and the digest of what a photo holds."""

import dataclasses
import hashlib

import numpy as np
import pytest

from fieldguide.data.image_set import ImageSet, content_digest


def numbered(parts: list[str]) -> ImageSet:
    return ImageSet(
        name="set",
        class_names=("a", "b"),
        photo_names=[f"{i}.jpg" for i in range(len(parts))],
        labels=np.arange(len(parts)) % 2,
        parts=np.array(parts, "<U5"),
        read=lambda index: b"%d" % index,
    )


def test_select_keeps_order_classes_and_the_way_to_each_photo():
    chosen = numbered(["train", "val", "train", "test"]).select(np.array([False, True, False, True]))
    assert (len(chosen), chosen.photo_names, chosen.class_names) == (2, ["1.jpg", "3.jpg"], ("a", "b"))
    assert (chosen.labels.tolist(), chosen.parts.tolist()) == ([1, 1], ["val", "test"])
    again = chosen.select(np.array([False, True]))
    assert (chosen.read(0), chosen.read(1), again.read(0)) == (b"1", b"3", b"3")


def test_select_takes_pixels_along_where_there_are_any():
    pixels = np.arange(4 * 6, dtype=np.uint8).reshape(4, 2, 3)
    images = dataclasses.replace(numbered([""] * 4), pixels=pixels)
    assert (images.select(np.array([False, True, False, True])).pixels == pixels[[1, 3]]).all()
    assert numbered([""]).select(np.array([True])).pixels is None


def test_selecting_nothing_leaves_an_empty_set():
    assert len(numbered(["", ""]).select(np.zeros(2, np.bool_))) == 0


@pytest.mark.parametrize(
    ("parts", "is_split"),
    [
        ([], False),
        (["", ""], False),
        (["train", ""], False),  # says of no photo that it is held out
        (["train", "train"], False),
        (["train", "val"], True),
        (["train", "test"], True),
        (["test", "test"], True),
    ],
)
def test_a_set_is_split_when_it_says_what_is_held_out(parts, is_split):
    assert numbered(parts).is_split is is_split


def test_a_set_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        numbered([]).name = "other"


def test_the_digest_of_a_file_is_its_sha256():
    assert content_digest(b"photo") == hashlib.sha256(b"photo").digest()


def test_equal_pixels_have_equal_digests_however_they_lie_in_memory():
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert (
        content_digest(pixels) == content_digest(np.asfortranarray(pixels)) == content_digest(pixels[::-1][::-1])
    )


def test_other_pixels_and_other_shapes_have_other_digests():
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    others = [pixels + 1, pixels.reshape(6, 4), pixels.reshape(4, 6, 1), pixels[:2], pixels.tobytes()]
    assert len({content_digest(p) for p in [pixels, *others]}) == 6
