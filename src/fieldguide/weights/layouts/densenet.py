"""DenseNet in torchvision and timm, which name it alike."""

from collections.abc import Iterator

from fieldguide.models.densenet import DenseLayer, DenseNet
from fieldguide.weights.layouts import Rename, blocks_of


def torchvision(network: DenseNet) -> Iterator[Rename]:
    """As torchvision's ``densenet121``."""
    yield Rename("stem.conv", "features.conv0")
    yield Rename("stem.norm", "features.norm0")
    for s, b, block in blocks_of(network.stages):
        ours = f"stages.{s}.{b}"
        if isinstance(block, DenseLayer):
            # Theirs count from 1, and the transition, which ours have first, is not of the block.
            theirs = f"features.denseblock{s + 1}.denselayer{b + (s == 0)}"
            for number, layer in enumerate(("bottleneck", "grow"), start=1):
                yield Rename(f"{ours}.{layer}.norm", f"{theirs}.norm{number}")
                yield Rename(f"{ours}.{layer}.conv", f"{theirs}.conv{number}")
        else:
            yield Rename(f"{ours}.0.norm", f"features.transition{s}.norm")
            yield Rename(f"{ours}.0.conv", f"features.transition{s}.conv")
    yield Rename("norm", "features.norm5")
    yield Rename("classifier", "classifier")


timm = torchvision
