"""MobileNetV3 in torchvision."""

from collections.abc import Iterator

from fieldguide.models.mobilenet_v3 import MobileNetV3
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts._inverted_residuals import layer_rows, torchvision_block


def torchvision(network: MobileNetV3) -> Iterator[Rename]:
    """As torchvision's ``mobilenet_v3_large``: blocks are numbered through all stages."""
    yield from layer_rows("stem", "features.0.0", "features.0.1")
    number = 0
    for number, (s, b, block) in enumerate(blocks_of(network.stages), start=1):
        yield from torchvision_block(block, f"stages.{s}.{b}", f"features.{number}.block")
    yield from layer_rows("last_conv", f"features.{number + 1}.0", f"features.{number + 1}.1")
    yield Rename("head.linear", "classifier.0")
    yield Rename("classifier", "classifier.3")
