"""How timm names the blocks of every family that is built of inverted residuals."""

from collections.abc import Iterator

from torch import nn

from fieldguide.layers import InvertedResidual, SqueezeExcite
from fieldguide.weights.layouts import Rename, blocks_of


def timm_blocks(stages: nn.Sequential) -> Iterator[Rename]:
    """Yield the rows of all blocks; ``stages`` are Sequentials of :class:`InvertedResidual`."""
    for s, b, block in blocks_of(stages):
        yield from _timm_block(block, f"stages.{s}.{b}", f"blocks.{s}.{b}")


def _timm_block(block: InvertedResidual, ours: str, theirs: str) -> Iterator[Rename]:
    expands = not isinstance(block.expand, nn.Identity)
    layers = [("expand", "conv_pw"), ("depthwise", "conv_dw"), ("project", "conv_pwl")]
    if not expands:  # there, the projection is then called as the expansion is elsewhere
        layers = [("depthwise", "conv_dw"), ("project", "conv_pw")]
    for number, (mine, conv) in enumerate(layers, start=1):
        yield Rename(f"{ours}.{mine}.conv", f"{theirs}.{conv}")
        yield Rename(f"{ours}.{mine}.norm", f"{theirs}.bn{number}")
    if isinstance(block.squeeze_excite, SqueezeExcite):
        yield Rename(f"{ours}.squeeze_excite.reduce", f"{theirs}.se.conv_reduce")
        yield Rename(f"{ours}.squeeze_excite.expand", f"{theirs}.se.conv_expand")
