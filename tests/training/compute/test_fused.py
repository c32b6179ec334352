"""Fused layers compute what the layers do one by one, as near to float32 as these are in bfloat16."""

import copy

import pytest
import torch
from torch import nn

import fieldguide as fg
from fieldguide.layers import ConvNormAct
from fieldguide.training.compute import fused
from fieldguide.training.compute.fused import _Moments, fuse

LAYERS = {
    "widening": {"in_channels": 8, "out_channels": 48},
    "widening, relu": {"in_channels": 8, "out_channels": 48, "activation": nn.ReLU},
    "depthwise": {"in_channels": 16, "out_channels": 16, "kernel_size": 3, "groups": 16},
    "strided": {"in_channels": 3, "out_channels": 16, "kernel_size": 3, "stride": 2, "activation": nn.ReLU},
    "narrowing": {"in_channels": 32, "out_channels": 8},
}


def made(activation=nn.ReLU6, **arguments):
    layers = ConvNormAct(activation=activation, **arguments)
    with torch.no_grad():
        layers.norm.weight.uniform_(0.5, 3)
        layers.norm.bias.uniform_(-1, 1)
    return layers.to(memory_format=torch.channels_last)


def learnt_from(layers, images, *, short=True):
    """Return the output, the gradients and the statistics after a step."""
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        output = layers(images)
    weights = torch.linspace(-1, 1, output.numel()).view_as(output)
    weights = weights.contiguous(memory_format=torch.channels_last)  # as gradients lie within a network
    (output.float() * weights).sum().backward()
    gradients = {name: p.grad.float() for name, p in layers.named_parameters()}
    statistics = {name: b.float() for name, b in layers.named_buffers()}
    return {"output": output.detach().float(), "images": images.grad} | gradients | statistics


def error(found, truth):
    return float((found - truth).norm() / truth.norm().clamp_min(1e-12))


@pytest.mark.parametrize("name", LAYERS)
def test_it_is_as_near_to_float32_as_bfloat16_is(name):
    plain = made(**LAYERS[name])
    fused, exact = copy.deepcopy(plain), copy.deepcopy(plain)
    fuse(fused)
    images = torch.randn(6, LAYERS[name]["in_channels"], 20, 20).contiguous(memory_format=torch.channels_last)
    truth = learnt_from(exact, images, short=False)
    ours, theirs = learnt_from(fused, images), learnt_from(plain, images)
    assert ours.keys() == theirs.keys()
    for key, value in truth.items():
        assert error(ours[key], value) <= max(1.5 * error(theirs[key], value), 0.004), key


@pytest.mark.parametrize("name", LAYERS)
def test_in_float32_only_the_rounding_differs(name):
    only_rounding_differs(made(**LAYERS[name]), torch.randn(6, LAYERS[name]["in_channels"], 20, 20))


def test_large_maps_are_worked_on_in_slices():
    layers = made(in_channels=64, out_channels=64, kernel_size=3, groups=64)
    only_rounding_differs(layers, torch.randn(5, 64, 128, 128))  # 4 MiB each


def only_rounding_differs(plain, images):
    """Hold fused layers to float64: they are as near to it as plain ones, in float32."""
    images = images.contiguous(memory_format=torch.channels_last)
    fused, exact = copy.deepcopy(plain), copy.deepcopy(plain).double()
    fuse(fused)
    truth = learnt_from(exact, images.double(), short=False)
    ours, theirs = (learnt_from(layers, images, short=False) for layers in (fused, plain))
    for key, value in truth.items():
        assert error(ours[key], value) <= max(3 * error(theirs[key], value), 2e-6), key


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_gradient_that_lies_otherwise_is_laid_like_the_maps(monkeypatch, kernel):
    laid = []

    def spy(*arguments):
        laid.append(pass_unclamped(*arguments))
        return laid[-1]

    pass_unclamped = fused._pass_unclamped
    monkeypatch.setattr(fused, "_pass_unclamped", spy)
    layers = made(in_channels=8, out_channels=40, kernel_size=kernel)
    twin = copy.deepcopy(layers)
    fuse(twin)
    images = torch.randn(6, 8, 20, 20).contiguous(memory_format=torch.channels_last)
    for each in (layers, twin):  # the mean of a network's last maps sends back a gradient of stride 0
        each(images).mean((2, 3)).square().sum().backward()
    assert laid[0].is_contiguous(memory_format=torch.channels_last)
    for ours, theirs in zip(twin.parameters(), layers.parameters(), strict=True):
        assert error(ours.grad, theirs.grad) < 1e-4


def test_moments_are_differentiated_as_torch_does():
    rows = (3 + torch.randn(500, 7)).requires_grad_()
    of_mean, of_covariance = torch.randn(7), torch.randn(7, 7)
    centred = rows - rows.mean(0)
    ((rows.mean(0) * of_mean).sum() + (centred.t() @ centred / 500 * of_covariance).sum()).backward()
    expected, rows.grad = rows.grad, None
    mean, covariance = _Moments.apply(rows)
    ((mean * of_mean).sum() + (covariance * of_covariance).sum()).backward()
    torch.testing.assert_close(rows.grad, expected, rtol=1e-4, atol=1e-6)


def test_names_and_values_stay_and_judging_too():
    network = fg.create_model("mobilenet_v2", num_classes=3, width=0.25).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        before, weights = network(images), copy.deepcopy(network.state_dict())
        fuse(network)
        assert torch.equal(network(images), before)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_a_copy_learns_by_itself():
    network = made(**LAYERS["depthwise"])
    fuse(network)
    twin = copy.deepcopy(network)
    learnt_from(twin, torch.randn(4, 16, 8, 8))
    assert int(twin.norm.num_batches_tracked) == 1 and int(network.norm.num_batches_tracked) == 0
    assert network.conv.weight.grad is None


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_frozen_gets_no_gradient(name):
    layers = made(**LAYERS[name])
    fuse(layers)
    layers.conv.weight.requires_grad_(False)
    with torch.autocast("cpu", torch.bfloat16):
        output = layers(torch.randn(4, LAYERS[name]["in_channels"], 10, 10))
    output.float().square().sum().backward()
    assert layers.conv.weight.grad is None and layers.norm.weight.grad.any()


def test_images_far_from_zero_are_normalised_as_well():
    plain = made(**LAYERS["widening"])
    fused, exact = copy.deepcopy(plain), copy.deepcopy(plain)
    fuse(fused)
    images = (5 + torch.randn(6, 8, 20, 20)).contiguous(memory_format=torch.channels_last)
    truth = learnt_from(exact, images, short=False)
    ours, theirs = learnt_from(fused, images), learnt_from(plain, images)
    for key in ("output", "conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"):
        assert error(ours[key], truth[key]) <= max(1.5 * error(theirs[key], truth[key]), 0.01), key


@pytest.mark.parametrize("name", ["widening", "depthwise"])
def test_one_number_a_channel_is_refused_as_torch_does(name):
    layers = made(**LAYERS[name])
    fuse(layers)
    images = torch.randn(1, LAYERS[name]["in_channels"], 1, 1)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ValueError, match="more than 1 value per channel"):
        layers(images)


def test_a_normalisation_that_looks_at_other_processes_is_left_to_it():
    layers, calls = made(**LAYERS["widening"]), []
    layers.norm.forward = lambda maps: calls.append(maps.shape) or maps
    fuse(layers)
    with torch.autocast("cpu", torch.bfloat16):
        layers(torch.randn(2, 8, 5, 5))
    assert calls == [(2, 48, 5, 5)]


@pytest.mark.parametrize("change", ["frozen statistics", "without momentum"])
def test_what_is_not_meant_for_it_is_computed_as_ever(change):
    plain = made(**LAYERS["widening"])
    if change == "without momentum":
        plain.norm.momentum = None
    fused = copy.deepcopy(plain)
    fuse(fused)
    if change == "frozen statistics":
        plain.norm.eval()
        fused.norm.eval()
    images = torch.randn(4, 8, 10, 10)
    ours, theirs = learnt_from(fused, images), learnt_from(plain, images)
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_other_activations_are_left_alone():
    layers = made(activation=nn.SiLU, in_channels=8, out_channels=48)
    fuse(layers)
    assert "forward" not in vars(layers)
