"""Whether two pictures are one."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from fieldguide.doctor import alignment as module
from fieldguide.doctor.alignment import likeness, likeness_as_they_lie, rough_lays
from fieldguide.doctor.copies import SAME_PICTURE
from fieldguide.doctor.look import square
from pictures import jpeg, scene


def compared(ours: Image.Image, theirs: Image.Image) -> float:
    small, large = ([square(p.convert("L"), side) for p in (ours, theirs)] for side in (16, 48))
    (lay,) = rough_lays(np.stack(small), np.array([[0, 1]]))
    return likeness(*large, lay)


def cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = picture.size
    return picture.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


CHANGES = {
    "itself": lambda picture: picture,
    "resized": lambda picture: picture.resize((100, 75)),
    "squashed": lambda picture: picture.resize((150, 150)),
    "recompressed": lambda picture: Image.open(io.BytesIO(jpeg(picture, 30))),
    "mirrored": ImageOps.mirror,
    "brighter": lambda picture: picture.point(lambda value: min(255, value * 1.2 + 10)),
    "grey": lambda picture: picture.convert("L"),
    "cropped evenly": lambda picture: cropped(picture, 0.06, 0.06, 0.94, 0.94),
    "cropped at one side": lambda picture: cropped(picture, 0.12, 0, 1, 1),
    "cropped and mirrored": lambda picture: ImageOps.mirror(cropped(picture, 0.05, 0.02, 0.97, 0.9)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_changed_picture_is_the_same_picture(change):
    for seed in range(8):
        picture = scene(seed)
        assert compared(picture, change(picture)) >= SAME_PICTURE
        assert compared(change(picture), picture) >= SAME_PICTURE


def test_other_pictures_are_not():
    assert max(compared(scene(a), scene(a + 1)) for a in range(20)) < SAME_PICTURE - 0.05


def test_turned_upside_down_it_is_another():
    picture = scene(1)
    assert compared(picture, picture.transpose(Image.Transpose.ROTATE_180)) < SAME_PICTURE - 0.05


def test_nothing_is_like_an_empty_picture():
    empty = Image.new("RGB", (64, 64), (120, 120, 120))
    assert compared(empty, empty) == 0
    assert compared(empty, scene(1)) == 0


def test_the_rough_lay_says_how_thumbnails_lie():
    whole = scene(3)
    small = square(whole.convert("L"), 16)
    part = square(cropped(whole, 0.12, 0, 1, 0.94).convert("L"), 16)
    thumbnails = np.stack([small, small[:, ::-1], part])
    lays = rough_lays(thumbnails, np.array([[0, 0], [0, 1], [2, 0], [0, 2]]))
    assert [lay.is_mirrored for lay in lays] == [False, True, False, False]
    np.testing.assert_allclose([lay.likeness for lay in lays[:2]], 1, atol=1e-4)
    np.testing.assert_allclose(lays[0].warp, [1, 0, 1, 0])
    np.testing.assert_allclose(lays[2].warp, [0.88, 0.12, 0.94, -0.06])
    np.testing.assert_allclose(lays[3].warp, [1 / 0.88, -0.12 / 0.88, 1 / 0.94, 0.06 / 0.94])


def test_many_pairs_are_compared_in_blocks(monkeypatch):
    pictures = np.stack([square(scene(seed).convert("L"), 16) for seed in range(10)])
    pairs = np.stack([np.arange(9), np.arange(1, 10)], axis=1)
    whole = rough_lays(pictures, pairs)
    monkeypatch.setattr(module, "_PAIRS", 4)
    parts = rough_lays(pictures, pairs)
    np.testing.assert_allclose([f.likeness for f in whole], [f.likeness for f in parts], rtol=1e-5)


def test_quickly_thumbnails_are_compared_as_they_lie_and_mirrored(monkeypatch):
    first, other = (square(scene(seed).convert("L"), 16) for seed in (1, 2))
    thumbnails, pairs = np.stack([first, first[:, ::-1], other]), np.array([[0, 0], [0, 1], [0, 2]])
    same, mirrored, different = likeness_as_they_lie(thumbnails, pairs)
    np.testing.assert_allclose([same, mirrored], 1, atol=1e-5)
    as_they_lie = np.corrcoef(first.ravel(), other.ravel())[0, 1]
    turned = np.corrcoef(first.ravel(), other[:, ::-1].ravel())[0, 1]
    assert different == pytest.approx(max(as_they_lie, turned), abs=1e-5)
    monkeypatch.setattr(module, "_MANY_PAIRS", 2)
    np.testing.assert_allclose(likeness_as_they_lie(thumbnails, pairs), [same, mirrored, different], rtol=1e-5)
