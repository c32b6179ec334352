"""Which network suits a set of photos: its form, its channels and the size of its pictures."""

import contextlib
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from fieldguide.data import ImageSet, Preprocess
from fieldguide.data.decode import decode
from fieldguide.data.preprocess import Fit
from fieldguide.errors import DataError, PhotoError, first_line
from fieldguide.introspection import UntraceableError, create_on_meta, images_for, input_shape_of, trace
from fieldguide.models import MODELS
from fieldguide.training.photos.augment import SMALL_PX
from fieldguide.weights.own_weights import IMAGENET_MEAN, IMAGENET_STD

_SMALL_SIZES = (16, 32, 64)  # that smaller pictures are enlarged to, for networks that take none so small
_LOOKED_AT = 16  # photos, to learn what the set's pictures are like


@dataclass(frozen=True)
class Plan:
    """Which network is to be trained, and what it takes.

    Args:
        name: of the model.
        arguments: of its factory, besides ``num_classes``.
        preprocess: how photos become its pictures.
    """

    name: str
    preprocess: Preprocess
    arguments: Mapping[str, Any] = field(default_factory=dict)


def plan_network(
    name: str, images: ImageSet, *, size_px: int | None, fit: Fit | None, arguments: Mapping[str, Any]
) -> Plan:
    """Decide on the form of a network that suits a set of photos.

    Grey pictures get a network of one channel. Pictures of one size up to 64 px are taken at that size, by the
    network's form for small input; all others at the size that the network was designed for.

    Args:
        name: of the model.
        images: what it shall learn from.
        size_px: side of its pictures; None to decide.
        fit: how photos become square; None for ``crop``.
        arguments: of the model's factory, which are kept.

    Raises:
        UnknownNameError: there is no such model.
        DataError: it can't take pictures of that size, or an argument is refused.
        ValueError: size_px or fit is out of its range.
    """
    side, is_grey = look_at(images)
    chosen = dict(arguments)
    chosen.setdefault("in_channels", 1 if is_grey else 3)
    takes = inspect.signature(MODELS[name].factory).parameters if name in MODELS else {}
    refused = [key for key in arguments if takes and key not in takes]
    if "num_classes" in arguments:
        raise DataError(f"num_classes is {arguments['num_classes']}, but comes from the photos; leave it out")
    if refused:
        allowed = ", ".join(key for key in takes if key != "num_classes")
        raise DataError(f"{name} takes no argument {refused[0]!r}; it takes {allowed}")
    designed_for = input_shape_of(create_on_meta(name), name)[1]
    last_error: Exception | None = None
    for size in [size_px] if size_px else _sizes(side, designed_for):
        form = dict(chosen)
        preprocess = _preprocess(size, form["in_channels"], fit)
        if "small_input" in takes and size <= SMALL_PX:
            form.setdefault("small_input", True)
        if "size_px" in takes and size != designed_for:
            form.setdefault("size_px", size)
        try:
            _try_size(create_on_meta(name, num_classes=2, **form), form["in_channels"], size)
            return Plan(name, preprocess, form)
        except (ValueError, TypeError) as error:
            last_error = error
    channels = f"{form['in_channels']} channel{'s' if form['in_channels'] != 1 else ''}"
    assert last_error is not None
    raise DataError(
        f"{name} can't be built for pictures of {size} px and {channels}: {first_line(last_error)}"
    ) from last_error


def _try_size(network: nn.Module, channels: int, size_px: int) -> None:
    """Raise a ValueError where a network can't take pictures of a size."""
    if input_size := getattr(network, "input_size", None):
        input_size.check(torch.empty(1, 1, size_px, size_px, device="meta"))
        return
    with contextlib.suppress(UntraceableError):  # what can't be tried without computing may well work
        trace(network, images_for(network, (1, channels, size_px, size_px)), [])


def _sizes(side: int, designed_for: int) -> list[int]:
    """Return the sizes to try for pictures of a side: small ones as they are, or enlarged a little."""
    if not 0 < side <= SMALL_PX:
        return [designed_for]
    return [side, *(size for size in _SMALL_SIZES if size > side), designed_for]


def _preprocess(size_px: int, channels: int, fit: Fit | None) -> Preprocess:
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,) * channels, (0.5,) * channels)
    return Preprocess(
        size_px=size_px, fit=fit or "crop", interpolation="bicubic", mean=mean, std=std, channels=channels
    )


def look_at(images: ImageSet) -> tuple[int, bool]:
    """Return the side that photos share, 0 if they don't or are not square, and whether all are grey.

    A few of them tell, from all over the set.
    """
    if images.pixels is not None:
        height, width = images.pixels.shape[1:3]
        return (height if height == width else 0), images.pixels.ndim == 3 or images.pixels.shape[3] == 1
    sizes, are_grey = set(), []
    for index in range(0, len(images), max(1, math.ceil(len(images) / _LOOKED_AT))):
        try:
            photo = images.read(index)
            picture = decode(photo)
        except (PhotoError, OSError):
            continue
        sizes.add(picture.size)
        are_grey.append(photo.ndim == 2 if isinstance(photo, np.ndarray) else _is_grey(picture))
    width, height = sizes.pop() if len(sizes) == 1 else (0, 0)
    return (width if width == height else 0), bool(are_grey) and all(are_grey)


def _is_grey(picture: Any) -> bool:  # noqa: ANN401 - a PIL image
    red, green, blue = (np.asarray(band) for band in picture.split())
    return bool((red == green).all() and (green == blue).all())
