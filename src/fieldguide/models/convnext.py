"""ConvNeXt (Liu et al., 2022, https://arxiv.org/abs/2201.03545): a ResNet with what made transformers strong.

A convolution of 4x4 and stride 4 cuts the images into patches; a separate convolution of 2x2 and stride 2 halves
the map between stages; a block looks around once, by a depthwise 7x7, and mixes channels by two linear layers.
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from fieldguide.layers import DropPath, InputSize, LayerNorm, LayerNorm2d, check_arguments
from fieldguide.models import register_model

CONVNEXT = "https://arxiv.org/abs/2201.03545"

PATCH_PX = 4
SMALL_PATCH_PX = 2


class LayerScale(nn.Module):
    """Scale each channel by a factor to be learnt. (..., C) -> (..., C).

    Source: Touvron et al., 2021, https://arxiv.org/abs/2103.17239. It begins near 0, so that deep networks begin
    near the identity.

    Args:
        channels: C.
        initial: every channel's first factor.
    """

    def __init__(self, channels: int, initial: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), initial))

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weight


class ConvNeXtBlock(nn.Module):
    """Depthwise 7x7, then two linear layers over the channels of each pixel. (N, C, H, W) -> (N, C, H, W).

    Args:
        channels: C.
        drop_path_rate: how often the branch is left out in training.
        hidden_norm: makes what follows the activation, of maps (N, H, W, 4C).
        scale: makes what ends the branch, of maps (N, H, W, C).
    """

    def __init__(
        self,
        channels: int,
        *,
        drop_path_rate: float,
        hidden_norm: Callable[[int], nn.Module] = nn.Identity,
        scale: Callable[[int], nn.Module] = LayerScale,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = LayerNorm(channels)
        self.expand = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.hidden_norm = hidden_norm(4 * channels)
        self.project = nn.Linear(4 * channels, channels)
        self.scale = scale(channels)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, images: Tensor) -> Tensor:
        pixels = self.norm(self.depthwise(images).permute(0, 2, 3, 1))
        pixels = self.project(self.hidden_norm(self.act(self.expand(pixels))))
        branch: Tensor = self.drop_path(self.scale(pixels)).permute(0, 3, 1, 2)
        return images + branch


class Downsample(nn.Sequential):
    """Normalise, then halve the map. (N, in_channels, H, W) -> (N, out_channels, floor(H / 2), floor(W / 2))."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(in_channels)
        self.conv = nn.Conv2d(in_channels, out_channels, 2, stride=2)


class ConvNeXt(nn.Module):
    """Patches, four stages of blocks, global average pooling, normalisation, linear classifier.

    Every stage but the first begins with a :class:`Downsample`. Rows and columns of the images that don't fill a
    patch are left out, at the bottom and right, and so at each halving.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, D) where num_classes is 0: D is the last stage's channels.

    Args:
        num_blocks: of each stage.
        channels: of each stage.
        num_classes: logits.
        in_channels: of the images.
        drop_path_rate: of the last block in training; block i of n, from 0, has drop_path_rate * i / (n - 1).
        small_input: patches of 2x2 for images of 28 to 64 px, which may then be as small as 16 px.
        block: makes a block of so many channels.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        num_blocks: tuple[int, ...],
        channels: tuple[int, ...],
        num_classes: int,
        in_channels: int,
        drop_path_rate: float,
        small_input: bool,
        block: Callable[..., nn.Module] = ConvNeXtBlock,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, drop_path_rate=drop_path_rate)
        super().__init__()
        # Patches of 2x2 make of 32 px the 16x16 that patches of 4x4 make of 64; on the whole 32x32 a block would
        # cost four times as much, and ConvNeXt-T more than twice what ResNet-18 does there.
        patch_px = SMALL_PATCH_PX if small_input else PATCH_PX
        self.input_size = InputSize(patch_px * 2 ** (len(channels) - 1))
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(in_channels, channels[0], patch_px, stride=patch_px),
                norm=LayerNorm2d(channels[0]),
            )
        )
        self.stages = nn.Sequential()
        total = sum(num_blocks)
        rates = (drop_path_rate * index / (total - 1) for index in range(total))
        for number, count in enumerate(num_blocks):
            stage = nn.Sequential()
            if number:
                stage.append(Downsample(channels[number - 1], channels[number]))
            for _ in range(count):
                stage.append(block(channels[number], drop_path_rate=next(rates)))
            self.stages.append(stage)
        self.norm = LayerNorm(channels[-1])
        self.classifier = nn.Linear(channels[-1], num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, floor(H / 32), floor(W / 32)).

        With ``small_input``, 16 instead of 32.

        Raises:
            ValueError: the images are smaller than 32 px, or than 16 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.norm(self.forward_features(images).mean(dim=(2, 3)))
        logits: Tensor = self.classifier(pooled)
        return logits


def _initialise(module: nn.Module) -> None:
    """As the paper: normal with 0.02. Its truncation, at 2 and not at two deviations, never happens."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@register_model(
    params=28_589_128,
    macs=4_455_531_264,
    input_size_px=224,
    year=2022,
    source=CONVNEXT,
    references={"torchvision": "convnext_tiny", "timm": "convnext_tiny"},
)
def convnext_tiny(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.1, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt-T. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 768) instead.
        in_channels: channels of the images.
        drop_path_rate: how often the last block is left out in training; it rises from 0 in the first. The
            default, of this and the other sizes, is the paper's for ImageNet-1K (Table 5).
        small_input: the form for images of 28 to 64 px, at least 16: patches of 2x2.

    Raises:
        ValueError: an argument is out of its range.
    """
    return ConvNeXt(
        num_blocks=(3, 3, 9, 3),
        channels=(96, 192, 384, 768),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=50_223_688,
    macs=8_683_712_256,
    input_size_px=224,
    year=2022,
    source=CONVNEXT,
    references={"torchvision": "convnext_small", "timm": "convnext_small"},
)
def convnext_small(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.4, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt-S: as :func:`convnext_tiny`, with a third stage of 27 blocks."""
    return ConvNeXt(
        num_blocks=(3, 3, 27, 3),
        channels=(96, 192, 384, 768),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=88_591_464,
    macs=15_354_729_472,
    input_size_px=224,
    year=2022,
    source=CONVNEXT,
    references={"torchvision": "convnext_base", "timm": "convnext_base"},
)
def convnext_base(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.5, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt-B: as :func:`convnext_small`, wider; features (N, 1024)."""
    return ConvNeXt(
        num_blocks=(3, 3, 27, 3),
        channels=(128, 256, 512, 1024),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=197_767_336,
    macs=34_361_433_600,
    input_size_px=224,
    year=2022,
    source=CONVNEXT,
    references={"torchvision": "convnext_large", "timm": "convnext_large"},
)
def convnext_large(
    *, num_classes: int = 1000, in_channels: int = 3, drop_path_rate: float = 0.5, small_input: bool = False
) -> ConvNeXt:
    """ConvNeXt-L: as :func:`convnext_small`, wider; features (N, 1536)."""
    return ConvNeXt(
        num_blocks=(3, 3, 27, 3),
        channels=(192, 384, 768, 1536),
        num_classes=num_classes,
        in_channels=in_channels,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )
