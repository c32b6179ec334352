"""ConvNeXt V2 in timm."""

from collections.abc import Iterator

from fieldguide.models.convnext import ConvNeXt
from fieldguide.weights.layouts import Rename, convnext

LEAST_LINEAR_CHANNELS = 96  # of the first stage; below it, from nano down, timm's blocks are of 1x1 convolutions


def timm(network: ConvNeXt) -> Iterator[Rename]:
    """As timm's ``convnextv2_tiny``, or ``convnextv2_atto``."""
    is_linear = network.state_dict()["stem.norm.weight"].numel() >= LEAST_LINEAR_CHANNELS
    return convnext.timm(network, linear_axes=0 if is_linear else 2)
