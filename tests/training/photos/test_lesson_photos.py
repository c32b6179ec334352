"""What is learnt from, what epochs are judged by, what is held out: three sets that share nothing."""

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.errors import DataError
from fieldguide.training.photos.lesson_photos import gather_photos
from fieldguide.training.recipe import Recipe

SMALL = Preprocess(size_px=32)
BOTH = {"red": 20, "blue": 20}


def gather(folder, preprocess=SMALL, *, strict=False, **settings):
    return gather_photos(fg.open_images(folder), preprocess, Recipe(**settings), strict=strict)


def names(pictures):
    return {pictures.images.photo_names[i] for i in pictures.indices}


def test_an_unsplit_set_is_parted_in_three_by_content(image_folder):
    photos = gather(image_folder(BOTH), validation=0.25)
    held_out = set(photos.held_out.photo_names)
    learnt, judged = names(photos.learnt), names(photos.validation)
    assert len(learnt) + len(judged) + len(held_out) == 40
    assert not learnt & judged and not (learnt | judged) & held_out
    assert 3 <= len(judged) <= 16 and 3 <= len(held_out) <= 16
    assert held_out == set(fg.train(image_folder({})).evaluation.answers.photo_names), "as the frozen guide has it"
    assert len(photos.seen) == len(photos.seen_digests) == len(photos.seen_labels) == len(learnt) + len(judged)


def test_the_val_part_judges_epochs_where_there_is_a_test_part(image_folder):
    folder = image_folder({f"{part}/{name}": 5 for part in ("train", "val", "test") for name in BOTH})
    photos = gather(folder)
    assert len(photos.learnt) == len(photos.validation) == len(photos.held_out) == 10
    assert {name.split("/")[0] for name in names(photos.learnt)} == {"train"}
    assert {name.split("/")[0] for name in names(photos.validation)} == {"val"}
    assert {name.split("/")[0] for name in photos.held_out.photo_names} == {"test"}
    assert photos.val_part is photos.validation and gather(folder, validation=0).val_part is None


def test_of_train_and_val_the_val_part_is_held_out(image_folder):
    photos = gather(image_folder({"train/red": 12, "train/blue": 12, "val/red": 4, "val/blue": 4}), validation=0.3)
    assert len(photos.held_out) == 8 and len(photos.learnt) + len(photos.validation) == 24
    assert {name.split("/")[0] for name in names(photos.validation)} == {"train"} and photos.val_part is None


def test_without_validation_all_is_learnt_from(image_folder):
    photos = gather(image_folder(BOTH), validation=0)
    assert photos.validation is None
    assert len(photos.learnt) + len(photos.held_out) == 40


@pytest.mark.parametrize("min_scale", [1.0, 0.5])
def test_validation_pictures_have_the_full_size_and_those_to_crop_are_larger(image_folder, min_scale):
    photos = gather(
        image_folder({"red": 9, "blue": 9}), Preprocess(size_px=70), min_scale=min_scale, validation=0.3
    )
    (learnt,), (judged,) = photos.learnt.batches([np.array([0])]), photos.validation.batches([np.array([0])])
    assert learnt.shape[-1] == (80 if min_scale < 1 else 70) and judged.shape[-1] == 70
    assert names(photos.validation).isdisjoint(names(photos.learnt))


def test_damaged_photos_are_skipped_and_named(image_folder):
    folder = image_folder(BOTH)
    (folder / "red" / "bad.jpg").write_bytes(b"")
    photos = gather(folder)
    assert [(photo.name, photo.reason) for photo in photos.skipped] == [("red/bad.jpg", "empty file")]
    with pytest.raises(DataError, match=r"red/bad\.jpg: empty file; stopped, as --strict asks"):
        gather(folder, strict=True)


def test_strict_looks_at_what_a_split_set_holds_out_before_anything_is_learnt(image_folder):
    folder = image_folder({f"{part}/{name}": 4 for part in ("train", "test") for name in BOTH})
    (folder / "test" / "red" / "bad.jpg").write_bytes(b"")
    assert len(gather(folder, validation=0).held_out) == 9
    with pytest.raises(DataError, match=r"test/red/bad\.jpg: empty file; stopped, as --strict asks"):
        gather(folder, strict=True, validation=0)


def test_the_reasons_told_are_of_the_class_that_has_no_photo(image_folder):
    folder = image_folder({"red": 9})
    (folder / "blue").mkdir()
    for place in ("red/1.jpg", "red/2.jpg", "blue/3.jpg", "blue/4.jpg"):
        (folder / place).write_bytes(b"")
    with pytest.raises(DataError, match=r"'blue' .*; 2 photos were skipped \(blue/3\.jpg: empty file; blue/4"):
        gather(folder)


def test_the_fingerprint_is_of_what_is_seen(image_folder):
    folder = image_folder(BOTH)
    before = gather(folder)
    (folder / before.held_out.photo_names[0]).unlink()
    assert gather(folder).fingerprint == before.fingerprint
    (folder / min(names(before.learnt))).unlink()
    assert gather(folder).fingerprint != before.fingerprint


def test_too_few_photos_for_validation_say_so(image_folder):
    folder = image_folder({"train/red": 2, "train/blue": 2, "val/red": 2, "val/blue": 2})
    message = "photos has 4 photos to learn from, too few to set 1% apart for validation; add photos, or set "
    with pytest.raises(DataError, match=message):
        gather(folder, validation=0.01)


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"red": 5}, "photos has one class, 'red'"), ({"red": 5, "blue": 1}, "the class 'blue' has a single photo")],
    ids=str,
)
def test_what_can_not_be_learnt_from_is_refused(image_folder, counts, message):
    with pytest.raises(DataError, match=message):
        gather(image_folder(counts))


def test_a_val_part_of_which_no_photo_can_be_used_is_refused(image_folder):
    folder = image_folder({f"{part}/{name}": 3 for part in ("train", "val", "test") for name in BOTH})
    for photo in (folder / "val").rglob("*.png"):
        photo.write_bytes(b"")
    message = (
        r"photos: no photo of the val part can be used \(val/.*: empty file.*\); mend them, or set validation=0"
    )
    with pytest.raises(DataError, match=message):
        gather(folder)


def test_a_val_part_without_classes_is_refused(image_folder):
    counts = {f"{part}/{name}": 3 for part in ("train", "test") for name in BOTH}
    folder = image_folder({**counts, "val": 2})
    message = r"photos: no photo of the val part can be used \(none has a class\); mend them, or set validation=0"
    with pytest.raises(DataError, match=message):
        gather(folder)
    assert gather(folder, validation=0).validation is None
