"""CLIP's vision transformers: its towers for images (Radford et al., 2021, https://arxiv.org/abs/2103.00020).

CLIP learns from photos and their captions: one tower embeds images, another texts, and what belongs together gets
a large cosine. Here is the tower for images alone. It differs from ViT in a further normalisation before the
blocks, in a patch convolution without bias, and in a projection of the class token into the space that both towers
share.

Its embedding has length 1. A linear classifier whose rows are embedded texts, times CLIP's logit scale, therefore
gives CLIP's own logits.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fieldguide.layers import (
    InputSize,
    PatchEmbedding,
    TransformerBlock,
    UnitLength,
    check_arguments,
    linear_by_xavier,
)
from fieldguide.models import Factory, register_model

CLIP = "https://arxiv.org/abs/2103.00020"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a tower is; each head has 64 channels."""

    width: int
    num_heads: int
    num_blocks: int
    embedding: int


BASE = Size(width=768, num_heads=12, num_blocks=12, embedding=512)  # Table 20 of the paper
LARGE = Size(width=1024, num_heads=16, num_blocks=24, embedding=768)


class QuickGELU(nn.Module):
    """GELU by a sigmoid, x * sigmoid(1.702 x), of the shape that comes in.

    It is the approximation of Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415, Section 2.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * torch.sigmoid(1.702 * inputs)


class CLIPVisionTransformer(nn.Module):
    """Patch embedding, normalisation, blocks, normalisation, projection of the class token to length 1.

    All blocks see the same tokens, so that ``stages`` holds one stage; block b is ``stages.0.b``.

    Images (N, in_channels, H, W) float32, H and W multiples of ``patch_px`` -> embeddings (N, E) of length 1 where
    num_classes is 0, or else what a linear classifier makes of them, logits (N, num_classes).

    Args:
        size: width, heads, blocks, and E.
        patch_px: side of a patch.
        size_px: side of the images whose positions are learnt; for others they are interpolated.
        num_classes: logits; 0 for the embedding.
        in_channels: of the images.
        quick_gelu: :class:`QuickGELU` in the blocks instead of GELU.
        drop_path_rate: of the last block in training; block i of n, from 0, has drop_path_rate * i / (n - 1).

    Raises:
        ValueError: an argument is out of its range, or size_px is not a multiple of patch_px.
    """

    def __init__(
        self,
        size: Size,
        *,
        patch_px: int,
        size_px: int,
        num_classes: int,
        in_channels: int,
        quick_gelu: bool,
        drop_path_rate: float,
    ) -> None:
        check_arguments(
            num_classes=num_classes,
            in_channels=in_channels,
            patch_px=patch_px,
            size_px=size_px,
            drop_path_rate=drop_path_rate,
        )
        if size_px % patch_px:
            raise ValueError(f"size_px is {size_px}; it must be a multiple of {patch_px}, the side of a patch")
        super().__init__()
        self.input_size = InputSize(patch_px, multiple_of=patch_px)
        patches = PatchEmbedding(in_channels, size.width, patch_px=patch_px, size_px=size_px, bias=False)
        for tokens in (patches.class_token, patches.positions):
            nn.init.normal_(tokens, std=size.width**-0.5)
        self.stem = nn.Sequential(OrderedDict(patches=patches, norm=nn.LayerNorm(size.width)))
        blocks = nn.Sequential()
        for index in range(size.num_blocks):
            blocks.append(
                TransformerBlock(
                    size.width,
                    num_heads=size.num_heads,
                    drop_path_rate=drop_path_rate * index / (size.num_blocks - 1),
                    norm=nn.LayerNorm,
                    activation=QuickGELU if quick_gelu else nn.GELU,
                )
            )
        self.stages = nn.Sequential(blocks)
        self.norm = nn.LayerNorm(size.width)
        project = nn.Linear(size.width, size.embedding, bias=False)
        nn.init.normal_(project.weight, std=size.width**-0.5)
        self.head = nn.Sequential(OrderedDict(project=project, unit=UnitLength()))
        self.classifier = linear_by_xavier(size.embedding, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> normalised tokens (N, 1 + H / patch_px * W / patch_px, width).

        Raises:
            ValueError: a side of the images is not a multiple of the patch.
        """
        self.input_size.check(images)
        tokens: Tensor = self.norm(self.stages(self.stem(images)))
        return tokens

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.forward_features(images)[:, 0]))
        return logits


def _register(name: str, *, params: int, macs: int, timm: str) -> Callable[[Factory], Factory]:
    """Register a tower for images of 224 px, of that name in open_clip."""
    return register_model(
        params=params,
        macs=macs,
        input_size_px=224,
        year=2021,
        source=CLIP,
        references={"open_clip": name, "timm": timm},
    )


@_register("ViT-B-32", params=87_849_216, macs=4_408_811_520, timm="vit_base_patch32_clip_224.laion2b")
def clip_vit_b_32(
    *,
    num_classes: int = 0,
    in_channels: int = 3,
    size_px: int = 224,
    quick_gelu: bool = False,
    drop_path_rate: float = 0.0,
) -> CLIPVisionTransformer:
    """CLIP's ViT-B/32. Images (N, in_channels, H, W) float32, multiples of 32 px -> embeddings (N, 512), length 1.

    Args:
        num_classes: logits (N, num_classes) of a linear classifier of the embedding; 0 gives the embedding.
        in_channels: channels of the images.
        size_px: side of the images to be trained on, which sets how many positions are learnt. The network takes
            other sizes too, and interpolates the positions for them.
        quick_gelu: as OpenAI's weights were trained; those of LAION-2B and DataComp were trained with GELU.
            Nothing in a file tells which, and with the other one the embeddings are worse.
        drop_path_rate: how often the last block's branches are left out in training; it rises from 0 in the first.

    Raises:
        ValueError: an argument is out of its range, or size_px is not a multiple of the patch.
    """
    return CLIPVisionTransformer(
        BASE,
        patch_px=32,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        quick_gelu=quick_gelu,
        drop_path_rate=drop_path_rate,
    )


@_register("ViT-B-16", params=86_192_640, macs=17_563_453_440, timm="vit_base_patch16_clip_224.laion2b")
def clip_vit_b_16(
    *,
    num_classes: int = 0,
    in_channels: int = 3,
    size_px: int = 224,
    quick_gelu: bool = False,
    drop_path_rate: float = 0.0,
) -> CLIPVisionTransformer:
    """CLIP's ViT-B/16: as :func:`clip_vit_b_32`, with four times the tokens; sides are multiples of 16 px."""
    return CLIPVisionTransformer(
        BASE,
        patch_px=16,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        quick_gelu=quick_gelu,
        drop_path_rate=drop_path_rate,
    )


@_register("ViT-L-14", params=303_966_208, macs=81_012_768_768, timm="vit_large_patch14_clip_224.datacompxl")
def clip_vit_l_14(
    *,
    num_classes: int = 0,
    in_channels: int = 3,
    size_px: int = 224,
    quick_gelu: bool = False,
    drop_path_rate: float = 0.0,
) -> CLIPVisionTransformer:
    """CLIP's ViT-L/14: as :func:`clip_vit_b_32`, wider and deeper; embeddings (N, 768), sides multiples of 14 px.

    ``size_px=336`` makes the paper's ViT-L/14@336px.
    """
    return CLIPVisionTransformer(
        LARGE,
        patch_px=14,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        quick_gelu=quick_gelu,
        drop_path_rate=drop_path_rate,
    )
