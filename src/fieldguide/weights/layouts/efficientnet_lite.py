"""EfficientNet-Lite in timm, and in lukemelas' EfficientNet-PyTorch, https://github.com/lukemelas/EfficientNet-PyTorch."""

from collections.abc import Iterator

from torch import nn

from fieldguide.models.efficientnet_lite import EfficientNetLite
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts._inverted_residuals import timm_blocks


def timm(network: EfficientNetLite) -> Iterator[Rename]:
    """As timm's ``tf_efficientnet_lite0``."""
    yield Rename("stem.conv", "conv_stem")
    yield Rename("stem.norm", "bn1")
    yield from timm_blocks(network.stages)
    yield Rename("head.conv", "conv_head")
    yield Rename("head.norm", "bn2")
    yield Rename("classifier", "classifier")


def lukemelas(network: EfficientNetLite) -> Iterator[Rename]:
    """As the installed weights: blocks are numbered through all stages."""
    yield Rename("stem.conv", "_conv_stem")
    yield Rename("stem.norm", "_bn0")
    for number, (s, b, block) in enumerate(blocks_of(network.stages)):
        ours, theirs = f"stages.{s}.{b}", f"_blocks.{number}"
        if not isinstance(block.expand, nn.Identity):
            yield Rename(f"{ours}.expand.conv", f"{theirs}._expand_conv")
            yield Rename(f"{ours}.expand.norm", f"{theirs}._bn0")
        yield Rename(f"{ours}.depthwise.conv", f"{theirs}._depthwise_conv")
        yield Rename(f"{ours}.depthwise.norm", f"{theirs}._bn1")
        yield Rename(f"{ours}.project.conv", f"{theirs}._project_conv")
        yield Rename(f"{ours}.project.norm", f"{theirs}._bn2")
    yield Rename("head.conv", "_conv_head")
    yield Rename("head.norm", "_bn1")
    yield Rename("classifier", "_fc")
