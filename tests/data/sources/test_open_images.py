"""What a path or a name opens."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fieldguide.data import ImageSet, open_images
from fieldguide.data.sources import NAMED_SOURCES, open_named
from fieldguide.errors import DataError, UnknownNameError


def image_folder(path: Path) -> Path:
    for name in ("a/1.png", "b/2.png"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(path / name)
    return path


def test_an_image_set_is_returned_as_it_is():
    images = ImageSet("mine", (), [], np.zeros(0, np.int64), np.zeros(0, "<U5"), lambda index: b"")
    assert open_images(images) is images


def test_a_path_goes_before_a_name(tmp_path, monkeypatch):
    image_folder(tmp_path / "digits")
    assert len(open_images("digits")) == 1797
    monkeypatch.chdir(tmp_path)
    assert len(open_images("digits")) == len(open_images(Path("digits"))) == 2


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(image_folder(tmp_path / "photos").parent))
    assert open_images("~/photos").class_names == ("a", "b")


def test_a_name_that_begins_with_a_tilde_is_no_user(tmp_path, monkeypatch):
    image_folder(tmp_path / "~old photos")
    monkeypatch.chdir(tmp_path)
    assert open_images("~old photos").class_names == ("a", "b")


def test_a_folder_of_nearly_that_name_is_named(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        DataError, match=r"/phots does not exist, and no set has that name, did you mean 'photos'\?$"
    ):
        open_images(tmp_path / "phots")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("digit", r"^digit does not exist, and no set has that name, did you mean 'digits'\?$"),
        ("cifar", r"^cifar does not exist, and no set has that name, did you mean 'cifar10' or 'cifar100'\?$"),
        (
            "fotos/",
            r"^fotos does not exist, and no set has that name; known sets: cifar10, cifar100, country211, .*svhn$",
        ),
        ("x" * 300, r"^x{300} (can't be read: File name too long$|does not exist)"),
    ],
)
def test_what_is_not_there_says_so_and_what_there_is(tmp_path, monkeypatch, what, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        open_images(what)


@pytest.mark.parametrize("name", ["photo.jpg", "notes.txt", "archive.tar.gz"])
def test_a_file_of_another_kind(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    with pytest.raises(
        DataError, match=f"/{name} is not a set of photos: expected an image folder, a .zip of one, a .csv"
    ):
        open_images(tmp_path / name)


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "photos").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"/photos does not exist, and no set has that name"):
        open_images(tmp_path / "photos")


def test_a_name_alone():
    assert open_named("digits").name == "digits"
    with pytest.raises(UnknownNameError, match=r"^no image set is called 'digit', did you mean 'digits'\?$"):
        open_named("digit")


def test_the_well_known_sets_have_a_name():
    names = set(NAMED_SOURCES.names())
    assert {"mnist", "fashion-mnist", "cifar10", "cifar100", "flowers102", "oxford-iiit-pet"} <= names
    assert {"stl10", "eurosat", "food101", "imagenette", "digits"} <= names
