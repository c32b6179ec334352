"""Small pictures: of any photo, none of a damaged one, and no more than there is room for."""

import base64
import io

import numpy as np
from PIL import Image

import fieldguide as fg
from fieldguide.pages.thumbnails import Room, pixels_to_text, thumbnail


def picture(text: str) -> Image.Image:
    """The picture that a text holds."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        image.load()
        return image


def test_a_thumbnail_is_a_small_jpeg_of_the_same_shape(colours):
    images = fg.open_images(colours)
    small = picture(thumbnail(images, 0, 32))
    assert (small.format, small.size) == ("JPEG", (32, 24))
    assert picture(thumbnail(images, 0, 500)).size == (64, 48), "nothing is enlarged"


def test_a_photo_that_is_none_has_no_picture(colour_folder):
    (colour_folder / "red" / "00.png").write_bytes(b"none")
    images = fg.open_images(colour_folder)
    (broken,) = [i for i, name in enumerate(images.photo_names) if name.endswith("red/00.png")]
    assert thumbnail(images, broken) == ""


def test_pixels_become_a_jpeg():
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :, 0] = 200
    drawn = np.asarray(picture(pixels_to_text(pixels)))
    assert drawn.shape == (20, 30, 3) and abs(int(drawn[10, 15, 0]) - 200) < 4


def test_pictures_take_room_until_none_is_left():
    room = Room(10)
    assert (room.take("123456"), room.take("12345"), room.take("1234"), room.take("1")) == (
        "123456",
        "",
        "1234",
        "",
    )
