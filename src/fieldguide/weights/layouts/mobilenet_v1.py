"""MobileNet in timm."""

from collections.abc import Iterator

from fieldguide.models.mobilenet_v1 import MobileNetV1
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts._inverted_residuals import layer_rows


def timm(network: MobileNetV1) -> Iterator[Rename]:
    """As timm's ``mobilenetv1_100``."""
    yield from layer_rows("stem", "conv_stem", "bn1")
    for s, b, _ in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"blocks.{s}.{b}"
        yield from layer_rows(f"{ours}.depthwise", f"{theirs}.conv_dw", f"{theirs}.bn1")
        yield from layer_rows(f"{ours}.pointwise", f"{theirs}.conv_pw", f"{theirs}.bn2")
    yield Rename("classifier", "classifier")
