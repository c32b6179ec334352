"""All that the doctor looks for, in sets that are odd themselves."""

import shutil

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.data import ImageSet
from fieldguide.errors import DataError
from pictures import jpeg, scene


def kinds(checkup):
    return {finding.kind.name: finding for finding in checkup.findings}


def test_digits_that_look_alike_are_no_copies():
    digits = fg.open_images("digits")
    found = kinds(fg.check(digits.select(np.arange(len(digits)) < 200)))
    assert not found.keys() & {"near-copies", "leak", "two labels"}


def test_one_photo_is_a_set_too(scenes):
    found = kinds(fg.check(scenes({"a/1.jpg": 1})))
    assert found.keys() == {"few photos"}


def test_a_small_class_does_not_keep_others_from_being_asked(image_folder):
    folder = image_folder({"red": 20, "blue": 20, "green": 2})
    wrong = next(folder.glob("red/*.png"))
    wrong.rename(folder / "blue" / "was red.png")
    finding = kinds(fg.check(folder))["wrong label"]
    assert len(finding.cases) == 1 and finding.summary == "1 label is contradicted by other photos (2.5 % of 40)"


def test_photos_that_are_all_one_picture_are_one_finding(scenes):
    files = {f"{label}/{number}.jpg": jpeg(scene(1)) for label in "ab" for number in range(5)}
    found = kinds(fg.check(scenes(files)))
    assert found["two labels"].num_photos == 10 and "wrong label" not in found


def test_of_near_copies_the_largest_is_kept(scenes):
    files = {f"train/{'ab'[number % 2]}/{number}.jpg": number for number in range(2, 12)}
    copies = {"train/b/1 small.jpg": scene(5).crop((0, 0, 236, 180)), "train/b/zz.jpg": 5}
    folder = scenes({**files, **copies, "val/a/20.jpg": 20, "val/b/21.jpg": 21})
    (case,) = kinds(fg.check(folder))["near-copies"].cases
    names = fg.open_images(folder).photo_names
    assert [names[photo] for photo in case.photos] == ["train/b/5.jpg", "train/b/zz.jpg", "train/b/1 small.jpg"]
    assert case.suspects == case.photos[1:]


def test_a_val_part_beside_a_test_part_judges_nothing(scenes):
    parts = {"train": range(0, 12), "val": range(12, 40), "test": range(40, 44)}
    folder = scenes({f"{part}/{'ab'[n % 2]}/{n}.jpg": n for part, numbers in parts.items() for n in numbers})
    shutil.copyfile(folder / "train" / "a" / "0.jpg", folder / "val" / "a" / "copy.jpg")
    found = kinds(fg.check(folder))
    assert "leak" not in found and found["copies"].num_photos == 1
    assert any(case.evidence.startswith("4 held out tell") for case in found["few held out"].cases)


def test_photos_without_classes_are_refused():
    labels, parts = np.full(2, -1), np.full(2, "")
    nameless = ImageSet("loose/", ("a", "b"), ["1", "2"], labels, parts, lambda index: b"")
    with pytest.raises(DataError, match="loose/ holds no photos in classes to check; put them into"):
        fg.check(nameless)
