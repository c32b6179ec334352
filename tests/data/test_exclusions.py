"""Photos that are left out of a set."""

import pytest

import fieldguide as fg
from fieldguide.errors import DataError, FieldguideWarning


@pytest.fixture
def listed(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "fixes.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def names(folder, exclude):
    return set(fg.open_images(folder, exclude=exclude).photo_names)


def test_photos_with_a_row_that_says_exclude_are_left_out(colours, listed):
    fixes = listed(
        "path,problem,suggested_action,evidence\r\n"
        "red/01.png,copies,exclude,identical\r\n"
        "red/02.png,dark,keep,\r\n"
        "red/07.png,wrong label,look,\r\n"
        "red/03.png,dark,,\r\n"
        "red/04.png,dark, Exclude ,\r\n"
        "red/06.png,dark, ,\r\n"
        ",dark,exclude,\r\n"
        "red/05.png,dark,keep,\r\nred/05.png,copies,exclude,\r\n"
    )
    everything = set(fg.open_images(colours).photo_names)
    assert everything - names(colours, fixes) == {"red/01.png", "red/04.png", "red/05.png"}


def test_blanks_around_the_names_of_columns_are_nothing(colours, listed):
    kept = names(colours, listed("path, suggested_action\nred/01.png, keep\nred/02.png, exclude\n"))
    assert "red/01.png" in kept and "red/02.png" not in kept


def test_a_list_of_paths_alone_excludes_them_all(colours, listed):
    fixes = listed("\ufeffpath\nred/01.png\nblue/07.png\n")
    left_out = set(fg.open_images(colours).photo_names) - names(colours, fixes)
    assert left_out == {"red/01.png", "blue/07.png"}


def test_an_object_leaves_them_out_too(colours, listed):
    images = fg.open_images(colours)
    kept = fg.open_images(images, exclude=listed("path\nred/01.png\n"))
    assert len(kept) == len(images) - 1
    assert [kept.read(i) for i in (0, 30)] == [images.read(i) for i in (0, 31)]


def test_photos_that_are_gone_are_left_out_already(colours, listed):
    with pytest.warns(FieldguideWarning, match=r"fixes\.csv excludes 1 photo that is not in .*, such as red/gone"):
        assert len(names(colours, listed("path\nred/01.png\nred/gone.png\n"))) == 35
    with pytest.warns(FieldguideWarning, match="excludes 2 photos that are not in .*, such as ./red/02.png"):
        assert len(names(colours, listed("path\nred/01.png\nred/gone.png\n./red/02.png\n"))) == 35
    assert len(names(colours, listed("path\n"))) == 36


def test_a_class_that_a_list_leaves_nothing_of_is_named(colours, listed):
    rows = "".join(f"red/{number:02d}.png\n" for number in range(12))
    with pytest.raises(DataError, match=r"fixes\.csv excludes all photos of red in .*; keep some, or remove its"):
        fg.open_images(colours, exclude=listed("path\n" + rows))


MISTAKES = {
    "path\nflower-no-7.jpeg\n": "fixes.csv excludes flower-no-7.jpeg, which is no photo of .*colours, nor are the "
    "others; its photos are named like blue/00.png",
    "path\nred/001.png\n": r"excludes red/001.png, .* did you mean 'red/\d\d.png'",
    "photo,why\nred/01.png,x\n": r"has the columns photo, why, and none is 'path'; `fieldguide check PHOTOS "
    "--fix-list FILE` writes",
    "path,suggested_action\nred/01.png,delete\n": "line 2 of .*fixes.csv says to 'delete' red/01.png; the "
    "actions are exclude, look, keep",
    "": "has the columns of an empty file, and none is 'path'",
    "path,action\nred/01.png,keep\n": "has the columns path, action, and none is 'suggested_action', which "
    "says what to do; add it, or leave the column 'path' alone, and all its photos are left out",
    'path,suggested_action\n"red/01.png,exclude\nred/02.png,exclude\n': "can't be read: unexpected end of data",
    "path;problem\nred/01.png;x\n": "has the columns path;problem, and none is 'path'; separate them by commas; ",
    b"\xff\xfe\x00": "the list .*fixes.csv can't be read: .*decode.*; expected a CSV file in UTF-8",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_named(colours, listed, text):
    with pytest.raises(DataError, match=MISTAKES[text]):
        fg.open_images(colours, exclude=listed(text))


def test_a_list_that_is_not_there_is_named(colours, tmp_path):
    with pytest.raises(DataError, match=r"the list .*none.csv can't be read: No such file"):
        fg.open_images(colours, exclude=tmp_path / "none.csv")
