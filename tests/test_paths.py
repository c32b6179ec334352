"""Where files are kept, and that they appear whole or not at all."""

import errno
import os
from pathlib import Path

import platformdirs
import pytest

from fieldguide.paths import cache_folder, expand, found_anywhere, neighbours, written_whole


def test_the_cache_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv("FIELDGUIDE_CACHE", str(tmp_path / "größer"))
    assert cache_folder() == tmp_path / "größer"
    monkeypatch.setenv("FIELDGUIDE_CACHE", "~/photos")
    assert cache_folder() == Path.home() / "photos"
    monkeypatch.setenv("FIELDGUIDE_CACHE", "~nobody of that name/cache")
    assert cache_folder() == Path("~nobody of that name/cache")


@pytest.mark.parametrize("value", [None, ""])
def test_the_cache_is_the_users_where_no_variable_says(monkeypatch, value):
    monkeypatch.delenv("FIELDGUIDE_CACHE") if value is None else monkeypatch.setenv("FIELDGUIDE_CACHE", value)
    assert cache_folder() == platformdirs.user_cache_path("fieldguide")


def test_a_tilde_is_the_home_folder_unless_no_such_user_is_known(monkeypatch):
    monkeypatch.setenv("HOME", "/home/rosa")
    assert expand("~/photos") == Path("/home/rosa/photos")
    assert expand("~backup of rosa.jpg") == Path("~backup of rosa.jpg")


def test_neighbours_are_what_lies_beside_a_path(tmp_path):
    (tmp_path / "photos").mkdir()
    assert neighbours(tmp_path / "phots") == ["photos"]
    assert neighbours(tmp_path / "no" / "such") == []


def test_a_file_appears_when_all_went_well(tmp_path):
    target = tmp_path / "new" / "folder" / "notes.txt"
    with written_whole(target) as draft:
        draft.write_text("whole")
        assert not target.exists()
        assert draft.parent == target.parent  # on the same disk: the rename is one step
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_file_that_was_there_is_replaced(tmp_path):
    target = tmp_path / "notes.txt"
    target.write_text("old")
    with written_whole(target) as draft:
        draft.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("interruption", [OSError("no space"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
def test_an_interruption_leaves_the_target_as_it_was_and_nothing_beside_it(tmp_path, interruption, is_folder):
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(type(interruption)), written_whole(target) as draft:
        if is_folder:
            draft.mkdir()
            (draft / "part").write_text("half")
        else:
            draft.write_text("half")
        raise interruption
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_of_two_that_write_the_same_folder_the_first_wins(tmp_path):
    target = tmp_path / "network"
    with written_whole(target) as late:
        late.mkdir()
        (late / "weights").write_text("late")
        with written_whole(target) as early:
            early.mkdir()
            (early / "weights").write_text("early")
    assert (target / "weights").read_text() == "early"
    assert list(tmp_path.iterdir()) == [target]


def test_a_path_that_is_there_becomes_absolute_and_a_name_stays_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    for place in ("photos", Path("photos"), "~/photos", "./photos/"):
        assert found_anywhere(place) == str(tmp_path / "photos")
    for name in ("digits", "timm:resnet10t", ""):
        assert found_anywhere(name) == name


def test_a_folder_where_a_file_shall_be_is_an_error(tmp_path):
    target = tmp_path / "notes.txt"
    target.mkdir()
    with pytest.raises(OSError, match=r"notes\.txt"), written_whole(target) as draft:
        draft.write_text("new")
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_told_of_with_the_name_of_the_file(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.html'"), written_whole(tmp_path / "x.html"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []
