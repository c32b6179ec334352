"""ResNet for CIFAR-10: the numbers of its section in the paper, and shortcuts without parameters."""

import pytest
import torch
from torch import nn

from fieldguide.models.cifar_resnet import PaddedShortcut, resnet20, resnet56


@pytest.mark.parametrize(("factory", "layers", "millions"), [(resnet20, 20, 0.27), (resnet56, 56, 0.85)])
def test_has_the_layers_and_the_parameters_of_table_6(factory, layers, millions):
    with torch.device("meta"):
        network = factory()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == millions
    assert sum(isinstance(m, (nn.Conv2d, nn.Linear)) for m in network.modules()) == layers
    assert not [name for name, _ in network.named_parameters() if "shortcut" in name]


def test_stages_shrink_and_widen_as_the_paper_says():
    with torch.device("meta"):
        network, shapes = resnet20(), []
        maps = network.stem_pool(network.stem(torch.zeros(1, 3, 32, 32)))
        for stage in network.stages:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 4)])
def test_a_shortcut_takes_every_second_pixel_and_adds_empty_channels(height, width):
    images = torch.arange(2 * height * width, dtype=torch.float32).reshape(1, 2, height, width) + 1
    output = PaddedShortcut(2, 5, stride=2)(images)
    assert output.shape == (1, 5, -(-height // 2), -(-width // 2))
    for y in range(output.shape[2]):
        for x in range(output.shape[3]):
            assert torch.equal(output[0, :2, y, x], images[0, :, 2 * y, 2 * x])
    assert not output[:, 2:].any()
    assert repr(PaddedShortcut(2, 5, stride=2)) == "PaddedShortcut(stride=2, added_channels=3)"
