"""SE-ResNet and SE-ResNeXt in timm."""

from collections.abc import Iterator

from fieldguide.models.resnet import ResNet
from fieldguide.weights.layouts import Rename, blocks_of
from fieldguide.weights.layouts.resnet import timm as timm_resnet


def timm(network: ResNet) -> Iterator[Rename]:
    """As timm's ``seresnet50``."""
    yield from timm_resnet(network)
    for s, b, _ in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}.squeeze_excite", f"layer{s + 1}.{b}.se"
        yield Rename(f"{ours}.reduce", f"{theirs}.fc1")
        yield Rename(f"{ours}.expand", f"{theirs}.fc2")
