"""EfficientNet (Tan and Le, 2019, https://arxiv.org/abs/1905.11946): one network, scaled by one compound rule.

The paper's rule (equation 3): with phi times the exponent of resources, depth grows as 1.2^phi, width as 1.1^phi
and the images' side as 1.15^phi. The published coefficients, those of the reference code, are rounded by hand:
with phi of 0, 0.5, 1, 2, 3.5, 5, 6 and 7 for B0 to B7, width and side follow the rule within 5 %, but from B4 on
the depth falls behind, to 3.1 instead of 1.2^7 = 3.6 in B7. :data:`SCALES` holds the published ones.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from torch import nn

from fieldguide.layers import ConvNormAct, round_channels
from fieldguide.models import register_model
from fieldguide.models._efficientnet import EfficientNet, Stage

SOURCE = "https://arxiv.org/abs/1905.11946"
STEM_CHANNELS = 32
LAST_CHANNELS = 1280


STAGES = (  # Table 1: B0
    Stage(expand_ratio=1, kernel_size=3, out_channels=16, num_blocks=1, stride=1),
    Stage(expand_ratio=6, kernel_size=3, out_channels=24, num_blocks=2, stride=2),
    Stage(expand_ratio=6, kernel_size=5, out_channels=40, num_blocks=2, stride=2),
    Stage(expand_ratio=6, kernel_size=3, out_channels=80, num_blocks=3, stride=2),
    Stage(expand_ratio=6, kernel_size=5, out_channels=112, num_blocks=3, stride=1),
    Stage(expand_ratio=6, kernel_size=5, out_channels=192, num_blocks=4, stride=2),
    Stage(expand_ratio=6, kernel_size=3, out_channels=320, num_blocks=1, stride=1),
)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Coefficients of the compound rule: of channels, and of blocks in a stage; and its batch normalisation."""

    width: float
    depth: float
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d


# What the weights of B5 to B7 were trained with, and what torchvision has; timm has PyTorch's own in all of them,
# so B5 to B7 are not timm's to the last digit.
_TensorFlowNorm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)

SCALES = (
    Scale(width=1.0, depth=1.0),
    Scale(width=1.0, depth=1.1),
    Scale(width=1.1, depth=1.2),
    Scale(width=1.2, depth=1.4),
    Scale(width=1.4, depth=1.8),
    Scale(width=1.6, depth=2.2, norm=_TensorFlowNorm),
    Scale(width=1.8, depth=2.6, norm=_TensorFlowNorm),
    Scale(width=2.0, depth=3.1, norm=_TensorFlowNorm),
)


def scale_stages(stages: Iterable[Stage], *, width: float, depth: float = 1.0) -> tuple[Stage, ...]:
    """Multiply channels, to multiples of 8, and blocks, rounded up."""
    return tuple(
        replace(
            stage,
            out_channels=round_channels(stage.out_channels * width),
            num_blocks=ceil(stage.num_blocks * depth),
        )
        for stage in stages
    )


def _efficientnet(
    scale: Scale, *, num_classes: int, in_channels: int, dropout: float, drop_path_rate: float, small_input: bool
) -> EfficientNet:
    return EfficientNet(
        scale_stages(STAGES, width=scale.width, depth=scale.depth),
        stem_channels=round_channels(STEM_CHANNELS * scale.width),
        last_channels=round_channels(LAST_CHANNELS * scale.width),
        conv_norm_act=partial(ConvNormAct, norm=scale.norm, activation=partial(nn.SiLU, inplace=True)),
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=5_288_548,
    macs=385_814_752,
    input_size_px=224,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b0", "timm": "efficientnet_b0"},
)
def efficientnet_b0(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B0. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 1280) instead.
        in_channels: channels of the images.
        dropout: of the pooled features, in training.
        drop_path_rate: block i of n, from 0, is left out with drop_path_rate * i / n in training, so none as often
            as the rate itself.
        small_input: the form for images of 28 to 64 px: a stem of stride 1, which keeps their size.

    Raises:
        ValueError: an argument is out of its range.
    """
    return _efficientnet(
        SCALES[0],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=7_794_184,
    macs=686_802_832,
    input_size_px=240,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b1", "timm": "efficientnet_b1"},
)
def efficientnet_b1(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B1: as :func:`efficientnet_b0`; features (N, 1280)."""
    return _efficientnet(
        SCALES[1],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=9_109_994,
    macs=993_561_872,
    input_size_px=260,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b2", "timm": "efficientnet_b2"},
)
def efficientnet_b2(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.3,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B2: as :func:`efficientnet_b0`; features (N, 1408)."""
    return _efficientnet(
        SCALES[2],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=12_233_232,
    macs=1_827_141_392,
    input_size_px=300,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b3", "timm": "efficientnet_b3"},
)
def efficientnet_b3(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.3,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B3: as :func:`efficientnet_b0`; features (N, 1536)."""
    return _efficientnet(
        SCALES[3],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=19_341_616,
    macs=4_393_771_024,
    input_size_px=380,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b4", "timm": "efficientnet_b4"},
)
def efficientnet_b4(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.4,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B4: as :func:`efficientnet_b0`; features (N, 1792)."""
    return _efficientnet(
        SCALES[4],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=30_389_784,
    macs=10_266_384_752,
    input_size_px=456,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b5"},
)
def efficientnet_b5(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.4,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B5: as :func:`efficientnet_b0`; features (N, 2048)."""
    return _efficientnet(
        SCALES[5],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=43_040_704,
    macs=19_067_593_536,
    input_size_px=528,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b6"},
)
def efficientnet_b6(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.5,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B6: as :func:`efficientnet_b0`; features (N, 2304)."""
    return _efficientnet(
        SCALES[6],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=66_347_960,
    macs=37_745_884_192,
    input_size_px=600,
    year=2019,
    source=SOURCE,
    references={"torchvision": "efficientnet_b7"},
)
def efficientnet_b7(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.5,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-B7: as :func:`efficientnet_b0`; features (N, 2560)."""
    return _efficientnet(
        SCALES[7],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )
