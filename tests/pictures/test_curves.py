"""Pictures of curves."""

import io

import pytest
from PIL import Image

from fieldguide.pictures import draw_curves, draw_range_test


def history(count, *, judged=True):
    return [
        {
            "epoch": n,
            "train_loss": 2 / n,
            "lr": 0.1 / n,
            "validation_loss": 2.5 / n if judged else None,
            "validation_top1": 1 - 0.5 / n if judged else None,
        }
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("count", [1, 5, 40])
@pytest.mark.parametrize("judged", [True, False])
def test_curves_are_a_png(count, judged):
    picture = Image.open(io.BytesIO(draw_curves(history(count, judged=judged))))
    assert (picture.format, picture.size) == ("PNG", (1200, 400))
    assert picture.convert("L").getextrema() == (0, 255)


def test_curves_of_other_epochs_look_otherwise():
    assert draw_curves(history(3)) != draw_curves(history(4))
    assert draw_curves(history(3)) == draw_curves(history(3))


def test_epochs_without_a_validation_may_stand_among_others():
    rows = history(4)
    rows[-1] |= {"validation_loss": None, "validation_top1": None}
    assert draw_curves(rows).startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "begins"), [("x.png", b"\x89PNG"), ("x.SVG", b"<?xml"), ("x.pdf", b"%PDF")])
def test_a_range_test_is_drawn_to_a_file(tmp_path, name, begins):
    draw_range_test((1e-5, 1e-3, 1e-1), (2.0, 1.0, 5.0), 1e-4, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.endswith("SVG"):
        assert "0.0001" in (tmp_path / name).read_text(), "the suggested rate is marked"
