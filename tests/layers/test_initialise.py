"""Initialisation by fan-out."""

import pytest
from torch import nn

from fieldguide.layers import initialise_by_fan_out


@pytest.mark.parametrize(
    ("conv", "fan_out"),
    [
        (nn.Conv2d(256, 128, 3), 3 * 3 * 128),
        (nn.Conv2d(2048, 2048, 3, groups=2048), 3 * 3),  # a depthwise filter reaches its own channel only
        (nn.Conv2d(64, 512, 1), 512),
    ],
)
def test_the_variance_is_two_over_the_fan_out_of_a_group(conv, fan_out):
    initialise_by_fan_out(conv)
    assert abs(float(conv.weight.detach().var()) * fan_out / 2 - 1) < 0.05
    assert abs(float(conv.weight.detach().mean())) < 0.01
    assert not conv.bias.any()


def test_the_fan_out_may_be_that_of_all_groups():
    conv = nn.Conv2d(2048, 2048, 3, groups=2048, bias=False)
    initialise_by_fan_out(conv, each_group=False)
    assert abs(float(conv.weight.detach().var()) * 9 * 2048 / 2 - 1) < 0.05
