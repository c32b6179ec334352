"""Squeeze-and-excitation against its formula."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fieldguide.layers import SqueezeExcite


@pytest.mark.parametrize(
    ("activation", "gate"), [(nn.ReLU, nn.Sigmoid), (nn.SiLU, nn.Sigmoid), (nn.ReLU, nn.Hardsigmoid)]
)
def test_weighs_each_channel_by_the_means_of_all(activation, gate):
    layer, images = SqueezeExcite(12, 3, activation=activation, gate=gate), torch.randn(2, 12, 5, 7)
    first, second = layer.reduce.weight[:, :, 0, 0], layer.expand.weight[:, :, 0, 0]
    hidden = activation()(images.flatten(2).mean(2) @ first.T + layer.reduce.bias)
    weights = gate()(hidden @ second.T + layer.expand.bias)
    assert ((weights > 0) & (weights < 1)).all()
    assert_close(layer(images), images * weights[:, :, None, None])


def test_has_the_parameters_of_two_small_layers():
    layer = SqueezeExcite(64, 4)  # reduction 16, as in the paper
    assert sum(p.numel() for p in layer.parameters()) == (64 * 4 + 4) + (4 * 64 + 64)
