"""Fixup: residual networks without normalisation (Zhang et al., 2019, https://arxiv.org/abs/1901.09321).

Two things stand where normalisation would. Single learned numbers: one is added before every convolution, linear
layer and activation, and one multiplies the end of every branch. And a beginning at which each branch gives 0 and
its inner weights are the smaller the more branches there are, so that a first step changes any depth alike.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fieldguide.layers.conv_norm_act import ConvNormAct


class Shift(nn.Module):
    """Add one learned number, 0 at first. (N, ...) -> (N, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        return images + self.bias


class ScaleShift(nn.Module):
    """Multiply by one learned number, 1 at first, and add another, 0 at first. (N, ...) -> (N, ...)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale + self.bias


class ShiftConv2d(nn.Conv2d):
    """A convolution of images to which one learned number was added; their padded edges stay 0."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        *,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias)
        self.shift = Shift()

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.shift(images))


class ShiftLinear(nn.Linear):
    """A linear layer of features to which one learned number was added. (N, in_features) -> (N, out_features)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features)
        self.shift = Shift()

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(self.shift(features))


def fixup_conv_act(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
) -> ConvNormAct:
    """Return what Fixup has for a :class:`ConvNormAct` of these arguments.

    Its child ``norm`` only shifts; or, where no activation follows and a branch ends, scales and shifts.
    """
    end = Shift if activation else ScaleShift
    return ConvNormAct(
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        groups=groups,
        conv=ShiftConv2d,
        norm=lambda _: end(),
        activation=activation,
    )


def initialise_fixup(network: nn.Module) -> None:
    """Draw the weights of a residual network by Fixup's rule, in place.

    All convolutions begin as He et al. (https://arxiv.org/abs/1502.01852) say, by fan-in: it keeps how large the
    maps' numbers are from layer to layer, and nothing else does so here. Then, in each of L branches of m
    convolutions, the last becomes 0 and the others are multiplied by L ** (-1 / (2 * m - 2)). The classifier
    becomes 0.

    Args:
        network: its ``stages`` are of residual blocks. A block's branch is its :class:`ShiftConv2d` layers, in
            their order, but for those of its child ``shortcut``.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    blocks = [block for stage in network.get_submodule("stages").children() for block in stage.children()]
    for block in blocks:
        inside = [module for name, module in block.named_modules() if not name.startswith("shortcut")]
        *inner, last = [module for module in inside if isinstance(module, ShiftConv2d)]
        for conv in inner:
            with torch.no_grad():
                conv.weight.mul_(len(blocks) ** (-1 / (2 * len(inner))))
        nn.init.zeros_(last.weight)
    classifier = network.get_submodule("classifier")
    if isinstance(classifier, nn.Linear):  # not where there are no classes
        nn.init.zeros_(classifier.weight)
        nn.init.zeros_(classifier.bias)
