"""How the mobile families begin their convolutions."""

from torch import nn


def initialise_by_fan_out(conv: nn.Conv2d) -> None:
    """Draw the weights from a normal distribution of variance 2 / fan-out; a bias begins at 0.

    The fan-out is that of one group, as TensorFlow's reference code of MobileNet and EfficientNet counts it: a
    depthwise filter reaches the outputs of its own channel only. (`nn.init.kaiming_normal_` counts all channels.)
    """
    fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels // conv.groups
    nn.init.normal_(conv.weight, std=(2.0 / fan_out) ** 0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
