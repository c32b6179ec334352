"""Accuracy on photos that are spoilt."""

import numpy as np
import pytest
from PIL import Image

import fieldguide as fg
from fieldguide.weak_spots import robustness
from fieldguide.weak_spots.corruptions import CORRUPTIONS, STRENGTHS


def picture(mode: str) -> Image.Image:
    """Return a picture with large and small things on it."""
    random = np.random.default_rng(0)
    layers = [
        np.asarray(
            Image.fromarray(random.integers(0, 256, (n, n, 3), np.uint8)).resize(
                (224, 224), Image.Resampling.BICUBIC
            ),
            float,
        )
        for n in (2, 4, 8, 24)
    ]
    return Image.fromarray((sum(layers) / 4).astype(np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_strength_changes_a_picture_more(name, mode):
    whole = picture(mode)
    before = np.asarray(whole, float)
    changes = []
    for strength in range(STRENGTHS):
        spoilt = CORRUPTIONS[name](whole, strength)
        assert (spoilt.size, spoilt.mode) == (whole.size, mode)
        changes.append(np.abs(np.asarray(spoilt, float) - before).mean())
    assert changes == sorted(changes) and changes[0] > 0 and changes[-1] > 0.5


def test_it_is_judged_in_every_way_and_strength(colour_guide, colours):
    images = fg.open_images(colours)
    photos = np.arange(0, 36, 4)
    done = []
    trials = robustness(colour_guide, images, photos, images.labels[photos], lambda *state: done.append(state))
    assert [(t.corruption, t.strength) for t in trials] == [(n, s) for n in CORRUPTIONS for s in range(1, 6)]
    by_name = {(t.corruption, t.strength): t.top1 for t in trials}
    assert by_name["rotation", 1] == by_name["JPEG", 1] == 1.0, "a colour stays what it is"
    assert by_name["darker", 5] <= by_name["darker", 1]
    assert all(t.top1_interval[0] <= t.top1 <= t.top1_interval[1] for t in trials)
    assert done[-1] == ("spoilt", 9, 9)
