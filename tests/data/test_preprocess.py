"""How a photo becomes a square, on pictures where each outcome can be told apart."""

import dataclasses
import io
import json

import numpy as np
import pytest
from PIL import Image

from fieldguide.data.preprocess import Preprocess
from fieldguide.errors import PhotoError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def thirds(*, tall: bool = False) -> np.ndarray:
    """A picture of 300 x 100 pixels: red, green, blue; or the same from top to bottom."""
    wide = np.repeat(np.array([[RED, GREEN, BLUE]], np.uint8), 100, axis=1).repeat(100, axis=0)
    return wide.transpose(1, 0, 2).copy() if tall else wide


def jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_crop_takes_the_centred_square_and_loses_the_ends(interpolation, tall):
    square = Preprocess(size_px=50, fit="crop", interpolation=interpolation)(thirds(tall=tall))
    assert (square.shape, square.dtype) == ((50, 50, 3), np.uint8)
    assert (square[3:-3, 3:-3] == GREEN).all()  # the border is smoothed with what lies beside it
    assert (square.argmax(axis=2) == 1).all()


@pytest.mark.parametrize("tall", [False, True])
def test_squash_keeps_everything_and_changes_proportions(tall):
    square = Preprocess(size_px=60, fit="squash", interpolation="nearest")(thirds(tall=tall))
    expected = np.repeat(np.array([RED, GREEN, BLUE]), 20, axis=0)
    assert (square == (expected[:, None] if tall else expected[None])).all()


@pytest.mark.parametrize("tall", [False, True])
def test_pad_keeps_everything_in_proportion_and_fills_with_the_mean(tall):
    fitted = Preprocess(size_px=60, fit="pad", interpolation="nearest", mean=(0.2, 0.4, 1.0))(thirds(tall=tall))
    square = fitted.transpose(1, 0, 2) if tall else fitted
    assert (square[:20] == (51, 102, 255)).all()
    assert (square[40:] == (51, 102, 255)).all()
    assert (square[20:40] == np.repeat(np.array([RED, GREEN, BLUE]), 20, axis=0)[None]).all()


@pytest.mark.parametrize("mean", [-0.5, 0.0, 0.5, 1.5])
def test_pad_fills_grey_photos_with_grey(mean):
    square = Preprocess(size_px=8, fit="pad", mean=(mean,), std=(1,), channels=1)(np.full((4, 8), 7, np.uint8))
    assert square.shape == (8, 8, 1)
    assert (square[:2] == round(255 * min(max(mean, 0), 1))).all()
    assert (square[2:6] == 7).all()


def test_of_a_square_photo_every_fit_makes_the_same():
    photo = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    crop, pad, squash = (Preprocess(size_px=40, fit=fit)(photo) for fit in ("crop", "pad", "squash"))
    assert (crop == pad).all()
    assert (crop == squash).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 5, 3)])
def test_the_oddest_proportions_become_a_square(shape, fit):
    assert Preprocess(size_px=32, fit=fit)(np.full(shape, 200, np.uint8)).shape == (32, 32, 3)


@pytest.mark.parametrize(("interpolation", "antialiased"), [
    ("nearest", False), ("bilinear", True), ("bicubic", True), ("lanczos", True),
])  # fmt: skip
def test_every_interpolation_but_nearest_is_antialiased(interpolation, antialiased):
    chequered = (np.indices((128, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
    square = Preprocess(size_px=16, interpolation=interpolation)(chequered)
    assert np.isin(square, (0, 255)).all() != antialiased
    if antialiased:
        assert np.abs(square[2:-2, 2:-2].astype(int) - 127).max() <= 8


def test_a_large_jpeg_comes_out_as_its_pixels_do():
    gradient = np.linspace(0, 255, 1600)[None, :, None] * np.linspace(0.2, 1, 1200)[:, None, None] * np.ones(3)
    pixels, preprocess = gradient.round().astype(np.uint8), Preprocess(size_px=100)
    assert np.abs(preprocess(jpeg(pixels)).astype(int) - preprocess(pixels)).max() <= 4


def test_colour_becomes_grey_with_one_channel():
    square = Preprocess(size_px=4, mean=(0.5,), std=(0.5,), channels=1)(np.full((9, 9, 3), RED, np.uint8))
    assert (square.shape, set(square.ravel().tolist())) == ((4, 4, 1), {76})


def test_what_is_no_photo_is_a_photo_error():
    with pytest.raises(PhotoError, match="empty file"):
        Preprocess()(b"")


def test_normalise_by_hand():
    pictures = np.array([[[[0, 51, 255]], [[102, 204, 0]]]], np.uint8)  # (N=1, H=2, W=1, C=3)
    values = Preprocess(mean=(0.0, 0.2, 0.5), std=(1.0, 0.4, 0.25)).normalise(pictures)
    assert (values.shape, values.dtype, values.flags.c_contiguous) == ((1, 3, 2, 1), np.float32, True)
    np.testing.assert_allclose(values[0, :, :, 0], [[0, 0.4], [0, 1.5], [2, -2]], atol=1e-6)


def test_normalise_one_channel():
    values = Preprocess(mean=(0.5,), std=(0.5,), channels=1).normalise(np.array([[[[0]]], [[[255]]]], np.uint8))
    np.testing.assert_allclose(values.ravel(), [-1, 1])


def test_it_survives_json():
    preprocess = Preprocess(size_px=96, fit="pad", interpolation="lanczos", mean=(0.1,), std=(0.2,), channels=1)
    again = Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict())))
    assert again == preprocess
    assert hash(again) == hash(preprocess)


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Preprocess().size_px = 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"size_px": 0}, "size_px is 0; it must be from 1 to 8192"),
        ({"size_px": 8193}, "size_px is 8193; it must be from 1 to 8192"),
        ({"fit": "stretch"}, "fit is 'stretch'; it must be crop, pad or squash"),
        (
            {"interpolation": "area"},
            "interpolation is 'area'; it must be one of nearest, bilinear, bicubic, lanczos",
        ),
        ({"channels": 4}, r"channels is 4; it must be 3 \(RGB\) or 1 \(grey\)"),
        ({"channels": 1}, r"mean \(0.5, 0.5, 0.5\) and std \(0.5, 0.5, 0.5\) must have one value per channel"),
        ({"mean": (0.5,)}, r"mean \(0.5,\) and std"),
        ({"std": (0.5, 0.0, 0.5)}, r"std is \(0.5, 0.0, 0.5\); every value must be above 0"),
        ({"std": (0.5, float("nan"), 0.5)}, r"std is \(0.5, nan, 0.5\); every value must be above 0"),
    ],
)
def test_a_field_out_of_its_range_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Preprocess(**fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, r"preprocess has the fields \['channels', 'colour', .*expected \['channels', 'fit'"),
        ({"fit": None}, "fit is None"),
    ],
)
def test_from_dict_refuses_what_it_does_not_know(change, message):
    with pytest.raises(ValueError, match=message):
        Preprocess.from_dict({**Preprocess().to_dict(), **change})


def test_from_dict_refuses_a_missing_field():
    values = Preprocess().to_dict()
    del values["std"]
    with pytest.raises(
        ValueError, match=r"preprocess has the fields \['channels', 'fit', 'interpolation', 'mean', 'size"
    ):
        Preprocess.from_dict(values)
