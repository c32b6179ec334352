"""Which form of a network suits a set of photos."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import fieldguide as fg
from fieldguide.errors import DataError, UnknownNameError
from fieldguide.models import MODELS, create_model
from fieldguide.training.network import build_network
from fieldguide.training.plan import look_at, plan_network
from fieldguide.training.recipe import Recipe


def plan(name, images, *, size_px=None, fit=None, **arguments):
    return plan_network(name, images, size_px=size_px, fit=fit, arguments=arguments)


@pytest.fixture(scope="module")
def digits():
    return fg.open_images("digits")


def of_side(side, channels=3):
    """A set of pictures in memory."""
    pixels = np.zeros((4, side, side, channels), np.uint8)
    digits = fg.open_images("digits")
    four = digits.select(np.arange(len(digits)) < 4)
    return replace(four, pixels=pixels, read=lambda index: pixels[index])


def test_grey_pictures_get_one_channel_and_small_ones_the_form_for_small_input(digits):
    found = plan("resnet18", digits)
    assert found.arguments["in_channels"] == 1 and found.arguments["small_input"] is True
    assert (found.preprocess.channels, found.preprocess.mean, found.preprocess.std) == (1, (0.5,), (0.5,))
    assert found.preprocess.size_px <= 32
    coloured = plan("resnet18", of_side(32))
    assert coloured.preprocess.size_px == 32 and coloured.arguments == {"in_channels": 3, "small_input": True}


def test_photos_are_taken_at_the_size_that_the_network_was_designed_for(colours):
    found = plan("resnet18", fg.open_images(colours))  # of 64 x 48
    assert found.preprocess.size_px == 224 and "small_input" not in found.arguments
    assert found.preprocess.fit == "crop"
    chosen = plan("resnet18", fg.open_images(colours), size_px=96, fit="pad")
    assert (chosen.preprocess.size_px, chosen.preprocess.fit) == (96, "pad")


def test_arguments_that_are_given_are_kept(digits):
    found = plan("resnet18", digits, in_channels=3, small_input=False, size_px=64)
    assert found.arguments == {"in_channels": 3, "small_input": False} and found.preprocess.channels == 3


@pytest.mark.parametrize("name", [name for name in MODELS.names() if MODELS[name].facts.params < 30e6])
@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3)])
def test_every_network_takes_small_pictures_at_some_size(name, side, channels):
    found = plan(name, of_side(side, channels))
    size = found.preprocess.size_px
    assert size >= side and found.preprocess.channels == channels
    with torch.device("meta"):
        network = create_model(name, num_classes=4, **found.arguments)
        network.input_size.check(torch.zeros(1, channels, size, size))


def test_what_a_network_does_not_take_is_refused(digits):
    with pytest.raises(UnknownNameError, match=r"no model is called 'resnet19', did you mean .*'resnet18'"):
        plan("resnet19", digits)
    with pytest.raises(DataError, match="lenet takes no argument 'width'; it takes in_channels"):
        plan("lenet", digits, width=2.0)
    with pytest.raises(DataError, match="num_classes is 5, but comes from the photos; leave it out"):
        plan("lenet", digits, num_classes=5)
    with pytest.raises(
        DataError, match=r"mobilenet_v2 can't be built for pictures of \d+ px and 1 channel: .*width.*-1"
    ):
        plan("mobilenet_v2", digits, width=-1)
    with pytest.raises(
        DataError,
        match="lenet can't be built for pictures of 8 px and 1 channel: size_px is 8; it must be 32 or more",
    ):
        plan("lenet", digits, size_px=8)


def test_a_look_at_photos(colours, digits, image_folder):
    assert look_at(digits) == (8, True)
    assert look_at(fg.open_images(colours)) == (0, False)
    assert look_at(of_side(20)) == (20, False)
    assert look_at(replace(digits, pixels=None)) == (8, True)
    folder = image_folder({"red": 2, "blue": 2})
    for photo in folder.rglob("*.png"):
        photo.write_bytes(b"")
    assert look_at(fg.open_images(folder)) == (0, False)


def test_the_first_class_does_not_speak_for_all(image_folder):
    folder = image_folder({"red": 20})
    from PIL import Image

    (folder / "a scan").mkdir()
    for number in range(40):
        Image.new("L", (32, 32), number).save(folder / "a scan" / f"{number}.png")
    assert look_at(fg.open_images(folder)) == (0, False)


def test_a_network_that_can_not_be_tried_without_computing_is_taken():
    assert plan("torchvision:regnet_y_400mf", of_side(0)).preprocess.size_px == 224


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224", "torchvision:alexnet"])
def test_networks_of_others_take_small_pictures_at_a_size_that_suits_them(name):
    found = plan(name, of_side(32))
    assert found.preprocess.size_px > 32
    build_network(found, 3, Recipe())
    with pytest.raises(DataError, match=rf"{name} can't be built for pictures of 32 px and 3 channels: \S.*$"):
        plan(name, of_side(32), size_px=32)


def test_photos_that_are_grey_in_three_channels_are_grey(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        values = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(np.stack([values] * 3, axis=2)).save(tmp_path / name / "1.png")
    assert look_at(fg.open_images(tmp_path)) == (20, True)


def test_a_fit_that_is_none_is_not_laid_on_the_network(digits):
    with pytest.raises(ValueError, match="fit is 'zoom'"):
        fg.train_network(digits, model="lenet", fit="zoom")
