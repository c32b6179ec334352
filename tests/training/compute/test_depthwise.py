"""The gradients of depthwise convolutions are those that torch finds, whatever their geometry."""

import pytest
import torch
from torch.nn import functional as F

from fieldguide.training.compute.depthwise import DepthwiseGradients

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


def gradients(images, weight, bias, stride, padding):
    inputs = [t.clone().requires_grad_() for t in (images, weight, bias)]
    output = F.conv2d(*inputs, stride=stride, padding=padding, groups=images.shape[1])
    (output.float() * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    return [output.detach().float(), *(t.grad.float() for t in inputs)]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "multiple"), GEOMETRIES)
def test_the_gradients_are_those_of_float32(size, kernel, stride, padding, multiple):
    # numbers that bfloat16 holds exactly
    images = torch.randint(-4, 5, (3, 4, *size)).float()
    weight = torch.randint(-4, 5, (4 * multiple, 1, *kernel)).float()
    bias = torch.randint(-4, 5, (4 * multiple,)).float()
    expected = gradients(images, weight, bias, stride, padding)
    with DepthwiseGradients(), torch.autocast("cpu", torch.bfloat16):
        found = gradients(images, weight, bias, stride, padding)
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours - theirs).norm() <= 0.01 * theirs.norm()


@pytest.mark.parametrize(
    "arguments",
    [
        {"stride": 2, "groups": 1},
        {"stride": 2, "groups": 2},
        {"stride": 2, "groups": 4, "dilation": 2},
        {"stride": 2, "groups": 4, "padding": 3},
        {"stride": 1, "groups": 4, "padding": "same"},
    ],
)
def test_other_convolutions_are_torchs(arguments):
    weight = torch.randn(4, 4 // arguments["groups"], 3, 3)
    images = torch.randn(2, 4, 9, 9).requires_grad_()
    with DepthwiseGradients():
        output = F.conv2d(images, weight, **arguments)
    assert output.dtype == torch.float32 and "_Depthwise" not in type(output.grad_fn).__name__
    assert torch.equal(output, F.conv2d(images, weight, **arguments))
