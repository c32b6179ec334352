"""DenseNet: the shapes of its stages, what a layer keeps, dropout, where the weights begin."""

import pytest
import torch
from torch import nn

from fieldguide.models.densenet import (
    DenseLayer,
    DenseNet,
    Transition,
    densenet121,
    densenet161,
    densenet169,
    densenet201,
)


@pytest.mark.parametrize(
    ("factory", "layers", "channels"),
    [
        (densenet121, 121, [256, 512, 1024, 1024]),
        (densenet169, 169, [256, 512, 1280, 1664]),
        (densenet201, 201, [256, 512, 1792, 1920]),
        (densenet161, 161, [384, 768, 2112, 2208]),
    ],
)
def test_has_the_layers_and_the_stages_of_table_1(factory, layers, channels):
    with torch.device("meta"):
        network, shapes = factory(), []
        maps = network.stem_pool(network.stem(torch.zeros(1, 3, 224, 224)))
        for stage in network.stages:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:]))
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in network.modules()) == layers
    assert shapes == [(c, side, side) for c, side in zip(channels, (56, 28, 14, 7), strict=True)]


def test_small_images_keep_their_size_in_the_stem():
    with torch.device("meta"):
        network = densenet121(small_input=True)
        assert network.stem_pool(network.stem(torch.zeros(1, 3, 32, 32))).shape == (1, 64, 32, 32)
        assert network.forward_features(torch.zeros(1, 3, 32, 32)).shape == (1, 1024, 4, 4)


def test_a_layer_keeps_what_it_was_given_and_adds_its_own():
    images, layer = torch.randn(2, 10, 5, 4), DenseLayer(10, 6, dropout=0.0)
    output = layer(images)
    assert output.shape == (2, 16, 5, 4)
    assert torch.equal(output[:, :10], images)
    assert layer.bottleneck.conv.out_channels == 4 * 6


def test_a_transition_halves_channels_and_size():
    assert Transition(10)(torch.randn(2, 10, 9, 8)).shape == (2, 5, 4, 4)


def test_dropout_leaves_out_new_maps_only():
    torch.manual_seed(0)
    images, layer = torch.randn(2, 10, 8, 8), DenseLayer(10, 6, dropout=0.5)
    output = layer(images)
    assert torch.equal(output[:, :10], images)
    assert float((output[:, 10:] == 0).float().mean()) == pytest.approx(0.5, abs=0.1)
    network = DenseNet((1, 1), growth_rate=4, num_classes=2, in_channels=1, dropout=0.2, small_input=True)
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {0.2}


def test_weights_begin_as_he_et_al_draw_them():
    torch.manual_seed(0)
    network = densenet121(num_classes=2)
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels * module.kernel_size[0] ** 2
            assert float(module.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.05), name
    assert not network.classifier.bias.any()
