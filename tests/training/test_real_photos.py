"""How good guides to real photos are. The first two numbers are promises; each comment says what was measured."""

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.data.image_set import ImageSet


def some_of(images: ImageSet, num_train: int, num_test: int) -> ImageSet:
    """The first photos of the train and of the test part."""
    keep = np.zeros(len(images), np.bool_)
    for part, count in (("train", num_train), ("test", num_test)):
        keep[np.flatnonzero(images.parts == part)[:count]] = True
    return images.select(keep)


def test_flowers_are_known_at_least_nine_times_of_ten(photos, tmp_path):
    guide = fg.train(photos / "flowers")
    assert guide.evaluation.num_photos == 300
    assert guide.evaluation.top1 >= 0.90  # 0.920
    loaded = fg.load(guide.save(tmp_path / "flowers.guide"))
    again = loaded.evaluate(photos / "flowers" / "val")
    assert (again.top1, again.log_loss, again.confusion) == (
        guide.evaluation.top1, guide.evaluation.log_loss, guide.evaluation.confusion
    )  # fmt: skip
    assert again.left_out == guide.evaluation.left_out == 0


def test_cats_are_told_from_dogs_at_least_97_times_of_100(photos):
    guide = fg.train(photos / "cats_dogs")
    assert guide.evaluation.num_photos > 200
    assert guide.evaluation.top1 >= 0.97  # 0.993


def test_handwritten_digits_are_read(photos):
    guide = fg.train(some_of(fg.open_images(photos / "mnist"), 2000, 1000))
    assert guide.evaluation.num_photos == 1000
    assert guide.evaluation.top1 >= 0.90  # 0.923


def test_pictures_of_32_pixels_are_known_more_often_than_not(photos):
    guide = fg.train(some_of(fg.open_images(photos / "cifar10"), 2000, 1000))
    assert guide.class_names[:3] == ("airplane", "automobile", "bird")
    assert guide.evaluation.top1 >= 0.72 and guide.evaluation.top5 >= 0.96  # 0.741 and 0.983


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("mnist", 0.96), ("cifar10", 0.78)])
def test_the_whole_of_a_large_set_is_learnt(photos, name, least):
    guide = fg.train(photos / name)
    assert guide.evaluation.num_photos == 10_000
    assert guide.evaluation.top1 >= least
