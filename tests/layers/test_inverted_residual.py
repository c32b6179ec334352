"""Inverted residuals, plain and fused: their cost, when they keep their input, when they leave out the branch."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from fieldguide.layers import FusedInvertedResidual, InvertedResidual, SqueezeExcite

BLOCKS = [InvertedResidual, FusedInvertedResidual]


def multiply_adds(block, shape):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("expand_ratio", "kernel_size"), [(6, 3), (4, 5)])
def test_costs_what_the_paper_says(expand_ratio, kernel_size):
    """MobileNetV2, section 3.3: h * w * d * t * (d + k^2 + d') multiply-adds at stride 1."""
    h, w, d, out = 14, 10, 8, 12
    block = InvertedResidual(d, out, hidden_channels=d * expand_ratio, kernel_size=kernel_size, stride=1).eval()
    assert multiply_adds(block, (d, h, w)) == h * w * d * expand_ratio * (d + kernel_size**2 + out)


def test_the_fused_form_is_one_dense_convolution_and_a_projection():
    h, w, d, out, ratio = 14, 10, 8, 12, 4
    block = FusedInvertedResidual(d, out, hidden_channels=d * ratio, kernel_size=3, stride=1).eval()
    assert multiply_adds(block, (d, h, w)) == h * w * d * ratio * (9 * d + out)


def test_without_expansion_neither_has_a_layer_for_it():
    plain = InvertedResidual(8, 8, hidden_channels=8, kernel_size=3, stride=1)
    fused = FusedInvertedResidual(8, 8, hidden_channels=8, kernel_size=3, stride=1)
    assert sum(isinstance(m, nn.Conv2d) for m in plain.modules()) == 2
    assert sum(isinstance(m, nn.Conv2d) for m in fused.modules()) == 1
    assert any(isinstance(m, nn.ReLU) for m in fused.modules())


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    ("out_channels", "stride", "keeps"), [(8, 1, True), (8, 2, False), (12, 1, False), (12, 2, False)]
)
@pytest.mark.parametrize("size", [(6, 6), (7, 5)], ids=str)
def test_adds_its_input_where_the_shape_is_kept(block, out_channels, stride, keeps, size):
    layer = block(8, out_channels, hidden_channels=32, kernel_size=3, stride=stride).eval()
    nn.init.zeros_(layer.project.norm.weight)  # an empty branch
    images = torch.randn(2, 8, *size)
    output = layer(images)
    assert output.shape == (2, out_channels, -(-size[0] // stride), -(-size[1] // stride))
    assert_close(output, images if keeps else torch.zeros_like(output))


@pytest.mark.parametrize("block", BLOCKS)
def test_leaves_the_branch_out_for_some_images_in_training_only(block):
    torch.manual_seed(0)
    layer = block(4, 4, hidden_channels=16, kernel_size=3, stride=1, drop_path_rate=0.25)
    images = torch.randn(400, 4, 3, 3)
    left_out = (layer(images) == images).flatten(1).all(1)
    assert 0.18 < left_out.float().mean() < 0.32
    assert not (layer.eval()(images) == images).flatten(1).all(1).any()


def test_the_projection_is_linear_and_attention_comes_before_it():
    def squeeze_excite(channels):
        return SqueezeExcite(channels, 2)

    block = InvertedResidual(
        4, 6, hidden_channels=24, kernel_size=3, stride=1, squeeze_excite=squeeze_excite
    ).eval()
    images = torch.randn(2, 4, 5, 5)
    expected = block.depthwise(block.expand(images))
    expected = block.project.norm(block.project.conv(block.squeeze_excite(expected)))
    assert_close(block(images), expected)
    assert (expected < 0).any()
