"""MobileNetV3 (Howard et al., 2019, https://arxiv.org/abs/1905.02244): squeeze-and-excitation and hard swish.

The batch normalisation is the paper's and torchvision's, with an epsilon of 0.001. timm's ``mobilenetv3_*_100``
differ from it in their epsilon alone, 0.00001: weights trained there give other answers here, so timm is not among
the references.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import (
    ConvNormAct,
    InputSize,
    InvertedResidual,
    SqueezeExcite,
    check_arguments,
    initialise_by_fan_out,
    round_channels,
)
from fieldguide.models import register_model

SOURCE = "https://arxiv.org/abs/1905.02244"
STEM_CHANNELS = 16


@dataclass(frozen=True, kw_only=True)
class Block:
    """One row of the paper's tables."""

    hidden_channels: int
    out_channels: int
    squeeze_excite: bool = False


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The rows at one resolution, which share a kernel and an activation; the first takes the stride."""

    kernel_size: int
    activation: type[nn.Module]
    stride: int
    blocks: tuple[Block, ...]


LARGE = (  # Table 1
    Stage(kernel_size=3, activation=nn.ReLU, stride=1, blocks=(Block(hidden_channels=16, out_channels=16),)),
    Stage(
        kernel_size=3,
        activation=nn.ReLU,
        stride=2,
        blocks=(Block(hidden_channels=64, out_channels=24), Block(hidden_channels=72, out_channels=24)),
    ),
    Stage(
        kernel_size=5,
        activation=nn.ReLU,
        stride=2,
        blocks=(
            Block(hidden_channels=72, out_channels=40, squeeze_excite=True),
            Block(hidden_channels=120, out_channels=40, squeeze_excite=True),
            Block(hidden_channels=120, out_channels=40, squeeze_excite=True),
        ),
    ),
    Stage(
        kernel_size=3,
        activation=nn.Hardswish,
        stride=2,
        blocks=(
            Block(hidden_channels=240, out_channels=80),
            Block(hidden_channels=200, out_channels=80),
            Block(hidden_channels=184, out_channels=80),
            Block(hidden_channels=184, out_channels=80),
            Block(hidden_channels=480, out_channels=112, squeeze_excite=True),
            Block(hidden_channels=672, out_channels=112, squeeze_excite=True),
        ),
    ),
    Stage(
        kernel_size=5,
        activation=nn.Hardswish,
        stride=2,
        blocks=(
            Block(hidden_channels=672, out_channels=160, squeeze_excite=True),
            Block(hidden_channels=960, out_channels=160, squeeze_excite=True),
            Block(hidden_channels=960, out_channels=160, squeeze_excite=True),
        ),
    ),
)

SMALL = (  # Table 2
    Stage(
        kernel_size=3,
        activation=nn.ReLU,
        stride=2,
        blocks=(Block(hidden_channels=16, out_channels=16, squeeze_excite=True),),
    ),
    Stage(
        kernel_size=3,
        activation=nn.ReLU,
        stride=2,
        blocks=(Block(hidden_channels=72, out_channels=24), Block(hidden_channels=88, out_channels=24)),
    ),
    Stage(
        kernel_size=5,
        activation=nn.Hardswish,
        stride=2,
        blocks=(
            Block(hidden_channels=96, out_channels=40, squeeze_excite=True),
            Block(hidden_channels=240, out_channels=40, squeeze_excite=True),
            Block(hidden_channels=240, out_channels=40, squeeze_excite=True),
            Block(hidden_channels=120, out_channels=48, squeeze_excite=True),
            Block(hidden_channels=144, out_channels=48, squeeze_excite=True),
        ),
    ),
    Stage(
        kernel_size=5,
        activation=nn.Hardswish,
        stride=2,
        blocks=(
            Block(hidden_channels=288, out_channels=96, squeeze_excite=True),
            Block(hidden_channels=576, out_channels=96, squeeze_excite=True),
            Block(hidden_channels=576, out_channels=96, squeeze_excite=True),
        ),
    ),
)

_ConvNormAct = partial(
    ConvNormAct,
    norm=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01),
    activation=partial(nn.Hardswish, inplace=True),
)


class MobileNetV3(nn.Module):
    """Stem, stages of inverted residuals, 1x1 convolution, global average pooling, two linear layers.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the features
    (N, head_features) where num_classes is 0.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        stages: tuple[Stage, ...],
        *,
        head_features: int,
        num_classes: int,
        in_channels: int,
        dropout: float,
        small_input: bool,
    ) -> None:
        check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
        super().__init__()
        self.input_size = InputSize(16 if small_input else 32)
        self.stem = _ConvNormAct(in_channels, STEM_CHANNELS, kernel_size=3, stride=1 if small_input else 2)
        self.stages = nn.Sequential()
        channels = STEM_CHANNELS
        for stage in stages:
            self.stages.append(_blocks(stage, channels))
            channels = stage.blocks[-1].out_channels
        last_channels = 6 * channels
        self.last_conv = _ConvNormAct(channels, last_channels)
        self.head = nn.Sequential(OrderedDict(linear=nn.Linear(last_channels, head_features), act=nn.Hardswish()))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(head_features, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, D, ceil(H / 32), ceil(W / 32)).

        D is 960 of the large network, 576 of the small; with ``small_input``, 16 instead of 32.

        Raises:
            ValueError: the images are smaller than 32 px, or than 16 px with ``small_input``.
        """
        self.input_size.check(images)
        features: Tensor = self.last_conv(self.stages(self.stem(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.forward_features(images).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(self.head(pooled)))
        return logits


def _blocks(stage: Stage, in_channels: int) -> nn.Sequential:
    blocks = nn.Sequential()
    for index, block in enumerate(stage.blocks):
        blocks.append(
            InvertedResidual(
                in_channels,
                block.out_channels,
                hidden_channels=block.hidden_channels,
                kernel_size=stage.kernel_size,
                stride=1 if index else stage.stride,
                conv_norm_act=partial(_ConvNormAct, activation=partial(stage.activation, inplace=True)),
                squeeze_excite=_squeeze_excite if block.squeeze_excite else None,
            )
        )
        in_channels = block.out_channels
    return blocks


def _squeeze_excite(channels: int) -> SqueezeExcite:
    """Section 5.3: to a quarter of the expanded channels, with a hard sigmoid."""
    return SqueezeExcite(channels, round_channels(channels // 4), gate=nn.Hardsigmoid)


def _initialise(module: nn.Module) -> None:
    """As torchvision, which trained it; the paper does not say."""
    if isinstance(module, nn.Conv2d):
        initialise_by_fan_out(module, each_group=False)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)


@register_model(
    params=5_483_032,
    macs=216_589_760,
    input_size_px=224,
    year=2019,
    source=SOURCE,
    references={"torchvision": "mobilenet_v3_large"},
)
def mobilenet_v3_large(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2, small_input: bool = False
) -> MobileNetV3:
    """MobileNetV3-Large. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the features (N, 1280) instead.
        in_channels: channels of the images.
        dropout: of the features, in training.
        small_input: the form for images of 28 to 64 px: a stem of stride 1, which keeps their size.

    Raises:
        ValueError: an argument is out of its range.
    """
    return MobileNetV3(
        LARGE,
        head_features=1280,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        small_input=small_input,
    )


@register_model(
    params=2_542_856,
    macs=56_510_400,
    input_size_px=224,
    year=2019,
    source=SOURCE,
    references={"torchvision": "mobilenet_v3_small"},
)
def mobilenet_v3_small(
    *, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2, small_input: bool = False
) -> MobileNetV3:
    """MobileNetV3-Small: as :func:`mobilenet_v3_large`; features (N, 1024)."""
    return MobileNetV3(
        SMALL,
        head_features=1024,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        small_input=small_input,
    )
