"""MobileNet (Howard et al., 2017, https://arxiv.org/abs/1704.04861): depthwise separable convolutions."""

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import ConvNormAct, InputSize, check_arguments, initialise_by_fan_out, round_channels
from fieldguide.models import register_model

SOURCE = "https://arxiv.org/abs/1704.04861"
STEM_CHANNELS = 32


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of blocks at one resolution; the first block of a stage takes its stride."""

    out_channels: int
    num_blocks: int
    stride: int


STAGES = (  # Table 1
    Stage(out_channels=64, num_blocks=1, stride=1),
    Stage(out_channels=128, num_blocks=2, stride=2),
    Stage(out_channels=256, num_blocks=2, stride=2),
    Stage(out_channels=512, num_blocks=6, stride=2),
    Stage(out_channels=1024, num_blocks=2, stride=2),
)

# ReLU6 as the reference code; the paper says ReLU. In place, it takes no memory of its own.
_ConvNormAct = partial(ConvNormAct, activation=partial(nn.ReLU6, inplace=True))


class DepthwiseSeparable(nn.Module):
    """Filter each channel by itself, 3x3, then mix channels, 1x1: 8 to 9 times fewer weights than both at once.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = _ConvNormAct(in_channels, in_channels, kernel_size=3, stride=stride, groups=in_channels)
        self.pointwise = _ConvNormAct(in_channels, out_channels)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.pointwise(self.depthwise(images))
        return output


class MobileNetV1(nn.Module):
    """Stem, five stages of depthwise separable convolutions, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled features
    (N, 1024 * width) where num_classes is 0.

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
        self.stem = _ConvNormAct(in_channels, channels, kernel_size=3, stride=1 if small_input else 2)
        self.stages = nn.Sequential()
        for row in stages:
            out_channels = round_channels(row.out_channels * width)
            stage = nn.Sequential()
            for index in range(row.num_blocks):
                stage.append(DepthwiseSeparable(channels, out_channels, stride=1 if index else row.stride))
                channels = out_channels
            self.stages.append(stage)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, ceil(H / 32), ceil(W / 32)).

        D is 1024 * width; with ``small_input``, 16 instead of 32.

        Raises:
            ValueError: the images are smaller than 32 px, or than 16 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.forward_features(images).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


def _initialise(module: nn.Module) -> None:
    """As timm, which trained it; the paper does not say."""
    if isinstance(module, nn.Conv2d):
        initialise_by_fan_out(module)
    elif isinstance(module, nn.Linear):
        bound = module.out_features**-0.5
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)


@register_model(
    params=4_231_976,
    macs=568_740_352,
    input_size_px=224,
    year=2017,
    source=SOURCE,
    references={"timm": "mobilenetv1_100"},
)
def mobilenet_v1(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: float = 1.0,
    dropout: float = 0.001,
    small_input: bool = False,
) -> MobileNetV1:
    """MobileNet. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1024 * width) instead.
        in_channels: channels of the images.
        width: the paper's multiplier alpha (1, 0.75, 0.5 or 0.25 there), of every channel count, rounded to
            multiples of 8. The paper's resolution multiplier rho is the size of the images: any will do.
        dropout: of the pooled features, in training; the reference code's default.
        small_input: the form for images of 28 to 64 px: a stem of stride 1, which keeps their size.

    Raises:
        ValueError: an argument is out of its range.
    """
    return MobileNetV1(
        STAGES,
        num_classes=num_classes,
        in_channels=in_channels,
        width=width,
        dropout=dropout,
        small_input=small_input,
    )
