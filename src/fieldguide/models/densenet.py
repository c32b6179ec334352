"""DenseNet (Huang et al., 2016, https://arxiv.org/abs/1608.06993): each layer sees what all before it found.

These are the networks with bottlenecks and compression, which the paper calls DenseNet-BC.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from fieldguide.layers import ConvNormAct, InputSize, check_arguments
from fieldguide.models import register_model

SOURCE = "https://arxiv.org/abs/1608.06993"

BOTTLENECK = 4  # section 3: the 1x1 convolution gives so many times the growth rate


class NormActConv(nn.Sequential):
    """Normalisation, activation, convolution: the paper's composite function H.

    (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel_size: int = 1) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            norm=nn.BatchNorm2d(in_channels),
            act=nn.ReLU(inplace=True),
            conv=nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
        )
        super().__init__(layers)


class DenseLayer(nn.Module):
    """A bottleneck whose new maps follow those it was given. (N, C, H, W) -> (N, C + growth_rate, H, W)."""

    def __init__(self, in_channels: int, growth_rate: int, *, dropout: float) -> None:
        super().__init__()
        self.bottleneck = NormActConv(in_channels, BOTTLENECK * growth_rate)
        self.grow = NormActConv(BOTTLENECK * growth_rate, growth_rate, kernel_size=3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        new: Tensor = self.dropout(self.grow(self.bottleneck(images)))
        return torch.cat([images, new], dim=1)


class Transition(nn.Sequential):
    """Half as many channels, and half the size. (N, C, H, W) -> (N, C // 2, H // 2, W // 2)."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(NormActConv(in_channels, in_channels // 2), nn.AvgPool2d(2))


class DenseNet(nn.Module):
    """Stem, four stages of dense layers with transitions between, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, D) where num_classes is 0.

    Args:
        num_layers: of each stage.
        growth_rate: how many channels each layer adds; the stem gives twice as many.
        num_classes: logits.
        in_channels: of the images.
        dropout: of each layer's new maps, in training.
        small_input: a stem for images of 28 to 64 px, which keeps their size: 3x3, stride 1, no pooling.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        num_layers: tuple[int, ...],
        *,
        growth_rate: int = 32,
        num_classes: int,
        in_channels: int,
        dropout: float,
        small_input: bool,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        super().__init__()
        self.input_size = InputSize(8 if small_input else 32)
        channels = 2 * growth_rate
        kernel_size, stride = (3, 1) if small_input else (7, 2)
        self.stem = ConvNormAct(in_channels, channels, kernel_size=kernel_size, stride=stride)
        self.stem_pool = nn.Identity() if small_input else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.Sequential()
        for number, count in enumerate(num_layers):
            stage = nn.Sequential()
            if number:
                stage.append(Transition(channels))
                channels //= 2
            for _ in range(count):
                stage.append(DenseLayer(channels, growth_rate, dropout=dropout))
                channels += growth_rate
            self.stages.append(stage)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, H', W').

        H' is floor(ceil(H / 4) / 8), or floor(H / 8) with ``small_input``: transitions round down; and so is W'.

        Raises:
            ValueError: the images are smaller than 32 px, or than 8 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.act(self.norm(self.stages(self.stem_pool(self.stem(images)))))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.forward_features(images).mean(dim=(2, 3)))
        return logits


def _initialise(module: nn.Module) -> None:
    """As He et al., 2015, https://arxiv.org/abs/1502.01852: normal, by fan-in; the classifier's bias is 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight)
    elif isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


# Table 1. DenseNet-161 is of the authors' code, https://github.com/liuzhuang13/DenseNet
_DENSENET121 = partial(DenseNet, (6, 12, 24, 16))
_DENSENET169 = partial(DenseNet, (6, 12, 32, 32))
_DENSENET201 = partial(DenseNet, (6, 12, 48, 32))
_DENSENET161 = partial(DenseNet, (6, 12, 36, 24), growth_rate=48)


@register_model(
    params=7_978_856,
    macs=2_834_161_664,
    input_size_px=224,
    year=2016,
    source=SOURCE,
    references={"torchvision": "densenet121", "timm": "densenet121"},
)
def densenet121(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.0, small_input: bool = False
) -> DenseNet:
    """DenseNet-121. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1024) instead.
        in_channels: channels of the images.
        dropout: of each layer's new maps, in training; the paper takes 0.2 on small sets without augmentation.
        small_input: the form for images of 28 to 64 px.

    Raises:
        ValueError: an argument is out of its range.
    """
    return _DENSENET121(num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=14_149_480,
    macs=3_359_843_328,
    input_size_px=224,
    year=2016,
    source=SOURCE,
    references={"torchvision": "densenet169", "timm": "densenet169"},
)
def densenet169(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.0, small_input: bool = False
) -> DenseNet:
    """DenseNet-169: as :func:`densenet121`, features (N, 1664)."""
    return _DENSENET169(num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=20_013_928,
    macs=4_291_365_888,
    input_size_px=224,
    year=2016,
    source=SOURCE,
    references={"torchvision": "densenet201", "timm": "densenet201"},
)
def densenet201(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.0, small_input: bool = False
) -> DenseNet:
    """DenseNet-201: as :func:`densenet121`, features (N, 1920)."""
    return _DENSENET201(num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)


@register_model(
    params=28_681_000,
    macs=7_727_907_072,
    input_size_px=224,
    year=2016,
    source=SOURCE,
    references={"torchvision": "densenet161", "timm": "densenet161"},
)
def densenet161(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.0, small_input: bool = False
) -> DenseNet:
    """DenseNet-161: as :func:`densenet121`, of growth rate 48; features (N, 2208)."""
    return _DENSENET161(num_classes=num_classes, in_channels=in_channels, dropout=dropout, small_input=small_input)
