"""ConvNeXt in torchvision and timm."""

from collections.abc import Iterator

from torch import nn

from fieldguide.models.convnext import ConvNeXt, Downsample
from fieldguide.weights.layouts import Rename, blocks_of


def torchvision(network: ConvNeXt) -> Iterator[Rename]:
    """As torchvision's ``convnext_tiny``: the stem, the stages and what halves between them are in one row."""
    yield Rename("stem.conv", "features.0.0")
    yield Rename("stem.norm", "features.0.1")
    for s, b, block in blocks_of(network.stages):
        ours = f"stages.{s}.{b}"
        if isinstance(block, Downsample):
            yield Rename(f"{ours}.norm", f"features.{2 * s}.0")
            yield Rename(f"{ours}.conv", f"features.{2 * s}.1")
            continue
        theirs = f"features.{2 * s + 1}.{b - (s > 0)}"  # ours count the Downsample, which the first stage lacks
        for layer, number in (("depthwise", 0), ("norm", 2), ("expand", 3), ("project", 5)):
            yield Rename(f"{ours}.{layer}", f"{theirs}.block.{number}")
        yield Rename(f"{ours}.scale.weight", f"{theirs}.layer_scale", trailing_axes=2)
    yield Rename("norm", "classifier.0")
    yield Rename("classifier", "classifier.2")


def timm(network: ConvNeXt, *, linear_axes: int = 0) -> Iterator[Rename]:
    """As timm's ``convnext_tiny``, and its ``convnextv2_tiny``.

    Args:
        network: ours.
        linear_axes: 2 where theirs has 1x1 convolutions for the linear layers of a block.
    """
    yield Rename("stem.conv", "stem.0")
    yield Rename("stem.norm", "stem.1")
    for s, b, block in blocks_of(network.stages):
        ours = f"stages.{s}.{b}"
        if isinstance(block, Downsample):
            yield Rename(f"{ours}.norm", f"stages.{s}.downsample.0")
            yield Rename(f"{ours}.conv", f"stages.{s}.downsample.1")
            continue
        theirs = f"stages.{s}.blocks.{b - (s > 0)}"
        yield Rename(f"{ours}.depthwise", f"{theirs}.conv_dw")
        yield Rename(f"{ours}.norm", f"{theirs}.norm")
        for layer, their_layer in (("expand", "fc1"), ("project", "fc2")):
            yield Rename(f"{ours}.{layer}.weight", f"{theirs}.mlp.{their_layer}.weight", trailing_axes=linear_axes)
            yield Rename(f"{ours}.{layer}.bias", f"{theirs}.mlp.{their_layer}.bias")
        if not isinstance(block.hidden_norm, nn.Identity):
            yield Rename(f"{ours}.hidden_norm", f"{theirs}.mlp.grn")
        if not isinstance(block.scale, nn.Identity):
            yield Rename(f"{ours}.scale.weight", f"{theirs}.gamma")
    yield Rename("norm", "head.norm")
    yield Rename("classifier", "head.fc")
