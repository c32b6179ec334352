"""EfficientNet in torchvision and timm."""

from collections.abc import Iterator

from fieldguide.models._efficientnet import EfficientNet
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts._inverted_residuals import layer_rows, timm_rows, torchvision_block


def torchvision(network: EfficientNet) -> Iterator[Rename]:
    """As torchvision's ``efficientnet_b0``: stem, stages and last convolution are numbered through."""
    yield from layer_rows("stem", "features.0.0", "features.0.1")
    for s, b, block in blocks_of(network.stages):
        yield from torchvision_block(block, f"stages.{s}.{b}", f"features.{s + 1}.{b}.block")
    last = f"features.{len(network.stages) + 1}"
    yield from layer_rows("last_conv", f"{last}.0", f"{last}.1")
    yield Rename("classifier", "classifier.1")


def timm(network: EfficientNet) -> Iterator[Rename]:
    """As timm's ``efficientnet_b0``."""
    yield from timm_rows(network.stages)
