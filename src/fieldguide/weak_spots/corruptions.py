"""Ways to spoil a picture, each in five strengths."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

STRENGTHS = 5
Corruption = Callable[[Image.Image, int], Image.Image]

_BLUR = (0.004, 0.008, 0.013, 0.02, 0.03)  # radius, as a share of the side
_NOISE = (8, 16, 28, 44, 64)  # standard deviation, of 255
_QUALITY = (50, 30, 18, 10, 5)
_DARKER = (0.75, 0.55, 0.4, 0.28, 0.18)
_BRIGHTER = (1.3, 1.6, 2.0, 2.5, 3.2)
_DEGREES = (5, 12, 20, 32, 45)


def _blur(picture: Image.Image, strength: int) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(_BLUR[strength] * picture.width))


def _noise(picture: Image.Image, strength: int) -> Image.Image:
    pixels = np.asarray(picture)
    noise = np.random.default_rng(strength).normal(0, _NOISE[strength], pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).round().astype(np.uint8))


def _jpeg(picture: Image.Image, strength: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=_QUALITY[strength])
    again = Image.open(buffer)
    again.load()
    return again


def _darker(picture: Image.Image, strength: int) -> Image.Image:
    return picture.point(lambda value: value * _DARKER[strength])


def _brighter(picture: Image.Image, strength: int) -> Image.Image:
    return picture.point(lambda value: min(255, value * _BRIGHTER[strength]))


def _rotation(picture: Image.Image, strength: int) -> Image.Image:
    """Turn a picture, its corners filled with its mean colour."""
    mean = np.asarray(picture).reshape(-1, len(picture.getbands())).mean(axis=0).round().astype(int)
    fill = int(mean[0]) if len(mean) == 1 else tuple(mean.tolist())
    return picture.rotate(_DEGREES[strength], Image.Resampling.BICUBIC, fillcolor=fill)


CORRUPTIONS: dict[str, Corruption] = {
    "blur": _blur,
    "noise": _noise,
    "JPEG": _jpeg,
    "darker": _darker,
    "brighter": _brighter,
    "rotation": _rotation,
}
"""By name: (picture of mode RGB or L, strength from 0 to 4) -> a picture of the same size and mode."""
