"""The inverted residual, MBConv, of MobileNetV2 and all that came of it, and its fused form."""

from collections.abc import Callable

from torch import Tensor, nn

from fieldguide.layers.conv_norm_act import ConvNormAct
from fieldguide.layers.drop_path import DropPath


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel, project by a linear 1x1; add the input where the shape is kept.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Source: MobileNetV2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381), Table 1.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        hidden_channels: C between; where it is ``in_channels`` there is no expansion.
        kernel_size: of the depthwise convolution, odd.
        stride: of the depthwise convolution.
        conv_norm_act: makes the three layers; a family binds its own normalisation and activation to it.
        squeeze_excite: makes the channel attention of so many channels; None for none.
        drop_path_rate: how often the branch is left out in training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int,
        kernel_size: int,
        stride: int,
        conv_norm_act: Callable[..., nn.Module] = ConvNormAct,
        squeeze_excite: Callable[[int], nn.Module] | None = None,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        expands = hidden_channels != in_channels
        self.expand = conv_norm_act(in_channels, hidden_channels) if expands else nn.Identity()
        self.depthwise = conv_norm_act(
            hidden_channels, hidden_channels, kernel_size=kernel_size, stride=stride, groups=hidden_channels
        )
        self.squeeze_excite = squeeze_excite(hidden_channels) if squeeze_excite else nn.Identity()
        self.project = conv_norm_act(hidden_channels, out_channels, activation=None)
        self.drop_path = DropPath(drop_path_rate)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, images: Tensor) -> Tensor:
        branch: Tensor = self.project(self.squeeze_excite(self.depthwise(self.expand(images))))
        return images + self.drop_path(branch) if self.has_shortcut else branch


class FusedInvertedResidual(nn.Module):
    """The expansion and the depthwise convolution in one dense convolution, which is quicker on few channels.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Source: EfficientNetV2 (Tan and Le, 2021, https://arxiv.org/abs/2104.00298), Figure 2.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        hidden_channels: C between; where it is ``in_channels`` there is no projection either: one convolution,
            with its activation, is all.
        kernel_size: of the dense convolution, odd.
        stride: of the dense convolution.
        conv_norm_act: makes the layers; a family binds its own normalisation and activation to it.
        drop_path_rate: how often the branch is left out in training.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int,
        kernel_size: int,
        stride: int,
        conv_norm_act: Callable[..., nn.Module] = ConvNormAct,
        drop_path_rate: float = 0.0,
    ) -> None:
        super().__init__()
        expands = hidden_channels != in_channels
        width = hidden_channels if expands else out_channels
        self.expand = conv_norm_act(in_channels, width, kernel_size=kernel_size, stride=stride)
        self.project = conv_norm_act(width, out_channels, activation=None) if expands else nn.Identity()
        self.drop_path = DropPath(drop_path_rate)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, images: Tensor) -> Tensor:
        branch: Tensor = self.project(self.expand(images))
        return images + self.drop_path(branch) if self.has_shortcut else branch
