"""The gradients of convolutions are those that torch finds, whatever their geometry."""

import copy

import pytest
import torch
from torch import nn

from fieldguide.training.compute import convolution_gradients
from fieldguide.training.compute.convolution_gradients import hasten_gradients

# size, kernel, stride, padding, filters a channel
GEOMETRIES = [
    ((17, 24), (3, 3), (2, 2), (1, 1), 1),
    ((18, 18), (5, 5), (2, 2), (2, 2), 1),
    ((19, 18), (3, 3), (2, 2), (0, 0), 1),
    ((20, 21), (5, 3), (3, 2), (1, 2), 1),
    ((16, 16), (3, 3), (2, 2), (1, 1), 2),
    ((15, 17), (3, 3), (1, 1), (1, 1), 1),
    ((15, 17), (3, 5), (1, 1), (1, 0), 3),
]
# size, kernel, stride, padding, filters: few ones for the places, and many
DENSE = [
    ((4, 4), (3, 3), (1, 1), (1, 1), 64),
    ((5, 6), (3, 3), (2, 2), (1, 1), 64),
    ((7, 5), (5, 3), (2, 1), (2, 0), 64),
    ((6, 6), (2, 2), (2, 2), (0, 0), 64),
    ((15, 17), (3, 3), (2, 2), (1, 1), 16),
]


def gradients(conv, images, *, short):
    """Return what a convolution makes, and the gradients of its images, filters and biases."""
    images = images.clone().requires_grad_()
    conv.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        output = conv(images)
    (output.float() * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    found = [
        output.detach().float(),
        images.grad,
        *(None if p.grad is None else p.grad for p in conv.parameters()),
    ]
    return [value if value is None else value.float() for value in found]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "multiple"), GEOMETRIES)
def test_depthwise_gradients_are_those_of_float32(size, kernel, stride, padding, multiple):
    check(nn.Conv2d(4, 4 * multiple, kernel, stride, padding, groups=4), size)


@pytest.mark.parametrize(("size", "geometry", "filters"), [(size, how, n) for size, *how, n in DENSE])
def test_dense_gradients_are_those_of_float32(monkeypatch, size, geometry, filters):
    found = []

    def spy(*arguments):
        found.append(gradient_of_weight(*arguments))
        return found[-1]

    gradient_of_weight = convolution_gradients._gradient_of_weight
    monkeypatch.setattr(convolution_gradients, "_gradient_of_weight", spy)
    conv = nn.Conv2d(4, filters, *geometry)
    check(conv, size)
    assert bool(found) == (filters > 16), "a product of matrices where there are many filters"
    check(conv.to(memory_format=torch.channels_last), size)


def check(conv, size):
    """Hold a convolution's output and gradients in bfloat16 to those of float32."""
    torch.manual_seed(0)
    images = torch.randint(-4, 5, (3, 4, *size)).float()  # numbers that bfloat16 holds exactly
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.copy_(torch.randint(-4, 5, parameter.shape))
    expected = gradients(conv, images, short=False)
    hasten_gradients(conv)
    assert all(torch.equal(a, b) for a, b in zip(gradients(conv, images, short=False), expected, strict=True))
    for ours, theirs in zip(gradients(conv, images, short=True), expected, strict=True):
        assert ours.shape == theirs.shape and (ours - theirs).norm() <= 0.01 * theirs.norm()


@pytest.mark.parametrize("groups", [1, 4])
def test_what_is_frozen_gets_no_gradient(groups):
    conv = nn.Conv2d(4, 64, 3, 2, 1, groups=groups)
    conv.weight.requires_grad_(False)
    hasten_gradients(conv)
    _, of_images, of_weight, of_bias = gradients(conv, torch.randn(2, 4, 9, 9), short=True)
    assert of_weight is None and of_images.any() and of_bias.any()


def test_a_copy_is_hastened_by_itself():
    conv = nn.Conv2d(4, 4, 3, groups=4)
    hasten_gradients(conv)
    twin = copy.deepcopy(conv)
    gradients(twin, torch.randn(2, 4, 9, 9), short=True)
    assert twin.weight.grad is not None and conv.weight.grad is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"groups": 1, "kernel_size": 1},
        {"groups": 1, "padding": "same"},
        {"groups": 2},
        {"groups": 4, "dilation": 2},
        {"groups": 4, "padding": 3},
        {"groups": 4, "padding": "same"},
        {"groups": 4, "padding": 1, "padding_mode": "reflect"},
    ],
)
def test_other_convolutions_are_left_alone(arguments):
    conv = nn.Conv2d(4, 4, **{"kernel_size": 3, **arguments})
    hasten_gradients(conv)
    assert "forward" not in vars(conv)
