"""What paths mean: classes, parts of a split, clutter."""

import os
import unicodedata

import pytest

from fieldguide.data.layout import arrange, class_name, is_clutter, readable
from fieldguide.errors import DataError

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
BOTH = ["b/1.jpg", "a/1.jpg"]


def arranged(*paths: str):
    return arrange("here", paths, lambda index: os.fsencode(paths[index]))


LAYOUTS = {  # paths; class names; labels; parts
    "classes are sorted": (BOTH, "ab", [1, 0], ["", ""]),
    "photos lie at any depth": (["a/x/y/1.jpg", "b/2.jpg"], "ab", [0, 1], ["", ""]),
    "a file beside the classes has no label": ([*BOTH, "notes.txt"], "ab", [1, 0, -1], ["", "", ""]),
    "train and val": (["train/a/1", "val/b/2"], "ab", [0, 1], ["train", "val"]),
    "valid is val": (["train/a/1", "valid/b/2"], "ab", [0, 1], ["train", "val"]),
    "validation is val": (["train/a/1", "validation/b/2"], "ab", [0, 1], ["train", "val"]),
    "capitals": (["Train/a/1", "VAL/a/2"], "a", [0, 0], ["train", "val"]),
    "train and test": (["test/a/1", "train/b/x/2"], "ab", [0, 1], ["test", "train"]),
    "a file beside the parts": (["train/a/1", "notes.txt"], "a", [0, -1], ["train", ""]),
    "a folder beside the parts": (
        ["train/a/1", "val/a/2", "masks/3", "docs/x/4"],
        "a",
        [0, 0, -1, -1],
        ["train", "val", "", ""],
    ),
    "train is a class where nothing is held out": (
        ["train/a/1", "bus/2"],
        ["bus", "train"],
        [1, 0],
        ["", ""],
    ),
    "a test part without classes": (
        ["train/a/1", "train/2", "test/3"],
        "a",
        [0, -1, -1],
        ["train", "train", "test"],
    ),
    "a class called train": (["bus/1", "train/2", "train/steam/3"], ["bus", "train"], [0, 1, 1], ["", "", ""]),
    "classes called as parts": (["train/1", "test/2"], ["test", "train"], [1, 0], ["", ""]),
    "one class, accents composed or not": ([f"{NFC}/1", f"{NFD}/2"], [NFC], [0, 0], ["", ""]),
    "any script": (["花/1", "роза/2", "rosa roja/3"], ["rosa roja", "роза", "花"], [2, 1, 0], ["", "", ""]),
    "not UTF-8": (["ros\udce9/1", "b/2"], ["b", "ros\\udce9"], [1, 0], ["", ""]),
}


@pytest.mark.parametrize(("paths", "class_names", "labels", "parts"), LAYOUTS.values(), ids=LAYOUTS)
def test_folders_mean_classes_and_parts(paths, class_names, labels, parts):
    images = arranged(*paths)
    assert (list(images.class_names), images.labels.tolist()) == (list(class_names), labels)
    assert images.parts.tolist() == parts
    assert [images.read(i) for i in range(len(images))] == [os.fsencode(p) for p in paths]


def test_names_can_be_printed_whatever_bytes_they_are_made_of():
    assert arranged("b/\udce9.jpg", "b/é.jpg").photo_names == ["b/\\udce9.jpg", "b/é.jpg"]
    assert readable("\udcff").encode() == b"\\udcff"
    assert class_name(NFD) == NFC


def test_no_files():
    with pytest.raises(DataError, match=r"^here holds no files; expected CLASS/\*.jpg, or \{train,val,test\}/"):
        arranged()


def test_no_class_folders():
    with pytest.raises(DataError, match=r"^here holds 2 files but no class folders; expected CLASS/\*.jpg"):
        arranged("1.jpg", "2.jpg")


def test_parts_without_class_folders_are_classes():
    assert arranged("train/1.jpg", "train/2.jpg").class_names == ("train",)


@pytest.mark.parametrize(
    "name", [".DS_Store", ".git", "Thumbs.db", "thumbs.DB", "desktop.ini", "__MACOSX", "._a.jpg"]
)
def test_what_file_managers_leave_behind_is_clutter(name):
    assert is_clutter(name)


@pytest.mark.parametrize("name", ["a.jpg", "thumbs", "_rose", "macosx"])
def test_photos_are_not_clutter(name):
    assert not is_clutter(name)
