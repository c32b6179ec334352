"""Image folders on a real disk."""

import os
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from fieldguide.data import ImageSet, open_images
from fieldguide.errors import DataError, PhotoError

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), number).save(root / name, "PNG")
    return root


def described(images: ImageSet) -> list[tuple[str, str | None, str]]:
    """Name, class and part of every photo."""
    classes = [None if label < 0 else images.class_names[label] for label in images.labels.tolist()]
    return list(zip(images.photo_names, classes, images.parts.tolist(), strict=True))


def test_an_unsplit_folder(tmp_path):
    images = open_images(write(tmp_path, "tulips/2.png", "roses/1.png", "roses/old/3.jpg", "readme.txt"))
    assert images.class_names == ("roses", "tulips")
    assert described(images) == [
        ("readme.txt", None, ""),
        ("roses/1.png", "roses", ""),
        ("roses/old/3.jpg", "roses", ""),
        ("tulips/2.png", "tulips", ""),
    ]
    assert (images.name, images.is_split) == (str(tmp_path), False)
    assert [images.read(i) for i in range(4)] == [(tmp_path / name).read_bytes() for name in images.photo_names]


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_a_split_folder(tmp_path, val):
    images = open_images(write(tmp_path, "train/a/1.png", "train/b/2.png", f"{val}/a/3.png", "test/b/x/4.png"))
    assert images.is_split
    assert sorted(described(images)) == sorted([
        ("train/a/1.png", "a", "train"),
        ("train/b/2.png", "b", "train"),
        (f"{val}/a/3.png", "a", "val"),
        ("test/b/x/4.png", "b", "test"),
    ])  # fmt: skip


def test_a_class_really_called_train(tmp_path):
    images = open_images(write(tmp_path, "bus/1.png", "train/2.png", "train/steam/3.png"))
    assert (images.class_names, images.is_split) == (("bus", "train"), False)


def test_a_folder_with_a_train_part_alone_is_not_split(tmp_path):
    images = open_images(write(tmp_path, "train/a/1.png", "train/b/2.png"))
    assert (images.class_names, images.is_split) == (("a", "b"), False)


@pytest.mark.parametrize(
    "name", ["花", "роза", "وردة", "rosa roja", " leading", "🌹", "a'b\"c", "new\nline", "-x"]
)
def test_names_in_any_script(tmp_path, name):
    images = open_images(write(tmp_path, f"{name}/{name}.png", "other/1.png"))
    place = images.photo_names.index(f"{name}/{name}.png")
    assert images.class_names[images.labels[place]] == name
    assert images.read(place) == (tmp_path / name / f"{name}.png").read_bytes()


def test_one_class_however_its_accents_are_composed(tmp_path):
    images = open_images(write(tmp_path, f"train/{NFC}/1.png", f"val/{NFD}/2.png", "val/tea/3.png"))
    assert images.class_names == (NFC, "tea")
    assert [images.read(i)[:4] for i in range(3)] == [b"\x89PNG"] * 3


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
def test_names_that_are_not_utf8(tmp_path):
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/\xff.png"))
    write(odd.parent, odd.name)
    images = open_images(write(tmp_path, "tea/1.png"))
    assert images.class_names == ("caf\\udce9", "tea")
    assert images.photo_names[0].encode() == b"caf\\udce9/\\udcff.png"
    assert images.read(0) == odd.read_bytes()


def test_clutter_is_passed_over(tmp_path):
    write(
        tmp_path,
        "a/1.png",
        "b/2.png",
        ".cache/x.png",
        "a/.DS_Store",
        "a/Thumbs.db",
        "__MACOSX/a/1.png",
        "b/._2.png",
    )
    assert open_images(tmp_path).photo_names == ["a/1.png", "b/2.png"]


def test_linked_photos_and_linked_classes(tmp_path):
    photos = write(tmp_path / "photos", "a/1.png")
    write(tmp_path / "album", "2.png", "3.png")
    (photos / "a/linked.png").symlink_to(tmp_path / "album/2.png")
    (photos / "b").symlink_to(tmp_path / "album")
    (tmp_path / "shortcut").symlink_to(photos)
    images = open_images(tmp_path / "shortcut")
    assert [d[:2] for d in described(images)] == [
        ("a/1.png", "a"), ("a/linked.png", "a"), ("b/2.png", "b"), ("b/3.png", "b"),
    ]  # fmt: skip
    assert images.read(1) == images.read(2)


def test_links_that_lead_nowhere_or_in_circles_spoil_nothing(tmp_path):
    write(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/gone.png").symlink_to("nowhere.png")
    (tmp_path / "a/itself.png").symlink_to("itself.png")
    (tmp_path / "b/all").symlink_to(tmp_path)
    images = open_images(tmp_path)
    assert images.photo_names == ["a/1.png", "a/gone.png", "a/itself.png", "b/2.png"]
    for place, reason in (
        (1, "a link that leads nowhere"),
        (2, "can't be read: Too many levels of symbolic links"),
    ):
        with pytest.raises(PhotoError, match=rf"^{reason}$"):
            images.read(place)


def test_an_empty_folder(tmp_path):
    with pytest.raises(
        DataError, match=rf"^{tmp_path} holds no files; expected CLASS/\*.jpg, or \{{train,val,test\}}"
    ):
        open_images(tmp_path)


def test_photos_without_class_folders(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path} holds 2 files but no class folders; expected CLASS/\*.jpg"):
        open_images(write(tmp_path, "1.png", "2.png"))


def test_a_folder_that_cannot_be_read(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # in the end the path is longer than the system opens
        os.mkdir("d" * 250, dir_fd=here)
        here, above = os.open("d" * 250, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    with pytest.raises(DataError, match=r"/d{250}/.* can't be read: File name too long; expected CLASS/\*.jpg"):
        open_images(tmp_path)
    shutil.rmtree(tmp_path / ("d" * 250))


def test_real_photos(photos):
    images = open_images(photos / "flowers")
    assert (len(images), len(images.class_names), images.is_split) == (1300, 5, True)
    assert {part: int((images.parts == part).sum()) for part in ("train", "val")} == {"train": 1000, "val": 300}
