"""MobileNetV3: the paper's shapes and costs, and how timm's differs."""

import pytest
import torch
from references import build_reference, copy_to_ours
from torch import nn

from fieldguide.models import MODELS, create_model


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v3_large", [(16, 112), (24, 56), (40, 28), (112, 14), (160, 7)]),
        ("mobilenet_v3_small", [(16, 56), (24, 28), (48, 14), (96, 7)]),
    ],
)
def test_there_is_a_stage_for_each_resolution(name, expected):
    with torch.device("meta"):
        network, images = create_model(name), torch.zeros(1, 3, 224, 224)
    images, found = network.stem(images), []
    for stage in network.stages:
        images = stage(images)
        found.append((images.shape[1], images.shape[2]))
    assert found == expected


@pytest.mark.parametrize(
    ("name", "millions_of_multiply_adds", "millions_of_parameters"),
    [("mobilenet_v3_large", 219, 5.4), ("mobilenet_v3_small", 56, 2.5)],
)
def test_costs_what_table_3_says(name, millions_of_multiply_adds, millions_of_parameters):
    facts = MODELS[name].facts
    assert facts.macs / 1e6 == pytest.approx(millions_of_multiply_adds, rel=0.02)
    assert facts.params / 1e6 == pytest.approx(millions_of_parameters, rel=0.02)


@pytest.mark.parametrize(("name", "blocks"), [("mobilenet_v3_large", 8), ("mobilenet_v3_small", 9)])
def test_attention_squeezes_to_a_quarter_with_a_hard_sigmoid(name, blocks):
    with torch.device("meta"):
        network = create_model(name)
    layers = [m for m in network.modules() if type(m).__name__ == "SqueezeExcite"]
    assert len(layers) == blocks
    for layer in layers:
        assert 0.9 * layer.reduce.in_channels / 4 <= layer.reduce.out_channels <= layer.reduce.in_channels / 4 + 8
        assert isinstance(layer.gate, nn.Hardsigmoid)


@pytest.mark.parametrize(("size", "channels", "features"), [("small", 576, 1024), ("large", 960, 1280)])
def test_a_hidden_layer_follows_the_pooling(size, channels, features):
    with torch.device("meta"):
        network = create_model(f"mobilenet_v3_{size}")
    assert network.last_conv.conv.out_channels == network.head.linear.in_features == channels
    assert network.head.linear.out_features == network.classifier.in_features == features
    assert isinstance(network.head.act, nn.Hardswish)


@pytest.mark.parametrize("size", ["small", "large"])
def test_timms_differs_in_the_epsilon_of_its_batch_normalisation_alone(size):
    ours, _ = copy_to_ours(
        "torchvision", f"mobilenet_v3_{size}", build_reference("torchvision", f"mobilenet_v3_{size}")
    )
    theirs = build_reference("timm", f"mobilenetv3_{size}_100").eval()
    mine, others = ours.eval().state_dict().values(), theirs.state_dict()
    # Both name the same layers in the same order; timm's wide layer is a 1x1 convolution.
    tensors = {key: tensor.reshape(others[key].shape) for key, tensor in zip(others, mine, strict=True)}
    theirs.load_state_dict(tensors)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert (ours(images) - theirs(images)).abs().max() > 1e-3 * ours(images).abs().max()
        for module in ours.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 1e-5
        assert (ours(images) - theirs(images)).abs().max() < 1e-4 * theirs(images).abs().max()
