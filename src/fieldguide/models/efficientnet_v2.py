"""EfficientNetV2 (Tan and Le, 2021, https://arxiv.org/abs/2104.00298): fused blocks first.

S, M and L are torchvision's, batch normalisation's epsilon of 0.001 included. timm's ``efficientnetv2_*`` have
0.00001, without weights; its ``tf_efficientnetv2_*`` pad as TensorFlow does. Weights of XL are only to be had in
that last form, so XL is padded that way here too.
"""

from functools import partial

from torch import nn

from fieldguide.layers import ConvNormAct, SameConv2d, initialise_by_fan_out
from fieldguide.models import register_model
from fieldguide.models._efficientnet import EfficientNet, Stage

SOURCE = "https://arxiv.org/abs/2104.00298"
LAST_CHANNELS = 1280

_Fused = partial(Stage, kernel_size=3, fused=True, squeeze_ratio=0)
_MBConv = partial(Stage, kernel_size=3, squeeze_ratio=0.25)

S = (  # Table 4
    _Fused(expand_ratio=1, out_channels=24, num_blocks=2, stride=1),
    _Fused(expand_ratio=4, out_channels=48, num_blocks=4, stride=2),
    _Fused(expand_ratio=4, out_channels=64, num_blocks=4, stride=2),
    _MBConv(expand_ratio=4, out_channels=128, num_blocks=6, stride=2),
    _MBConv(expand_ratio=6, out_channels=160, num_blocks=9, stride=1),
    _MBConv(expand_ratio=6, out_channels=256, num_blocks=15, stride=2),
)
M = (  # the reference code's, https://github.com/google/automl/tree/master/efficientnetv2
    _Fused(expand_ratio=1, out_channels=24, num_blocks=3, stride=1),
    _Fused(expand_ratio=4, out_channels=48, num_blocks=5, stride=2),
    _Fused(expand_ratio=4, out_channels=80, num_blocks=5, stride=2),
    _MBConv(expand_ratio=4, out_channels=160, num_blocks=7, stride=2),
    _MBConv(expand_ratio=6, out_channels=176, num_blocks=14, stride=1),
    _MBConv(expand_ratio=6, out_channels=304, num_blocks=18, stride=2),
    _MBConv(expand_ratio=6, out_channels=512, num_blocks=5, stride=1),
)
L = (  # the reference code's
    _Fused(expand_ratio=1, out_channels=32, num_blocks=4, stride=1),
    _Fused(expand_ratio=4, out_channels=64, num_blocks=7, stride=2),
    _Fused(expand_ratio=4, out_channels=96, num_blocks=7, stride=2),
    _MBConv(expand_ratio=4, out_channels=192, num_blocks=10, stride=2),
    _MBConv(expand_ratio=6, out_channels=224, num_blocks=19, stride=1),
    _MBConv(expand_ratio=6, out_channels=384, num_blocks=25, stride=2),
    _MBConv(expand_ratio=6, out_channels=640, num_blocks=7, stride=1),
)
XL = (  # the reference code's
    _Fused(expand_ratio=1, out_channels=32, num_blocks=4, stride=1),
    _Fused(expand_ratio=4, out_channels=64, num_blocks=8, stride=2),
    _Fused(expand_ratio=4, out_channels=96, num_blocks=8, stride=2),
    _MBConv(expand_ratio=4, out_channels=192, num_blocks=16, stride=2),
    _MBConv(expand_ratio=6, out_channels=256, num_blocks=24, stride=1),
    _MBConv(expand_ratio=6, out_channels=512, num_blocks=32, stride=2),
    _MBConv(expand_ratio=6, out_channels=640, num_blocks=8, stride=1),
)

_ConvNormAct = partial(
    ConvNormAct, norm=partial(nn.BatchNorm2d, eps=1e-3), activation=partial(nn.SiLU, inplace=True)
)


def _efficientnet_v2(
    stages: tuple[Stage, ...],
    *,
    num_classes: int,
    in_channels: int,
    dropout: float,
    drop_path_rate: float,
    small_input: bool,
    conv: type[nn.Conv2d] = nn.Conv2d,
) -> EfficientNet:
    return EfficientNet(
        stages,
        stem_channels=stages[0].out_channels,
        last_channels=LAST_CHANNELS,
        conv_norm_act=partial(_ConvNormAct, conv=conv),
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
        # As torchvision, which trained S and M. With the fan-out of each group, as of the first EfficientNet, so
        # many blocks answer beyond all bounds in evaluation before they are trained: XL with 1e13.
        initialise_conv=partial(initialise_by_fan_out, each_group=False),
    )


@register_model(
    params=21_458_488,
    macs=8_365_617_152,
    input_size_px=384,
    year=2021,
    source=SOURCE,
    references={"torchvision": "efficientnet_v2_s"},
)
def efficientnet_v2_s(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNetV2-S. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

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
    return _efficientnet_v2(
        S,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=54_139_356,
    macs=24_582_460_384,
    input_size_px=480,
    year=2021,
    source=SOURCE,
    references={"torchvision": "efficientnet_v2_m"},
)
def efficientnet_v2_m(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.3,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNetV2-M: as :func:`efficientnet_v2_s`."""
    return _efficientnet_v2(
        M,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=118_515_272,
    macs=56_079_699_008,
    input_size_px=480,
    year=2021,
    source=SOURCE,
    references={"torchvision": "efficientnet_v2_l"},
)
def efficientnet_v2_l(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.4,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNetV2-L: as :func:`efficientnet_v2_s`."""
    return _efficientnet_v2(
        L,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=208_119_808,
    macs=93_353_451_520,
    input_size_px=512,
    year=2021,
    source=SOURCE,
    references={"timm": "tf_efficientnetv2_xl"},
)
def efficientnet_v2_xl(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.4,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNetV2-XL: as :func:`efficientnet_v2_s`, padded as TensorFlow does."""
    return _efficientnet_v2(
        XL,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
        conv=SameConv2d,
    )
