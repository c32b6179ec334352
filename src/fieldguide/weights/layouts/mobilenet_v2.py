"""MobileNetV2 in torchvision and timm."""

from collections.abc import Iterator

from fieldguide.models.mobilenet_v2 import MobileNetV2
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts._inverted_residuals import layer_rows, parts_of, timm_rows


def torchvision(network: MobileNetV2) -> Iterator[Rename]:
    """As torchvision's ``mobilenet_v2``: blocks are numbered through all stages, and the projection lies bare."""
    yield from layer_rows("stem", "features.0.0", "features.0.1")
    number = 0
    for number, (s, b, block) in enumerate(blocks_of(network.stages), start=1):
        ours, theirs = f"stages.{s}.{b}", f"features.{number}.conv"
        *layers, projection = parts_of(block)
        for part, name in enumerate(layers):
            yield from layer_rows(f"{ours}.{name}", f"{theirs}.{part}.0", f"{theirs}.{part}.1")
        yield from layer_rows(f"{ours}.{projection}", f"{theirs}.{len(layers)}", f"{theirs}.{len(layers) + 1}")
    yield from layer_rows("last_conv", f"features.{number + 1}.0", f"features.{number + 1}.1")
    yield Rename("classifier", "classifier.1")


def timm(network: MobileNetV2) -> Iterator[Rename]:
    """As timm's ``mobilenetv2_100``."""
    yield from timm_rows(network.stages)
