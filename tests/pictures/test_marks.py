"""Marks in photos: to be seen on any photo, by brightness and lines, not by colour."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from fieldguide.errors import FieldguideWarning
from fieldguide.pictures import letters
from fieldguide.pictures.marks import Panel, draw_panels, overlaid


def heat(side):
    values = np.zeros((side, side), np.float32)
    values[side // 4 : side // 2, side // 4 : side // 2] = 1
    return values


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 165, 0), (250, 230, 60), (30, 30, 40)])
@pytest.mark.parametrize("side", [28, 224])
def test_marks_are_outlined_on_photos_of_any_colour(side, colour):
    picture = np.full((side, side, 3), colour, np.uint8)
    shown = overlaid(Panel("", picture, heat(side)))
    assert shown.shape == (224, 224, 3), "a small picture is enlarged, or lines would hide it"
    assert (shown[56:112, 56:112] == colour).all(), "what is marked stays as it is"
    assert shown[80, 52:56].tolist() == [[0] * 3] * 2 + [[255] * 3] * 2
    rest = shown[-1, -1].astype(int)
    assert len(set(rest.tolist())) == 1 and rest[0] <= 0.3 * np.mean(colour) + 1, "the rest is grey and dim"


def test_between_marked_and_cold_places_a_photo_fades():
    picture = np.full((224, 224, 3), (200, 100, 0), np.uint8)
    rising = np.repeat(np.linspace(0, 0.4, 224, dtype=np.float32)[None], 224, axis=0)
    faded = overlaid(Panel("", picture, rising))[0, ::20].astype(int)
    assert (np.diff(faded[:, 0]) > 0).all() and faded[0].tolist() == [30, 30, 30]


def test_a_photo_without_heat_is_left_alone_and_one_with_none_is_dim():
    picture = np.full((8, 8, 1), 90, np.uint8)
    assert (overlaid(Panel("", picture)) == 90).all()
    assert (overlaid(Panel("", picture, np.zeros((8, 8), np.float32))) == 27).all()


def test_names_are_never_read_as_mathematics():
    for name in (r"$\frac$", "a$_b^$c", "a long name " * 20):
        with Image.open(io.BytesIO(draw_panels([[Panel(name, np.zeros((32, 32, 3), np.uint8))]]))) as picture:
            assert picture.size[0] <= 1200


def test_letters_that_no_font_has_are_told_of_once(monkeypatch):
    monkeypatch.setattr(letters, "_FONTS", ())
    panels = [Panel("日本の花", np.zeros((32, 32, 3), np.uint8))] * 2
    with pytest.warns(
        FieldguideWarning, match="boxes stand for letters that no font here has; install one"
    ) as told:
        draw_panels([panels])
    assert len(told) == 1


def test_other_warnings_stay(monkeypatch):
    with pytest.warns(UserWarning, match="something else"), letters.any_script():
        warnings.warn("something else", UserWarning, stacklevel=1)
