"""EfficientNet: one table, scaled; what the paper says of each scale."""

from math import ceil

import pytest
import torch
from torch import nn

from fieldguide.layers import DropPath, FusedInvertedResidual, SqueezeExcite
from fieldguide.models import MODELS, create_model
from fieldguide.models.efficientnet import SCALES, STAGES, scale_stages

PHI = (0, 0.5, 1, 2, 3.5, 5, 6, 7)  # that fit the published coefficients best


@pytest.mark.parametrize("number", range(8))
def test_the_published_coefficients_follow_the_compound_rule(number):
    scale, side = SCALES[number], MODELS[f"efficientnet_b{number}"].facts.input_size_px
    assert scale.width == pytest.approx(1.1 ** PHI[number], rel=0.05)
    assert side == pytest.approx(224 * 1.15 ** PHI[number], rel=0.05)
    assert 0.86 <= scale.depth / 1.2 ** PHI[number] <= 1.01  # the deepest fall behind


def test_twice_the_resources_for_each_step_of_phi():
    """Equation 3: depth, and the squares of width and side, multiply the cost; together by about two."""
    depth, width, side = 1.2, 1.1, 1.15
    assert depth * width**2 * side**2 == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize(
    ("number", "billions_of_multiply_adds", "millions_of_parameters"),
    [
        (0, 0.39, 5.3), (1, 0.70, 7.8), (2, 1.0, 9.2), (3, 1.8, 12),
        (4, 4.2, 19), (5, 9.9, 30), (6, 19, 43), (7, 37, 66),
    ],
)  # fmt: skip
def test_each_scale_costs_what_table_2_says(number, billions_of_multiply_adds, millions_of_parameters):
    facts = MODELS[f"efficientnet_b{number}"].facts
    assert facts.macs / 1e9 == pytest.approx(billions_of_multiply_adds, rel=0.05)
    assert facts.params / 1e6 == pytest.approx(millions_of_parameters, rel=0.03)


def test_b0_has_5_288_548_parameters():
    with torch.device("meta"):
        network = create_model("efficientnet_b0")
    assert sum(p.numel() for p in network.parameters()) == 5_288_548


@pytest.mark.parametrize("number", range(8))
def test_every_network_is_b0s_table_scaled(number):
    scale = SCALES[number]
    with torch.device("meta"):
        network = create_model(f"efficientnet_b{number}")
    assert [len(stage) for stage in network.stages] == [ceil(s.num_blocks * scale.depth) for s in STAGES]
    for stage, row in zip(network.stages, scale_stages(STAGES, width=scale.width), strict=True):
        assert stage[-1].project.conv.out_channels == row.out_channels
        assert row.out_channels % 8 == 0


def test_stages_of_b0_shrink_and_widen_as_table_1_says():
    with torch.device("meta"):
        network, images = create_model("efficientnet_b0"), torch.zeros(1, 3, 224, 224)
    images, shapes = network.stem(images), []
    for stage in network.stages:
        images = stage(images)
        shapes.append(tuple(images.shape[1:]))
    assert shapes == [
        (16, 112, 112), (24, 56, 56), (40, 28, 28), (80, 14, 14), (112, 14, 14), (192, 7, 7), (320, 7, 7),
    ]  # fmt: skip


def test_attention_squeezes_to_a_quarter_of_the_blocks_input():
    with torch.device("meta"):
        network = create_model("efficientnet_b0")
    layers = [m for m in network.modules() if isinstance(m, SqueezeExcite)]
    assert [layer.reduce.out_channels for layer in layers] == [
        8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48,
    ]  # fmt: skip
    assert not any(isinstance(m, FusedInvertedResidual) for m in network.modules())


def test_branches_are_left_out_more_often_the_deeper_they_are():
    with torch.device("meta"):
        network = create_model("efficientnet_b0", drop_path_rate=0.32)
    rates = [m.rate for m in network.modules() if isinstance(m, DropPath)]
    assert rates == pytest.approx([0.02 * block for block in range(16)])


@pytest.mark.parametrize(
    ("number", "epsilon", "momentum"), [*((n, 1e-5, 0.1) for n in range(5)), *((n, 1e-3, 0.01) for n in (5, 6, 7))]
)
def test_normalises_as_torchvision(number, epsilon, momentum):
    with torch.device("meta"):
        network = create_model(f"efficientnet_b{number}")
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(epsilon, momentum)}
