"""What one layer costs, by its formula. All sizes are of square kernels and maps; bytes are those of float32.

The names are those of the formulas in docs/cost.md: K is ``kernel_size``, C ``in_channels``, C' ``out_channels``,
G ``groups``, and H = W ``output_size`` the side of the output.
"""

from dataclasses import dataclass
from itertools import pairwise

BYTES = 4  # of a float32


@dataclass(frozen=True, kw_only=True)
class Conv:
    """A convolution.

    Args:
        in_channels: a multiple of ``groups``.
        out_channels: a multiple of ``groups``.
        kernel_size: side of the kernel.
        groups: 1 is an ordinary convolution, ``in_channels`` a depthwise one.
        bias: whether one number is added to each output channel.

    Raises:
        ValueError: a size is below 1, or the groups don't divide the channels.
    """

    in_channels: int
    out_channels: int
    kernel_size: int
    groups: int = 1
    bias: bool = True

    def __post_init__(self) -> None:
        for name in ("in_channels", "out_channels", "kernel_size", "groups"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a multiple of groups={self.groups}")

    @property
    def weights(self) -> int:
        """K*K*C*C'/G, without the biases."""
        return self.kernel_size**2 * self.in_channels * self.out_channels // self.groups

    @property
    def biases(self) -> int:
        """C', or 0 without bias."""
        return self.out_channels if self.bias else 0

    @property
    def params(self) -> int:
        """Weights and biases."""
        return self.weights + self.biases

    @property
    def weight_bytes(self) -> int:
        """Of the weights, without the biases."""
        return BYTES * self.weights

    @property
    def bias_bytes(self) -> int:
        """Of the biases."""
        return BYTES * self.biases

    def macs(self, output_size: int) -> int:
        """Return the multiply-adds of one image, (H*W*C') * (K*K*C/G), without the additions of biases."""
        return output_size**2 * self.weights

    def activation_bytes(self, output_size: int) -> int:
        """Return the bytes of one image's output, H*W*C'."""
        return BYTES * output_size**2 * self.out_channels


def output_size(input_size: int, *, kernel_size: int, stride: int = 1, padding: int = 0) -> int:
    """Return the side of the output of a convolution or a pooling.

    Raises:
        ValueError: the kernel is larger than the padded input.
    """
    padded = input_size + 2 * padding
    if kernel_size > padded:
        raise ValueError(f"kernel_size is {kernel_size}; it must be at most the padded input's {padded}")
    return (padded - kernel_size) // stride + 1


def depthwise_separable(
    in_channels: int, out_channels: int, kernel_size: int, *, bias: bool = False
) -> list[Conv]:
    """Return a depthwise convolution and the 1x1 that mixes its channels: K*K*C + C*C' weights for K*K*C*C'."""
    depthwise = Conv(
        in_channels=in_channels,
        out_channels=in_channels,
        kernel_size=kernel_size,
        groups=in_channels,
        bias=bias,
    )
    return [depthwise, Conv(in_channels=in_channels, out_channels=out_channels, kernel_size=1, bias=bias)]


def stacked(
    in_channels: int, out_channels: int, kernel_size: int, *, times: int, bias: bool = False
) -> list[Conv]:
    """Return convolutions one after the other; ``stacked_field`` is what they see together."""
    channels = [in_channels, *[out_channels] * times]
    return [
        Conv(in_channels=before, out_channels=after, kernel_size=kernel_size, bias=bias)
        for before, after in pairwise(channels)
    ]


def stacked_field(kernel_size: int, *, times: int) -> int:
    """Return the receptive field of convolutions of stride 1, one after the other: 1 + times * (K - 1)."""
    return 1 + times * (kernel_size - 1)


def inception(
    in_channels: int,
    *,
    by_1x1: int,
    by_3x3: int,
    by_5x5: int,
    before_3x3: int | None = None,
    before_5x5: int | None = None,
    after_pool: int | None = None,
) -> list[Conv]:
    """Return the convolutions of an inception block: four branches side by side, the last one a 3x3 max pooling.

    Source: Szegedy et al., 2014, https://arxiv.org/abs/1409.4842, Figure 2: (a) naive, (b) with 1x1 bottlenecks.

    Args:
        in_channels: of the block.
        by_1x1: channels out of the 1x1 branch.
        by_3x3: of the 3x3 branch.
        by_5x5: of the 5x5 branch.
        before_3x3: of the 1x1 bottleneck before the 3x3; None for none.
        before_5x5: of the one before the 5x5; None for none.
        after_pool: of the 1x1 after the pooling; None for none, and then it gives ``in_channels``.
    """
    convs = [Conv(in_channels=in_channels, out_channels=by_1x1, kernel_size=1)]
    for kernel_size, channels, bottleneck in ((3, by_3x3, before_3x3), (5, by_5x5, before_5x5)):
        if bottleneck is not None:
            convs.append(Conv(in_channels=in_channels, out_channels=bottleneck, kernel_size=1))
        convs.append(Conv(in_channels=bottleneck or in_channels, out_channels=channels, kernel_size=kernel_size))
    if after_pool is not None:
        convs.append(Conv(in_channels=in_channels, out_channels=after_pool, kernel_size=1))
    return convs


def classifier_weights(channels: int, map_size: int, num_classes: int, *, global_pooling: bool) -> int:
    """Return the weights of a linear classifier on a map: global pooling divides them by the map's H*W."""
    return channels * num_classes * (1 if global_pooling else map_size**2)
