"""AlexNet: the sizes of its maps, its layers' weights, where its dropout is."""

import pytest
import torch
from torch import nn

from fieldguide.models.alexnet import alexnet


@pytest.fixture(scope="module")
def network():
    with torch.device("meta"):
        return alexnet().eval()


def test_maps_have_the_sizes_of_the_lessons(network):
    images, sizes = torch.zeros(1, 3, 224, 224, device="meta"), [224]
    for layer in [*network.stem, *network.stages[0], *network.stages[1]]:
        images = layer(images)
        if isinstance(layer, nn.Conv2d):
            sizes.append(images.shape[-1])
    assert [*sizes, images.shape[-1]] == [224, 55, 27, 13, 13, 13, 6]
    assert images.shape == (1, 256, 6, 6)


def test_each_layer_has_as_many_parameters_as_by_hand(network):
    layers = [
        3 * 121 * 64 + 64, 64 * 25 * 192 + 192, 192 * 9 * 384 + 384, 384 * 9 * 256 + 256, 256 * 9 * 256 + 256,
        9216 * 4096 + 4096, 4096 * 4096 + 4096, 4096 * 1000 + 1000,
    ]  # fmt: skip
    found = [sum(p.numel() for p in m.parameters()) for m in network.modules() if hasattr(m, "weight")]
    assert found == layers
    assert sum(layers) == 61_100_840


@pytest.mark.parametrize("size", [(63, 63), (224, 224), (300, 97)], ids=str)
def test_the_same_weights_take_any_size_from_63_px_on(network, size):
    assert network(torch.zeros(2, 3, *size, device="meta")).shape == (2, 1000)


def test_dropout_precedes_both_hidden_layers():
    with torch.device("meta"):
        head = [type(layer) for layer in alexnet(dropout=0.25).head]
        rates = [layer.p for layer in alexnet(dropout=0.25).head if isinstance(layer, nn.Dropout)]
    assert head == [nn.Flatten, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU]
    assert rates == [0.25, 0.25]
