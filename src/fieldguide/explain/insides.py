"""What is inside a network: its first filters, and the maps that it makes of a photo; and kernels made by hand."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from fieldguide.data import Photo
from fieldguide.data.files import one_photo
from fieldguide.errors import GuideError, PhotoError, UnknownNameError
from fieldguide.feature_maps import features
from fieldguide.guide import Guide

Floats = npt.NDArray[np.float32]

KERNELS: Mapping[str, Floats] = MappingProxyType(
    {
        "vertical edges": np.array([[-1, 0, 1]] * 3, np.float32),
        "horizontal edges": np.array([[-1] * 3, [0] * 3, [1] * 3], np.float32),
        "all edges (Laplace)": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32),
        "sharper": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], np.float32),
        "blurred": np.full((3, 3), 1 / 9, np.float32),
    }
)
"""Made by hand, (3, 3) each."""

_SHOWN = 0.98  # share of places whose edges are within the range that is shown
_ROUNDING = 1e-3  # of a kernel's sum


def first_filters(guide: Guide) -> Floats:
    """Return the filters of the first convolution, (filters, channels, height, width).

    Raises:
        GuideError: the network has no convolution.
    """
    convolutions = (m for m in guide.backbone.build().modules() if isinstance(m, nn.Conv2d))
    first = next(convolutions, None)
    if first is None:
        raise GuideError(
            f"{guide.backbone.name} has no convolution, and so no filters; try a guide of another network"
        )
    filters: Floats = first.weight.detach().numpy()
    return filters


def node_maps(guide: Guide, photo: str | Path | Photo | Image.Image, node: str) -> Floats:
    """Return the maps (C, h, w) that a node inside the network makes of a photo.

    Args:
        guide: of the network.
        photo: a path, bytes, pixels or a PIL image, as :meth:`fieldguide.Guide.predict` takes them.
        node: name of a module, as ``fieldguide nodes`` lists them.

    Raises:
        PhotoError: the photo can't be used.
        UnknownNameError: there is no such node, or it gives no map.
        TypeError: it is no photo.
    """
    preprocess = guide.backbone.preprocess
    images = torch.from_numpy(preprocess.normalise(preprocess(one_photo(photo).read(0))[None]))
    inside = features(guide.backbone.build(), [node], input_shape=(*images.shape[1:],))
    if len(inside.info) > 1:
        first = inside.info[0].name
        raise UnknownNameError(f"{node!r} matches {len(inside.info)} nodes; name one of them, such as {first}")
    with torch.no_grad():
        (maps,) = inside.as_maps()(images).values()
    if maps.ndim != 4:
        raise UnknownNameError(
            f"the node {node!r} gives {tuple(maps.shape[1:])}, and no map; "
            f"`fieldguide nodes {guide.backbone.name}` lists them"
        )
    found: Floats = maps[0].numpy()
    return found


def apply_kernel(picture: npt.NDArray[np.uint8], kernel: Floats) -> Floats:
    """Slide a kernel over a picture, as a convolution of a network does, without padding.

    Args:
        picture: (H, W), grey.
        kernel: (k, k).

    Returns:
        (H - k + 1, W - k + 1): a 3x3 kernel makes 26x26 of 28x28.

    Raises:
        PhotoError: the picture is smaller than the kernel.
    """
    if min(picture.shape) < len(kernel):
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise PhotoError(
            f"{size} px, and a kernel of {len(kernel)} x {len(kernel)} needs as many; try another photo"
        )
    slid = F.conv2d(torch.from_numpy(picture.astype(np.float32))[None, None], torch.from_numpy(kernel)[None, None])
    result: Floats = slid[0, 0].numpy()
    return result


def shown_range(values: Floats, kernel: Floats) -> tuple[float, float]:
    """Return from which value to which a slid picture is best shown, black to white.

    A kernel that sums to 1 gives greys again, from 0 to 255. One that sums to 0 gives differences: 0 is grey, and
    the strongest edges, one place in fifty, may exceed the range, or all others would be as grey.

    Args:
        values: that the kernel gave.
        kernel: (k, k).
    """
    if abs(float(kernel.sum())) > _ROUNDING:
        return 0.0, 255.0
    most = max(1.0, float(np.ceil(np.quantile(np.abs(values), _SHOWN))))
    return -most, most


def to_picture(values: Floats, shown: tuple[float, float] | None = None) -> npt.NDArray[np.uint8]:
    """Values (H, W) or (H, W, 3) -> a picture from black to white; even ones are grey.

    Args:
        values: any.
        shown: from which value, black, to which, white; beyond them it stays so. By default the least and the
            most.
    """
    low, high = shown or (float(values.min()), float(values.max()))
    if high <= low:
        return np.full(values.shape, 128, np.uint8)
    shares = np.clip((values - low) / (high - low), 0, 1)
    picture: npt.NDArray[np.uint8] = (shares * 255).round().astype(np.uint8)
    return picture
