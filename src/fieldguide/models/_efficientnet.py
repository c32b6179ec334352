"""The network that EfficientNet, EfficientNet-Lite and EfficientNetV2 share; each has its own rows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import (
    FusedInvertedResidual,
    InputSize,
    InvertedResidual,
    SqueezeExcite,
    check_arguments,
    initialise_by_fan_out,
)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of blocks at one resolution; the first block of a stage takes its stride.

    Args:
        expand_ratio: hidden channels for each input channel of a block.
        kernel_size: odd.
        out_channels: of every block.
        num_blocks: in the run.
        stride: of the first block.
        fused: whether the blocks are :class:`FusedInvertedResidual`, as EfficientNetV2's first ones.
        squeeze_ratio: of squeeze-and-excitation's bottleneck to a block's input channels; 0 for none.
    """

    expand_ratio: int
    kernel_size: int
    out_channels: int
    num_blocks: int
    stride: int
    fused: bool = False
    squeeze_ratio: float = 0.25


class EfficientNet(nn.Module):
    """Stem, stages of inverted residuals, 1x1 convolution, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, last_channels) where num_classes is 0.

    Args:
        stages: rows, already scaled.
        stem_channels: of the first convolution.
        last_channels: of the 1x1 convolution after the stages.
        conv_norm_act: makes the convolutions, with the family's normalisation and activation.
        num_classes: logits.
        in_channels: of the images.
        dropout: of the pooled features.
        drop_path_rate: block i of n, from 0, leaves out its branch in training with drop_path_rate * i / n, as in
            the reference code: the rate itself is never reached. (ConvNeXt's and ViT's do reach it, by n - 1.)
        small_input: the form for images of 28 to 64 px: a stem of stride 1, which keeps their size.
        initialise_conv: initialises each convolution.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        stem_channels: int,
        last_channels: int,
        conv_norm_act: Callable[..., nn.Module],
        num_classes: int,
        in_channels: int,
        dropout: float,
        drop_path_rate: float,
        small_input: bool,
        initialise_conv: Callable[[nn.Conv2d], None] = initialise_by_fan_out,
    ) -> None:
        check_arguments(
            num_classes=num_classes, in_channels=in_channels, dropout=dropout, drop_path_rate=drop_path_rate
        )
        super().__init__()
        self.input_size = InputSize(16 if small_input else 32)
        self.stem = conv_norm_act(in_channels, stem_channels, kernel_size=3, stride=1 if small_input else 2)
        self.stages = nn.Sequential()
        channels, num_before, num_all = stem_channels, 0, sum(stage.num_blocks for stage in stages)
        for row in stages:
            stage = nn.Sequential()
            for index in range(row.num_blocks):
                rate = drop_path_rate * (num_before + index) / num_all
                stride = 1 if index else row.stride
                stage.append(_block(row, channels, stride, rate, conv_norm_act))
                channels = row.out_channels
            self.stages.append(stage)
            num_before += row.num_blocks
        self.last_conv = conv_norm_act(channels, last_channels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(last_channels, num_classes) if num_classes else nn.Identity()
        self.apply(partial(_initialise, initialise_conv=initialise_conv))

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, ceil(H / 32), ceil(W / 32)).

        D is ``last_channels``; with ``small_input``, 16 instead of 32.

        Raises:
            ValueError: the images are smaller than 32 px, or than 16 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.last_conv(self.stages(self.stem(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.forward_features(images).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


def _block(
    row: Stage, in_channels: int, stride: int, drop_path_rate: float, conv_norm_act: Callable[..., nn.Module]
) -> nn.Module:
    squeezed = int(in_channels * row.squeeze_ratio)
    squeeze_excite = partial(SqueezeExcite, squeezed_channels=squeezed, activation=nn.SiLU) if squeezed else None
    block = FusedInvertedResidual if row.fused else partial(InvertedResidual, squeeze_excite=squeeze_excite)
    made: nn.Module = block(
        in_channels,
        row.out_channels,
        hidden_channels=in_channels * row.expand_ratio,
        kernel_size=row.kernel_size,
        stride=stride,
        conv_norm_act=conv_norm_act,
        drop_path_rate=drop_path_rate,
    )
    return made


def _initialise(module: nn.Module, *, initialise_conv: Callable[[nn.Conv2d], None]) -> None:
    """As the reference code: convolutions by fan-out, the classifier uniform in 1 / sqrt(classes)."""
    if isinstance(module, nn.Conv2d):
        initialise_conv(module)
    elif isinstance(module, nn.Linear):
        bound = module.out_features**-0.5
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)
