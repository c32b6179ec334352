"""MNIST's IDX files: the real ones, and small ones with every spoil."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from fieldguide.data import open_images
from fieldguide.data.sources.idx import open_idx
from fieldguide.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4), dtype=np.uint8)
LABELS = np.array([3, 0, 9, 3, 1, 1], np.uint8)


def idx(values: np.ndarray, kind: int = 8) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, kind, values.ndim, *values.shape) + values.tobytes()


def write(folder: Path, suffix: str = "", **parts: tuple[np.ndarray, np.ndarray]) -> Path:
    """Write train=(pixels, labels) and t10k=(...) under MNIST's names."""
    folder.mkdir(exist_ok=True)
    for prefix, arrays in parts.items():
        for name, values in zip(("images-idx3-ubyte", "labels-idx1-ubyte"), arrays, strict=True):
            content = idx(values)
            (folder / f"{prefix}-{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_both_parts_gzipped_or_not(tmp_path, suffix):
    images = open_images(write(tmp_path, suffix, train=(PIXELS, LABELS), t10k=(PIXELS[:2], LABELS[:2])))
    assert (images.name, images.class_names) == (str(tmp_path), tuple("0123456789"))
    assert images.labels.tolist() == [3, 0, 9, 3, 1, 1, 3, 0]
    assert images.parts.tolist() == ["train"] * 6 + ["test"] * 2
    assert images.photo_names[5:7] == ["train/5", "test/0"]
    assert all((images.read(i) == PIXELS[i % 6]).all() for i in range(8))


def test_one_part_alone(tmp_path):
    assert open_images(write(tmp_path / "a", train=(PIXELS, LABELS))).parts.tolist() == ["train"] * 6
    assert open_images(write(tmp_path / "b", t10k=(PIXELS, LABELS))).parts.tolist() == ["test"] * 6


def test_names_with_a_dot_and_a_folder_of_the_same_name(tmp_path):
    write(tmp_path, train=(PIXELS, LABELS))
    for name in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        (tmp_path / f"train-{name}").rename(tmp_path / f"train-{name.replace('-idx', '.idx')}")
        (tmp_path / f"train-{name}").mkdir()  # as one well-known zip of MNIST unpacks
    assert len(open_images(tmp_path)) == 6


def test_colour_pictures(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    assert (open_images(write(tmp_path, train=(colour, LABELS))).read(4) == colour[4]).all()


def test_more_than_ten_classes_are_named_by_their_numbers(tmp_path):
    images = open_images(write(tmp_path, train=(PIXELS, LABELS + 3)))
    assert images.class_names == tuple(map(str, range(13)))


def test_a_file_of_no_pictures(tmp_path):
    assert len(open_images(write(tmp_path, train=(PIXELS[:0], LABELS[:0])))) == 0


def test_class_names_can_be_given_but_must_be_enough(tmp_path):
    folder = write(tmp_path, train=(PIXELS, LABELS))
    assert open_idx(folder, tuple("abcdefghij")).class_names == tuple("abcdefghij")
    with pytest.raises(DataError, match=rf"^{tmp_path} has the label 9, but there are 3 classes$"):
        open_idx(folder, ("a", "b", "c"))


def test_labels_are_missing(tmp_path):
    (write(tmp_path, train=(PIXELS, LABELS)) / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=rf"^{tmp_path} holds train-images but no train-labels-idx1-ubyte\[.gz\]$"):
        open_images(tmp_path)


@pytest.mark.parametrize(
    ("pixels", "labels", "shapes"),
    [
        (PIXELS, LABELS[:5], r"\(6, 5, 4\) don't match labels of shape \(5,\)"),
        (PIXELS[0], LABELS, r"\(5, 4\) don't match labels of shape \(6,\)"),
        (PIXELS, LABELS[:, None], r"\(6, 5, 4\) don't match labels of shape \(6, 1\)"),
    ],
)
def test_pictures_and_labels_do_not_match(tmp_path, pixels, labels, shapes):
    with pytest.raises(DataError, match=rf"^{tmp_path}: train images of shape {shapes}$"):
        open_images(write(tmp_path, train=(pixels, labels)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(PIXELS)[:-7], "is cut short or damaged: it states 120 values and holds 113"),
        (idx(PIXELS) + b"\0\0", "is cut short or damaged: it states 120 values and holds 122"),
        (idx(PIXELS)[:14], "is cut short or damaged: it states 0 values and holds 0"),
        (b"\0\0\x08\xff" + b"\xff" * 40, r"is not an IDX file of bytes: it begins with b'\\x00\\x00\\x08\\xff'"),
        (idx(PIXELS, kind=13), r"is not an IDX file of bytes: it begins with b'\\x00\\x00\\r\\x03'"),
        (b"<html>404</html>", "is not an IDX file of bytes: it begins with b'<htm'"),
        (b"", "is not an IDX file of bytes: it begins with b''"),
    ],
)
def test_a_spoilt_file_is_named(tmp_path, content, message):
    (write(tmp_path, train=(PIXELS, LABELS)) / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=f"^{tmp_path}/train-images-idx3-ubyte {message}$"):
        open_images(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda content: content[:-9], "Compressed file ended before the end-of-stream marker"),
        (lambda content: b"not gzip" + content, "Not a gzipped file"),
        (lambda content: content[:10] + b"\xff" * 9 + content[19:], "Error -3 while decompressing"),
        (lambda content: content[:-8] + b"\0" * 8, "CRC check failed"),
    ],
)
def test_a_spoilt_gzip_is_named(tmp_path, spoil, reason):
    file = write(tmp_path, ".gz", train=(PIXELS, LABELS)) / "train-images-idx3-ubyte.gz"
    file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(DataError, match=f"^{file} can't be read: {reason}"):
        open_images(tmp_path)


def test_the_real_mnist_is_the_same_gzipped_and_not(photos, tmp_path):
    packed = open_images(photos / "mnist")
    assert {part: int((packed.parts == part).sum()) for part in ("train", "test")} == {
        "train": 60_000,
        "test": 10_000,
    }
    assert packed.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert packed.read(0).shape == (28, 28)
    for file in (photos / "mnist").glob("t10k-*.gz"):
        with gzip.open(file) as source, (tmp_path / file.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    plain = open_images(tmp_path)
    assert (plain.labels == packed.labels[60_000:]).all()
    assert all((plain.read(i) == packed.read(60_000 + i)).all() for i in (0, 77, 9_999))


def test_pixels_are_at_hand_all_at_once(tmp_path):
    images = open_images(write(tmp_path, train=(PIXELS, LABELS), t10k=(PIXELS[:2], LABELS[:2])))
    assert (images.pixels == np.concatenate([PIXELS, PIXELS[:2]])).all()
    tests = images.select(images.parts == "test")
    assert (tests.pixels == PIXELS[:2]).all() and (tests.read(1) == tests.pixels[1]).all()


def test_parts_of_different_shapes_are_refused(tmp_path):
    folder = write(tmp_path, train=(PIXELS, LABELS), t10k=(PIXELS[:2, :3], LABELS[:2]))
    message = r"pictures of train and t10k have different shapes: \[\(3, 4\), \(5, 4\)\]"
    with pytest.raises(DataError, match=message):
        open_images(folder)
