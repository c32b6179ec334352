"""Architectures, one family a file. Importing this package loads no torch; building a network does.

Every network here keeps to one shape, so that what is built upon them needs no special case:

- ``stem`` and ``stages`` (a Sequential): the body, from the finest feature maps to the coarsest;
- ``forward_features(images)``: (N, in_channels, H, W) -> the last feature map, before any pooling;
- ``classifier``: the last linear layer, or Identity where ``num_classes`` is 0, which gives what it would take;
- ``input_size``: the sizes of images that it takes; others are refused with a ValueError.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from fieldguide.registry import Registry

if TYPE_CHECKING:
    from torch import nn

TIMM_PREFIX = "timm:"
TORCHVISION_PREFIX = "torchvision:"

F = TypeVar("F", bound=Callable[..., Any])

MODELS: Registry[Callable[..., Any]] = Registry(
    "model",
    "fieldguide.models",
    listing="`fieldguide models` lists them, and timm:NAME and torchvision:NAME stand for any of theirs",
)


def register_model(
    *,
    params: int,
    macs: int,
    input_size_px: int,
    year: int,
    source: str,
    references: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Decorate a factory of networks; it is known by its own name.

    Args:
        params: how many it has with 1000 classes (or what is customary for it: the factory's default).
        macs: multiply-adds of one image of ``input_size_px``, without the additions of biases.
        input_size_px: the side of the images that it was designed for.
        year: of its publication.
        source: link to the paper.
        references: the same network elsewhere: its name by ``"torchvision"``, ``"timm"`` or another source that
            :mod:`fieldguide.weights.layouts` has a rename table for.
    """
    return MODELS.register(
        None,
        params=params,
        macs=macs,
        input_size_px=input_size_px,
        year=year,
        source=source,
        references=dict(references or {}),
    )  # type: ignore[return-value]  # the registry gives back what it was given


def create_model(name: str, **arguments: Any) -> "nn.Module":  # noqa: ANN401 - each factory types its own
    """Build the network called ``name``, freshly initialised.

    Args:
        name: a registered name, such as ``"resnet18"``; ``"timm:NAME"`` or ``"torchvision:NAME"`` for theirs.
        arguments: of its factory; every one takes ``num_classes``, where 0 gives the pooled features (N, D)
            instead of logits, and ``in_channels``.

    Raises:
        UnknownNameError: there is no such model; the message names the near ones.
        ValueError: the factory refuses an argument.
    """
    if name.startswith(TIMM_PREFIX):
        from fieldguide.models._timm import create_timm_model

        return create_timm_model(name.removeprefix(TIMM_PREFIX), **arguments)
    if name.startswith(TORCHVISION_PREFIX):
        from fieldguide.models._torchvision import create_torchvision_model

        return create_torchvision_model(name.removeprefix(TORCHVISION_PREFIX), **arguments)
    network: nn.Module = MODELS[name].factory(**arguments)
    return network
