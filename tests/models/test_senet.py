"""Squeeze-and-excitation in ResNet: the parameters that it adds, and what it weighs."""

import pytest
import torch

from fieldguide.layers import SqueezeExcite
from fieldguide.models import MODELS
from fieldguide.models.senet import se_resnet50, se_resnext50_32x4d


@pytest.mark.parametrize(
    ("name", "plain"), [("se_resnet50", "resnet50"), ("se_resnext50_32x4d", "resnext50_32x4d")]
)
def test_adds_the_parameters_of_the_papers_formula(name, plain):
    """Equation 5: 2 / r times the sum of N * C ** 2 over the stages of N blocks; and their biases."""
    stages = list(zip((3, 4, 6, 3), (256, 512, 1024, 2048), strict=True))
    weights = sum(2 * count * channels**2 // 16 for count, channels in stages)
    biases = sum(count * (channels + channels // 16) for count, channels in stages)
    assert weights == 2_514_944
    assert MODELS[name].facts.params - MODELS[plain].facts.params == weights + biases


@pytest.mark.parametrize("factory", [se_resnet50, se_resnext50_32x4d])
def test_every_block_has_it_with_a_reduction_of_16(factory):
    with torch.device("meta"):
        network = factory()
    for block in (block for stage in network.stages for block in stage):
        attention = block.squeeze_excite
        assert isinstance(attention, SqueezeExcite)
        assert attention.reduce.out_channels == block.out_channels // 16


def test_it_weighs_the_branch_and_not_the_shortcut():
    block = se_resnet50().stages[0][1].eval()
    images = torch.randn(2, 256, 8, 8).relu()
    torch.nn.init.zeros_(block.squeeze_excite.expand.weight)
    torch.nn.init.constant_(block.squeeze_excite.expand.bias, -100.0)  # a gate of 0
    assert torch.equal(block(images), images)
