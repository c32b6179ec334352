"""Architectures, one family a file. Importing this package loads no torch; building a network does.

Every network here keeps to one shape, so that what is built upon them needs no special case. Its children, in the
order in which images pass them; all networks have the three that are marked, and of the others what they need:

===============  ==================================================================================================
``stem`` *       the first layers; Identity where there are none
``stem_pool``    pooling between stem and stages
``stages`` *     a Sequential, from the finest feature maps to the coarsest: with the stem, the body
``last_conv``    a 1x1 convolution after the stages
``norm, act``    normalisation and activation, where blocks do not end with them; ConvNeXt normalises the means
``pool``         adaptive pooling to the one size of map that a head takes
``head``         hidden layers: what lies between the last map and the classifier
``dropout``      of what the classifier takes, where the head has none
``classifier`` * the last linear layer, or Identity where ``num_classes`` is 0, which gives what it would take
===============  ==================================================================================================

``forward_features(images)`` goes from images (N, in_channels, H, W) to the last feature map (N, D, H', W'), before
any pooling; ``input_size`` has the sizes of images that the network takes: a ValueError refuses others.

A ViT is the one exception, CLIP's too: it has tokens and no maps. Its ``dropout`` is of the tokens as they come
in, and ``forward_features`` gives them normalised, (N, 1 + L, D), the class token first.

CLIP's towers for images, ``clip_*``, have no classes of their own: ``num_classes`` is 0 by default, and then they
give what their ``head`` makes, an embedding (N, E) of length 1.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from fieldguide.registry import Registry

if TYPE_CHECKING:
    from torch import nn

TIMM_PREFIX = "timm:"
TORCHVISION_PREFIX = "torchvision:"

Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a network without building it; of its default form, with the classes customary for it.

    Args:
        params: how many it has.
        macs: multiply-adds of one image of ``input_size_px``, without the additions of biases.
        in_channels: of the images that it was designed for.
        input_size_px: the side of these images.
        year: of its publication.
        source: link to the paper.
        references: the same network elsewhere: its name by ``"torchvision"``, ``"timm"`` or another source that
            :mod:`fieldguide.weights.layouts` has a rename table for.
    """

    params: int
    macs: int
    in_channels: int
    input_size_px: int
    year: int
    source: str
    references: Mapping[str, str]


MODELS: Registry[Callable[..., Any], ModelFacts] = Registry(
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
) -> Callable[[Factory], Factory]:
    """Decorate a factory of networks; it is known by its own name.

    Args: those of :class:`ModelFacts`; ``in_channels`` is the factory's own default.
    """

    def add(factory: Factory) -> Factory:
        facts = ModelFacts(
            params=params,
            macs=macs,
            in_channels=inspect.signature(factory).parameters["in_channels"].default,
            input_size_px=input_size_px,
            year=year,
            source=source,
            references=dict(references or {}),
        )
        MODELS.add(factory.__name__, factory, facts)
        return factory

    return add


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
