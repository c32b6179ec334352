"""Vision transformers in torchvision and timm; both hold queries, keys and values in one matrix, as ours do."""

from collections.abc import Iterator

from fieldguide.models.vit import VisionTransformer
from fieldguide.weights.layouts import Rename, blocks_of


def torchvision(network: VisionTransformer) -> Iterator[Rename]:
    """As torchvision's ``vit_b_16``."""
    yield Rename("stem.conv", "conv_proj")
    yield Rename("stem.class_token", "class_token")
    yield Rename("stem.positions", "encoder.pos_embedding")
    for s, b, _ in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"encoder.layers.encoder_layer_{b}"
        yield Rename(f"{ours}.norm1", f"{theirs}.ln_1")
        yield Rename(f"{ours}.attention.qkv.weight", f"{theirs}.self_attention.in_proj_weight")
        yield Rename(f"{ours}.attention.qkv.bias", f"{theirs}.self_attention.in_proj_bias")
        yield Rename(f"{ours}.attention.project", f"{theirs}.self_attention.out_proj")
        yield Rename(f"{ours}.norm2", f"{theirs}.ln_2")
        yield Rename(f"{ours}.mlp.expand", f"{theirs}.mlp.0")
        yield Rename(f"{ours}.mlp.project", f"{theirs}.mlp.3")
    yield Rename("norm", "encoder.ln")
    yield Rename("classifier", "heads.head")


def timm(network: VisionTransformer) -> Iterator[Rename]:
    """As timm's ``vit_base_patch16_224``."""
    yield Rename("stem.conv", "patch_embed.proj")
    yield Rename("stem.class_token", "cls_token")
    yield Rename("stem.positions", "pos_embed")
    for s, b, _ in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"blocks.{b}"
        yield Rename(f"{ours}.norm1", f"{theirs}.norm1")
        yield Rename(f"{ours}.attention.qkv", f"{theirs}.attn.qkv")
        yield Rename(f"{ours}.attention.project", f"{theirs}.attn.proj")
        yield Rename(f"{ours}.norm2", f"{theirs}.norm2")
        yield Rename(f"{ours}.mlp.expand", f"{theirs}.mlp.fc1")
        yield Rename(f"{ours}.mlp.project", f"{theirs}.mlp.fc2")
    yield Rename("norm", "norm")
    yield Rename("classifier", "head")
