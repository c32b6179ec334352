"""ResNet for CIFAR-10 (He et al., 2015, https://arxiv.org/abs/1512.03385, section 4.2): 6n + 2 layers.

The shortcuts have no parameters (option A), so that the networks have as many as their plain counterparts.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from fieldguide.layers import BasicBlock
from fieldguide.models import register_model
from fieldguide.models.resnet import RESNET, ResNet

STAGE_CHANNELS = (16, 32, 64)  # the table of section 4.2: of 32, 16 and 8 px


class PaddedShortcut(nn.Module):
    """Option A: every second pixel, and zeros for the channels that the input does not have.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.added_channels = out_channels - in_channels

    def forward(self, images: Tensor) -> Tensor:
        kept = images[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, 0, self.added_channels))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, added_channels={self.added_channels}"


def _cifar_resnet(blocks_per_stage: int, *, num_classes: int, in_channels: int, fixup: bool) -> ResNet:
    return ResNet(
        partial(BasicBlock, shortcut=PaddedShortcut),
        (blocks_per_stage,) * len(STAGE_CHANNELS),
        stage_channels=STAGE_CHANNELS,
        num_classes=num_classes,
        in_channels=in_channels,
        small_input=True,
        fixup=fixup,
    )


@register_model(params=269_722, macs=40_551_040, input_size_px=32, year=2015, source=RESNET)
def resnet20(*, num_classes: int = 10, in_channels: int = 3, fixup: bool = False) -> ResNet:
    """ResNet-20 for CIFAR. Images (N, in_channels, H, W) float32, at least 8 px -> logits (N, num_classes).

    Args:
        num_classes: how many logits; 0 gives the pooled features (N, 64) instead.
        in_channels: channels of the images.
        fixup: no normalisation, but what Zhang et al., 2019, https://arxiv.org/abs/1901.09321, train without it.

    Raises:
        ValueError: num_classes is below 0, or in_channels below 1.
    """
    return _cifar_resnet(3, num_classes=num_classes, in_channels=in_channels, fixup=fixup)


@register_model(params=853_018, macs=125_485_696, input_size_px=32, year=2015, source=RESNET)
def resnet56(*, num_classes: int = 10, in_channels: int = 3, fixup: bool = False) -> ResNet:
    """ResNet-56 for CIFAR: as :func:`resnet20`."""
    return _cifar_resnet(9, num_classes=num_classes, in_channels=in_channels, fixup=fixup)
