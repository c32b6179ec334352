"""Zips of image folders, whole and spoilt."""

import io
import os
import stat
import struct
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fieldguide.data import open_images
from fieldguide.errors import DataError, PhotoError

CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def photo(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (12, 12, 3), dtype=np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def zipped(path: Path, *names: str, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip whose member i is photo i."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for number, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name), b"" if name.endswith("/") else photo(number), compression)
    return path


def patched(path: Path, signature: bytes, offset: int, layout: str, value: int) -> Path:
    """Change one field of every header of a kind."""
    content = bytearray(path.read_bytes())
    start = content.find(signature)
    while start >= 0:
        struct.pack_into(layout, content, start + offset, value)
        start = content.find(signature, start + 4)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_zip_of_an_image_folder(tmp_path, compression):
    path = zipped(
        tmp_path / "p.zip", "tulips/", "tulips/1.png", "roses/2.png", "roses/x/3.png", compression=compression
    )
    images = open_images(path)
    assert (images.name, images.class_names) == (str(path), ("roses", "tulips"))
    assert images.photo_names == ["roses/2.png", "roses/x/3.png", "tulips/1.png"]
    assert images.labels.tolist() == [0, 0, 1]
    assert [images.read(i) for i in range(3)] == [photo(2), photo(3), photo(1)]


@pytest.mark.parametrize(
    ("names", "photo_names", "class_names", "parts"),
    [
        (["p/a/1", "p/b/2"], ["a/1", "b/2"], "ab", ["", ""]),
        (["p/q/a/1", "p/q/b/2"], ["a/1", "b/2"], "ab", ["", ""]),
        (["p/train/a/1", "p/val/a/2"], ["train/a/1", "val/a/2"], "a", ["train", "val"]),
        (["p/a/1", "p/b/2", "p/LICENSE.txt"], ["LICENSE.txt", "a/1", "b/2"], "ab", ["", "", ""]),
        (["p/a/1", "p/b/2", "__MACOSX/p/a/._1", "p/.DS_Store"], ["a/1", "b/2"], "ab", ["", ""]),
        (["a/1", "a/2"], ["a/1", "a/2"], "a", ["", ""]),
        (["a/1", "a/close/2"], ["a/1", "a/close/2"], "a", ["", ""]),
        (["./a/1", "./b/2"], ["a/1", "b/2"], "ab", ["", ""]),
        (["p\\a\\1", "p\\b\\2", "p\\b\\"], ["a/1", "b/2"], "ab", ["", ""]),
        (["花/ü 1", "роза/2"], ["роза/2", "花/ü 1"], ["роза", "花"], ["", ""]),
        ([".", "a/1", "b/2"], ["a/1", "b/2"], "ab", ["", ""]),
    ],
)
def test_a_wrapping_folder_clutter_and_backslashes(tmp_path, names, photo_names, class_names, parts):
    images = open_images(zipped(tmp_path / "p.zip", *names))
    assert (images.photo_names, images.class_names) == (photo_names, tuple(class_names))
    assert images.parts.tolist() == parts


def test_the_suffix_may_be_in_capitals(tmp_path):
    assert len(open_images(zipped(tmp_path / "P.ZIP", "a/1", "b/2"))) == 2


def test_several_threads_read_at_once(tmp_path):
    images = open_images(zipped(tmp_path / "p.zip", *(f"{i % 3}/{i:03d}" for i in range(60))))
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(images.read, range(60)))
    assert contents == [photo(int(name.split("/")[1])) for name in images.photo_names]


def test_nothing_is_unpacked_to_disk(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    images = open_images(zipped(tmp_path / "p.zip", "a/1", "b/2"))
    assert [images.read(i) for i in range(2)] == [photo(0), photo(1)]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["p.zip", "temporary"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "a/../../evil.png",
        "/etc/evil.png",
        "..\\evil.png",
        "C:\\evil.png",
        "c:/evil.png",
        "\\\\host\\x",
    ],
)
def test_a_path_that_leads_outside_is_refused_with_its_name(tmp_path, name):
    with pytest.raises(DataError) as caught:
        open_images(zipped(tmp_path / "p.zip", "a/1.png", name))
    assert str(caught.value) == (
        f"{tmp_path}/p.zip holds {name!r}, a path that leads outside the archive; refused"
    )


@pytest.mark.parametrize("name", ["1:1/evil.png", "a..b/1.png", "...a/1.png"])
def test_a_path_that_only_looks_odd_is_not_refused(tmp_path, name):
    assert len(open_images(zipped(tmp_path / "p.zip", name, "b/2", "b/3"))) >= 2


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        link = zipfile.ZipInfo("a/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, os.fspath(tmp_path / "p.zip"))
        archive.writestr("b/1.png", photo(1))
    assert open_images(tmp_path / "p.zip").read(0) == os.fsencode(
        tmp_path / "p.zip"
    )  # its text, which is no image


def test_an_encrypted_member_is_skipped(tmp_path):
    path = zipped(tmp_path / "p.zip", "a/1", "b/2")
    images = open_images(patched(patched(path, CENTRAL, 8, "<H", 1), LOCAL, 6, "<H", 1))
    with pytest.raises(PhotoError, match=r"^encrypted in the zip$"):
        images.read(0)


@pytest.mark.parametrize(
    "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_member_is_skipped_and_the_others_are_read(tmp_path, compression):
    path = zipped(tmp_path / "p.zip", "a/1", "b/2", compression=compression)
    content = bytearray(path.read_bytes())
    start = content.find(b"a/1") + 3
    content[start + 20 : start + 60] = bytes(40)
    path.write_bytes(content)
    images = open_images(path)
    with pytest.raises(PhotoError, match=r"^damaged in the zip: \w+"):
        images.read(0)
    assert images.read(1) == photo(1)


def test_a_compression_that_is_not_known_is_skipped(tmp_path):
    images = open_images(patched(zipped(tmp_path / "p.zip", "a/1", "b/2"), CENTRAL, 10, "<H", 77))
    with pytest.raises(PhotoError, match=r"^damaged in the zip: .*compression"):
        images.read(0)


def test_a_member_that_states_a_huge_size_is_not_unpacked(tmp_path):
    images = open_images(patched(zipped(tmp_path / "p.zip", "a/1", "b/2"), CENTRAL, 24, "<I", (1 << 29) + 1))
    with pytest.raises(PhotoError, match=r"^larger than 512 MiB$"):
        images.read(0)


def test_a_member_that_lies_about_its_size_is_skipped(tmp_path):
    images = open_images(patched(zipped(tmp_path / "p.zip", "a/1", "b/2"), CENTRAL, 24, "<I", 20))
    with pytest.raises(PhotoError, match=r"^damaged in the zip: Bad CRC-32"):
        images.read(0)


@pytest.mark.parametrize("content", [b"", b"not a zip at all", b"PK\x03\x04 cut short"])
def test_what_is_not_a_zip(tmp_path, content):
    (tmp_path / "p.zip").write_bytes(content)
    with pytest.raises(DataError, match=rf"^{tmp_path}/p.zip can't be opened as a zip: File is not a zip file"):
        open_images(tmp_path / "p.zip")


def test_a_truncated_zip(tmp_path):
    path = zipped(tmp_path / "p.zip", "a/1", "b/2")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"can't be opened as a zip: File is not a zip file"):
        open_images(path)


def test_whatever_damage_a_zip_has_the_error_is_ours(tmp_path):
    whole, path, rng = (
        zipped(tmp_path / "w.zip", "é/1", "b/2").read_bytes(),
        tmp_path / "p.zip",
        np.random.default_rng(3),
    )
    directory = whole.find(CENTRAL)
    for _ in range(200):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(directory, len(whole), size=3)] = rng.integers(0, 256, size=3)
        path.write_bytes(content.tobytes())
        try:
            images = open_images(path)
            images.read(0)
        except (DataError, PhotoError) as error:
            assert len(str(error).splitlines()) == 1


def test_an_empty_zip(tmp_path):
    with pytest.raises(DataError, match=rf"^{tmp_path}/p.zip holds no files; expected CLASS/\*.jpg"):
        open_images(zipped(tmp_path / "p.zip"))


def test_a_zip_without_class_folders(tmp_path):
    with pytest.raises(DataError, match=r"p.zip holds 2 files but no class folders; expected CLASS/\*.jpg"):
        open_images(zipped(tmp_path / "p.zip", "1.png", "2.png"))
