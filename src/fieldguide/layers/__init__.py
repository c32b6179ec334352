"""Blocks that two or more families of models share."""

from fieldguide.layers.checks import InputSize, check_arguments, check_whole
from fieldguide.layers.conv_norm_act import ConvNormAct, SameConv2d
from fieldguide.layers.drop_path import DropPath
from fieldguide.layers.fixup import (
    ScaleShift,
    Shift,
    ShiftConv2d,
    ShiftLinear,
    fixup_conv_act,
    initialise_fixup,
)
from fieldguide.layers.hidden_layers import HiddenLayers
from fieldguide.layers.initialise import initialise_by_fan_out
from fieldguide.layers.inverted_residual import FusedInvertedResidual, InvertedResidual
from fieldguide.layers.layer_norm import LayerNorm, LayerNorm2d
from fieldguide.layers.residual import BasicBlock, Bottleneck
from fieldguide.layers.round_channels import round_channels
from fieldguide.layers.squeeze_excite import SqueezeExcite
from fieldguide.layers.transformer import (
    PatchEmbedding,
    SelfAttention,
    TransformerBlock,
    linear_by_xavier,
    resize_positions,
)
from fieldguide.layers.unit_length import UnitLength
from fieldguide.layers.zero_init import zero_branches

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ConvNormAct",
    "DropPath",
    "FusedInvertedResidual",
    "HiddenLayers",
    "InputSize",
    "InvertedResidual",
    "LayerNorm",
    "LayerNorm2d",
    "PatchEmbedding",
    "SameConv2d",
    "ScaleShift",
    "SelfAttention",
    "Shift",
    "ShiftConv2d",
    "ShiftLinear",
    "SqueezeExcite",
    "TransformerBlock",
    "UnitLength",
    "check_arguments",
    "check_whole",
    "fixup_conv_act",
    "initialise_by_fan_out",
    "initialise_fixup",
    "linear_by_xavier",
    "resize_positions",
    "round_channels",
    "zero_branches",
]
