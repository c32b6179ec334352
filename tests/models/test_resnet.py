"""ResNet, ResNeXt and Wide ResNet: the shapes of their stages, their blocks, and where their weights begin."""

import math

import pytest
import torch
from torch import nn

from fieldguide.layers import BasicBlock, Bottleneck
from fieldguide.models import MODELS
from fieldguide.models.resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    wide_resnet50_2,
    wide_resnet101_2,
)


def stage_shapes(network, side):
    shapes = []
    with torch.no_grad():
        maps = network.stem_pool(network.stem(torch.zeros(1, 3, side, side, device="meta")))
        for stage in network.stages:
            maps = stage(maps)
            shapes.append(tuple(maps.shape[1:]))
    return shapes


@pytest.mark.parametrize(("factory", "channels"), [(resnet18, 64), (resnet34, 64), (resnet50, 256)])
def test_stages_shrink_and_widen_as_in_table_1(factory, channels):
    with torch.device("meta"):
        network = factory()
    assert stage_shapes(network, 224) == [(channels * 2**s, 56 // 2**s, 56 // 2**s) for s in range(4)]


def test_small_images_keep_their_size_in_the_stem():
    with torch.device("meta"):
        network = resnet18(small_input=True)
    assert stage_shapes(network, 32) == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]


@pytest.mark.parametrize(
    ("factory", "layers"), [(resnet18, 18), (resnet34, 34), (resnet50, 50), (resnet101, 101), (resnet152, 152)]
)
def test_has_as_many_layers_as_its_name_says(factory, layers):
    with torch.device("meta"):
        network = factory()
    names = [
        n for n, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and "shortcut" not in n
    ]
    assert len(names) == layers


@pytest.mark.parametrize(
    ("factory", "groups", "widths"),
    [
        (resnet50, 1, [64, 128, 256, 512]),
        (resnext50_32x4d, 32, [32 * 4 * 2**s for s in range(4)]),
        (resnext101_32x8d, 32, [32 * 8 * 2**s for s in range(4)]),
        (wide_resnet50_2, 1, [128, 256, 512, 1024]),
        (wide_resnet101_2, 1, [128, 256, 512, 1024]),
    ],
)
def test_the_3x3_convolution_has_the_groups_the_width_and_the_stride(factory, groups, widths):
    with torch.device("meta"):
        network = factory()
    for number, (stage, width) in enumerate(zip(network.stages, widths, strict=True)):
        for index, block in enumerate(stage):
            conv = block.conv2.conv
            assert (conv.groups, conv.in_channels, conv.out_channels) == (groups, width, width)
            stride = 2 if number and not index else 1
            assert (block.conv1.conv.stride, conv.stride) == ((1, 1), (stride, stride))


def test_the_lesson_counts_as_many_parameters():
    assert MODELS["resnext50_32x4d"].facts.params == 25_028_904
    assert MODELS["resnet50"].facts.params == 25_557_032


@pytest.mark.parametrize(
    ("block", "arguments"), [(BasicBlock, {}), (Bottleneck, {"width_factor": 2, "groups": 4})]
)
def test_a_block_is_its_shortcut_and_its_branch_then_the_activation(block, arguments):
    made = block(64, 32, stride=2, **arguments).eval()
    kept = block(made.out_channels, 32, stride=1, **arguments).eval()
    assert isinstance(kept.shortcut, nn.Identity)
    images = torch.randn(2, 64, 9, 8)
    for each in (made, kept):
        branch = images
        for name in ("conv1", "conv2", "conv3"):
            branch = getattr(each, name, nn.Identity())(branch)
        expected = (branch + each.shortcut(images)).relu()
        images = each(images)
        assert images.shape == (2, made.out_channels, 5, 4)
        assert torch.equal(images, expected)


def test_weights_begin_as_he_et_al_draw_them():
    torch.manual_seed(0)
    network = resnet18()
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            deviation = math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels))
            assert float(module.weight.detach().std()) == pytest.approx(deviation, rel=0.05), name
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all(), name
            assert not module.bias.any(), name


def test_the_class_itself_refuses_what_it_cannot_be():
    with pytest.raises(ValueError, match="num_classes is -2; it must be 0"):
        ResNet(BasicBlock, (1, 1, 1, 1), num_classes=-2, in_channels=3, small_input=False, fixup=False)
