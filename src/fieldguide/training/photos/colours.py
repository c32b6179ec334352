"""Colours changed at random, a batch at a time: brightness, contrast, saturation, hue, and pictures made grey.

All of these map a picture's colours linearly, or add a shift that depends on its mean. So each picture gets one
matrix and one shift, and the whole batch is changed by one product. torchvision's transforms go picture by
picture, which for small ones takes as long as learning from them. They turn the hue in HSV; here it turns in YIQ,
where that is linear, too, and grey stays grey.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.2, 0.1  # BYOL, table 6, at strength 1; hue in turns
APPLIED = 0.8  # the share of pictures whose colours change (table 6)
TO_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, as PIL turns RGB to grey
_TO_YIQ = np.array([TO_GREY, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)

Matrices = npt.NDArray[np.float64]


def draw_changes(
    random_numbers: np.random.Generator, count: int, *, strength: float, grey: float
) -> tuple[Matrices, npt.NDArray[np.float64]]:
    """Draw how the colours of some pictures change: matrices (count, 3, 3) and contrasts (count,).

    Args:
        random_numbers: where chance comes from.
        count: pictures.
        strength: 0 for none, 1 for BYOL's.
        grey: probability that a picture loses its colours.
    """
    spreads = strength * np.array([BRIGHTNESS, CONTRAST, SATURATION, HUE])
    drawn = random_numbers.uniform(-1, 1, (4, count)) * spreads[:, None]
    drawn[:, random_numbers.random(count) >= APPLIED] = 0
    brightness, contrast, saturation = np.maximum(1 + drawn[:3], 0)
    saturation[random_numbers.random(count) < grey] = 0
    angle = 2 * math.pi * drawn[3]
    turn = np.zeros((count, 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = saturation * np.cos(angle)
    turn[:, 2, 1] = saturation * np.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    return brightness[:, None, None] * (_FROM_YIQ @ turn @ _TO_YIQ), contrast


def change_colours(images: Tensor, matrices: Matrices, contrasts: npt.NDArray[np.float64]) -> Tensor:
    """Change the colours of images float32 (n, C, H, W), C 1 or 3, black 0 and white 255; what goes beyond is cut.

    Of grey images, C = 1, only brightness and contrast change.

    Args:
        images: to change.
        matrices: (n, 3, 3) from colours to colours.
        contrasts: (n,) of each image around its mean grey.
    """
    weights = TO_GREY
    if images.shape[1] == 1:
        matrices, weights = matrices.sum(axis=2)[:, :1, None], np.ones(1)
    means = images.mean(dim=(2, 3)).cpu().double().numpy()
    mean_grey = (matrices @ means[:, :, None])[:, :, 0] @ weights
    scaled = torch.from_numpy(contrasts[:, None, None] * matrices).to(images.device, images.dtype)
    shifts = torch.from_numpy((1 - contrasts) * mean_grey).to(images.device, images.dtype)
    changed = torch.baddbmm(shifts.view(-1, 1, 1), scaled, images.contiguous().flatten(2))
    return changed.clamp_(0, 255).view(images.shape)
