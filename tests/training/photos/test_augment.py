"""From pictures to images: exact where nothing is asked, by place in the batch, and by seed and step alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from fieldguide.data import Preprocess
from fieldguide.training.photos.augment import Augmentation, picture_size
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import Stage
from fieldguide.training.seeds import seed_everything

CPU = torch.device("cpu")
PLAIN = Recipe(flip=False)
FULL = Stage(0, 32, 1.0)


def pictures(count=8, side=32, channels=3):
    numbers = np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return torch.from_numpy(numbers).permute(0, 3, 1, 2)


def augmentation(recipe=PLAIN, side=32, channels=3, seed=0, num_classes=5):
    mean, std = (0.4, 0.5, 0.6)[:channels], (0.2, 0.25, 0.3)[:channels]
    preprocess = Preprocess(size_px=side, mean=mean, std=std, channels=channels)
    return Augmentation(recipe, preprocess, num_classes=num_classes, seed=seed, device=CPU)


def apply(augment, given, *, step=0, stage=None, place=0, batch_size=None, labels=None):
    labels = torch.arange(len(given)) % 5 if labels is None else labels
    size = batch_size or len(given)
    seed_everything(0, step, place)
    return augment(given, labels, step=step, stage=stage or FULL, place=place, batch_size=size)


def unnormalised(images):
    """Images -> values from 0 to 255."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)))
    return 255 * (images * std + mean)


# Nothing but normalising


@pytest.mark.parametrize("channels", [3, 1])
def test_where_nothing_is_asked_images_are_normalised_as_preprocess_does(channels):
    given, augment = pictures(channels=channels), augmentation(channels=channels)
    preprocess = Preprocess(
        size_px=32, mean=(0.4, 0.5, 0.6)[:channels], std=(0.2, 0.25, 0.3)[:channels], channels=channels
    )
    expected = torch.from_numpy(preprocess.normalise(given.permute(0, 2, 3, 1).numpy()))
    images, targets = apply(augment, given)
    assert_close(images, expected, rtol=1e-6, atol=1e-6)
    assert targets.tolist() == [0, 1, 2, 3, 4, 0, 1, 2]
    assert torch.equal(augment.plain(given), images)
    assert images.dtype == torch.float32
    assert channels == 1 or images.is_contiguous(memory_format=torch.channels_last)


def test_of_larger_pictures_the_plain_images_show_all():
    values = (torch.arange(32) + 0.5) * 200 / 32
    images = unnormalised(augmentation().plain(ramps(2, 48)))
    assert images.shape == (2, 3, 32, 32)
    assert_close(images[1, 0], values.expand(32, 32), rtol=0, atol=3.0)
    assert_close(images[1, 1], values.expand(32, 32).T, rtol=0, atol=3.0)


def test_of_larger_pictures_each_pixel_counts():
    """Lines a pixel wide come out grey, and none of them is passed over."""
    lines = (torch.arange(64) % 2 * 200).to(torch.uint8).expand(1, 3, 64, 64)
    images = unnormalised(augmentation().plain(lines))
    assert_close(images[:, :, :, 1:-1], torch.full((1, 3, 32, 30), 100.0), rtol=0, atol=1.0)


# Geometry


def test_a_mirror_image_is_exact_and_half_of_them_are_mirrored():
    given, augment = pictures(64), augmentation(Recipe())
    images = unnormalised(apply(augment, given)[0])
    assert_close(images.round(), images, rtol=0, atol=0.01)  # nothing is blurred
    is_same = (images.round() == given).flatten(1).all(dim=1)
    is_mirrored = (images.round() == given.flip(3)).flatten(1).all(dim=1)
    assert (is_same ^ is_mirrored).all() and 20 < is_mirrored.sum() < 44


def test_a_shift_is_by_whole_pixels_and_as_far_as_it_may_be():
    given, augment = pictures(64), augmentation(Recipe(flip=False, shift=0.125))
    images = unnormalised(apply(augment, given)[0]).round()
    inner = (slice(None), slice(4, 28), slice(4, 28))  # which reflection does not reach
    moves = set()
    for image, picture in zip(images, given, strict=True):
        found = [
            (y, x)
            for y in range(-4, 5)
            for x in range(-4, 5)
            if torch.equal(image[inner], picture[:, 4 + y : 28 + y, 4 + x : 28 + x].float())
        ]
        assert len(found) == 1
        moves.update(found)
    assert len(moves) > 30
    assert {max(m[0] for m in moves), max(m[1] for m in moves)} == {4}
    assert {min(m[0] for m in moves), min(m[1] for m in moves)} == {-4}


def ramps(count, side):
    """Pictures whose red is the column and whose green is the row, from 0 to 200."""
    values = (torch.arange(side) * 200 / (side - 1)).expand(side, side)
    return torch.stack([values, values.T, torch.zeros(side, side)]).expand(count, 3, side, side).to(torch.uint8)


def test_crops_lie_within_the_picture_and_within_their_limits():
    augment = augmentation(Recipe(flip=False, min_scale=0.25))
    images = unnormalised(apply(augment, ramps(256, 64))[0])
    assert images.shape == (256, 3, 32, 32)
    assert images.min() > -0.01 and images[:, :2].max() <= 200
    width = (images[:, 0, :, -1] - images[:, 0, :, 0]).mean(dim=1) / 200 * 64 / 62  # centres of 32 columns
    height = (images[:, 1, -1] - images[:, 1, 0]).mean(dim=1) / 200 * 64 / 62
    area, aspect = width * height, width / height
    assert 0.2 < area.min() < 0.35 and 0.85 < area.max() < 1.05
    assert 0.7 < aspect.min() < 0.85 and 1.2 < aspect.max() < 1.4
    left, right = images[:, 0, 0, 0], 200 - images[:, 0, 0, -1]
    assert left.min() < 5 and right.min() < 5 and left.max() > 60 and right.max() > 60, "they lie everywhere"


def test_pictures_are_larger_than_images_where_crops_are_taken():
    assert picture_size(Recipe(min_scale=0.5), 224) == 256
    assert picture_size(Recipe(), 224) == 224
    assert picture_size(Recipe(min_scale=0.5), 64) == 64


@pytest.mark.parametrize(("size_px", "side"), [(16, 32), (24, 32), (32, 32), (32, 37)])
def test_images_have_the_size_of_their_stage(size_px, side):
    recipe = Recipe(flip=False, stages=4, first_size=0.5, **({"min_scale": 0.5} if side == 37 else {}))
    images, _ = apply(augmentation(recipe), ramps(4, side), stage=Stage(1, size_px, 0.5))
    assert images.shape == (4, 3, size_px, size_px)
    if side == 32:
        middle = unnormalised(images)[:, :2].mean(dim=(2, 3))
        assert_close(middle, torch.full_like(middle, 99.5), rtol=0, atol=1.0)


# By place, seed and step


RECIPES = {
    "geometry": Recipe(min_scale=0.3),
    "shifts": Recipe(shift=0.2),
    "RandAugment": Recipe(flip=False, rand_augment=9),
    "both": Recipe(min_scale=0.5, rand_augment=20),
}


@pytest.mark.parametrize("name", RECIPES)
def test_two_halves_of_a_batch_are_changed_as_the_whole(name):
    given, augment = pictures(8), augmentation(RECIPES[name])
    whole, _ = apply(augment, given, step=3)
    halves = [apply(augment, given[i : i + 4], step=3, place=i, batch_size=8)[0] for i in (0, 4)]
    assert_close(torch.cat(halves), whole, rtol=1e-5, atol=1e-5)
    assert not torch.equal(whole, augment.plain(given))


@pytest.mark.parametrize("name", [*RECIPES, "all"])
def test_a_step_s_images_depend_on_the_seed_and_the_step_alone(name):
    recipe = RECIPES.get(name) or Recipe(min_scale=0.5, rand_augment=9, erasing=0.5, mixup=0.8, cutmix=1)
    given = pictures(8)
    first = apply(augmentation(recipe), given, step=5)
    again = apply(augmentation(recipe), given, step=5)
    assert all(map(torch.equal, first, again))
    assert not torch.equal(apply(augmentation(recipe), given, step=6)[0], first[0])
    assert name == "all" or not torch.equal(apply(augmentation(recipe, seed=1), given, step=5)[0], first[0])


def test_rand_augment_takes_grey_pictures_and_leaves_the_generator_alone():
    augment = augmentation(Recipe(flip=False, rand_augment=30), channels=1)
    given = pictures(16, channels=1)
    seed_everything(0, 0)
    expected = torch.rand(())
    images, _ = apply(augment, given)
    assert torch.rand(()) == expected
    assert images.shape == (16, 1, 32, 32) and images.isfinite().all()
    same = (images == augmentation(channels=1).plain(given)).flatten(1).all(dim=1)
    assert same.sum() < 8


def test_a_weaker_stage_changes_less():
    given = ramps(16, 32)
    augment = augmentation(Recipe(flip=False, rand_augment=30, stages=2, first_strength=0))
    plain = augment.plain(given)
    weak, full = (
        (apply(augment, given, stage=Stage(0, 32, strength))[0] - plain).abs().mean() for strength in (0.0, 1.0)
    )
    assert weak < full


# Erasing and mixing


def test_erasing_blacks_out_rectangles_of_some():
    given = torch.full((64, 3, 32, 32), 200, dtype=torch.uint8)
    images, _ = apply(augmentation(Recipe(flip=False, erasing=0.5)), given)
    plain = augmentation().plain(given)
    erased = (images != plain).any(dim=1)
    assert 16 < erased.flatten(1).any(dim=1).sum() < 48
    assert (images[(images != plain)] == 0).all(), "the mean colour"
    shares = erased.flatten(1).float().mean(dim=1)
    assert shares.max() < 0.5
    none, _ = apply(augmentation(Recipe(flip=False, erasing=0.5)), given, stage=Stage(0, 32, 0.0))
    assert torch.equal(none, plain), "in a stage without regularisation"


@pytest.mark.parametrize("settings", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}], ids=str)
def test_mixed_targets_are_shares_of_what_is_shown(settings):
    levels = torch.arange(8)
    given = (levels * 30).to(torch.uint8).view(8, 1, 1, 1).expand(8, 3, 32, 32)
    augment = augmentation(Recipe(flip=False, **settings), num_classes=8)
    kinds = set()
    for step in range(6):
        images, targets = apply(augment, given, step=step, labels=levels)
        assert targets.shape == (8, 8) and targets.dtype == torch.float32
        assert_close(targets.sum(dim=1), torch.ones(8))
        assert ((targets > 0).sum(dim=1) <= 2).all()
        shown = unnormalised(images).mean(dim=(1, 2, 3))
        assert_close(shown, targets @ (levels * 30.0), rtol=0, atol=0.05)
        kinds.add(bool((images.std(dim=(2, 3)) > 1e-4).any()))  # CutMix shows two photos side by side
    assert kinds == ({True, False} if len(settings) == 2 else {"cutmix" in settings})


def test_there_is_nothing_to_mix_in_a_batch_of_one_or_a_stage_without_regularisation():
    augment = augmentation(Recipe(flip=False, mixup=0.8))
    one, targets = apply(augment, pictures(1))
    assert torch.equal(one, augment.plain(pictures(1))) and targets.tolist() == [0]
    several, targets = apply(augment, pictures(4), stage=replace(FULL, strength=0.0))
    assert torch.equal(several, augment.plain(pictures(4))) and targets.tolist() == [0, 1, 2, 3]
