"""Fixup: what stands for normalisation, where the weights begin, and that such networks learn."""

import inspect
import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from fieldguide.layers import (
    BasicBlock,
    Bottleneck,
    ScaleShift,
    Shift,
    ShiftConv2d,
    ShiftLinear,
    fixup_conv_act,
    initialise_fixup,
)
from fieldguide.models import MODELS, create_model

NAMES = [e.name for e in MODELS.entries() if "fixup" in inspect.signature(e.factory).parameters]
SMALL_ENOUGH = ["resnet18", "resnet20", "resnet50", "resnext50_32x4d", "wide_resnet28_10"]


def set_scalars(module, *, bias=0.0, scale=1.0):
    for name, parameter in module.named_parameters():
        if parameter.numel() == 1:
            nn.init.constant_(parameter, scale if name.endswith("scale") else bias)


def test_scalars_change_nothing_at_first_and_then_what_their_names_say():
    images = torch.randn(2, 3, 4, 4)
    shift, scale_shift = Shift(), ScaleShift()
    assert torch.equal(shift(images), images)
    assert torch.equal(scale_shift(images), images)
    set_scalars(shift, bias=0.5)
    set_scalars(scale_shift, bias=0.5, scale=2.0)
    assert_close(shift(images), images + 0.5)
    assert_close(scale_shift(images), 2 * images + 0.5)


@pytest.mark.parametrize(("groups", "stride"), [(1, 1), (2, 2)])
def test_a_convolution_shifts_its_images_and_not_their_padding(groups, stride):
    images, conv = torch.randn(2, 4, 7, 7), ShiftConv2d(4, 6, 3, stride, 1, groups=groups, bias=False)
    set_scalars(conv, bias=0.5)
    padded = F.pad(images + 0.5, (1, 1, 1, 1))
    assert_close(conv(images), F.conv2d(padded, conv.weight, stride=stride, groups=groups))


def test_a_linear_layer_shifts_its_features():
    features, linear = torch.randn(2, 4), ShiftLinear(4, 3)
    set_scalars(linear, bias=0.5)
    assert_close(linear(features), (features + 0.5) @ linear.weight.T + linear.bias)


def test_a_branch_scales_at_its_end_only():
    assert [type(child) for child in fixup_conv_act(4, 6).children()] == [ShiftConv2d, Shift, nn.ReLU]
    assert [type(child) for child in fixup_conv_act(4, 6, activation=None).children()] == [ShiftConv2d, ScaleShift]


@pytest.mark.parametrize(
    ("block", "layers", "exponent"), [(BasicBlock, 2, -1 / 2), (Bottleneck, 3, -1 / 4)], ids=["m=2", "m=3"]
)
@pytest.mark.parametrize("count", [1, 4, 16])
def test_branches_begin_as_the_rule_says(block, layers, exponent, count):
    torch.manual_seed(0)
    blocks = [block(64, 128, stride=2, conv_norm_act=fixup_conv_act) for _ in range(count)]
    shortcuts = [b.shortcut.conv.weight.clone() for b in blocks]
    classifier = ShiftLinear(512, 10)
    initialise_fixup(blocks, classifier)
    for made in blocks:
        convs = [getattr(made, f"conv{number}").conv for number in range(1, layers + 1)]
        for conv in convs[:-1]:
            of_he = math.sqrt(2 / (conv.kernel_size[0] ** 2 * conv.out_channels))
            assert float(conv.weight.std()) == pytest.approx(of_he * count**exponent, rel=0.05)
        assert not convs[-1].weight.any()
    assert all(torch.equal(b.shortcut.conv.weight, before) for b, before in zip(blocks, shortcuts, strict=True))
    assert not classifier.weight.any()
    assert not classifier.bias.any()


def test_the_fan_out_of_a_grouped_convolution_is_that_of_a_group():
    torch.manual_seed(0)
    block = Bottleneck(64, 64, stride=1, groups=32, width_factor=4, conv_norm_act=fixup_conv_act)
    initialise_fixup([block], nn.Identity())
    assert float(block.conv2.conv.weight.std()) == pytest.approx(math.sqrt(2 / (9 * 256 / 32)), rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_no_network_has_a_normalisation_left(name):
    with torch.device("meta"):
        network, usual = create_model(name, fixup=True), create_model(name)
    assert not [
        type(m).__name__ for m in network.modules() if "Norm" in type(m).__name__ and not len(list(m.children()))
    ]
    assert not list(network.buffers())
    matrices = {key: p.shape for key, p in network.named_parameters() if p.ndim > 1}
    assert matrices == {key: p.shape for key, p in usual.named_parameters() if p.ndim > 1}
    scalars = {p.numel() for key, p in network.named_parameters() if p.ndim == 1 and key != "classifier.bias"}
    assert scalars == {1}


@pytest.mark.parametrize("name", SMALL_ENOUGH)
def test_every_block_begins_as_its_shortcut_and_the_logits_at_0(name):
    torch.manual_seed(0)
    network = create_model(name, fixup=True, num_classes=10)
    with torch.no_grad():
        maps = getattr(network, "pool", nn.Identity())(network.stem(torch.randn(2, 3, 32, 32)))
        for block in (block for stage in network.stages for block in stage):
            output = block(maps)
            if name == "wide_resnet28_10":  # a projection shares the activation; nothing follows the addition
                expected = block.shortcut(maps.relu() if block.projects else maps)
            else:
                expected = block.shortcut(maps).relu()
            assert torch.equal(output, expected)
            maps = output
        assert maps.std() > 0
        assert not network(torch.randn(2, 3, 32, 32)).any()


@pytest.mark.parametrize("name", SMALL_ENOUGH[:1])
def test_the_rule_counts_all_branches_of_a_network(name):
    torch.manual_seed(0)
    network = create_model(name, fixup=True)
    conv = network.stages[3][1].conv1.conv
    assert float(conv.weight.std()) == pytest.approx(math.sqrt(2 / (9 * 512)) * 8 ** (-1 / 2), rel=0.02)


def test_real_digits_are_learnt_without_normalisation():
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images[:128, None] / 8 - 1, dtype=torch.float32).repeat_interleave(4, 2)
    images, labels = images.repeat_interleave(4, 3), torch.tensor(digits.target[:128])
    network = create_model("resnet20", in_channels=1, fixup=True)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(network(images), labels)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] == pytest.approx(math.log(10))
    assert all(map(math.isfinite, losses))
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad.any() for parameter in network.parameters())
