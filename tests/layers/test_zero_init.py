"""Residual branches that begin at 0."""

import pytest
import torch

import fieldguide as fg
from fieldguide.layers import zero_branches


@pytest.mark.parametrize(
    ("name", "branches"),
    [("resnet18", 8), ("resnet50", 16), ("se_resnet50", 16), ("resnet20", 9), ("mobilenet_v2", 10),
     ("mobilenet_v3_small", 6), ("efficientnet_v2_s", 33), ("resnet9", 0), ("convnext_tiny", 0), ("vgg11", 0)],
)  # fmt: skip
def test_the_branches_that_end_in_a_norm_are_counted(name, branches):
    with torch.device("meta"):
        assert zero_branches(fg.create_model(name)) == branches


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v2", "efficientnet_b0"])
def test_a_block_begins_as_its_shortcut_and_all_of_it_learns(name):
    network = fg.create_model(name, num_classes=3).train()
    zero_branches(network)
    block = network.stages[1][1]
    images = torch.rand(2, block(torch.rand(2, _channels(block), 8, 8)).shape[1], 8, 8)
    torch.testing.assert_close(block(images), images)
    optimiser = torch.optim.SGD(block.parameters(), lr=1e-4)
    for _ in range(2):  # the first step moves the scales alone
        optimiser.zero_grad()
        (block(images) * torch.rand_like(images)).sum().backward()
        optimiser.step()
    assert all(parameter.grad.abs().sum() > 0 for parameter in block.parameters())


def _channels(block):
    return next(parameter.shape[1] for parameter in block.parameters())
