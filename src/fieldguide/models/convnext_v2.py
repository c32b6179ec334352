"""ConvNeXt V2 (Woo et al., 2023, https://arxiv.org/abs/2301.00808).

ConvNeXt with global response normalisation in every block, which makes its channels compete, and in return without
layer scale; and smaller sizes. The paper trains it by filling in masked images first.
"""

from functools import partial

import torch
from torch import Tensor, nn

from fieldguide.models import register_model
from fieldguide.models.convnext import ConvNeXt, ConvNeXtBlock

CONVNEXT_V2 = "https://arxiv.org/abs/2301.00808"


class GlobalResponseNorm(nn.Module):
    """Weigh each channel by its norm over the map, relative to the mean of all. (N, H, W, C) -> (N, H, W, C).

    It begins as the identity.

    Source: the paper's Section 4 and Algorithm 1.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.eps = 1e-6
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(maps, dim=(1, 2), keepdim=True)
        relative = norms / (norms.mean(dim=-1, keepdim=True) + self.eps)
        # The paper's sum of maps, weight * relative * maps and bias, so that the large maps are passed over once.
        return torch.addcmul(self.bias, maps, 1 + self.weight * relative)


_Block = partial(ConvNeXtBlock, hidden_norm=GlobalResponseNorm, scale=nn.Identity)


def _convnext_v2(
    num_blocks: tuple[int, ...],
    channels: tuple[int, ...],
    *,
    num_classes: int,
    in_channels: int,
    drop_path_rate: float,
    small_input: bool,
) -> ConvNeXt:
    return ConvNeXt(
        num_blocks=num_blocks,
        channels=channels,
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
        block=_Block,
    )


@register_model(
    params=3_708_400,
    macs=547_332_480,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_atto"},
)
def convnext_v2_atto(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-A. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 320) instead.
        in_channels: channels of the images.
        drop_path_rate: how often the last block is left out in training; it rises from 0 in the first. The
            defaults are from the recipes of https://github.com/facebookresearch/ConvNeXt-V2, which has them for A,
            T and B; here F, P and N take A's, and L takes B's.
        small_input: the form for images of 28 to 64 px, at least 16: patches of 2x2.

    Raises:
        ValueError: an argument is out of its range.
    """
    return _convnext_v2(
        (2, 2, 6, 2),
        (40, 80, 160, 320),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=5_233_240,
    macs=779_629_824,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_femto"},
)
def convnext_v2_femto(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-F: as :func:`convnext_v2_atto`, wider; features (N, 384)."""
    return _convnext_v2(
        (2, 2, 6, 2),
        (48, 96, 192, 384),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=9_066_280,
    macs=1_367_055_360,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_pico"},
)
def convnext_v2_pico(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-P: as :func:`convnext_v2_atto`, wider; features (N, 512)."""
    return _convnext_v2(
        (2, 2, 6, 2),
        (64, 128, 256, 512),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=15_623_800,
    macs=2_445_528_320,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_nano"},
)
def convnext_v2_nano(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-N: as :func:`convnext_v2_atto`, deeper and wider; features (N, 640)."""
    return _convnext_v2(
        (2, 2, 8, 2),
        (80, 160, 320, 640),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=28_635_496,
    macs=4_455_531_264,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_tiny"},
)
def convnext_v2_tiny(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.2, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-T: as :func:`convnext_v2_atto`, deeper and wider; features (N, 768)."""
    return _convnext_v2(
        (3, 3, 9, 3),
        (96, 192, 384, 768),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=88_717_800,
    macs=15_354_729_472,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_base"},
)
def convnext_v2_base(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-B: as :func:`convnext_v2_atto`, deeper and wider; features (N, 1024)."""
    return _convnext_v2(
        (3, 3, 27, 3),
        (128, 256, 512, 1024),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=197_956_840,
    macs=34_361_433_600,
    input_size_px=224,
    year=2023,
    source=CONVNEXT_V2,
    references={"timm": "convnextv2_large"},
)
def convnext_v2_large(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt V2-L: as :func:`convnext_v2_atto`, deeper and wider; features (N, 1536)."""
    return _convnext_v2(
        (3, 3, 27, 3),
        (192, 384, 768, 1536),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )
