"""CLIP's residual networks: its towers for images (Radford et al., 2021, https://arxiv.org/abs/2103.00020).

They are ResNets with three changes (Section 2.4). The stem has three 3x3 convolutions and an average pooling. In
the blocks no convolution has a stride: average pooling makes maps smaller, in the branch and beside it (ResNet-D,
He et al., 2018, https://arxiv.org/abs/1812.01187, and the blur of Zhang, 2019, https://arxiv.org/abs/1904.11486).
And attention pools the last map: its mean asks, and every place answers.

The embedding has length 1, as that of :mod:`fieldguide.models.clip_vit` has.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.layers import (
    ConvNormAct,
    InputSize,
    UnitLength,
    check_arguments,
    initialise_by_fan_out,
    resize_positions,
)
from fieldguide.models import Factory, register_model

CLIP = "https://arxiv.org/abs/2103.00020"

REDUCTION = 32  # pixels of the image, a side, to one of the last map
HEAD_CHANNELS = 64  # of each head of the attention


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a tower is."""

    width: int
    num_blocks: tuple[int, int, int, int]
    embedding: int


RN50 = Size(width=64, num_blocks=(3, 4, 6, 3), embedding=1024)  # Table 19 of the paper
RN101 = Size(width=64, num_blocks=(3, 4, 23, 3), embedding=512)
RN50X4 = Size(width=80, num_blocks=(4, 6, 10, 6), embedding=640)


class PooledBottleneck(nn.Module):
    """A 3x3 convolution between two 1x1, beside a shortcut; a stride is average pooling in both.

    (N, in_channels, H, W) -> (N, 4 * channels, H // stride, W // stride).

    Args:
        in_channels: C of the input.
        channels: of the 3x3 convolution; the output has four times as many.
        stride: of the pooling; 1 for none.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.out_channels = 4 * channels
        self.conv1 = ConvNormAct(in_channels, channels)
        self.conv2 = ConvNormAct(channels, channels, kernel_size=3)
        self.pool = _pooling(stride)
        self.conv3 = ConvNormAct(channels, self.out_channels, activation=None)
        self.shortcut = _shortcut(in_channels, self.out_channels, stride)
        self.act = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        branch = self.conv3(self.pool(self.conv2(self.conv1(images))))
        output: Tensor = self.act(branch + self.shortcut(images))
        return output


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    project = ConvNormAct(in_channels, out_channels, activation=None)
    return nn.Sequential(OrderedDict(pool=_pooling(stride), project=project))


def _pooling(stride: int) -> nn.Module:
    return nn.AvgPool2d(stride) if stride > 1 else nn.Identity()


class AttentionPool(nn.Module):
    """Pool a map by attention: the mean over its places asks, and the mean and all places answer.

    (N, channels, h, w) -> (N, out_channels).

    Args:
        channels: of the map; each head of the attention has 64.
        out_channels: of what it gives.
        side: of the maps whose positions are learnt; for others they are interpolated.
    """

    def __init__(self, channels: int, out_channels: int, *, side: int) -> None:
        super().__init__()
        self.grid = (side, side)
        self.positions = nn.Parameter(torch.empty(1 + side**2, channels))
        self.queries, self.keys, self.values = (nn.Linear(channels, channels) for _ in range(3))
        self.project = nn.Linear(channels, out_channels)
        nn.init.normal_(self.positions, std=channels**-0.5)
        for linear in (self.queries, self.keys, self.values, self.project):
            nn.init.normal_(linear.weight, std=channels**-0.5)

    def forward(self, maps: Tensor) -> Tensor:
        places = maps.flatten(2).transpose(1, 2)  # (N, h * w, channels)
        tokens = torch.cat([places.mean(dim=1, keepdim=True), places], dim=1)
        tokens = tokens + resize_positions(self.positions[None], self.grid, (maps.shape[-2], maps.shape[-1]))
        gathered = F.scaled_dot_product_attention(
            _by_head(self.queries(tokens[:, :1])), _by_head(self.keys(tokens)), _by_head(self.values(tokens))
        )  # (N, heads, 1, 64)
        projected: Tensor = self.project(gathered.flatten(1))
        return projected


def _by_head(tokens: Tensor) -> Tensor:
    """(N, L, channels) -> (N, heads, L, 64)."""
    batch, length, channels = tokens.shape
    return tokens.reshape(batch, length, channels // HEAD_CHANNELS, HEAD_CHANNELS).transpose(1, 2)


class CLIPResNet(nn.Module):
    """Stem of three convolutions, stages of pooled bottlenecks, attention pooling to a vector of length 1.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> embeddings (N, E) of length 1 where num_classes
    is 0, or else what a linear classifier makes of them, logits (N, num_classes).

    Args:
        size: width of the stem, blocks of each stage, and E.
        size_px: side of the images whose positions are learnt; for others they are interpolated.
        num_classes: logits; 0 for the embedding.
        in_channels: of the images.

    Raises:
        ValueError: an argument is out of its range, or size_px is not a multiple of 32.
    """

    def __init__(self, size: Size, *, size_px: int, num_classes: int, in_channels: int) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, size_px=size_px)
        if size_px % REDUCTION:
            raise ValueError(
                f"size_px is {size_px}; it must be a multiple of {REDUCTION}, by which the network reduces images"
            )
        super().__init__()
        self.input_size = InputSize(REDUCTION)
        self.stem = nn.Sequential(
            OrderedDict(
                conv1=ConvNormAct(in_channels, size.width // 2, kernel_size=3, stride=2),
                conv2=ConvNormAct(size.width // 2, size.width // 2, kernel_size=3),
                conv3=ConvNormAct(size.width // 2, size.width, kernel_size=3),
            )
        )
        self.stem_pool = nn.AvgPool2d(2)
        self.stages = nn.Sequential()
        channels = size.width
        for number, count in enumerate(size.num_blocks):
            stage = nn.Sequential()
            for index in range(count):
                stride = 2 if number and not index else 1
                block = PooledBottleneck(channels, size.width * 2**number, stride=stride)
                stage.append(block)
                channels = block.out_channels
            self.stages.append(stage)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                initialise_by_fan_out(module)
        pool = AttentionPool(channels, size.embedding, side=size_px // REDUCTION)
        self.head = nn.Sequential(OrderedDict(pool=pool, unit=UnitLength()))
        self.classifier = nn.Linear(size.embedding, num_classes) if num_classes else nn.Identity()

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, ceil(H / 2) // 16, ceil(W / 2) // 16).

        D is 32 times the width.

        Raises:
            ValueError: the images are smaller than 32 px.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem_pool(self.stem(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.head(self.forward_features(images)))
        return logits


def _register(name: str, *, params: int, macs: int, input_size_px: int, timm: str) -> Callable[[Factory], Factory]:
    """Register a tower, of that name in the paper and in open_clip."""
    return register_model(
        params=params,
        macs=macs,
        input_size_px=input_size_px,
        year=2021,
        source=CLIP,
        references={"open_clip": name, "timm": timm},
    )


@_register("RN50", params=38_316_896, macs=5_793_153_024, input_size_px=224, timm="resnet50_clip.openai")
def clip_resnet50(*, num_classes: int = 0, in_channels: int = 3, size_px: int = 224) -> CLIPResNet:
    """CLIP's RN50. Images (N, in_channels, H, W) float32, at least 32 px -> embeddings (N, 1024) of length 1.

    Args:
        num_classes: logits (N, num_classes) of a linear classifier of the embedding; 0 gives the embedding.
        in_channels: channels of the images.
        size_px: side of the images to be trained on, which sets how many positions are learnt. The network takes
            other sizes too, and interpolates the positions for them.

    Raises:
        ValueError: an argument is out of its range, or size_px is not a multiple of 32.
    """
    return CLIPResNet(RN50, size_px=size_px, num_classes=num_classes, in_channels=in_channels)


@_register("RN101", params=56_259_936, macs=9_504_325_632, input_size_px=224, timm="resnet101_clip.openai")
def clip_resnet101(*, num_classes: int = 0, in_channels: int = 3, size_px: int = 224) -> CLIPResNet:
    """CLIP's RN101: as :func:`clip_resnet50`, deeper; embeddings (N, 512)."""
    return CLIPResNet(RN101, size_px=size_px, num_classes=num_classes, in_channels=in_channels)


@_register("RN50x4", params=87_137_080, macs=20_581_048_320, input_size_px=288, timm="resnet50x4_clip.openai")
def clip_resnet50x4(*, num_classes: int = 0, in_channels: int = 3, size_px: int = 288) -> CLIPResNet:
    """CLIP's RN50x4, of four times the computation, for images of 288 px: as :func:`clip_resnet50`; (N, 640)."""
    return CLIPResNet(RN50X4, size_px=size_px, num_classes=num_classes, in_channels=in_channels)
