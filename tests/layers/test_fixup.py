"""Fixup: what stands for normalisation, where the weights begin, and that such networks learn."""

import functools
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
    SqueezeExcite,
    fixup_conv_act,
)
from fieldguide.models import MODELS, create_model
from fieldguide.models.resnet import ResNet

NAMES = [e.name for e in MODELS.entries() if "fixup" in inspect.signature(e.factory).parameters]
SMALL_ENOUGH = ["resnet18", "resnet20", "resnet50", "resnext50_32x4d", "se_resnet50", "wide_resnet28_10"]


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


def network_of(block, num_blocks, **arguments):
    """Return a network of two stages, the second of which begins with a projection."""
    torch.manual_seed(0)
    block = functools.partial(block, **arguments)
    return ResNet(
        block,
        (num_blocks - 1, 1),
        stage_channels=(64, 128),
        num_classes=10,
        in_channels=3,
        small_input=False,
        fixup=True,
    )


@pytest.mark.parametrize(
    ("block", "layers", "exponent"), [(BasicBlock, 2, -1 / 2), (Bottleneck, 3, -1 / 4)], ids=["m=2", "m=3"]
)
@pytest.mark.parametrize("num_blocks", [2, 4, 16])
def test_weights_begin_as_the_rule_says(block, layers, exponent, num_blocks):
    network = network_of(block, num_blocks)
    for name, conv in network.named_modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        of_he = math.sqrt(2 / (conv.in_channels * conv.kernel_size[0] ** 2))
        deviation = float(conv.weight.detach().std())
        if name.startswith("stem") or "shortcut" in name:
            assert deviation == pytest.approx(of_he, rel=0.05), name
        elif f"conv{layers}" in name:
            assert deviation == 0, name
        else:
            assert deviation == pytest.approx(of_he * num_blocks**exponent, rel=0.05), name
    assert not network.classifier.weight.any()
    assert not network.classifier.bias.any()


def test_the_fan_in_of_a_grouped_convolution_is_that_of_a_group():
    network = network_of(Bottleneck, 2, groups=32, width_factor=4)
    deviation = float(network.stages[0][0].conv2.conv.weight.detach().std())
    assert deviation == pytest.approx(math.sqrt(2 / (9 * 256 / 32)) * 2 ** (-1 / 4), rel=0.05)


def test_without_classes_there_is_no_classifier_to_begin_at_0():
    network = create_model("resnet20", num_classes=0, fixup=True)
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, 64)


@pytest.mark.parametrize("name", NAMES)
def test_no_network_has_a_normalisation_left(name):
    with torch.device("meta"):
        network, usual = create_model(name, fixup=True), create_model(name)
    assert not [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    assert not list(network.buffers())
    matrices = {key: p.shape for key, p in network.named_parameters() if p.ndim > 1}
    assert matrices == {key: p.shape for key, p in usual.named_parameters() if p.ndim > 1}
    vectors = {key: p.numel() for key, p in network.named_parameters() if p.ndim == 1 and key != "classifier.bias"}
    gates = {key: p.numel() for key, p in usual.named_parameters() if p.ndim == 1 and ".squeeze_excite." in key}
    assert {key: vectors.pop(key) for key in gates} == gates, "which are no normalisation, and stay"
    assert set(vectors.values()) == {1}


@pytest.mark.parametrize("name", SMALL_ENOUGH)
def test_every_block_begins_as_its_shortcut_and_the_logits_at_0(name):
    torch.manual_seed(0)
    network = create_model(name, fixup=True, num_classes=10)
    with torch.no_grad():
        maps = getattr(network, "stem_pool", nn.Identity())(network.stem(torch.randn(2, 3, 32, 32)))
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


def test_real_digits_are_learnt_without_normalisation():
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images[:32, None] / 8 - 1, dtype=torch.float32)
    images, labels = F.interpolate(images, scale_factor=2, mode="bilinear"), torch.tensor(digits.target[:32])
    network = create_model("resnet20", in_channels=1, fixup=True)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(25):
        loss = F.cross_entropy(network(images), labels)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] == pytest.approx(math.log(10))
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0] - 0.03  # it begins at a saddle point, and leaves it slowly
    assert all(parameter.grad.any() for parameter in network.parameters())


def test_gates_learn_without_normalisation_where_single_numbers_learn_slowly():
    torch.manual_seed(0)
    digits = load_digits()
    images = F.interpolate(torch.tensor(digits.images[:32, None] / 8 - 1, dtype=torch.float32), scale_factor=4)
    labels = torch.tensor(digits.target[:32])
    block = functools.partial(Bottleneck, squeeze_excite=lambda channels: SqueezeExcite(channels, channels // 16))
    network = ResNet(block, (1, 1, 1, 1), num_classes=10, in_channels=1, small_input=False, fixup=True)
    single = [p for p in network.parameters() if p.numel() == 1]
    others = [p for p in network.parameters() if p.numel() > 1]
    optimiser = torch.optim.SGD([{"params": others}, {"params": single, "lr": 1e-3}], lr=1e-2, momentum=0.9)
    losses = []
    for _ in range(25):
        loss = F.cross_entropy(network(images), labels)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[0] == pytest.approx(math.log(10))
    assert losses[-1] < losses[0] - 0.1, losses
