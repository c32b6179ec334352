"""VGG in torchvision and timm, which number its layers; to timm, the hidden ones are convolutions."""

from collections.abc import Iterator

from fieldguide.layers import HiddenLayers
from fieldguide.models.vgg import POOLED_PX, VGG
from fieldguide.weights.layouts import Rename


def torchvision(network: VGG) -> Iterator[Rename]:
    """As torchvision's ``vgg16``."""
    yield from _features(network)
    if isinstance(network.head, HiddenLayers):
        yield Rename("head.linear1", "classifier.0")
        yield Rename("head.linear2", "classifier.3")
    yield Rename("classifier", "classifier.6")


def timm(network: VGG) -> Iterator[Rename]:
    """As timm's ``vgg16``.

    Its answers are ours up to 255 px. From 256 px on it moves the hidden layers over the map and averages what
    they give, where ours, as torchvision's, pools the map to 7x7 first.
    """
    yield from _features(network)
    if isinstance(network.head, HiddenLayers):
        yield Rename("head.linear1.weight", "pre_logits.fc1.weight", trailing_axes=2, axis_length=POOLED_PX)
        yield Rename("head.linear1.bias", "pre_logits.fc1.bias")
        yield Rename("head.linear2.weight", "pre_logits.fc2.weight", trailing_axes=2)
        yield Rename("head.linear2.bias", "pre_logits.fc2.bias")
    yield Rename("classifier", "head.fc")


def _features(network: VGG) -> Iterator[Rename]:
    layers = [(s, name) for s, stage in enumerate(network.stages) for name, _ in stage.named_children()]
    for number, (s, name) in enumerate(layers):
        if name.startswith(("conv", "norm")):
            yield Rename(f"stages.{s}.{name}", f"features.{number}")
