"""Lists of photos: CSV, TSV and Parquet."""

from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from fieldguide.data import open_images
from fieldguide.errors import DataError, PhotoError

EXPECTED = r"expected the columns path,label\[,split\]"
UNREADABLE = Path("/proc/self/mem")  # a file that is there and can't be read from its start, even by root


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), len(path.name)).save(path, "PNG")
    return path


def listed(tmp_path: Path, text: str | bytes, name: str = "list.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def tabled(path: Path, columns: dict[str, list]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


@pytest.mark.parametrize("split_column", [True, False])
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "parquet in a folder", "CSV"])
def test_a_list_of_photos(tmp_path, kind, split_column):
    rows = [
        ("a/1.png", "tulip", "train"),
        (str(write(tmp_path / "far/2.png")), "rose", "valid"),
        ("3.png", "tulip", ""),
    ]
    for name in ("a/1.png", "3.png"):
        write(tmp_path / name)
    columns = ["path", "label", "split"][: 2 + split_column]
    if kind.startswith("parquet"):
        table = {c: [row[i] for row in rows] for i, c in enumerate(columns)}
        path = tabled(tmp_path / "list.parquet", table)
    else:
        separator = "\t" if kind == "tsv" else ","
        lines = [separator.join(row[: len(columns)]) for row in [columns, *rows]]
        path = listed(tmp_path, "\n".join(lines), f"list.{kind}")
    images = open_images(path.parent if "folder" in kind else path)
    assert images.class_names == ("rose", "tulip")
    assert images.labels.tolist() == [1, 0, 1]
    assert images.parts.tolist() == (["train", "val", ""] if split_column else ["", "", ""])
    assert images.photo_names == [row[0] for row in rows]
    assert [images.read(i) for i in range(3)] == [(tmp_path / row[0]).read_bytes() for row in rows]


def test_paths_are_relative_to_the_list_and_not_to_where_one_stands(tmp_path, monkeypatch):
    write(tmp_path / "lists/1.png")
    listed(tmp_path, "path,label\n1.png,a\n", "lists/list.csv")
    monkeypatch.chdir(tmp_path)
    assert open_images("lists/list.csv").read(0) == (tmp_path / "lists/1.png").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpath,label\n花 1.png,роза\n",  # as Excel writes it
        "label,path\r\nроза,花 1.png\r\n",
        'note,path,label\n"a\nb",花 1.png,"роза"',
        "path,label,split\n\n花 1.png, роза ,\n\n",
        "path,label,split\n花 1.png,роза, Train \n",
        "path,label,\n花 1.png,роза,,\n",
    ],
)
def test_csv_as_programs_write_it(tmp_path, text):
    write(tmp_path / "花 1.png")
    images = open_images(listed(tmp_path, text))
    assert (images.photo_names, images.class_names) == (["花 1.png"], ("роза",))
    assert images.read(0).startswith(b"\x89PNG")


def test_labels_may_be_numbers(tmp_path):
    images = open_images(tabled(tmp_path / "list.parquet", {"path": ["a", "b", "c"], "label": [7, 10, 7]}))
    assert (images.class_names, images.labels.tolist()) == (("10", "7"), [1, 0, 1])


def test_a_label_whose_accents_are_composed_or_not_is_one_class(tmp_path):
    assert len(open_images(listed(tmp_path, "path,label\na,caf\u00e9\nb,cafe\u0301\n")).class_names) == 1


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("gone.png", "the file does not exist"),
        ("list.csv", "not an image"),
        ("a\0b", "can't be read: embedded null"),
    ],
)
def test_a_photo_that_cannot_be_read_spoils_only_itself(tmp_path, file, reason):
    images = open_images(listed(tmp_path, f"path,label\n{file},a\n"))
    with pytest.raises(PhotoError, match=reason):
        images.read(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n1,a\n2,\n", "list.csv line 3: the label is empty; every row needs one"),
        ("path,label\n1,a\n\n\n2,  \n", "list.csv line 5: the label is empty"),
        ("path,label\n1,a\n2\n", "list.csv line 3: the label is empty"),
        ("path,label\n ,a\n", "list.csv line 2: the path is empty; every row needs one"),
        ("path,label\n1,a\nb,c.png,rose\n", "list.csv line 3: more values than columns; quote one that holds"),
        (
            "path,label,split\n1,a,train\n2,b,holdout\n",
            "list.csv line 3: split is 'holdout'; it must be empty or one of train, val, valid, validation, test",
        ),
        ("file,label\n1,a\n", f"list.csv lacks the column 'path'; found 'file,label'; {EXPECTED}"),
        ("path;label\n1;a\n", f"list.csv lacks the column 'path'; found 'path;label'; {EXPECTED}"),
        ("path, label\n1,a\n", f"list.csv lacks the column 'label'; found 'path, label'; {EXPECTED}"),
        ('path,"la\nbel\n1,a\n', r"list.csv lacks the column 'label'; found 'path,la\\nbel\\n1,a\\n'"),
        ("", f"list.csv lacks the column 'path'; found none; {EXPECTED}"),
        ("path,label\n", f"list.csv lists no photos; {EXPECTED}, and a row a photo"),
        (
            "path,label\n1,caf\u00e9\n".encode("latin-1"),
            "list.csv can't be read as UTF-8 CSV: 'utf-8' codec can't",
        ),
        ("path,label\n1,a\n".encode("utf-16"), "list.csv can't be read as UTF-8 CSV: 'utf-8' codec can't decode"),
        ("path,label\n1," + "a" * 200_000, "list.csv can't be read as UTF-8 CSV: field larger than field limit"),
    ],
)
def test_a_list_that_is_wrong_says_where(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        open_images(listed(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"path": ["1", "2"], "label": ["a", None]}, "row 2: the label is empty; every row needs one"),
        ({"path": ["", "2"], "label": ["a", "b"]}, "row 1: the path is empty"),
        ({"path": ["1"], "label": ["a"], "split": ["dev"]}, "row 1: split is 'dev'; it must be empty"),
        ({"path": ["1"], "class": ["a"]}, f"lacks the column 'label'; found 'path,class'; {EXPECTED}"),
        ({"path": [], "label": []}, f"lists no photos; {EXPECTED}"),
    ],
)
def test_a_parquet_list_that_is_wrong_says_where(tmp_path, columns, message):
    with pytest.raises(DataError, match=f"/list.parquet {message}"):
        open_images(tabled(tmp_path / "list.parquet", columns))


@pytest.mark.skipif(not UNREADABLE.exists(), reason="needs Linux's /proc")
def test_a_list_that_cannot_be_read(tmp_path):
    (tmp_path / "list.csv").symlink_to(UNREADABLE)
    with pytest.raises(DataError, match=r"list.csv can't be read as UTF-8 CSV: .*Input/output error"):
        open_images(tmp_path / "list.csv")


def test_a_photo_that_is_listed_twice_has_two_names(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,cat\na.png,dog\n", encoding="utf-8")
    assert list(open_images(tmp_path / "list.csv").photo_names) == ["a.png", "a.png (line 3)"]
