"""What findings say, of one photo and of several."""

import re

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.data import ImageSet
from fieldguide.data.exclusions import KEEP
from fieldguide.doctor.finding import KINDS, Case, Finding, of_photos
from fieldguide.doctor.page import to_page


@pytest.mark.parametrize("what", ["blurred photo", "photo smaller than 64 px", "photo unlike all others"])
def test_one_photo_is_no_photos(what):
    assert of_photos(1, what) == f"1 {what}"
    assert of_photos(3, what) == f"3 {what.replace('photo', 'photos')}"


OF_PHOTOS = [kind for kind in KINDS.values() if kind.action != KEEP]


@pytest.mark.parametrize("kind", OF_PHOTOS, ids=lambda kind: kind.name)
def test_what_a_finding_means_holds_for_one_photo_and_for_many(kind):
    assert not re.search(r"\b(they|them|some|others)\b", kind.meaning)


def found(*names):
    images = ImageSet("here", ("a",), ["1"], np.zeros(1, np.int64), np.array([""]), lambda index: b"")
    return fg.doctor.CheckUp(images, tuple(Finding(KINDS[name], (Case((), "seen"),), name) for name in names))


def test_the_page_says_what_each_severity_means():
    page = to_page(found("leak", "two labels", "copies", "blurred")).decode()
    assert "High (2): makes answers or the accuracy wrong" in page
    assert "Medium (1): wastes photos" in page and "Low (1): seldom does harm" in page
    page = to_page(found("more photos")).decode()
    assert "Nothing here makes answers wrong. Low (1): " in page and "Medium" not in page
    assert "Nothing was found." in to_page(found()).decode()
