"""Networks to learn of, not to run: without numbers, and the shape of the images that they are for."""

import contextlib
from typing import Any

import torch
from torch import nn

from fieldguide.models import MODELS, TORCHVISION_PREFIX, create_model
from fieldguide.models._torchvision import classifier_name as last_linear_layer
from fieldguide.models._torchvision import input_size_px as torchvision_size_px

_OURS = "fieldguide.models."


def create_on_meta(name: str, **arguments: Any) -> nn.Module:  # noqa: ANN401 - each factory types its own
    """Build the network called ``name`` on the meta device: shapes without numbers, which is quick.

    A network whose initialisation reads numbers, as some of torchvision's do, is built in full.

    Args:
        name: as :func:`fieldguide.models.create_model` takes it.
        arguments: of its factory.

    Raises:
        UnknownNameError: there is no such model.
        ValueError: the factory refuses an argument.
    """
    with contextlib.suppress(NotImplementedError, RuntimeError), torch.device("meta"):
        return create_model(name, **arguments)
    return create_model(name, **arguments)


def input_shape_of(network: nn.Module, name: str = "") -> tuple[int, int, int]:
    """Return the shape (C, H, W) of the images that a network was designed for, as far as can be known.

    Args:
        network: any.
        name: what it was created by, where that is known: of ours, the registry says the size, of timm's and
            torchvision's their own facts do. Of any other network, the first convolution tells the channels, and
            the sides are taken to be 224 px.
    """
    if name in MODELS:
        facts = MODELS[name].facts
        return facts.in_channels, facts.input_size_px, facts.input_size_px
    if name.startswith(TORCHVISION_PREFIX):
        side = torchvision_size_px(name.removeprefix(TORCHVISION_PREFIX))
        return 3, side, side
    config = getattr(network, "pretrained_cfg", None) or {}  # timm's
    channels, height, width = config.get("input_size") or (3, 224, 224)
    convolution = next((m for m in network.modules() if isinstance(m, nn.Conv2d)), None)
    if not name and convolution is not None:  # it may have been made for other images than timm's facts are of
        channels = convolution.in_channels
    return channels, height, width


def classifier_name(network: nn.Module) -> str | None:
    """Return the dotted name of the layer that gives the logits; None where the network was built without one.

    Of ours it is ``classifier``. Of any other network it is taken to be the last linear layer or, without one, the
    last convolution, auxiliary classifiers aside.
    """
    if type(network).__module__.startswith(_OURS) and hasattr(network, "classifier"):
        return None if isinstance(network.classifier, nn.Identity) else "classifier"
    if getattr(network, "num_classes", None) == 0:  # timm's
        return None
    return last_linear_layer(network)
