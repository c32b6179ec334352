"""The cost of a layer by its formula: the textbook numbers, and the same counted in a real layer."""

import pytest
from torch import nn

from fieldguide.cost.count import count
from fieldguide.cost.layers import (
    Conv,
    classifier_weights,
    depthwise_separable,
    inception,
    output_size,
    stacked,
    stacked_field,
)
from fieldguide.cost.receptive_field import receptive_fields

KIB = 1024


@pytest.mark.parametrize(
    ("kernel_size", "kib", "macs"),
    [(11, 90.75, 1_165_688_832), (7, 36.75, 472_055_808), (5, 18.75, 240_844_800), (3, 6.75, 86_704_128)],
)
def test_a_first_layer_by_its_kernel(kernel_size, kib, macs):
    conv = Conv(in_channels=3, out_channels=64, kernel_size=kernel_size)
    assert conv.weight_bytes == kib * KIB
    assert conv.bias_bytes == 0.25 * KIB
    assert conv.params == kernel_size**2 * 3 * 64 + 64
    assert conv.macs(224) == macs
    assert conv.activation_bytes(224) == 224 * 224 * 64 * 4


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("bias", [True, False])
def test_the_formulas_equal_a_real_layer(groups, bias):
    conv = Conv(in_channels=16, out_channels=24, kernel_size=5, groups=groups, bias=bias)
    layer = nn.Conv2d(16, 24, 5, stride=2, padding=1, groups=groups, bias=bias)
    side = output_size(31, kernel_size=5, stride=2, padding=1)
    counts = count(layer, (1, 16, 31, 31))
    assert counts.output_shapes[""] == (1, 24, side, side)
    assert conv.params == sum(p.numel() for p in layer.parameters())
    assert conv.macs(side) == counts.macs.total()
    assert conv.activation_bytes(side) == counts.output_bytes.total()
    assert conv.biases * side**2 == counts.bias_adds.total()


@pytest.mark.parametrize(("times", "field"), [(2, 5), (3, 7)])
def test_stacked_3x3_see_more_for_fewer_weights(times, field):
    channels = 64
    stack = stacked(channels, channels, 3, times=times)
    assert stacked_field(3, times=times) == field
    assert sum(conv.weights for conv in stack) == 9 * times * channels**2
    assert Conv(in_channels=channels, out_channels=channels, kernel_size=field).weights == field**2 * channels**2
    network = nn.Sequential(*(nn.Conv2d(1, 1, 3) for _ in stack))
    assert receptive_fields(network, (1, 1, 32, 32))[""].rows.size == field


def test_two_stacked_3x3_have_18_weights_for_25():
    two, one = stacked(7, 7, 3, times=2), Conv(in_channels=7, out_channels=7, kernel_size=5, bias=False)
    assert sum(conv.weights for conv in two) / one.weights == 18 / 25


def test_a_grouped_convolution_has_so_many_times_fewer_weights():
    for groups in (2, 4, 32):
        assert Conv(in_channels=64, out_channels=64, kernel_size=3, groups=groups).weights == 64 // groups * 64 * 9


@pytest.mark.parametrize(("channels", "fewer"), [(64, 7.89), (256, 8.69), (1024, 8.92)])
def test_a_depthwise_separable_convolution_has_8_to_9_times_fewer_weights(channels, fewer):
    separable = sum(conv.weights for conv in depthwise_separable(channels, channels, 3))
    assert separable == channels * 9 + channels**2
    ordinary = Conv(in_channels=channels, out_channels=channels, kernel_size=3).weights
    assert ordinary / separable == pytest.approx(fewer, abs=0.005)


def test_bottlenecks_more_than_halve_an_inception_block():
    naive = inception(256, by_1x1=128, by_3x3=192, by_5x5=96)
    assert sum(conv.out_channels for conv in naive) + 256 == 672
    slim = inception(256, by_1x1=128, by_3x3=192, by_5x5=96, before_3x3=64, before_5x5=64, after_pool=64)
    weights = [sum(conv.weights for conv in block) for block in (naive, slim)]
    assert weights == [1_089_536, 346_112]
    assert weights[1] < weights[0] / 2


def test_global_pooling_shrinks_the_classifier_49_times():
    sizes = [classifier_weights(1024, 7, 1000, global_pooling=pooling) for pooling in (False, True)]
    assert sizes == [49 * 1024 * 1000, 1024 * 1000]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"kernel_size": 3}, 26),
        ({"kernel_size": 3, "padding": 1}, 28),
        ({"kernel_size": 2, "stride": 2}, 14),
        ({"kernel_size": 3, "stride": 2, "padding": 1}, 14),
    ],
)
def test_the_side_of_an_output(arguments, expected):
    assert output_size(28, **arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_channels": 0}, "in_channels is 0; it must be 1 or more"),
        ({"kernel_size": -3}, "kernel_size is -3; it must be 1 or more"),
        ({"in_channels": 6, "groups": 4}, "in_channels is 6; it must be a multiple of groups=4"),
        ({"out_channels": 6, "groups": 4}, "out_channels is 6; it must be a multiple of groups=4"),
    ],
)
def test_refuses_what_is_no_convolution(arguments, message):
    with pytest.raises(ValueError, match=message):
        Conv(**{"in_channels": 8, "out_channels": 8, "kernel_size": 3, **arguments})


def test_refuses_a_kernel_larger_than_the_input():
    with pytest.raises(ValueError, match="kernel_size is 5; it must be at most the padded input's 4"):
        output_size(2, kernel_size=5, padding=1)
