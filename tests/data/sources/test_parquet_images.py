"""The Hub's Parquet layout: real CIFAR-10, and files made here with every spoil."""

import io
import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from fieldguide.data import Preprocess, open_images
from fieldguide.data.decode import decode
from fieldguide.errors import DataError, PhotoError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CLASSES = ["cat", "dog", "cow"]
UNREADABLE = Path("/proc/self/mem")  # a file that is there and can't be read from its start, even by root


def photo(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (6, 6, 3), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def features(image: str = "image", label: str = "label", names: object = CLASSES) -> dict:
    return {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}, "id": "not a dict"}


def hub(file: Path, count: int = 3, *, start: int = 0, metadata: object = None, group=None, **columns) -> Path:
    """Write a file as the Hub does: row i holds photo start + i, of class i modulo 3."""
    content = {"image": pa.array([{"bytes": photo(start + i), "path": f"{i}.png"} for i in range(count)], IMAGE)}
    content["label"] = pa.array([i % 3 for i in range(count)], pa.int64())
    content = {k: v for k, v in {**content, **columns}.items() if v is not None}
    stated = {"info": {"features": features()}} if metadata is None else metadata
    table = pa.table(content).replace_schema_metadata({"huggingface": json.dumps(stated)})
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, file, row_group_size=group)
    return file


def test_one_file(tmp_path):
    images = open_images(hub(tmp_path / "animals.parquet", 5))
    assert (images.name, images.class_names) == (str(tmp_path / "animals.parquet"), tuple(CLASSES))
    assert images.photo_names == [f"animals/{i}" for i in range(5)]
    assert (images.labels.tolist(), images.is_split) == ([0, 1, 2, 0, 1], False)
    assert [images.read(i) for i in range(5)] == [photo(i) for i in range(5)]
    assert decode(images.read(0)).size == (6, 6)


@pytest.mark.parametrize("folder", ["", "data/"])
def test_a_folder_of_shards_is_split_by_their_names(tmp_path, folder):
    names = ["train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001-0a1b", "test_0", "extra"]
    for number, name in enumerate(names):
        hub(tmp_path / folder / f"{name}.parquet", 4, start=10 * number)
    (tmp_path / folder / "._train-00000-of-00002.parquet").write_bytes(b"left behind by macOS")
    images = open_images(tmp_path)
    assert len(images) == len(set(images.photo_names)) == 20
    for number, (name, part) in enumerate(zip(names, ("train", "train", "val", "test", ""), strict=True)):
        places = [images.photo_names.index(f"{name}/{row}") for row in range(4)]
        assert {str(p) for p in images.parts[places]} == {part}
        assert images.labels[places].tolist() == [0, 1, 2, 0]
        assert [images.read(i) for i in places] == [photo(10 * number + row) for row in range(4)]


@pytest.mark.parametrize("group", [1, 7, 32, 50, 1000])
@pytest.mark.parametrize("order", ["forwards", "backwards", "random"])
def test_rows_can_be_read_in_any_order(tmp_path, group, order):
    hub(tmp_path / "train.parquet", 90, group=group)
    hub(tmp_path / "test.parquet", 40, start=100, group=group)
    images = open_images(tmp_path)  # test comes first, by its name
    rows = {"forwards": range(130), "backwards": range(129, -1, -1)}.get(order)
    rows = np.random.default_rng(group).permutation(130).tolist() if rows is None else rows
    assert all(images.read(i) == photo(100 + i if i < 40 else i - 40) for i in rows)


def test_several_threads_read_at_once(tmp_path):
    images = open_images(hub(tmp_path / "train.parquet", 300, group=70))
    order = np.random.default_rng(0).permutation(300).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(images.read, range(300))) == [photo(i) for i in range(300)]
        assert list(pool.map(images.read, order)) == [photo(i) for i in order]


def test_memory_stays_flat_over_many_files(tmp_path):
    for number in range(30):
        rows = [{"bytes": np.random.default_rng(row).bytes(60_000), "path": None} for row in range(20)]
        hub(tmp_path / f"train-{number:05d}.parquet", 20, image=pa.array(rows, IMAGE))
    images = open_images(tmp_path)
    tracemalloc.start()
    assert sum(len(images.read(i)) for i in range(len(images))) == 30 * 20 * 60_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20  # of 36 MB


def test_an_image_may_be_a_path_or_missing(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/7.png").write_bytes(photo(7))
    rows = [
        {"bytes": None, "path": "photos/7.png"},
        {"bytes": b"", "path": "gone.png"},
        {"bytes": None, "path": None},
        None,
    ]
    images = open_images(hub(tmp_path / "a.parquet", 4, image=pa.array(rows, IMAGE)))
    assert images.read(0) == photo(7)
    for row, reason in (
        (1, "the file does not exist"),
        (2, "the row holds no image"),
        (3, "the row holds no image"),
    ):
        with pytest.raises(PhotoError, match=f"^{reason}$"):
            images.read(row)


def test_paths_are_relative_to_their_own_file(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/7.png").write_bytes(photo(7))
    for name in ("train", "test"):
        hub(tmp_path / f"data/{name}.parquet", 1, image=pa.array([{"bytes": None, "path": "7.png"}], IMAGE))
    assert [open_images(tmp_path).read(i) for i in range(2)] == [photo(7)] * 2


def test_the_columns_may_have_other_names(tmp_path):
    table = {
        "image": None,
        "label": None,
        "img": pa.array([{"bytes": photo(1)}]),
        "fine": pa.array([2], pa.int32()),
    }
    images = open_images(
        hub(tmp_path / "a.parquet", metadata={"info": {"features": features("img", "fine")}}, **table)
    )
    assert (images.labels.tolist(), images.read(0)) == ([2], photo(1))


def test_a_column_of_paths_beside_the_images_does_not_make_it_a_list(tmp_path):
    assert open_images(hub(tmp_path / "a.parquet", path=pa.array(["x", "y", "z"]))).read(2) == photo(2)


def test_a_missing_label_is_no_label(tmp_path):
    labels = pa.array([1, None, -1], pa.int64())
    assert open_images(hub(tmp_path / "a.parquet", label=labels)).labels.tolist() == [1, -1, -1]


def test_class_names_are_composed_as_those_of_folders(tmp_path):
    stated = {"info": {"features": features(names=["cafe\u0301", "tea", 3])}}
    assert open_images(hub(tmp_path / "a.parquet", metadata=stated)).class_names == ("caf\u00e9", "tea", "3")


def test_a_file_without_rows_is_an_empty_set(tmp_path):
    assert len(open_images(hub(tmp_path / "a.parquet", 0))) == 0


NO_CLASSES = r"does not name its classes: expected a class label .*; found the columns image, label$"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, r"has no image column: found label; expected image \(bytes and path\), label"),
        ({"label": None}, r"lacks the column 'label'; found image$"),
        ({"label": pa.array([0, 1, 3], pa.int64())}, r"has the label 3, but names 3 classes \(0 to 2\)$"),
        ({"label": pa.array([0, -2, 1], pa.int64())}, r"has the label -2, but names 3 classes \(0 to 2\)$"),
        ({"label": pa.array(["cat", "dog", "cow"])}, r": the column 'label' is string; expected the numbers of"),
        ({"image": pa.array([b"1", b"2", b"3"])}, r": the column 'image' is binary; expected a struct of bytes"),
        ({"metadata": {}}, NO_CLASSES),
        ({"metadata": []}, NO_CLASSES),
        ({"metadata": "text"}, NO_CLASSES),
        ({"metadata": {"info": {"features": ["image"]}}}, NO_CLASSES),
        ({"metadata": {"info": {"features": features(names=None)}}}, NO_CLASSES),
    ],
)
def test_a_file_laid_out_otherwise_says_what_was_found(tmp_path, change, message):
    with pytest.raises(DataError, match=rf"^{tmp_path}/a.parquet ?{message}"):
        open_images(hub(tmp_path / "a.parquet", **change))


def test_a_file_without_metadata_says_so(tmp_path):
    table = pa.table({"image": pa.array([{"bytes": photo(1)}]), "label": [0]})
    parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(DataError, match=NO_CLASSES):
        open_images(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"metadata": {"info": {"features": features(names=["x", "y", "z"])}}},
            r"names other classes \(x, y, z\) than",
        ),
        ({"label": None}, "lacks the column 'label'; found image"),
        ({"image": None}, "lacks the column 'image'; found label"),
    ],
)
def test_every_file_of_a_folder_must_be_alike(tmp_path, change, message):
    hub(tmp_path / "test.parquet")
    hub(tmp_path / "train.parquet", **change)
    with pytest.raises(DataError, match=f"^{tmp_path}/train.parquet {message}"):
        open_images(tmp_path)


def test_another_file_of_a_folder_may_leave_the_classes_out(tmp_path):
    hub(tmp_path / "test.parquet")
    hub(tmp_path / "train.parquet", metadata={})
    assert open_images(tmp_path).class_names == tuple(CLASSES)


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + bytes(40) + b"PAR1"])
def test_what_is_not_parquet(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=f"^{tmp_path}/a.parquet can't be read as Parquet: .+") as caught:
        open_images(tmp_path / "a.parquet")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.skipif(not UNREADABLE.exists(), reason="needs Linux's /proc")
def test_what_cannot_be_read(tmp_path):
    (tmp_path / "a.parquet").symlink_to(UNREADABLE)
    with pytest.raises(DataError, match=r"a.parquet can't be read as Parquet: "):
        open_images(tmp_path / "a.parquet")


def test_a_truncated_file(tmp_path):
    path = hub(tmp_path / "a.parquet", 50)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a.parquet can't be read as Parquet: "):
        open_images(path)


def test_a_damaged_row_group_costs_its_own_photos_only(tmp_path):
    path = hub(tmp_path / "a.parquet", 120, group=40)
    pages = parquet.ParquetFile(path).metadata.row_group(1).column(0)  # the bytes of the images
    content = bytearray(path.read_bytes())
    content[pages.data_page_offset : pages.data_page_offset + 600] = b"\xff" * 600
    path.write_bytes(content)
    images = open_images(path)
    for _ in range(2):  # the second time it is known
        for row in range(120):
            if 40 <= row < 80:
                with pytest.raises(PhotoError, match=r"^damaged in the Parquet file: \w+"):
                    images.read(row)
            else:
                assert images.read(row) == photo(row)


def test_whatever_damage_a_file_has_the_error_is_ours(tmp_path):
    whole, path, rng = (
        hub(tmp_path / "w.parquet", 4).read_bytes(),
        tmp_path / "a.parquet",
        np.random.default_rng(2),
    )
    for _ in range(150):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(4, len(whole), size=4)] = rng.integers(0, 256, size=4)
        path.write_bytes(content.tobytes())
        try:
            images = open_images(path)
        except DataError:
            continue
        for row in range(len(images)):
            try:
                images.read(row)
            except PhotoError as error:
                assert len(str(error).splitlines()) == 1


def test_real_cifar10(photos):
    images = open_images(photos / "cifar10")
    assert images.class_names[:4] == ("airplane", "automobile", "bird", "cat")
    assert {part: int((images.parts == part).sum()) for part in ("train", "test")} == {
        "train": 50_000,
        "test": 10_000,
    }
    assert np.bincount(images.labels[images.parts == "test"]).tolist() == [1000] * 10
    rows = np.random.default_rng(0).integers(0, 60_000, 40).tolist()
    with ThreadPoolExecutor(4) as pool:
        contents = list(pool.map(images.read, rows))
    tables = {n: parquet.read_table(photos / f"cifar10/{n}.parquet", columns=["image"]) for n in ("train", "test")}
    for row, content in zip(rows, contents, strict=True):
        stem, number = images.photo_names[row].split("/")
        assert content == tables[stem]["image"][int(number)].as_py()["bytes"]
        assert Preprocess(size_px=32)(content).shape == (32, 32, 3)
