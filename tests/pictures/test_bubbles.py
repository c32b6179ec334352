"""The bubble picture: real files, looked at through what was drawn."""

from pathlib import Path

import pytest
from PIL import Image

from fieldguide.pictures import Axes, Bubble, bubbles, check_picture_name, draw_bubbles

AXES = Axes(x="multiply-adds of an image (G)", y="parameters (M)", area="parameters (M)", title="a title")
CROWD = [  # names and figures as networks have them: near each other, and two in one place
    Bubble("resnet50", 4.09, 76.1, 25.6, (75, 77)),
    Bubble("resnext50_32x4d", 4.23, 77.6, 25.0, (76, 79)),
    Bubble("efficientnet_lite0", 0.385, 75.5, 4.65, (74, 77)),
    Bubble("efficientnet_b0", 0.386, 75.6, 5.3, (74, 77)),
    Bubble("vgg16", 15.5, 71.6, 138.4),
    Bubble("timm:vit_tiny_patch16_224", 1.26, 75.5, 5.7),
    Bubble("densenet121", 2.83, 74.4, 8),
]


@pytest.fixture
def boxes(monkeypatch) -> list[bubbles.Box]:
    """Where names were put."""
    found: list[bubbles.Box] = []
    real = bubbles._is_inside
    lines = bubbles._write_names

    def write(figure, plot, canvas, drawn, scale):
        lines(figure, plot, canvas, drawn, scale)
        renderer = canvas.get_renderer()
        frame = plot.get_window_extent()
        for text in figure.texts:
            box = text.get_window_extent(renderer)
            found.append((box.x0, box.y0, box.x1, box.y1))
            assert real(found[-1], (frame.x0 - 3, frame.y0 - 3, frame.x1 + 3, frame.y1 + 3)), text.get_text()

    monkeypatch.setattr(bubbles, "_write_names", write)
    return found


def test_names_overlap_nothing(boxes, tmp_path):
    draw_bubbles(CROWD, AXES, tmp_path / "crowd.png")
    assert len(boxes) == len(CROWD)
    for number, box in enumerate(boxes):
        assert all(bubbles._overlap(box, other) == 0 for other in boxes[number + 1 :])


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures_are_of_the_kind_that_their_name_says(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    draw_bubbles(CROWD, AXES, path)
    start = path.read_bytes()[:200]
    assert start.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])
    draw_bubbles(CROWD[:1], AXES, tmp_path / "draft.tmp", suffix=suffix)
    assert (tmp_path / "draft.tmp").read_bytes()[:4] == start[:4]


def test_a_picture_has_a_size_to_look_at_and_is_not_empty(tmp_path):
    draw_bubbles(CROWD, AXES, tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == (1200, 825)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 100


@pytest.mark.parametrize(
    "alone",
    [Bubble("one", 0.3, 0.2, 0.003), Bubble("zero", 1, 0, 1), Bubble("all", 1e-6, 100, 1e-3, (99, 100)),
     Bubble("huge", 1e6, 1e9, 1e9)],
    ids=lambda b: b.name,
)  # fmt: skip
def test_one_bubble_is_a_picture_too(alone, boxes, tmp_path):
    draw_bubbles([alone], Axes(x="x", y="y", area="a", greatest_y=100), tmp_path / "one.png")
    assert len(boxes) == 1


@pytest.mark.parametrize(
    ("number", "rounded"), [(138.4, 100), (25, 20), (5, 5), (1, 1), (0.4, 0.2), (0.00785, 0.005)]
)
def test_the_sizes_shown_are_round(number, rounded):
    assert bubbles._round_down(number) == pytest.approx(rounded)


def test_nonsense_is_refused(tmp_path):
    for name in ("photo.jpg", "x", "x.png.guide"):
        with pytest.raises(ValueError, match=rf"{name}: a picture's name must end in \.png, \.svg or \.pdf"):
            check_picture_name(Path(name))
        with pytest.raises(ValueError, match=name):
            draw_bubbles(CROWD, AXES, tmp_path / name)
    with pytest.raises(ValueError, match="there is no bubble"):
        draw_bubbles([], AXES, tmp_path / "x.png")
    for bubble in (Bubble("a", 0, 1, 1), Bubble("a", 1, 1, 0)):
        with pytest.raises(ValueError, match=f"a: x is {bubble.x} and area {bubble.area}; both must be above 0"):
            draw_bubbles([bubble], AXES, tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
