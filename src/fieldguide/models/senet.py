"""Squeeze-and-excitation in ResNet and ResNeXt (Hu et al., 2017, https://arxiv.org/abs/1709.01507)."""

from functools import partial

from fieldguide.layers import Bottleneck, SqueezeExcite
from fieldguide.models import register_model
from fieldguide.models.resnet import ResNet

SOURCE = "https://arxiv.org/abs/1709.01507"

REDUCTION = 16  # section 6.1, on the reduction ratio


def _squeeze_excite(channels: int) -> SqueezeExcite:
    return SqueezeExcite(channels, channels // REDUCTION)


@register_model(
    params=28_088_024,
    macs=4_091_699_200,
    input_size_px=224,
    year=2017,
    source=SOURCE,
    references={"timm": "seresnet50"},
)
def se_resnet50(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """SE-ResNet-50. Images (N, in_channels, H, W) float32, at least 32 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 2048) instead.
        in_channels: channels of the images.
        small_input: the form for images of 28 to 64 px.
        fixup: no normalisation, but what Zhang et al., 2019, https://arxiv.org/abs/1901.09321, train without it.
            Their paper has no rule for gates, which stay; it needs its tenth of the learning rate for single
            numbers here, or the first steps diverge.

    Raises:
        ValueError: num_classes is below 0, or in_channels below 1.
    """
    block = partial(Bottleneck, squeeze_excite=_squeeze_excite)
    return ResNet(
        block, (3, 4, 6, 3), num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup
    )


@register_model(
    params=27_559_896,
    macs=4_232_994_816,
    input_size_px=224,
    year=2017,
    source=SOURCE,
    references={"timm": "seresnext50_32x4d"},
)
def se_resnext50_32x4d(
    *, num_classes: int = 1000, in_channels: int = 3, small_input: bool = False, fixup: bool = False
) -> ResNet:
    """SE-ResNeXt-50, in the first stage of 32 groups of 4 channels: as :func:`se_resnet50`."""
    block = partial(Bottleneck, groups=32, width_factor=2, squeeze_excite=_squeeze_excite)
    return ResNet(
        block, (3, 4, 6, 3), num_classes=num_classes, in_channels=in_channels, small_input=small_input, fixup=fixup
    )
