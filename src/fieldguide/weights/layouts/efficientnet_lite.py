"""EfficientNet-Lite in timm, and in lukemelas' EfficientNet-PyTorch, https://github.com/lukemelas/EfficientNet-PyTorch."""

from collections.abc import Iterator

from torch import nn

from fieldguide.models._efficientnet import EfficientNet
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts._inverted_residuals import layer_rows, timm_rows


def timm(network: EfficientNet) -> Iterator[Rename]:
    """As timm's ``tf_efficientnet_lite0``."""
    yield from timm_rows(network.stages)


def lukemelas(network: EfficientNet) -> Iterator[Rename]:
    """As the installed weights: blocks are numbered through all stages."""
    yield from layer_rows("stem", "_conv_stem", "_bn0")
    for number, (s, b, block) in enumerate(blocks_of(network.stages)):
        ours, theirs = f"stages.{s}.{b}", f"_blocks.{number}"
        if not isinstance(block.expand, nn.Identity):
            yield from layer_rows(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        yield from layer_rows(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        yield from layer_rows(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
    yield from layer_rows("last_conv", "_conv_head", "_bn1")
    yield Rename("classifier", "_fc")
