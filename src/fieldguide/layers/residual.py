"""The residual blocks of ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385, Figure 5) and its kin."""

from collections.abc import Callable

from torch import Tensor, nn

from fieldguide.layers.conv_norm_act import ConvNormAct


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    (N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)).

    Args:
        in_channels: C of the input.
        channels: C of the output.
        stride: of the first convolution.
        conv_norm_act: makes the convolutions.
        shortcut: makes the shortcut where the shape changes; None for a 1x1 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int,
        conv_norm_act: Callable[..., nn.Module] = ConvNormAct,
        shortcut: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.out_channels = channels
        self.conv1 = conv_norm_act(in_channels, channels, kernel_size=3, stride=stride)
        self.conv2 = conv_norm_act(channels, channels, kernel_size=3, activation=None)
        if shortcut and (stride != 1 or in_channels != channels):
            self.shortcut = shortcut(in_channels, channels, stride=stride)
        else:
            self.shortcut = _projection(in_channels, channels, stride, conv_norm_act)
        self.act = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        branch = self.conv2(self.conv1(images))
        output: Tensor = self.act(branch + self.shortcut(images))
        return output


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1, beside a shortcut.

    (N, in_channels, H, W) -> (N, 4 * channels, ceil(H / stride), ceil(W / stride)).

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
        self.shortcut = _projection(in_channels, self.out_channels, stride, conv_norm_act)
        self.act = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        branch = self.squeeze_excite(self.conv3(self.conv2(self.conv1(images))))
        output: Tensor = self.act(branch + self.shortcut(images))
        return output


def _projection(
    in_channels: int, out_channels: int, stride: int, conv_norm_act: Callable[..., nn.Module]
) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return conv_norm_act(in_channels, out_channels, stride=stride, activation=None)
