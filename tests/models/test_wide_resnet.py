"""Wide ResNet for CIFAR: the paper's numbers, the order in a block, dropout."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from fieldguide.models.wide_resnet import PreActivationBlock, WideResNet, wide_resnet28_10


def test_has_the_layers_and_the_parameters_of_the_paper():
    with torch.device("meta"):
        network, shapes = wide_resnet28_10(), []
        maps = network.stem(torch.zeros(1, 3, 32, 32))
        for stage in network.stages:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:]))
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 36.5  # Table 4
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 28
    assert [len(stage) for stage in network.stages] == [4, 4, 4]
    assert shapes == [(160, 32, 32), (320, 16, 16), (640, 8, 8)]


def randomised(block):
    for norm in (block.norm1, block.norm2):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return block.eval()


@pytest.mark.parametrize(("channels", "stride"), [(6, 1), (8, 1), (8, 2)])
def test_a_block_normalises_and_activates_before_each_convolution(channels, stride):
    torch.manual_seed(0)
    block = randomised(PreActivationBlock(6, channels, stride=stride, dropout=0.5, fixup=False))
    images = torch.randn(2, 6, 7, 7)

    def pre_activated(maps, norm):
        return F.batch_norm(maps, norm.running_mean, norm.running_var, norm.weight, norm.bias).relu()

    first = pre_activated(images, block.norm1)
    branch = F.conv2d(first, block.conv1.weight, stride=stride, padding=1)
    branch = F.conv2d(pre_activated(branch, block.norm2), block.conv2.weight, padding=1)
    projects = stride == 2 or channels != 6
    shortcut = F.conv2d(first, block.shortcut.weight, stride=stride) if projects else images
    assert_close(block(images), branch + shortcut)


def test_dropout_is_between_the_convolutions_of_a_block():
    torch.manual_seed(0)
    block = randomised(PreActivationBlock(6, 6, stride=1, dropout=0.999, fixup=False))
    images = torch.randn(2, 6, 7, 7)
    assert not torch.equal(block(images), images)
    block.dropout.train()  # nearly all of the hidden maps are left out, and of the shortcut none
    assert (block(images) == images).float().mean() > 0.5
    network = WideResNet(depth=10, width=1, num_classes=10, in_channels=3, dropout=0.3, fixup=False)
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {0.3}


def test_weights_begin_as_in_the_papers_code():
    torch.manual_seed(0)
    network = WideResNet(depth=10, width=4, num_classes=10, in_channels=3, dropout=0.0, fixup=False)
    conv = network.stages[2][0].conv2
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.02)
    assert not network.classifier.bias.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 30}, r"depth is 30; it must be 6n \+ 4: 10, 16, 22, 28, \.\.\."),
        ({"depth": 3}, r"depth is 3; it must be 6n \+ 4: 10, 16, 22, 28, \.\.\."),
        ({"depth": 4}, r"depth is 4; it must be 6n \+ 4: 10, 16"),
        ({"depth": 16.0}, r"depth is 16\.0; it must be a whole number, 6n \+ 4: 10, 16"),
        ({"width": 0}, "width is 0; it must be 1 or more"),
        ({"width": 1.5}, r"width is 1\.5; it must be a whole number, 1 or more"),
    ],
)
def test_refuses_a_depth_or_a_width_that_there_is_not(arguments, message):
    sizes = {"depth": 16, "width": 1} | arguments
    with pytest.raises(ValueError, match=message):
        WideResNet(**sizes, num_classes=10, in_channels=3, dropout=0.0, fixup=False)


@pytest.mark.parametrize("depth", [10, 16, 22])
def test_has_as_many_convolutions_as_its_depth(depth):
    with torch.device("meta"):
        network = WideResNet(depth=depth, width=2, num_classes=10, in_channels=3, dropout=0.0, fixup=False)
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == depth
