"""GoogLeNet in torchvision."""

from collections.abc import Iterator

from fieldguide.layers import ConvNormAct
from fieldguide.models.googlenet import GoogLeNet, Inception
from fieldguide.weights.layouts import Rename

FIRST_STAGE = 3  # the paper and torchvision count the stem's convolutions as the first two
BRANCHES = {
    "branch_1x1": "branch1",
    "branch_3x3.0": "branch2.0",
    "branch_3x3.1": "branch2.1",
    "branch_5x5.0": "branch3.0",
    "branch_5x5.1": "branch3.1",
    "branch_pool.1": "branch4.1",
}


def torchvision(network: GoogLeNet) -> Iterator[Rename]:
    """As torchvision's ``googlenet``; of naive blocks, only the 1x1 convolutions are there too."""
    for name, layer in network.stem.named_children():
        if isinstance(layer, ConvNormAct):
            yield from _conv_norm(f"stem.{name}", name)
    for s, stage in enumerate(network.stages):
        for name, block in stage.named_children():
            if isinstance(block, Inception):
                yield from _inception(block, f"stages.{s}.{name}", f"inception{s + FIRST_STAGE}{name}")
    for name in ("aux1", "aux2"):
        yield from _conv_norm(f"{name}.conv", f"{name}.conv")
        yield Rename(f"{name}.linear", f"{name}.fc1")
        yield Rename(f"{name}.classifier", f"{name}.fc2")
    yield Rename("classifier", "fc")


def _inception(block: Inception, ours: str, theirs: str) -> Iterator[Rename]:
    present = {name for name, _ in block.named_modules()}
    for mine, other in BRANCHES.items():
        if mine in present:
            yield from _conv_norm(f"{ours}.{mine}", f"{theirs}.{other}")


def _conv_norm(ours: str, theirs: str) -> Iterator[Rename]:
    yield Rename(f"{ours}.conv", f"{theirs}.conv")
    yield Rename(f"{ours}.norm", f"{theirs}.bn")
