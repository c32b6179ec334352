"""How timm and torchvision name the tensors of the families that are built of inverted residuals."""

from collections.abc import Iterator

from torch import nn

from fieldguide.layers import FusedInvertedResidual, InvertedResidual
from fieldguide.weights.layouts import Rename, blocks_of

Block = InvertedResidual | FusedInvertedResidual


def timm_rows(stages: nn.Sequential) -> Iterator[Rename]:
    """Yield the rows of stem, stages, last convolution and classifier, as timm's EfficientNet names them."""
    yield from layer_rows("stem", "conv_stem", "bn1")
    for s, b, block in blocks_of(stages):
        yield from _timm_block(block, f"stages.{s}.{b}", f"blocks.{s}.{b}")
    yield from layer_rows("last_conv", "conv_head", "bn2")
    yield Rename("classifier", "classifier")


def _timm_block(block: Block, ours: str, theirs: str) -> Iterator[Rename]:
    parts = parts_of(block)
    if isinstance(block, FusedInvertedResidual):
        convs = ["conv_exp", "conv_pwl"] if "project" in parts else ["conv"]
    elif "expand" in parts:
        convs = ["conv_pw", "conv_dw", "conv_pwl"]
    else:  # there, the projection is called as the expansion is elsewhere
        convs = ["conv_dw", "conv_pw"]
    layers = [name for name in parts if name != "squeeze_excite"]
    for number, (name, conv) in enumerate(zip(layers, convs, strict=True), start=1):
        yield from layer_rows(f"{ours}.{name}", f"{theirs}.{conv}", f"{theirs}.bn{number}")
    if "squeeze_excite" in parts:
        yield Rename(f"{ours}.squeeze_excite.reduce", f"{theirs}.se.conv_reduce")
        yield Rename(f"{ours}.squeeze_excite.expand", f"{theirs}.se.conv_expand")


def torchvision_block(block: Block, ours: str, theirs: str) -> Iterator[Rename]:
    """Yield the rows of one block, whose parts are numbered there; ``theirs`` is the name of their Sequential."""
    for number, name in enumerate(parts_of(block)):
        if name == "squeeze_excite":
            yield Rename(f"{ours}.{name}.reduce", f"{theirs}.{number}.fc1")
            yield Rename(f"{ours}.{name}.expand", f"{theirs}.{number}.fc2")
        else:
            yield from layer_rows(f"{ours}.{name}", f"{theirs}.{number}.0", f"{theirs}.{number}.1")


def layer_rows(ours: str, conv: str, norm: str) -> Iterator[Rename]:
    """Yield the rows of a :class:`ConvNormAct`, whose two parts have names of their own there."""
    yield Rename(f"{ours}.conv", conv)
    yield Rename(f"{ours}.norm", norm)


def parts_of(block: Block) -> list[str]:
    """Return the names of a block's parts that hold tensors, in order."""
    return [name for name, part in block.named_children() if next(part.parameters(), None) is not None]
