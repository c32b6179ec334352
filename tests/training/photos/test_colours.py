"""Colours changed at random, in batches."""

import colorsys

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fieldguide.data import Preprocess
from fieldguide.training.photos.augment import Augmentation
from fieldguide.training.photos.colours import change_colours, draw_changes
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import Stage

GREY = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
IMAGES = 255 * torch.rand(40, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def changes(count=40, *, strength=1.0, grey=0.0, seed=0):
    return draw_changes(np.random.default_rng(seed), count, strength=strength, grey=grey)


def test_no_strength_changes_nothing():
    assert_close(change_colours(IMAGES, *changes(strength=0)), IMAGES, atol=1e-3, rtol=0)


def test_grey_images_are_as_bright_as_they_were():
    changed = change_colours(IMAGES, *changes(strength=0, grey=1))
    assert_close(changed, (IMAGES * GREY).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1), atol=1e-3, rtol=0)


def test_a_share_of_the_images_changes_and_a_share_turns_grey():
    matrices, contrasts = changes(10_000, grey=0.2)
    is_grey = np.isclose(matrices[:, 0], matrices[:, 1]).all(axis=1)
    is_same = np.isclose(matrices, np.eye(3)).all(axis=(1, 2)) & (contrasts == 1)
    assert is_grey.mean() == pytest.approx(0.2, abs=0.02)
    assert is_same.mean() == pytest.approx(0.2 * 0.8, abs=0.02)
    assert contrasts.min() == pytest.approx(0.6, abs=0.01) and contrasts.max() == pytest.approx(1.4, abs=0.01)


def test_contrast_moves_an_image_from_its_mean_grey():
    mean = (IMAGES * GREY).sum(dim=1).mean(dim=(1, 2)).view(-1, 1, 1, 1)
    halved = change_colours(IMAGES, np.tile(np.eye(3), (40, 1, 1)), np.full(40, 0.5))
    assert_close(halved, (IMAGES + mean) / 2, atol=1e-3, rtol=0)


def test_a_turned_hue_is_another_colour_as_bright_as_it_was():
    matrices, _ = changes(200)
    red = np.array([200.0, 80.0, 60.0])
    turned = matrices @ red
    brightness = matrices.sum(axis=2) @ GREY.numpy().ravel()
    assert turned @ GREY.numpy().ravel() == pytest.approx(brightness * (red @ GREY.numpy().ravel()))
    hues = np.array([colorsys.rgb_to_hsv(*(colour / 255))[0] for colour in turned.clip(0, 255)])
    assert np.ptp((hues + 0.5) % 1) > 0.05


def test_grey_pictures_of_one_channel_change_in_brightness_and_contrast():
    image = IMAGES[:, :1]
    matrices, contrasts = changes()
    as_colours = change_colours(image.expand(-1, 3, -1, -1), matrices, contrasts)
    assert_close(change_colours(image, matrices, contrasts), as_colours[:, :1], atol=1e-2, rtol=0)


def test_what_becomes_of_a_photo_depends_on_its_place_in_the_whole_batch():
    recipe = Recipe(jitter=1.0, grey=0.2, min_scale=0.2)
    augment = Augmentation(recipe, Preprocess(size_px=6), num_classes=2, seed=1, device=torch.device("cpu"))
    pictures, labels = IMAGES.to(torch.uint8), torch.zeros(40, dtype=torch.int64)
    where = {"step": 5, "stage": Stage(0, 6, 1.0), "batch_size": 40}
    whole, _ = augment(pictures, labels, place=0, **where)
    part, _ = augment(pictures[10:20], labels[10:20], place=10, **where)
    assert torch.equal(whole[10:20], part)
    assert not torch.equal(whole, augment(pictures, labels, place=0, **{**where, "step": 6})[0])
