"""The embedded handwritten digits."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fieldguide.data import Preprocess, open_images


def test_the_digits_are_scikit_learns():
    images, bunch = open_images("digits"), load_digits()
    assert len(images) == len(set(images.photo_names)) == 1797
    assert images.class_names == tuple("0123456789")
    assert (images.labels == bunch.target).all()
    assert not images.is_split
    for index in (0, 1000, 1796):
        pixels = images.read(index)
        assert (pixels.shape, pixels.dtype) == ((8, 8), np.uint8)
        np.testing.assert_allclose(pixels, bunch.images[index] * 255 / 16, atol=0.5)


@pytest.mark.parametrize("data_root", [None, Path("nowhere")])
def test_they_need_no_files(data_root):
    assert len(open_images("digits", data_root=data_root)) == 1797


def test_they_become_what_a_network_takes():
    assert Preprocess(size_px=32)(open_images("digits").read(5)).shape == (32, 32, 3)


def test_pixels_are_at_hand_all_at_once():
    images = open_images("digits")
    assert images.pixels.shape == (1797, 8, 8) and images.pixels.dtype == np.uint8
    assert all((images.read(i) == images.pixels[i]).all() for i in (0, 700, 1796))
