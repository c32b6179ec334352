"""ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385) and its wider kin.

ResNeXt (Xie et al., 2016, https://arxiv.org/abs/1611.05431) groups the 3x3 convolution of each bottleneck, and
Wide ResNet (Zagoruyko and Komodakis, 2016, https://arxiv.org/abs/1605.07146) doubles its channels. As everywhere
since, the bottleneck's stride is in its 3x3 convolution, not in the first 1x1.
"""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import (
    BasicBlock,
    Bottleneck,
    ConvNormAct,
    InputSize,
    ShiftLinear,
    check_arguments,
    fixup_conv_act,
    initialise_fixup,
)
from fieldguide.models import Factory, register_model

RESNET = "https://arxiv.org/abs/1512.03385"
RESNEXT = "https://arxiv.org/abs/1611.05431"
RESNEXT_32X8D = "https://arxiv.org/abs/1805.00932"
WIDE_RESNET = "https://arxiv.org/abs/1605.07146"

STAGE_CHANNELS = (64, 128, 256, 512)  # Table 1: of the 3x3 convolutions; every stage but the first halves the map


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, D) where num_classes is 0: D is the last of stage_channels, or four times that of bottlenecks.

    Args:
        block: makes a residual block, such as :class:`BasicBlock`.
        num_blocks: of each stage.
        stage_channels: of each stage's 3x3 convolutions; the stem has as many as the first.
        num_classes: logits.
        in_channels: of the images.
        small_input: a stem for images of 28 to 64 px, which keeps their size: 3x3, stride 1, no pooling.
        fixup: scalars and an initialisation instead of normalisation.

    Raises:
        ValueError: num_classes is below 0, or in_channels below 1.
    """

    def __init__(
        self,
        block: Callable[..., BasicBlock | Bottleneck],
        num_blocks: Sequence[int],
        *,
        stage_channels: Sequence[int] = STAGE_CHANNELS,
        num_classes: int,
        in_channels: int,
        small_input: bool,
        fixup: bool,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels)
        super().__init__()
        self.input_size = InputSize(8 if small_input else 32)
        conv_norm_act, linear = (fixup_conv_act, ShiftLinear) if fixup else (ConvNormAct, nn.Linear)
        width = stage_channels[0]
        kernel_size, stride = (3, 1) if small_input else (7, 2)
        self.stem = conv_norm_act(in_channels, width, kernel_size=kernel_size, stride=stride)
        self.stem_pool = nn.Identity() if small_input else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.Sequential()
        for number, (channels, count) in enumerate(zip(stage_channels, num_blocks, strict=True)):
            stage = nn.Sequential()
            for index in range(count):
                stride = 2 if number and not index else 1
                made = block(width, channels, stride=stride, conv_norm_act=conv_norm_act)
                stage.append(made)
                width = made.out_channels
            self.stages.append(stage)
        self.classifier = linear(width, num_classes) if num_classes else nn.Identity()
        if fixup:
            initialise_fixup(self)
        else:
            self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, ceil(H / 32), ceil(W / 32)).

        With ``small_input`` 8 instead of 32; and 4 where there are only three stages, as in ResNet-20.

        Raises:
            ValueError: the images are smaller than 32 px, or than 8 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem_pool(self.stem(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.forward_features(images).mean(dim=(2, 3)))
        return logits


def _initialise(module: nn.Module) -> None:
    """As He et al., 2015, https://arxiv.org/abs/1502.01852: normal, by fan-out."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


# The blocks, and how many of them each stage has: Table 1 of the papers on ResNet and ResNeXt, Table 8 of that on
# Wide ResNet. ResNeXt-101 32x8d is of Mahajan et al., 2018, and Wide ResNet-101-2 of torchvision.
_RESNET18 = partial(ResNet, BasicBlock, (2, 2, 2, 2))
_RESNET34 = partial(ResNet, BasicBlock, (3, 4, 6, 3))
_RESNET50 = partial(ResNet, Bottleneck, (3, 4, 6, 3))
_RESNET101 = partial(ResNet, Bottleneck, (3, 4, 23, 3))
_RESNET152 = partial(ResNet, Bottleneck, (3, 8, 36, 3))
_RESNEXT50_32X4D = partial(ResNet, partial(Bottleneck, groups=32, width_factor=2), (3, 4, 6, 3))
_RESNEXT101_32X8D = partial(ResNet, partial(Bottleneck, groups=32, width_factor=4), (3, 4, 23, 3))
_WIDE_RESNET50_2 = partial(ResNet, partial(Bottleneck, width_factor=2), (3, 4, 6, 3))
_WIDE_RESNET101_2 = partial(ResNet, partial(Bottleneck, width_factor=2), (3, 4, 23, 3))


def _register(*, params: int, macs: int, year: int, source: str) -> Callable[[Factory], Factory]:
    """Register a network for 224 px, which torchvision and timm have by the same name."""

    def register(factory: Factory) -> Factory:
        references = dict.fromkeys(("torchvision", "timm"), factory.__name__)
        add = register_model(
            params=params, macs=macs, input_size_px=224, year=year, source=source, references=references
        )
        return add(factory)

    return register


@_register(params=11_689_512, macs=1_814_073_344, year=2015, source=RESNET)
def resnet18(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNet-18. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 512) instead.
        in_channels: channels of the images.
        small_input: the form for images of 28 to 64 px.
        fixup: no normalisation, but what Zhang et al., 2019, https://arxiv.org/abs/1901.09321, train without it.

    Raises:
        ValueError: num_classes is below 0, or in_channels below 1.
    """
    return _RESNET18(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=21_797_672, macs=3_663_761_408, year=2015, source=RESNET)
def resnet34(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNet-34: as :func:`resnet18`."""
    return _RESNET34(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=25_557_032, macs=4_089_184_256, year=2015, source=RESNET)
def resnet50(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNet-50: as :func:`resnet18`, of bottlenecks; features (N, 2048)."""
    return _RESNET50(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=44_549_160, macs=7_801_405_440, year=2015, source=RESNET)
def resnet101(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNet-101: as :func:`resnet50`."""
    return _RESNET101(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=60_192_808, macs=11_513_626_624, year=2015, source=RESNET)
def resnet152(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNet-152: as :func:`resnet50`."""
    return _RESNET152(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=25_028_904, macs=4_230_479_872, year=2016, source=RESNEXT)
def resnext50_32x4d(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNeXt-50, in the first stage of 32 groups of 4 channels: as :func:`resnet50`."""
    return _RESNEXT50_32X4D(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=88_791_336, macs=16_414_015_488, year=2018, source=RESNEXT_32X8D)
def resnext101_32x8d(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """ResNeXt-101, in the first stage of 32 groups of 8 channels (Mahajan et al., 2018): as :func:`resnet50`."""
    return _RESNEXT101_32X8D(
        num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup
    )


@_register(params=68_883_240, macs=11_398_021_120, year=2016, source=WIDE_RESNET)
def wide_resnet50_2(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """Wide ResNet-50-2: as :func:`resnet50`."""
    return _WIDE_RESNET50_2(num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup)


@_register(params=126_886_696, macs=22_753_050_624, year=2016, source=WIDE_RESNET)
def wide_resnet101_2(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """Wide ResNet-101-2: as :func:`resnet50`."""
    return _WIDE_RESNET101_2(
        num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup
    )
