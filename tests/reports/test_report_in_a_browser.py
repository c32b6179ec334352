"""The report in a real browser: cells show their photos, dots theirs, in light and dark, on a desk and a phone."""

import re

import pytest
from PIL import Image

from browser import browse, dom_after


@pytest.fixture(scope="module")
def page(muddled_path):
    return muddled_path / "report.html"


def test_the_worst_cell_is_open_and_another_shows_its_own_photos(page, tmp_path):
    opened = dom_after(page, "", tmp_path)
    assert "green, taken for red, the surest first" in opened
    cell = opened.partition('<div id="cell"')[2].partition("</section>")[0]
    assert cell.count("<figure>") == cell.count("data:image/jpeg") == 2
    pressed = dom_after(page, "document.querySelector('[data-cell=\"0-0\"]').click();", tmp_path)
    cell = pressed.partition('<div id="cell"')[2].partition("</section>")[0]
    assert "blue, named rightly, the least sure first" in cell and cell.count("<figure>") == 8
    assert re.search(r'data-cell="0-0"[^>]*aria-pressed="true"', pressed)
    closed = dom_after(page, "document.querySelector('[aria-pressed=\"true\"]').click();", tmp_path)
    assert "<figure>" not in closed.partition('<div id="cell"')[2].partition("</section>")[0]


def test_a_dot_shows_its_photo_and_a_class_can_be_seen_alone(page, tmp_path):
    event = "new PointerEvent('pointerover', {bubbles: true})"
    point = f"document.querySelector('.map [data-photo]').dispatchEvent({event});"
    tip = dom_after(page, point, tmp_path).partition('<div id="tip"')[2].partition("</section>")[0]
    assert "<figure>" in tip and "learnt from" in tip and "hidden" not in tip.partition(">")[0]
    keys = "for (const key of ['ArrowRight', 'ArrowRight']) document.querySelector('.map svg').dispatchEvent("
    keys += "new KeyboardEvent('keydown', {key, bubbles: true}));"
    second = dom_after(page, keys, tmp_path).partition('<div id="tip"')[2].partition("</section>")[0]
    assert "<figure>" in second and second != tip, "arrow keys go through them"
    escape = "document.querySelector('.map svg').dispatchEvent("
    escape += "new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));"
    assert "hidden" in dom_after(page, point + escape, tmp_path).partition('<div id="tip"')[2].partition(">")[0]
    alone = dom_after(page, "document.querySelector('#legend button[data-class=\"1\"]').click();", tmp_path)
    dots = re.findall(r'<(?:circle|path) data-photo="\d+" data-of="(\d)"([^>]*)>', alone)
    assert {of for of, rest in dots if "away" not in rest} == {"1"}
    assert {of for of, rest in dots if "away" in rest} == {"0", "2"}


@pytest.mark.parametrize(("name", "width"), [("wide", 1200), ("phone", 500)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_drawn_in_light_and_dark_wide_and_narrow(page, tmp_path, name, width, scheme):
    picture = tmp_path / f"{name}.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    browse(page, f"--screenshot={picture}", f"--window-size={width},3000", *dark)
    with Image.open(picture) as image:
        drawn = image.convert("RGB")
    assert drawn.size == (width, 3000) and len(drawn.resize((300, 600)).getcolors(200_000)) > 300
    assert (sum(drawn.getpixel((2, 2))) < 200) == (scheme == "dark")


def test_nothing_is_wider_than_a_phone(page, tmp_path):
    say = "document.title = `${document.documentElement.scrollWidth} of ${window.innerWidth}`;"
    dom = dom_after(page, say, tmp_path, "--window-size=500,900")
    wide, room = map(int, re.search(r"<title>(\d+) of (\d+)", dom).groups())
    assert wide <= room
