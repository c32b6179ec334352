"""Accuracy on photos of one kind."""

import numpy as np

import fieldguide as fg
from fieldguide.data.decode import Header
from fieldguide.data.image_set import content_digest
from fieldguide.doctor.look import Look, look_at
from fieldguide.evaluate import Answers, wilson_interval
from fieldguide.weak_spots import judged_photos, slices


def look(width: int, height: int, brightness: float = 0.5) -> Look:
    return Look(b"x", header=Header("JPEG", "RGB", width, height, 1), brightness=brightness)


def answers(right: list[bool]) -> Answers:
    labels = np.arange(len(right)) % 2
    given = np.where(right, labels, 1 - labels)
    return Answers([str(n) for n in labels], labels, np.eye(2, dtype=np.float32)[given], ("cat", "dog"))


def test_a_weak_spot_shows():
    dark = [n % 3 == 0 for n in range(90)]
    looks = [look(100, 100, 0.1 + n / 1000 if d else 0.5 + n / 1000) for n, d in enumerate(dark)]
    found = slices(answers([not d for d in dark]), looks)
    by_brightness = [s for s in found if s.measure == "brightness"]
    assert [s.is_weak for s in by_brightness] == [True, False, False]
    assert (by_brightness[0].num_photos, by_brightness[0].top1) == (30, 0.0)
    assert by_brightness[0].top1_interval == wilson_interval(0, 30)


def test_every_class_is_a_slice_and_every_photo_is_in_one_part_of_each_measure():
    looks = [look(100 + n, 200 - n) for n in range(60)]
    found = slices(answers([True] * 60), looks)
    assert [(s.part, s.num_photos) for s in found if s.measure == "class"] == [("cat", 30), ("dog", 30)]
    for measure in ("shorter side, px", "longer side by shorter"):
        assert sum(s.num_photos for s in found if s.measure == measure) == 60
    assert not any(s.is_weak for s in found)


def test_photos_that_are_all_alike_have_no_parts():
    found = slices(answers([True, False] * 10), [look(100, 100)] * 20)
    assert {s.measure for s in found} == {"class"}


def test_few_photos_are_no_proof_of_weakness():
    looks = [look(100, 100, n / 12) for n in range(12)]
    assert not any(s.is_weak for s in slices(answers([n > 0 for n in range(12)]), looks))


def test_judged_photos_are_found_by_their_names_in_the_order_of_the_answers(colours):
    images = fg.open_images(colours)
    names = [images.photo_names[index] for index in (30, 2, 17)]
    given = Answers(names, np.zeros(3, np.int64), np.eye(3, dtype=np.float32), images.class_names)
    photos = judged_photos(given, images)
    assert photos.tolist() == [30, 2, 17]
    digests = [content_digest(images.read(index)) for index in (30, 2, 17)]
    assert [look.digest for look in look_at(images, photos=photos)] == digests
