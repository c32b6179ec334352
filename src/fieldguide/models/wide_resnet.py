"""Wide ResNet for CIFAR (Zagoruyko and Komodakis, 2016, https://arxiv.org/abs/1605.07146): shallower, and wider.

Its blocks normalise and activate before each convolution, so that nothing but additions is on the way of a
shortcut (He et al., 2016, https://arxiv.org/abs/1603.05027).
"""

from torch import Tensor, nn

from fieldguide.layers import (
    InputSize,
    ScaleShift,
    Shift,
    ShiftConv2d,
    ShiftLinear,
    check_arguments,
    check_whole,
    initialise_fixup,
)
from fieldguide.models import register_model

SOURCE = "https://arxiv.org/abs/1605.07146"

DEPTHS = "6n + 4: 10, 16, 22, 28, ..."  # the stem, three stages of n blocks of two, three projections
STEM_CHANNELS = 16
STAGE_CHANNELS = (16, 32, 64)  # Table 1, before widening: of 32, 16 and 8 px


class PreActivationBlock(nn.Module):
    """Normalisation, activation and 3x3 convolution, twice, beside a shortcut.

    (N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: C of the input.
        channels: C of the output.
        stride: of the first convolution.
        dropout: before the second convolution, in training.
        fixup: scalars instead of normalisation.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int, dropout: float, fixup: bool) -> None:
        super().__init__()
        conv = ShiftConv2d if fixup else nn.Conv2d
        self.norm1 = Shift() if fixup else nn.BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, channels, 3, stride, 1, bias=False)
        self.norm2 = Shift() if fixup else nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(channels, channels, 3, 1, 1, bias=False)
        self.scale = ScaleShift() if fixup else nn.Identity()
        self.projects = stride != 1 or in_channels != channels
        self.shortcut = conv(in_channels, channels, 1, stride, bias=False) if self.projects else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        activated = self.act(self.norm1(images))
        hidden = self.act(self.norm2(self.conv1(activated)))
        branch = self.scale(self.conv2(self.dropout(hidden)))
        # A projection shares the first activation; the identity must not.
        output: Tensor = branch + self.shortcut(activated if self.projects else images)
        return output


class WideResNet(nn.Module):
    """Stem, three stages of pre-activation blocks, normalisation, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 8 -> logits (N, num_classes), or the pooled features
    (N, 64 * width) where num_classes is 0.

    Args:
        depth: how many convolutions there are, with the three projections: 6n + 4.
        width: what the channels of the stages are multiplied by; the paper's k.
        num_classes: logits.
        in_channels: of the images.
        dropout: between the convolutions of each block, in training.
        fixup: scalars and an initialisation instead of normalisation.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, *, depth: int, width: int, num_classes: int, in_channels: int, dropout: float, fixup: bool
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        check_whole("width", width)
        check_whole("depth", depth, least=10, allowed=DEPTHS)
        if depth % 6 != 4:
            raise ValueError(f"depth is {depth}; it must be {DEPTHS}")
        super().__init__()
        self.input_size = InputSize(8)
        conv, linear = (ShiftConv2d, ShiftLinear) if fixup else (nn.Conv2d, nn.Linear)
        self.stem = conv(in_channels, STEM_CHANNELS, 3, 1, 1, bias=False)
        self.stages = nn.Sequential()
        previous = STEM_CHANNELS
        for number, channels in enumerate(channels * width for channels in STAGE_CHANNELS):
            stage = nn.Sequential()
            for index in range((depth - 4) // 6):
                stride = 2 if number and not index else 1
                stage.append(PreActivationBlock(previous, channels, stride=stride, dropout=dropout, fixup=fixup))
                previous = channels
            self.stages.append(stage)
        self.norm = Shift() if fixup else nn.BatchNorm2d(previous)
        self.act = nn.ReLU(inplace=True)
        self.classifier = linear(previous, num_classes) if num_classes else nn.Identity()
        if fixup:
            initialise_fixup(self)
        else:
            self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, 64 * width, ceil(H / 4), ceil(W / 4)).

        Raises:
            ValueError: the images are smaller than 8 px.
        """
        self.input_size.check(images)
        features: Tensor = self.act(self.norm(self.stages(self.stem(images))))
        return features

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.forward_features(images).mean(dim=(2, 3)))
        return logits


def _initialise(module: nn.Module) -> None:
    """As the paper's code does, after He et al., 2015, https://arxiv.org/abs/1502.01852: normal, by fan-out."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


@register_model(params=36_479_194, macs=5_243_328_768, input_size_px=32, year=2016, source=SOURCE)
def wide_resnet28_10(
    *, num_classes: int = 10, in_channels: int = 3, dropout: float = 0.0, fixup: bool = False
) -> WideResNet:
    """Wide ResNet-28-10. Images (N, in_channels, H, W) float32, at least 8 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 640) instead.
        in_channels: channels of the images.
        dropout: between the convolutions of each block, in training; the paper also trains with 0.3 on CIFAR.
        fixup: no normalisation, but what Zhang et al., 2019, https://arxiv.org/abs/1901.09321, train without it.

    Raises:
        ValueError: an argument is out of its range.
    """
    return WideResNet(
        depth=28, width=10, num_classes=num_classes, in_channels=in_channels, dropout=dropout, fixup=fixup
    )
