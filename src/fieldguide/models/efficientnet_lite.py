"""EfficientNet-Lite (Google, 2020), for small devices.

EfficientNet-B0 (Tan and Le, 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with ReLU6
for swish, so that it runs and quantises well.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from fieldguide.layers import ConvNormAct, InputSize, InvertedResidual, SameConv2d, check_arguments
from fieldguide.models import register_model

SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of blocks at one resolution; the first block of a stage takes its stride."""

    expand_ratio: int
    kernel_size: int
    out_channels: int
    num_blocks: int
    stride: int


STAGES = (  # Table 1 of the EfficientNet paper
    Stage(expand_ratio=1, kernel_size=3, out_channels=16, num_blocks=1, stride=1),
    Stage(expand_ratio=6, kernel_size=3, out_channels=24, num_blocks=2, stride=2),
    Stage(expand_ratio=6, kernel_size=5, out_channels=40, num_blocks=2, stride=2),
    Stage(expand_ratio=6, kernel_size=3, out_channels=80, num_blocks=3, stride=2),
    Stage(expand_ratio=6, kernel_size=5, out_channels=112, num_blocks=3, stride=1),
    Stage(expand_ratio=6, kernel_size=5, out_channels=192, num_blocks=4, stride=2),
    Stage(expand_ratio=6, kernel_size=3, out_channels=320, num_blocks=1, stride=1),
)

_ConvNormAct = partial(
    ConvNormAct,
    conv=SameConv2d,
    norm=partial(nn.BatchNorm2d, eps=1e-3),  # TensorFlow's, as the reference weights were trained with
    activation=nn.ReLU6,
)


class EfficientNetLite(nn.Module):
    """Stem, seven stages of inverted residuals, 1x1 head, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled
    features (N, 1280) where num_classes is 0.
    """

    def __init__(self, stages: tuple[Stage, ...], *, num_classes: int, in_channels: int, dropout: float) -> None:
        super().__init__()
        self.input_size = InputSize(32)
        self.stem = _ConvNormAct(in_channels, STEM_CHANNELS, kernel_size=3, stride=2)
        self.stages = nn.Sequential()
        channels = STEM_CHANNELS
        for stage in stages:
            self.stages.append(_blocks(channels, stage))
            channels = stage.out_channels
        self.head = _ConvNormAct(channels, HEAD_CHANNELS)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(HEAD_CHANNELS, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, 1280, H / 32, W / 32).

        Raises:
            ValueError: the images are smaller than 32 px.
        """
        self.input_size.check(images)
        features: Tensor = self.head(self.stages(self.stem(images)))
        return features

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.forward_features(images).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


def _blocks(in_channels: int, stage: Stage) -> nn.Sequential:
    blocks = nn.Sequential()
    for index in range(stage.num_blocks):
        channels = in_channels if index == 0 else stage.out_channels
        blocks.append(
            InvertedResidual(
                channels,
                stage.out_channels,
                hidden_channels=channels * stage.expand_ratio,
                kernel_size=stage.kernel_size,
                stride=stage.stride if index == 0 else 1,
                conv_norm_act=_ConvNormAct,
            )
        )
    return blocks


def _initialise(module: nn.Module) -> None:
    """As the reference does: convolutions by fan-out, the classifier uniform in 1 / sqrt(classes)."""
    if isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
    elif isinstance(module, nn.Linear):
        bound = module.out_features**-0.5
        nn.init.uniform_(module.weight, -bound, bound)
        nn.init.zeros_(module.bias)


@register_model(
    params=4_652_008,
    macs=385_187_552,
    input_size_px=224,
    year=2020,
    source=SOURCE,
    references={"timm": "tf_efficientnet_lite0", "lukemelas": "efficientnet-lite0"},
)
def efficientnet_lite0(*, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2) -> EfficientNetLite:
    """EfficientNet-Lite0. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1280) instead.
        in_channels: channels of the images.
        dropout: of the pooled features, in training.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_arguments(num_classes=num_classes, in_channels=in_channels, dropout=dropout)
    return EfficientNetLite(STAGES, num_classes=num_classes, in_channels=in_channels, dropout=dropout)
