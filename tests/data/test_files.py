"""Files as they lie in folders: links, pipes, names of every kind, and what can't be read."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from fieldguide.data import open_photos
from fieldguide.data.decode import MAX_FILE_BYTES, decode
from fieldguide.data.files import read_photo, walk
from fieldguide.errors import DataError, PhotoError
from fieldguide.guide_format import RUN, RUN_FILES

UNREADABLE = Path("/proc/self/mem")  # a file that is there and can't be read from its start, even by root
needs_unreadable = pytest.mark.skipif(not UNREADABLE.exists(), reason="needs Linux's /proc")


def write(path: Path, kind: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), "red").save(path, kind)
    return path


def too_deep(root: Path) -> None:
    """Make folders in folders until their path is longer than the system opens."""
    here = os.open(root, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        here, above = os.open("d" * 250, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)


def test_a_photo_is_read_whole(tmp_path):
    path = write(tmp_path / "a.png")
    assert read_photo(path) == read_photo(str(path)) == path.read_bytes()


def test_the_extension_plays_no_part(tmp_path):
    for name in ("png.jpg", "png.txt", "png"):
        assert decode(read_photo(write(tmp_path / name))).getpixel((1, 1)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"a text", r"not an image \(JPEG"),
        (b"\0\0\0\x18ftypmp42", "not an image but a 'mp42'"),
    ],
)
def test_what_is_not_an_image_is_told_by_its_first_bytes(tmp_path, content, reason):
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(PhotoError, match=rf"^{reason}"):
        read_photo(tmp_path / "photo.jpg")


def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    with write(tmp_path / "a.png").open("r+b") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # sparse: takes no room on the disk
    with pytest.raises(PhotoError, match=r"^larger than 512 MiB$"):
        read_photo(tmp_path / "a.png")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(PhotoError, match=r"^the file does not exist$"):
        read_photo(tmp_path / "a.png")


def test_links(tmp_path):
    (tmp_path / "good").symlink_to(write(tmp_path / "a.png"))
    (tmp_path / "broken").symlink_to(tmp_path / "gone.png")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert read_photo(tmp_path / "good") == read_photo(tmp_path / "a.png")
    with pytest.raises(PhotoError, match=r"^a link that leads nowhere$"):
        read_photo(tmp_path / "broken")
    with pytest.raises(PhotoError, match=r"^can't be read: Too many levels of symbolic links$"):
        read_photo(tmp_path / "itself")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("a\0b.png", "embedded null (byte|character)"),
        pytest.param(UNREADABLE, "Input/output error", marks=needs_unreadable),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PhotoError, match=rf"^can't be read: {reason}$"):
        read_photo(path)


def test_walking_is_in_a_stable_order_and_passes_over_clutter(tmp_path):
    for name in (
        "b/2",
        "b/1",
        "a",
        "b/c/3",
        ".hidden",
        ".git/config",
        "b/Thumbs.db",
        "__MACOSX/b/1",
        "ü",
        "b c/4",
    ):
        write(tmp_path / name)
    assert list(walk(tmp_path)) == ["a", "b/1", "b/2", "b/c/3", "b c/4", "ü"]


def test_walking_follows_links_but_not_in_circles(tmp_path):
    write(tmp_path / "photos/a/1")
    write(tmp_path / "elsewhere/2")
    (tmp_path / "photos/a/up").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/a/here").symlink_to(".")
    (tmp_path / "photos/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "photos/a")
    (tmp_path / "photos/itself").symlink_to(tmp_path / "photos/itself")
    (tmp_path / "photos/gone").symlink_to(tmp_path / "nowhere")
    assert list(walk(tmp_path / "photos")) == ["a/1", "b/2", "b/back/1", "gone", "itself"]


def test_walking_passes_over_what_reading_would_hang_on(tmp_path):
    write(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to a pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "link to a device").symlink_to("/dev/zero")
    assert list(walk(tmp_path)) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(PhotoError, match=r"^a folder, a pipe or a device, not a file$"):
        read_photo(tmp_path / "pipe.jpg")


def test_a_guide_among_the_photos_is_passed_over(tmp_path):
    for name in ("roses.guide/guide.json", "roses.guide/model.safetensors", "roses/1.jpg", "docs/guide.json"):
        write(tmp_path / name)
    assert list(walk(tmp_path)) == ["docs/guide.json", "roses/1.jpg"]


def test_a_training_run_among_the_photos_is_passed_over(tmp_path):
    for name in RUN_FILES[:2]:
        write(tmp_path / "roses.guide" / RUN / name)
    assert list(walk(tmp_path)) == []
    write(tmp_path / "roses.guide" / RUN / RUN_FILES[2] / "000000100" / "state.json")
    write(tmp_path / "roses" / "1.jpg")
    write(tmp_path / "training" / "job.json")
    write(tmp_path / "training" / "1.jpg")
    assert list(walk(tmp_path)) == ["roses/1.jpg", "training/1.jpg", "training/job.json"], "a class has that name"


def test_photos_without_labels(tmp_path, monkeypatch):
    write(tmp_path / "folder/sub/2.png")
    write(tmp_path / "folder/1.png")
    monkeypatch.chdir(tmp_path)
    images = open_photos([write(Path("~odd name.png")), "folder"])
    assert images.photo_names == ["~odd name.png", "folder/1.png", "folder/sub/2.png"]
    assert (images.labels.tolist(), images.parts.tolist(), images.class_names) == ([-1] * 3, [""] * 3, ())
    assert [images.read(i)[:4] for i in range(3)] == [b"\x89PNG"] * 3
    assert images.name == "~odd name.png, folder"


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has no such names")
def test_a_name_that_is_not_utf8_can_be_printed_and_read(tmp_path):
    write(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")))
    images = open_photos([tmp_path])
    assert images.photo_names == [f"{tmp_path}/caf\\udce9.png"]
    assert images.read(0).startswith(b"\x89PNG")


def test_photos_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"/gone.png does not exist; expected photos, or folders of photos$"):
        open_photos([write(tmp_path / "a.png"), tmp_path / "gone.png"])


def test_no_photos(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=rf"^no photos in {tmp_path}/empty$"):
        open_photos([tmp_path / "empty"])
    with pytest.raises(DataError, match=r"^no photos in an empty list$"):
        open_photos([])


def test_a_path_that_cannot_be_looked_at():
    with pytest.raises(DataError, match=r"^x{300} (can't be read: File name too long$|does not exist)"):
        open_photos(["x" * 300])


def test_a_folder_that_cannot_be_read(tmp_path):
    too_deep(tmp_path)
    with pytest.raises(DataError, match=r"/d{250}/d{250}.* can't be read: File name too long$"):
        open_photos([tmp_path])
    shutil.rmtree(tmp_path / ("d" * 250))
