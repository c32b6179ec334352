"""How the mobile families begin their convolutions."""

from torch import nn


def initialise_by_fan_out(conv: nn.Conv2d, *, each_group: bool = True) -> None:
    """Draw the weights from a normal distribution of variance 2 / fan-out; a bias begins at 0.

    Args:
        conv: what to initialise.
        each_group: count the outputs of a group only, as EfficientNet's reference code does: a depthwise filter
            reaches its own channel alone. False counts all, as torchvision and `nn.init.kaiming_normal_` do, so
            that depthwise filters begin small; normalisation makes up for it.
    """
    fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels
    if each_group:
        fan_out //= conv.groups
    nn.init.normal_(conv.weight, std=(2.0 / fan_out) ** 0.5)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
