"""CLIP's vision transformers in open_clip, whose names are OpenAI's, and in timm."""

from collections.abc import Iterator

from fieldguide.models.clip_vit import CLIPVisionTransformer
from fieldguide.weights.layouts import Rename, blocks_of


def open_clip(network: CLIPVisionTransformer) -> Iterator[Rename]:
    """As the ``visual`` of open_clip's ``ViT-B-32``."""
    yield Rename("stem.patches.conv", "conv1")
    yield Rename("stem.patches.class_token", "class_embedding", leading_axes=2)
    yield Rename("stem.patches.positions", "positional_embedding", leading_axes=1)
    yield Rename("stem.norm", "ln_pre")
    for s, b, _ in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"transformer.resblocks.{b}"
        yield Rename(f"{ours}.norm1", f"{theirs}.ln_1")
        yield Rename(f"{ours}.attention.qkv.weight", f"{theirs}.attn.in_proj_weight")
        yield Rename(f"{ours}.attention.qkv.bias", f"{theirs}.attn.in_proj_bias")
        yield Rename(f"{ours}.attention.project", f"{theirs}.attn.out_proj")
        yield Rename(f"{ours}.norm2", f"{theirs}.ln_2")
        yield Rename(f"{ours}.mlp.expand", f"{theirs}.mlp.c_fc")
        yield Rename(f"{ours}.mlp.project", f"{theirs}.mlp.c_proj")
    yield Rename("norm", "ln_post")
    yield Rename("head.project.weight", "proj", is_transposed=True)


def timm(network: CLIPVisionTransformer) -> Iterator[Rename]:
    """As timm's ``vit_base_patch32_clip_224.laion2b``: its classifier is the projection, with a bias of zeros."""
    yield Rename("stem.patches.conv", "patch_embed.proj")
    yield Rename("stem.patches.class_token", "cls_token")
    yield Rename("stem.patches.positions", "pos_embed")
    yield Rename("stem.norm", "norm_pre")
    for s, b, _ in blocks_of(network.stages):
        ours, theirs = f"stages.{s}.{b}", f"blocks.{b}"
        yield Rename(f"{ours}.norm1", f"{theirs}.norm1")
        yield Rename(f"{ours}.attention.qkv", f"{theirs}.attn.qkv")
        yield Rename(f"{ours}.attention.project", f"{theirs}.attn.proj")
        yield Rename(f"{ours}.norm2", f"{theirs}.norm2")
        yield Rename(f"{ours}.mlp.expand", f"{theirs}.mlp.fc1")
        yield Rename(f"{ours}.mlp.project", f"{theirs}.mlp.fc2")
    yield Rename("norm", "norm")
    yield Rename("head.project", "head")
