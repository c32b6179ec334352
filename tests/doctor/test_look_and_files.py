"""What a look at each photo tells."""

import io
import re

import numpy as np
import pytest
from PIL import Image, ImageFilter

import fieldguide as fg
from fieldguide.data.image_set import content_digest
from fieldguide.doctor.files import find_damaged, find_hard_to_see, find_odd_files
from fieldguide.doctor.look import look_at
from pictures import jpeg, scene


def found(folder):
    images = fg.open_images(folder)
    looks = look_at(images)
    findings = [*find_damaged(looks), *find_odd_files(looks, images.photo_names), *find_hard_to_see(looks)]
    return {
        finding.kind.name: {images.photo_names[case.photos[0]]: case.evidence for case in finding.cases}
        for finding in findings
    }


def rotated(picture: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_a_look_is_at_all_photos_in_their_order(scenes):
    folder = scenes({f"{label}/{number}.jpg": 20 * number for number in range(40) for label in "ab"})
    images = fg.open_images(folder)
    done = []
    looks = look_at(images, lambda *state: done.append(state))
    assert [look.digest for look in looks] == [content_digest(images.read(index)) for index in range(len(images))]
    assert done[-1] == ("looks", 80, 80)
    first = looks[0]
    grey = np.asarray(Image.open(folder / "a" / "0.jpg").convert("L"), np.float64) / 255
    assert (first.header.format, first.header.width, first.header.height) == ("JPEG", 240, 180)
    assert first.brightness == pytest.approx(grey.mean(), abs=0.01)
    assert first.contrast == pytest.approx(grey.std(), abs=0.02)
    assert first.thumbnail.shape == (16, 16)


def test_ordinary_photos_have_nothing(scenes):
    assert found(scenes({f"{label}/{number}.jpg": 10 * number for number in range(6) for label in "ab"})) == {}


def test_every_oddity_is_found_with_its_evidence(scenes):
    ordinary = {f"{label}/{number}.jpg": 10 * number + 1 for number in range(20) for label in "ab"}
    noise = Image.effect_noise((300, 200), 40)
    odd = {
        "a/empty.jpg": b"",
        "a/cut.jpg": jpeg(scene(1))[:2000],
        "a/text.jpg": b"hello, I am no image at all",
        "a/really.png": jpeg(scene(2)),
        "a/turned.jpg": rotated(scene(3)),
        "a/grey.jpg": scene(4).convert("L"),
        "a/blank.jpg": Image.new("RGB", (200, 200), (90, 90, 90)),
        "b/night.jpg": scene(5).point(lambda value: max(0, 2 * (value - 140))),
        "b/snow.jpg": scene(6).point(lambda value: 255 - max(0, 2 * (value - 140))),
        "b/tiny.jpg": scene(7).resize((40, 30)),
        "b/soft.jpg": scene(8).filter(ImageFilter.GaussianBlur(12)),
        "b/long.jpg": Image.merge("RGB", [noise.resize((600, 100))] * 3),
    }
    everything = found(scenes(ordinary | odd))
    assert everything.pop("damaged").keys() == {"a/empty.jpg", "a/cut.jpg", "a/text.jpg"}
    assert everything.pop("extension") == {"a/really.png": "is JPEG"}
    assert everything.pop("rotated") == {"a/turned.jpg": "orientation 6"}
    assert everything.pop("colours") == {"a/grey.jpg": "L, most are RGB"}
    assert everything.pop("blank") == {"a/blank.jpg": "contrast 0.0 %"}
    for kind, photo in (("dark", "b/night.jpg"), ("bright", "b/snow.jpg")):
        ((name, evidence),) = everything.pop(kind).items()
        assert name == photo and re.fullmatch(r"brightness \d+ %", evidence)
    assert everything.pop("tiny") == {"b/tiny.jpg": "40 x 30 px"}
    ((name, evidence),) = everything.pop("blurred").items()
    assert name == "b/soft.jpg" and re.fullmatch(r"sharpness 0\.0\d", evidence)
    assert everything.pop("long") == {"b/long.jpg": "600 x 100 px"}
    assert everything == {}


def test_what_most_photos_are_is_no_oddity(scenes):
    small = {f"{label}/{number}.png": scene(number).resize((32, 32)) for number in range(8) for label in "ab"}
    assert "tiny" not in found(scenes(small))


def test_pixels_have_no_extension_and_no_format():
    images = fg.open_images("digits")
    looks = look_at(images.select(np.arange(len(images)) < 50))
    assert list(find_odd_files(looks, images.photo_names[:50])) == []
    assert {look.header.format for look in looks} == {""}
