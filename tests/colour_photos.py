"""Noisy pictures of one colour each."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (210, 40, 40), "yellow": (230, 220, 60)}


def write_photo(path: Path, colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (64, 48)) -> None:
    """Write a noisy picture of one colour: easy to tell apart, and different for each seed."""
    noise = np.random.default_rng(seed).integers(-30, 30, (size[1], size[0], 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_colours(folder: Path) -> Path:
    """Write an image folder of three colours, 12 photos each."""
    for label, name in enumerate(("blue", "green", "red")):
        for number in range(12):
            write_photo(folder / name / f"{number:02d}.png", COLOURS[name], seed=100 * label + number)
    return folder
