"""ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385) and its wider kin.

ResNeXt (Xie et al., 2016, https://arxiv.org/abs/1611.05431) groups the 3x3 convolution of each bottleneck, and
Wide ResNet (Zagoruyko and Komodakis, 2016, https://arxiv.org/abs/1605.07146) doubles its channels. As everywhere
since, the bottleneck's stride is in its 3x3 convolution, not in the first 1x1.
"""

from collections.abc import Callable

from torch import Tensor, nn

from fieldguide.layers import ConvNormAct, InputSize, check_arguments
from fieldguide.models import register_model

RESNET = "https://arxiv.org/abs/1512.03385"
RESNEXT = "https://arxiv.org/abs/1611.05431"
WIDE_RESNET = "https://arxiv.org/abs/1605.07146"

STEM_CHANNELS = 64
STAGE_CHANNELS = (64, 128, 256, 512)  # Table 1: of the 3x3 convolutions; every stage but the first halves the map

Block = Callable[..., "BasicBlock | Bottleneck"]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut. (N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        conv_norm_act: Callable[..., nn.Module] = ConvNormAct,
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.conv1 = conv_norm_act(in_channels, channels, kernel_size=3, stride=stride)
        self.conv2 = conv_norm_act(channels, channels, kernel_size=3, activation=None)
        self.shortcut = _shortcut(in_channels, self.out_channels, stride, conv_norm_act)
        self.act = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        branch = self.conv2(self.conv1(images))
        output: Tensor = self.act(branch + self.shortcut(images))
        return output


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1. (N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride).

    Args:
        in_channels: C of the input.
        channels: of the 3x3 convolution, before ``width_factor``; the output has four times as many.
        stride: of the 3x3 convolution.
        groups: of the 3x3 convolution; ResNeXt calls them cardinality.
        width_factor: of the 3x3 convolution's channels.
        conv_norm_act: makes the convolutions.
        squeeze_excite: makes the channel attention at the end of the branch; None for none.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        groups: int = 1,
        width_factor: int = 1,
        conv_norm_act: Callable[..., nn.Module] = ConvNormAct,
        squeeze_excite: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.out_channels = 4 * channels
        width = channels * width_factor
        self.conv1 = conv_norm_act(in_channels, width)
        self.conv2 = conv_norm_act(width, width, kernel_size=3, stride=stride, groups=groups)
        self.conv3 = conv_norm_act(width, self.out_channels, activation=None)
        self.squeeze_excite = squeeze_excite(self.out_channels) if squeeze_excite else nn.Identity()
        self.shortcut = _shortcut(in_channels, self.out_channels, stride, conv_norm_act)
        self.act = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        branch = self.squeeze_excite(self.conv3(self.conv2(self.conv1(images))))
        output: Tensor = self.act(branch + self.shortcut(images))
        return output


def _shortcut(
    in_channels: int, out_channels: int, stride: int, conv_norm_act: Callable[..., nn.Module]
) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv_norm_act(in_channels, out_channels, stride=stride, activation=None)


class ResNet(nn.Module):
    """Stem, four stages of residual blocks, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, D) where num_classes is 0: D is 512 of basic blocks, 2048 of bottlenecks.

    Args:
        block: makes a residual block.
        num_blocks: of each stage.
        num_classes: logits.
        in_channels: of the images.
        small_input: a stem for images of 28 to 64 px, which keeps their size: 3x3, stride 1, no pooling.
    """

    def __init__(
        self, block: Block, num_blocks: tuple[int, ...], *, num_classes: int, in_channels: int, small_input: bool
    ) -> None:
        super().__init__()
        self.input_size = InputSize(8 if small_input else 32)
        if small_input:
            self.stem = ConvNormAct(in_channels, STEM_CHANNELS, kernel_size=3)
        else:
            self.stem = ConvNormAct(in_channels, STEM_CHANNELS, kernel_size=7, stride=2)
        self.pool = nn.Identity() if small_input else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.Sequential()
        width = STEM_CHANNELS
        for number, (channels, count) in enumerate(zip(STAGE_CHANNELS, num_blocks, strict=True)):
            stage = nn.Sequential()
            for index in range(count):
                made = block(width, channels, stride=2 if number and not index else 1)
                stage.append(made)
                width = made.out_channels
            self.stages.append(stage)
        self.classifier = nn.Linear(width, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, H / 32, W / 32).

        Raises:
            ValueError: the images are smaller than 32 px, or than 8 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.pool(self.stem(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.forward_features(images).mean(dim=(2, 3)))
        return logits


def _initialise(module: nn.Module) -> None:
    """As He et al., 2015, https://arxiv.org/abs/1502.01852: normal, by fan-out."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _resnet(
    block: Block, num_blocks: tuple[int, ...], *, num_classes: int, in_channels: int, small_input: bool
) -> ResNet:
    check_arguments(num_classes=num_classes, in_channels=in_channels)
    return ResNet(block, num_blocks, num_classes=num_classes, in_channels=in_channels, small_input=small_input)


@register_model(
    params=11_689_512,
    macs=1_814_073_344,
    input_size_px=224,
    year=2015,
    source=RESNET,
    references={"torchvision": "resnet18", "timm": "resnet18"},
)
def resnet18(*, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False) -> ResNet:
    """ResNet-18. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 512) instead.
        in_channels: channels of the images.
        small_input: the form for images of 28 to 64 px.

    Raises:
        ValueError: num_classes is below 0, or in_channels below 1.
    """
    return _resnet(
        BasicBlock, (2, 2, 2, 2), num_classes=num_classes, in_channels=in_channels, small_input=small_input
    )


@register_model(
    params=25_557_032,
    macs=4_089_184_256,
    input_size_px=224,
    year=2015,
    source=RESNET,
    references={"torchvision": "resnet50", "timm": "resnet50"},
)
def resnet50(*, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False) -> ResNet:
    """ResNet-50: as :func:`resnet18`, of bottlenecks; features (N, 2048)."""
    return _resnet(
        Bottleneck, (3, 4, 6, 3), num_classes=num_classes, in_channels=in_channels, small_input=small_input
    )
