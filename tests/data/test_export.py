"""Image sets written out as image folders, and read back."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fieldguide.data import open_images
from fieldguide.data.export import write_image_folder
from fieldguide.data.image_set import ImageSet
from fieldguide.errors import DataError


def jpeg(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def set_of(photos: list, labels: list[int], class_names: Sequence[str] = ("a", "b"), parts: str = "") -> ImageSet:
    return ImageSet(
        name="set",
        class_names=tuple(class_names),
        photo_names=[f"photo {i}" for i in range(len(photos))],
        labels=np.array(labels, np.int64),
        parts=np.array(parts.split() or [""] * len(photos), "<U5"),
        read=lambda index: photos[index],
    )


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_the_digits_come_back_pixel_for_pixel(tmp_path):
    digits = open_images("digits")
    digits = digits.select(np.arange(len(digits)) % 37 == 0)
    write_image_folder(digits, tmp_path / "digits")
    again = open_images(tmp_path / "digits")
    assert again.class_names == digits.class_names
    place = {int(Path(name).stem): i for i, name in enumerate(again.photo_names)}
    for index in range(len(digits)):
        back = place[index]
        assert again.labels[back] == digits.labels[index]
        assert (np.asarray(Image.open(io.BytesIO(again.read(back)))) == digits.read(index)).all()


def test_a_split_set_stays_split_and_photos_without_label_stay_without(tmp_path):
    images = set_of([jpeg("red")] * 4, [0, 1, -1, 1], parts="train train train test")
    write_image_folder(images, tmp_path / "out")
    assert files(tmp_path / "out") == [
        "test/b/00003.jpg", "train/00002.jpg", "train/a/00000.jpg", "train/b/00001.jpg",
    ]  # fmt: skip
    again = open_images(tmp_path / "out")
    assert dict(zip(again.photo_names, again.labels.tolist(), strict=True))["train/00002.jpg"] == -1
    assert sorted(again.parts) == ["test", "train", "train", "train"]


def test_an_image_file_is_written_as_it_is_under_its_own_suffix(tmp_path):
    gif = io.BytesIO()
    Image.new("L", (3, 3)).save(gif, "GIF")
    write_image_folder(set_of([jpeg("blue"), gif.getvalue()], [0, 0]), tmp_path / "out")
    assert (tmp_path / "out/a/00000.jpg").read_bytes() == jpeg("blue")
    assert (tmp_path / "out/a/00001.gif").read_bytes() == gif.getvalue()


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (1, 5, 1), (1, 5, 3), (5, 1, 3), (4, 4, 4)])
def test_pixels_of_every_shape_are_written(tmp_path, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    write_image_folder(set_of([pixels], [0]), tmp_path / "out")
    assert (np.asarray(Image.open(tmp_path / "out/a/00000.png")).reshape(shape) == pixels).all()


def test_class_names_become_folders_on_any_system(tmp_path):
    class_names = ("either/or", "C:\\x", "what?", "..", ". hidden", "rose", "Rose", "花 blau", "new\nline")
    photos = [jpeg("red")] * len(class_names)
    write_image_folder(set_of(photos, list(range(len(photos))), class_names), tmp_path / "out")
    folders = {p.parent.name for p in (tmp_path / "out").glob("*/*.jpg")}
    assert folders == {
        "either_or", "C__x", "what_", "_", "hidden", "rose (5)", "Rose (6)", "花 blau", "new_line",
    }  # fmt: skip
    assert len(open_images(tmp_path / "out").class_names) == len(class_names)


def test_an_empty_folder_is_filled_and_a_missing_one_made(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "not/yet/there"):
        write_image_folder(set_of([jpeg("red")], [1]), tmp_path / name)
        assert files(tmp_path / name) == ["b/00000.jpg"]


def test_a_set_of_no_photos_is_an_empty_folder(tmp_path):
    write_image_folder(set_of([], []), tmp_path / "out")
    assert files(tmp_path / "out") == []
    assert (tmp_path / "out").is_dir()


def test_progress_is_told_at_most_a_few_hundred_times_and_to_the_end(tmp_path):
    told: list[tuple[str, int, int]] = []
    write_image_folder(set_of([jpeg("red")] * 1300, [0] * 1300), tmp_path / "out", lambda *args: told.append(args))
    assert 100 < len(told) < 900
    assert told[-1] == ("writing", 1300, 1300)


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("dear")
    for name in ("taken", "taken/letter.txt"):
        with pytest.raises(DataError, match=f"{name} is not empty; choose a new folder"):
            write_image_folder(set_of([jpeg("red")], [0]), tmp_path / name)
    assert files(tmp_path) == ["taken/letter.txt"]


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/below can't be written: (Not a directory|File exists)"):
        write_image_folder(set_of([jpeg("red")], [0]), tmp_path / "file" / "below")


@pytest.mark.parametrize(("photo", "reason"), [(b"", "empty file"), (b"a text", "not an image")])
def test_a_photo_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path, photo, reason):
    with pytest.raises(DataError, match=f"^photo 1 can't be written out: {reason}"):
        write_image_folder(set_of([jpeg("red"), photo], [0, 1]), tmp_path / "out")
    assert not any(tmp_path.iterdir())


def test_an_interrupted_write_leaves_nothing(tmp_path):
    def interrupt(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_image_folder(set_of([jpeg("red")] * 3, [0, 1, 1]), tmp_path / "out", interrupt)
    assert not any(tmp_path.iterdir())
