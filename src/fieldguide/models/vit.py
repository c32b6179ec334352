"""Vision transformers (Dosovitskiy et al., 2020, https://arxiv.org/abs/2010.11929).

An image is cut into patches, each becomes one token, and a plain transformer reads them: there is no convolution
but the one that cuts. The sizes tiny and small came with DeiT (Touvron et al., 2020,
https://arxiv.org/abs/2012.12877).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from fieldguide.layers import (
    InputSize,
    LayerNorm,
    PatchEmbedding,
    TransformerBlock,
    check_arguments,
    linear_by_xavier,
)
from fieldguide.models import register_model

VIT = "https://arxiv.org/abs/2010.11929"
DEIT = "https://arxiv.org/abs/2012.12877"


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a transformer is; each head has 64 channels."""

    width: int
    num_heads: int
    num_blocks: int


TINY = Size(width=192, num_heads=3, num_blocks=12)  # Table 1 of the DeiT paper
SMALL = Size(width=384, num_heads=6, num_blocks=12)
BASE = Size(width=768, num_heads=12, num_blocks=12)  # Table 1 of the ViT paper
LARGE = Size(width=1024, num_heads=16, num_blocks=24)


class VisionTransformer(nn.Module):
    """Patch embedding, blocks, normalisation, and a linear classifier of the class token.

    All blocks see the same tokens, so that ``stages`` holds one stage; block b is ``stages.0.b``.

    Images (N, in_channels, H, W) float32, H and W multiples of ``patch_px`` -> logits (N, num_classes), or the
    normalised class token (N, width) where num_classes is 0.

    Args:
        size: width, heads and blocks.
        patch_px: side of a patch.
        size_px: side of the images whose positions are learnt; for others they are interpolated.
        num_classes: logits.
        in_channels: of the images.
        dropout: in training, after every linear layer of the blocks but that of queries, keys and values, and of
            the tokens as they come in (the paper's Appendix B.1).
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
        dropout: float,
        drop_path_rate: float,
    ) -> None:
        check_arguments(
            num_classes=num_classes,
            in_channels=in_channels,
            patch_px=patch_px,
            size_px=size_px,
            dropout=dropout,
            drop_path_rate=drop_path_rate,
        )
        if size_px % patch_px:
            raise ValueError(f"size_px is {size_px}; it must be a multiple of {patch_px}, the side of a patch")
        super().__init__()
        self.input_size = InputSize(patch_px, multiple_of=patch_px)
        self.stem = PatchEmbedding(in_channels, size.width, patch_px=patch_px, size_px=size_px)
        self.dropout = nn.Dropout(dropout)
        blocks = nn.Sequential()
        for index in range(size.num_blocks):
            rate = drop_path_rate * index / (size.num_blocks - 1)
            blocks.append(
                TransformerBlock(size.width, num_heads=size.num_heads, dropout=dropout, drop_path_rate=rate)
            )
        self.stages = nn.Sequential(blocks)
        self.norm = LayerNorm(size.width)
        self.classifier = linear_by_xavier(size.width, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> normalised tokens (N, 1 + H / patch_px * W / patch_px, width).

        Raises:
            ValueError: a side of the images is not a multiple of the patch.
        """
        self.input_size.check(images)
        tokens: Tensor = self.norm(self.stages(self.dropout(self.stem(images))))
        return tokens

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.forward_features(images)[:, 0])
        return logits


@register_model(
    params=5_717_416,
    macs=1_253_683_200,
    input_size_px=224,
    year=2020,
    source=DEIT,
    references={"timm": "vit_tiny_patch16_224"},
)
def vit_tiny_patch16(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    size_px: int = 224,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
) -> VisionTransformer:
    """ViT-Ti/16. Images (N, in_channels, H, W) float32, multiples of 16 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the class token (N, 192), normalised, instead.
        in_channels: channels of the images.
        size_px: side of the images to be trained on, which sets how many positions are learnt. The network takes
            other sizes too, and interpolates the positions for them.
        dropout: in training, of the tokens as they come in, and of what the layers of every block give.
        drop_path_rate: how often the last block's branches are left out in training; it rises from 0 in the first.

    Raises:
        ValueError: an argument is out of its range, or size_px is not a multiple of the patch.
    """
    return VisionTransformer(
        TINY,
        patch_px=16,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
    )


@register_model(
    params=22_050_664,
    macs=4_598_882_304,
    input_size_px=224,
    year=2020,
    source=DEIT,
    references={"timm": "vit_small_patch16_224"},
)
def vit_small_patch16(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    size_px: int = 224,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
) -> VisionTransformer:
    """ViT-S/16: as :func:`vit_tiny_patch16`, wider; features (N, 384)."""
    return VisionTransformer(
        SMALL,
        patch_px=16,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
    )


@register_model(
    params=86_567_656,
    macs=17_563_828_224,
    input_size_px=224,
    year=2020,
    source=VIT,
    references={"torchvision": "vit_b_16", "timm": "vit_base_patch16_224"},
)
def vit_base_patch16(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    size_px: int = 224,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
) -> VisionTransformer:
    """ViT-B/16: as :func:`vit_tiny_patch16`, wider; features (N, 768)."""
    return VisionTransformer(
        BASE,
        patch_px=16,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
    )


@register_model(
    params=304_326_632,
    macs=61_554_712_576,
    input_size_px=224,
    year=2020,
    source=VIT,
    references={"torchvision": "vit_l_16", "timm": "vit_large_patch16_224"},
)
def vit_large_patch16(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    size_px: int = 224,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
) -> VisionTransformer:
    """ViT-L/16: as :func:`vit_tiny_patch16`, wider, with 24 blocks; features (N, 1024)."""
    return VisionTransformer(
        LARGE,
        patch_px=16,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
    )


@register_model(
    params=88_224_232,
    macs=4_409_186_304,
    input_size_px=224,
    year=2020,
    source=VIT,
    references={"torchvision": "vit_b_32", "timm": "vit_base_patch32_224"},
)
def vit_b_32(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    size_px: int = 224,
    dropout: float = 0.0,
    drop_path_rate: float = 0.0,
) -> VisionTransformer:
    """ViT-B/32: as :func:`vit_base_patch16`, with a quarter of the tokens; sides are multiples of 32 px."""
    return VisionTransformer(
        BASE,
        patch_px=32,
        size_px=size_px,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
    )
