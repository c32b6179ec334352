"""The brick of nearly every family since 2015: convolution, normalisation, activation."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


class ConvNormAct(nn.Sequential):
    """Convolution without bias, normalisation, and activation: the children ``conv``, ``norm`` and ``act``.

    (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)), for an odd kernel.

    Args:
        in_channels: C of the input.
        out_channels: C of the output.
        kernel_size: odd; the edges are padded by half of it.
        stride: of the convolution.
        groups: of the convolution; ``in_channels`` makes it depthwise.
        conv: kind of convolution, such as :class:`SameConv2d`.
        norm: makes the normalisation of so many channels.
        activation: makes the activation; None for none, and then there is no child ``act``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        conv: Callable[..., nn.Conv2d] = nn.Conv2d,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] | None = nn.ReLU,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv=conv(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
            norm=norm(out_channels),
        )
        if activation is not None:
            layers["act"] = activation()
        super().__init__(layers)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME": an odd pixel of padding goes to the bottom and right.

    Weights trained in TensorFlow expect it; symmetric padding would shift every layer of stride 2. ``padding``
    must be half the odd kernel, which is the same at stride 1; no kernel is smaller than its stride.

    Images (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)).
    """

    def forward(self, images: Tensor) -> Tensor:
        if self.stride == (1, 1):
            return super().forward(images)
        height, width = (int(side) for side in images.shape[-2:])  # in a trace too: the padding is then fused
        pad_h = _same_padding(height, self.kernel_size[0], self.stride[0])
        pad_w = _same_padding(width, self.kernel_size[1], self.stride[1])
        padded = F.pad(images, (pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def _same_padding(size: int, kernel_size: int, stride: int) -> int:
    """Return how many pixels the last step reads past the edge."""
    return kernel_size - stride + -size % stride
