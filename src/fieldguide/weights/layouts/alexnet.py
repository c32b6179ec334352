"""AlexNet in torchvision."""

from collections.abc import Iterator

from fieldguide.models.alexnet import AlexNet
from fieldguide.weights.layouts import Rename


def torchvision(network: AlexNet) -> Iterator[Rename]:
    """As torchvision's ``alexnet``, whose layers are numbered."""
    yield Rename("stem.conv", "features.0")
    yield Rename("stages.0.conv", "features.3")
    for number, theirs in enumerate((6, 8, 10), start=1):
        yield Rename(f"stages.1.conv{number}", f"features.{theirs}")
    yield Rename("head.linear1", "classifier.1")
    yield Rename("head.linear2", "classifier.4")
    yield Rename("classifier", "classifier.6")
