"""EfficientNet-Lite (Google, 2020), for small devices.

EfficientNet without squeeze-and-excitation and with ReLU6 for swish, so that it runs and quantises well; the stem,
the last convolution and the depth of the first and last stages are not scaled.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from dataclasses import replace
from functools import partial

from torch import nn

from fieldguide.layers import ConvNormAct, SameConv2d
from fieldguide.models import register_model
from fieldguide.models._efficientnet import EfficientNet
from fieldguide.models.efficientnet import LAST_CHANNELS, SCALES, STAGES, STEM_CHANNELS, Scale, scale_stages

SOURCE = "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"

_ConvNormAct = partial(
    ConvNormAct,
    conv=SameConv2d,
    norm=partial(nn.BatchNorm2d, eps=1e-3),  # TensorFlow's, as the reference weights were trained with
    activation=partial(nn.ReLU6, inplace=True),
)


def _efficientnet_lite(
    scale: Scale, *, num_classes: int, in_channels: int, dropout: float, drop_path_rate: float, small_input: bool
) -> EfficientNet:
    first, *between, last = (replace(stage, squeeze_ratio=0) for stage in STAGES)
    return EfficientNet(
        (
            *scale_stages([first], width=scale.width),
            *scale_stages(between, width=scale.width, depth=scale.depth),
            *scale_stages([last], width=scale.width),
        ),
        stem_channels=STEM_CHANNELS,
        last_channels=LAST_CHANNELS,
        conv_norm_act=_ConvNormAct,
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=4_652_008,
    macs=385_187_552,
    input_size_px=224,
    year=2020,
    source=SOURCE,
    references={"timm": "tf_efficientnet_lite0", "lukemelas": "efficientnet-lite0"},
)
def efficientnet_lite0(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-Lite0. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

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
    return _efficientnet_lite(
        SCALES[0],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=5_416_680,
    macs=600_185_232,
    input_size_px=240,
    year=2020,
    source=SOURCE,
    references={"timm": "tf_efficientnet_lite1"},
)
def efficientnet_lite1(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-Lite1: as :func:`efficientnet_lite0`, scaled as EfficientNet-B1."""
    return _efficientnet_lite(
        SCALES[1],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=6_092_072,
    macs=859_736_272,
    input_size_px=260,
    year=2020,
    source=SOURCE,
    references={"timm": "tf_efficientnet_lite2"},
)
def efficientnet_lite2(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.3,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-Lite2: as :func:`efficientnet_lite0`, scaled as EfficientNet-B2."""
    return _efficientnet_lite(
        SCALES[2],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=8_197_096,
    macs=1_383_321_872,
    input_size_px=280,
    year=2020,
    source=SOURCE,
    references={"timm": "tf_efficientnet_lite3"},
)
def efficientnet_lite3(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.3,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-Lite3: as :func:`efficientnet_lite0`, scaled as EfficientNet-B3."""
    return _efficientnet_lite(
        SCALES[3],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )


@register_model(
    params=13_006_568,
    macs=2_553_034_336,
    input_size_px=300,
    year=2020,
    source=SOURCE,
    references={"timm": "tf_efficientnet_lite4"},
)
def efficientnet_lite4(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.3,
    drop_path_rate: float = 0.2,
    small_input: bool = False,
) -> EfficientNet:
    """EfficientNet-Lite4: as :func:`efficientnet_lite0`, scaled as EfficientNet-B4."""
    return _efficientnet_lite(
        SCALES[4],
        num_classes=num_classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        small_input=small_input,
    )
