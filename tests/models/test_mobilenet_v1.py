"""MobileNet: the paper's shapes, and what its two multipliers save."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fieldguide.models import create_model
from fieldguide.models.mobilenet_v1 import DepthwiseSeparable


def on_meta(**arguments):
    with torch.device("meta"):
        return create_model("mobilenet_v1", **arguments).eval()


def multiply_adds(network, side):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, side, side, device="meta"))
    return counter.get_total_flops() / 2


def test_stages_shrink_and_widen_as_the_paper_says():
    network, shapes = on_meta(), []
    images = network.stem(torch.zeros(1, 3, 224, 224, device="meta"))
    for stage in network.stages:
        images = stage(images)
        shapes.append(tuple(images.shape[1:]))
    assert shapes == [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (1024, 7, 7)]


@pytest.mark.parametrize(
    ("width", "millions_of_multiply_adds", "millions_of_parameters"),
    [(1.0, 569, 4.2), (0.75, 325, 2.6), (0.5, 149, 1.3), (0.25, 41, 0.5)],
)
def test_the_width_multiplier_saves_what_table_6_says(width, millions_of_multiply_adds, millions_of_parameters):
    network = on_meta(width=width)
    assert round(multiply_adds(network, 224) / 1e6) == pytest.approx(millions_of_multiply_adds, abs=1)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions_of_parameters


@pytest.mark.parametrize(("side", "millions_of_multiply_adds"), [(192, 418), (160, 290), (128, 186)])
def test_the_resolution_multiplier_saves_what_table_7_says(side, millions_of_multiply_adds):
    assert round(multiply_adds(on_meta(), side) / 1e6) == pytest.approx(millions_of_multiply_adds, abs=1)


def test_a_separable_block_has_so_many_times_fewer_weights_than_a_dense_convolution():
    block = DepthwiseSeparable(512, 512, stride=1)
    separable = block.depthwise.conv.weight.numel() + block.pointwise.conv.weight.numel()
    assert separable == 512 * 9 + 512**2
    assert 8 < 512**2 * 9 / separable < 9
