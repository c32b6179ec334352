"""CLIP's residual networks in open_clip, whose names are OpenAI's, and in timm."""

from collections.abc import Iterator

from torch import nn

from fieldguide.models.clip_resnet import CLIPResNet
from fieldguide.weights.layouts import Rename, blocks_of


def open_clip(network: CLIPResNet) -> Iterator[Rename]:
    """As the ``visual`` of open_clip's ``RN50``."""
    for number in (1, 2, 3):
        yield Rename(f"stem.conv{number}.conv", f"conv{number}")
        yield Rename(f"stem.conv{number}.norm", f"bn{number}")
    for s, b, block in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"layer{s + 1}.{b}"
        for number in (1, 2, 3):
            yield Rename(f"{ours}.conv{number}.conv", f"{theirs}.conv{number}")
            yield Rename(f"{ours}.conv{number}.norm", f"{theirs}.bn{number}")
        if not isinstance(block.shortcut, nn.Identity):
            yield Rename(f"{ours}.shortcut.project.conv", f"{theirs}.downsample.0")
            yield Rename(f"{ours}.shortcut.project.norm", f"{theirs}.downsample.1")
    yield Rename("head.pool.positions", "attnpool.positional_embedding")
    for layer, their_layer in (("queries", "q"), ("keys", "k"), ("values", "v"), ("project", "c")):
        yield Rename(f"head.pool.{layer}", f"attnpool.{their_layer}_proj")


def timm(network: CLIPResNet) -> Iterator[Rename]:
    """As timm's ``resnet50_clip``."""
    for number in (1, 2, 3):
        yield Rename(f"stem.conv{number}.conv", f"stem.conv{number}.conv")
        yield Rename(f"stem.conv{number}.norm", f"stem.conv{number}.bn")
    for s, b, block in blocks_of(network.stages):
        place = f"stages.{s}.{b}"
        for number, kernel in ((1, "1x1"), (2, "kxk"), (3, "1x1")):
            yield Rename(f"{place}.conv{number}.conv", f"{place}.conv{number}_{kernel}.conv")
            yield Rename(f"{place}.conv{number}.norm", f"{place}.conv{number}_{kernel}.bn")
        if not isinstance(block.shortcut, nn.Identity):
            yield Rename(f"{place}.shortcut.project.conv", f"{place}.shortcut.conv.conv")
            yield Rename(f"{place}.shortcut.project.norm", f"{place}.shortcut.conv.bn")
    yield Rename("head.pool.positions", "head.pos_embed")
    for layer, their_layer in (("queries", "q"), ("keys", "k"), ("values", "v"), ("project", "proj")):
        yield Rename(f"head.pool.{layer}", f"head.{their_layer}")
