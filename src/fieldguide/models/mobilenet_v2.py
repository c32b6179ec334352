"""MobileNetV2 (Sandler et al., 2018, https://arxiv.org/abs/1801.04381): inverted residuals, linear bottlenecks."""

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import (
    ConvNormAct,
    InputSize,
    InvertedResidual,
    check_arguments,
    initialise_by_fan_out,
    round_channels,
)
from fieldguide.models import register_model

SOURCE = "https://arxiv.org/abs/1801.04381"
STEM_CHANNELS = 32
LAST_CHANNELS = 1280


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of blocks at one resolution; the first block of a stage takes its stride."""

    expand_ratio: int
    out_channels: int
    num_blocks: int
    stride: int


STAGES = (  # Table 2
    Stage(expand_ratio=1, out_channels=16, num_blocks=1, stride=1),
    Stage(expand_ratio=6, out_channels=24, num_blocks=2, stride=2),
    Stage(expand_ratio=6, out_channels=32, num_blocks=3, stride=2),
    Stage(expand_ratio=6, out_channels=64, num_blocks=4, stride=2),
    Stage(expand_ratio=6, out_channels=96, num_blocks=3, stride=1),
    Stage(expand_ratio=6, out_channels=160, num_blocks=3, stride=2),
    Stage(expand_ratio=6, out_channels=320, num_blocks=1, stride=1),
)

_ConvNormAct = partial(ConvNormAct, activation=partial(nn.ReLU6, inplace=True))


class MobileNetV2(nn.Module):
    """Stem, seven stages of inverted residuals, 1x1 convolution, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, 1280) where num_classes is 0; a width above 1 widens these too.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        num_classes: int,
        in_channels: int,
        width: float,
        dropout: float,
        small_input: bool,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, width=width, dropout=dropout)
        super().__init__()
        self.input_size = InputSize(16 if small_input else 32)
        channels = round_channels(STEM_CHANNELS * width)
        last_channels = round_channels(LAST_CHANNELS * max(width, 1.0))  # section 4: never narrowed
        self.stem = _ConvNormAct(in_channels, channels, kernel_size=3, stride=1 if small_input else 2)
        self.stages = nn.Sequential()
        for stage in stages:
            out_channels = round_channels(stage.out_channels * width)
            self.stages.append(_blocks(stage, channels, out_channels))
            channels = out_channels
        self.last_conv = _ConvNormAct(channels, last_channels)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(last_channels, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, ceil(H / 32), ceil(W / 32)).

        D is 1280, or more of a width above 1; with ``small_input``, 16 instead of 32.

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


def _blocks(stage: Stage, in_channels: int, out_channels: int) -> nn.Sequential:
    blocks = nn.Sequential()
    for index in range(stage.num_blocks):
        channels = out_channels if index else in_channels
        blocks.append(
            InvertedResidual(
                channels,
                out_channels,
                hidden_channels=channels * stage.expand_ratio,
                kernel_size=3,
                stride=1 if index else stage.stride,
                conv_norm_act=_ConvNormAct,
            )
        )
    return blocks


def _initialise(module: nn.Module) -> None:
    """As torchvision, which trained it; the paper does not say."""
    if isinstance(module, nn.Conv2d):
        initialise_by_fan_out(module, each_group=False)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


@register_model(
    params=3_504_872,
    macs=300_774_272,
    input_size_px=224,
    year=2018,
    source=SOURCE,
    references={"torchvision": "mobilenet_v2", "timm": "mobilenetv2_100"},
)
def mobilenet_v2(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.2,
    small_input: bool = False,
) -> MobileNetV2:
    """MobileNetV2. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1280) instead.
        in_channels: channels of the images.
        width: the paper's multiplier alpha, of every channel count, rounded to multiples of 8; the last
            convolution is never narrowed (section 4, "Trade-off hyper parameters").
        dropout: of the pooled features, in training.
        small_input: the form for images of 28 to 64 px: a stem of stride 1, which keeps their size.

    Raises:
        ValueError: an argument is out of its range.
    """
    return MobileNetV2(
        STAGES,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        dropout=dropout,
        small_input=small_input,
    )
