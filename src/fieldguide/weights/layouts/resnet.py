"""ResNet in torchvision and timm, which name it alike."""

from collections.abc import Iterator

from torch import nn

from fieldguide.models.resnet import ResNet
from fieldguide.weights.layouts import Rename, blocks_of


def torchvision(network: ResNet) -> Iterator[Rename]:
    """As torchvision's ``resnet18``."""
    yield Rename("stem.conv", "conv1")
    yield Rename("stem.norm", "bn1")
    for s, b, block in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"layer{s + 1}.{b}"
        for number in (1, 2, 3) if hasattr(block, "conv3") else (1, 2):
            yield Rename(f"{ours}.conv{number}.conv", f"{theirs}.conv{number}")
            yield Rename(f"{ours}.conv{number}.norm", f"{theirs}.bn{number}")
        if not isinstance(block.shortcut, nn.Identity):
            yield Rename(f"{ours}.shortcut.conv", f"{theirs}.downsample.0")
            yield Rename(f"{ours}.shortcut.norm", f"{theirs}.downsample.1")
    yield Rename("classifier", "fc")


timm = torchvision
