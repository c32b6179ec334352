"""Blocks that two or more families of models share."""

from fieldguide.layers.checks import InputSize, check_arguments
from fieldguide.layers.conv_norm_act import ConvNormAct, SameConv2d
from fieldguide.layers.drop_path import DropPath
from fieldguide.layers.inverted_residual import InvertedResidual
from fieldguide.layers.round_channels import round_channels
from fieldguide.layers.squeeze_excite import SqueezeExcite

__all__ = [
    "ConvNormAct",
    "DropPath",
    "InputSize",
    "InvertedResidual",
    "SameConv2d",
    "SqueezeExcite",
    "check_arguments",
    "round_channels",
]
