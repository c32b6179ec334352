"""EfficientNet-Lite (Google, 2020), for small devices.

EfficientNet-B0 (Tan and Le, 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with ReLU6
for swish, so that it runs and quantises well.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.models import register_model

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
BATCH_NORM_EPS = 1e-3  # TensorFlow's, as the reference weights were trained with
DROPOUT = 0.2


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


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": an odd pixel of padding goes to the bottom and right.

    The reference weights expect it; symmetric padding would shift every layer of stride 2. No kernel is smaller
    than its stride.

    Images (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def forward(self, images: Tensor) -> Tensor:
        height, width = (int(side) for side in images.shape[-2:])  # in a trace too: the padding is then fused
        pad_h = _same_padding(height, self.kernel_size[0], self.stride[0])
        pad_w = _same_padding(width, self.kernel_size[1], self.stride[1])
        padded = F.pad(images, (pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _same_padding(size: int, kernel_size: int, stride: int) -> int:
    """Return how many pixels the last step reads past the edge."""
    return kernel_size - stride + -size % stride


class ConvNormAct(nn.Sequential):
    """Convolution, batch normalisation and ReLU6 (or none). (N, C, H, W) -> (N, out, H / stride, W / stride)."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int = 1, groups: int = 1,
        activation: bool = True,
    ) -> None:  # fmt: skip
        conv = SameConv2d if stride > 1 else nn.Conv2d  # at stride 1 the two paddings are the same
        padding = 0 if stride > 1 else kernel_size // 2
        super().__init__(
            conv(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(out_channels, eps=BATCH_NORM_EPS),
            nn.ReLU6() if activation else nn.Identity(),
        )


class InvertedResidual(nn.Module):
    """Expand by 1x1, filter each channel, project by a linear 1x1; add the input where the shape is kept.

    (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride).
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, expand_ratio: int, kernel_size: int, stride: int
    ) -> None:
        super().__init__()
        hidden = in_channels * expand_ratio
        self.expand = ConvNormAct(in_channels, hidden, kernel_size=1) if expand_ratio > 1 else nn.Identity()
        self.depthwise = ConvNormAct(hidden, hidden, kernel_size=kernel_size, stride=stride, groups=hidden)
        self.project = ConvNormAct(hidden, out_channels, kernel_size=1, activation=False)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, images: Tensor) -> Tensor:
        residual: Tensor = self.project(self.depthwise(self.expand(images)))
        return images + residual if self.has_shortcut else residual


class EfficientNetLite(nn.Module):
    """Stem, seven stages of inverted residuals, 1x1 head, global average pooling, linear classifier.

    Images (N, in_channels, H, W) float32, H and W at least 32 -> logits (N, num_classes), or the pooled
    features (N, 1280) where num_classes is 0.
    """

    def __init__(self, stages: tuple[Stage, ...], *, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = ConvNormAct(in_channels, STEM_CHANNELS, kernel_size=3, stride=2)
        self.stages = nn.ModuleList()
        channels = STEM_CHANNELS
        for stage in stages:
            blocks = nn.Sequential()
            for index in range(stage.num_blocks):
                blocks.append(
                    InvertedResidual(
                        channels,
                        stage.out_channels,
                        expand_ratio=stage.expand_ratio,
                        kernel_size=stage.kernel_size,
                        stride=stage.stride if index == 0 else 1,
                    )
                )
                channels = stage.out_channels
            self.stages.append(blocks)
        self.head = ConvNormAct(channels, HEAD_CHANNELS, kernel_size=1)
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(HEAD_CHANNELS, num_classes) if num_classes else nn.Identity()
        self.apply(_initialise)

    def forward_features(self, images: Tensor) -> Tensor:
        """Images (N, in_channels, H, W) -> the last feature map (N, 1280, H / 32, W / 32)."""
        images = self.stem(images)
        for stage in self.stages:
            images = stage(images)
        features: Tensor = self.head(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.forward_features(images).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(pooled))
        return logits


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
    source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
)
def efficientnet_lite0(*, num_classes: int = 1000, in_channels: int = 3) -> EfficientNetLite:
    """EfficientNet-Lite0. Images (N, in_channels, H, W) float32 -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1280) instead.
        in_channels: channels of the images.

    Raises:
        ValueError: num_classes is below 0, or in_channels below 1.
    """
    if num_classes < 0:
        raise ValueError(f"num_classes is {num_classes}; it must be 0 (features) or more")
    if in_channels < 1:
        raise ValueError(f"in_channels is {in_channels}; it must be 1 or more")
    return EfficientNetLite(STAGES, num_classes=num_classes, in_channels=in_channels)
